// One step of a gradient attack for a batch of images, in place, and what an observer is told of it.
#pragma once

#include "attacks/attack.hpp"

namespace microtome {

struct Ball {
    Norm norm = Norm::linf;
    double epsilon = 0;
};

// What to project f32 images of so many values by, so that |x' - x| <= epsilon for the real numbers: in L-inf
// epsilon, because the kernel rounds its bounds inwards; in L2 a little less, by what the roundings of
// distance and pixels in [0, 1] can add up to.
double safe_radius(const Ball& ball, int64_t values);

// Into the ball around `origin` and into [0, 1], in place.
void project(const Ball& ball, const Tensor& origin, Tensor& images);

// What a gradient attack says of a gradient that is NaN or infinite, in its name.
[[noreturn]] void throw_not_finite(std::string_view attack, float value, int64_t id, int64_t step);

class GradientStep {
  public:
    GradientStep(const Ball& ball, double length, double momentum)
        : ball_(ball), length_(length), momentum_(momentum) {}

    // Sums of |g|, image by image, f32 (N, 1, 1, 1), which the step reads. They stay where they are for
    // images of one shape, as does all else that it keeps; on a device nobody waits.
    Tensor& measure(const Tensor& gradient);
    // Throws Error where a measured gradient is NaN or infinite, naming the attack, the image and the step.
    void require_finite(const Tensor& gradient, std::string_view attack, std::span<const int64_t> ids,
                        int64_t step) const;
    // Moves the images. Writes over the gradient where there is momentum. After measure().
    void operator()(Tensor& gradient, const Tensor& origin, Tensor& images);
    // The same, and tells; `report` has what is known already.
    void observe(AttackObserver& observer, AttackStep report, Tensor& gradient, const Tensor& origin,
                 Tensor& images);
    // Forgets the steps so far: what comes next begins anew.
    void forget();
    // Goes on with these images of the batch alone.
    void keep(const std::vector<int64_t>& places);

  private:
    Ball ball_;
    double length_, momentum_;
    Tensor sums_, factors_;            // of |g|, image by image, and 1 / mean |g|
    Tensor velocity_;                  // m; undefined before the first step
    Tensor values_, momentum_here_{};  // of an image, and mu, as the kernels want them
};

}  // namespace microtome
