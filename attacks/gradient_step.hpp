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

class GradientStep {
  public:
    GradientStep(const Ball& ball, double length, double momentum)
        : ball_(ball), length_(length), momentum_(momentum) {}

    // Throws Error where a gradient is NaN or infinite, naming the attack, the image and the step.
    void require_finite(const Tensor& gradient, std::string_view attack, std::span<const int64_t> ids,
                        int64_t step);
    // Moves the images. Writes over the gradient where there is momentum. After require_finite().
    void operator()(Tensor& gradient, const Tensor& origin, Tensor& images);
    // The same, and tells; `report` has what is known already.
    void observe(AttackObserver& observer, AttackStep report, Tensor& gradient, const Tensor& origin,
                 Tensor& images);
    // Goes on with these images of the batch alone.
    void keep(const std::vector<int64_t>& places);

  private:
    Ball ball_;
    double length_, momentum_;
    Tensor sums_;      // of |g|, image by image
    Tensor velocity_;  // m; undefined before the first step
};

}  // namespace microtome
