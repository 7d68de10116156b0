#include "attacks/random_start.hpp"

#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/updates.hpp"
#include "tensor/math.hpp"

namespace microtome {

Tensor random_start(const Ball& ball, const Batch& batch, RandomKey key) {
    const Tensor& origin = batch.images;
    Tensor result(origin.spec());
    const int64_t n = origin.size(0), size = n == 0 ? 0 : origin.elements() / n;
    const Shape one = origin.shape().with(0, 1);
    for (int64_t i = 0; i < n; ++i) {
        key.sample = static_cast<uint64_t>(batch.ids.empty() ? i : batch.ids[i]);
        Tensor place = result.view(one, i * size);
        if (ball.norm == Norm::linf) {
            fill_uniform(key, place, -ball.epsilon, ball.epsilon);
            continue;
        }
        fill_normal(key, place);
        const Tensor direction = place.clone(), x = origin.view(one, i * size);
        double u[1];
        fill_uniform({key.seed, key.purpose, key.sample, key.restart, key.step + 1}, std::span<double>(u));
        const double distance =
            u[0] > 0 ? ball.epsilon * math::exp(math::log(u[0]) / static_cast<double>(size)) : 0;
        place.copy_from(x);
        kernels::pgd_l2_step(distance, {safe_radius(ball, size)}, direction, x, place);
    }
    if (ball.norm == Norm::linf) kernels::binary(kernels::Binary::add, result, origin, result);
    project(ball, origin, result);
    return result;
}

}  // namespace microtome
