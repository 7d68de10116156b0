#include "attacks/gradient_step.hpp"

#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/norms.hpp"
#include "tensor/kernels/reduce.hpp"
#include "tensor/kernels/updates.hpp"

#include <cmath>

namespace microtome {
namespace {

// mu m + g with this for m is g to the bit, its sign included where it is 0.
constexpr double kNothing = -0.0;

}  // namespace

double safe_radius(const Ball& ball, int64_t values) {
    if (ball.norm == Norm::linf) return ball.epsilon;
    // Half an ulp of a number below 1 is 2^-25, of a relative error 2^-24; the latter comes in thrice.
    const double lost = ball.epsilon * 0x1p-22 + std::sqrt(static_cast<double>(values)) * 0x1p-25;
    return std::max(0.0, ball.epsilon - lost);
}

void project(const Ball& ball, const Tensor& origin, Tensor& images) {
    if (images.elements() == 0) return;
    const ImageBounds bounds{safe_radius(ball, images.elements() / images.size(0))};
    ball.norm == Norm::linf ? kernels::project_linf(bounds, origin, images)
                            : kernels::project_l2(bounds, origin, images);
}

void throw_not_finite(std::string_view attack, float value, int64_t id, int64_t step) {
    throw Error(attack, str("expected finite gradients, got ", value, " for image ", id, " in step ", step),
                "the model's own arithmetic overflows or divides by 0 there; no attack can be judged on such "
                "gradients");
}

Tensor& GradientStep::measure(const Tensor& gradient) {
    const Spec spec{{gradient.size(0), 1, 1, 1}, Dtype::f32, gradient.device()};
    if (!sums_.defined() || !(sums_.spec() == spec)) sums_ = Tensor(spec);
    kernels::reduce(kernels::Reduction::sum_of_absolutes, gradient,
                    kernels::axis_mask(gradient.shape(), {1, 2, 3}), sums_);
    return sums_;
}

void GradientStep::require_finite(const Tensor& gradient, std::string_view attack,
                                  std::span<const int64_t> ids, int64_t step) const {
    const int64_t n = gradient.size(0), size = gradient.elements() / n;
    const Tensor sums = sums_.to(kCpu);  // from a GPU N numbers a step, for which it is waited
    for (int64_t i = 0; i < n; ++i) {
        if (std::isfinite(sums.data<float>()[i])) continue;
        const Tensor here = gradient.to(kCpu);
        for (float g : here.data<float>().subspan(i * size, size))
            if (!std::isfinite(g)) throw_not_finite(attack, g, ids[i], step);
    }
}

void GradientStep::operator()(Tensor& gradient, const Tensor& origin, Tensor& images) {
    const int64_t size = images.elements() / images.size(0);
    const Tensor* direction = &gradient;
    if (momentum_ > 0) {
        if (!velocity_.defined()) {
            velocity_ = Tensor::full(gradient.shape(), kNothing, Dtype::f32, gradient.device());
            values_ = Tensor::scalar(static_cast<double>(size), Dtype::f32, gradient.device());
            momentum_here_ = Tensor::scalar(momentum_, Dtype::f32, gradient.device());
        }
        if (!factors_.defined() || !(factors_.spec() == sums_.spec())) factors_ = Tensor(sums_.spec());
        // g / mean |g|, 0 where g = 0 and with it the sum; then m = mu m + g.
        kernels::binary(kernels::Binary::divide, values_, sums_, factors_);
        kernels::ternary(kernels::Ternary::where, sums_, factors_, sums_, factors_);
        kernels::binary(kernels::Binary::multiply, gradient, factors_, gradient);
        kernels::ternary(kernels::Ternary::multiply_add, velocity_, momentum_here_, gradient, velocity_);
        direction = &velocity_;
    }
    const ImageBounds bounds{safe_radius(ball_, size)};
    ball_.norm == Norm::linf ? kernels::pgd_linf_step(length_, bounds, *direction, origin, images)
                             : kernels::pgd_l2_step(length_, bounds, *direction, origin, images);
}

void GradientStep::observe(AttackObserver& observer, AttackStep report, Tensor& gradient,
                           const Tensor& origin, Tensor& images) {
    const int64_t n = images.size(0), size = images.elements() / n;
    const Tensor before = images.to(kCpu).clone(), gradient_here = gradient.to(kCpu);
    Tensor norms(Spec{Shape{n}});
    kernels::norm_l2(gradient_here, norms, {});
    std::vector<float> zeros(n), by_epsilon(n), by_box(n);
    for (int64_t i = 0; i < n; ++i) {
        const auto g = gradient_here.data<float>().subspan(i * size, size);
        zeros[i] = static_cast<float>(std::count(g.begin(), g.end(), 0.0f)) / static_cast<float>(size);
    }
    (*this)(gradient, origin, images);

    const Tensor after = images.to(kCpu);
    const Tensor direction = (velocity_.defined() ? velocity_ : gradient).to(kCpu);
    Tensor lengths(Spec{Shape{n}});
    kernels::norm_l2(direction, lengths, {});
    for (int64_t i = 0; i < n; ++i) {
        const float length = lengths.data<float>()[i];
        int64_t epsilon = 0, box = 0;
        for (int64_t j = i * size; j < (i + 1) * size; ++j) {
            const float g = direction.data<float>()[j], x = before.data<float>()[j],
                        y = after.data<float>()[j];
            const double move = ball_.norm == Norm::linf ? (g > 0) - (g < 0) : length > 0 ? g / length : 0;
            const double wanted = x + length_ * move;
            // Roundings aside, it is where it wanted to be.
            if (!(std::abs(wanted - y) > 0.01 * length_)) continue;
            const bool at_wall = (y == 0 && wanted < 0) || (y == 1 && wanted > 1);
            (at_wall ? box : epsilon) += 1;
        }
        by_epsilon[i] = static_cast<float>(epsilon) / static_cast<float>(size);
        by_box[i] = static_cast<float>(box) / static_cast<float>(size);
    }
    report.gradient_norm = norms.data<float>();
    report.zero_gradient = zeros;
    report.stopped_by_epsilon = by_epsilon, report.stopped_by_box = by_box;
    observer.step(report);
}

void GradientStep::forget() {
    if (!velocity_.defined()) return;
    const Tensor nothing = Tensor::scalar(kNothing, Dtype::f32, velocity_.device());
    kernels::broadcast_to(nothing, velocity_);
}

void GradientStep::keep(const std::vector<int64_t>& places) {
    if (velocity_.defined()) velocity_ = select(Batch{.images = velocity_}, places).images;
}

}  // namespace microtome
