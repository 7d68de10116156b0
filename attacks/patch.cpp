#include "attacks/patch.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/image.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/math.hpp"
#include "tensor/random.hpp"

#include <algorithm>

namespace microtome {
namespace {

// (1, side, side, 1): 1 where a pixel's centre lies in the inscribed circle.
Tensor disc(int64_t side) {
    Tensor mask = Tensor::zeros({1, side, side, 1});
    const auto values = mask.mutable_data<float>();
    for (int64_t row = 0; row < side; ++row)
        for (int64_t column = 0; column < side; ++column) {
            // Twice the distances, which are whole numbers.
            const int64_t y = 2 * row + 1 - side, x = 2 * column + 1 - side;
            if (x * x + y * y <= side * side) values[row * side + column] = 1;
        }
    return mask;
}

}  // namespace

Patch::Patch(const PatchOptions& options) : UniversalAttack("patch", options.fit), options_(options) {
    if (!(options.rotation >= 0 && options.rotation <= 180))
        throw OptionsError(name(), str("expected a rotation from 0 to 180 degrees, got ", options.rotation));
    if (!(options.scale_min > 0 && options.scale_min <= options.scale_max && options.scale_max <= 1))
        throw OptionsError(name(), str("expected 0 < scale_min <= scale_max <= 1, got ", options.scale_min,
                                       " and ", options.scale_max));
}

AttackOptions Patch::own_options() const {
    return {{"rotation", str(options_.rotation)},
            {"scale_min", str(options_.scale_min)},
            {"scale_max", str(options_.scale_max)}};
}

Shape Patch::pattern_shape(const Shape& images) const {
    const int64_t side = std::min(images[1], images[2]);
    return {side, side, images[3]};
}

Tensor Patch::start(const Shape& pattern) const {
    Tensor p(Spec{pattern});
    fill_start(p);
    return p;
}

Tensor Patch::transforms(const Batch& batch, int64_t round) const {
    const int64_t n = batch.images.size(0);
    const double height = static_cast<double>(batch.images.size(1)),
                 width = static_cast<double>(batch.images.size(2)), side = std::min(height, width);
    Tensor theta(Spec{Shape{n, 2, 3}});
    const auto values = theta.mutable_data<float>();
    for (int64_t i = 0; i < n; ++i) {
        double draw[4];
        fill_uniform({.seed = seed(),
                      .purpose = purpose_of("attack:patch"),
                      .sample = static_cast<uint64_t>(batch.ids.empty() ? i : batch.ids[i]),
                      .restart = static_cast<uint32_t>(round)},
                     std::span<double>(draw));
        const double angle = options_.rotation * (2 * draw[0] - 1) * 0.017453292519943295;  // pi / 180
        const double scale = options_.scale_min + (options_.scale_max - options_.scale_min) * draw[1];
        // The centre, in coordinates where the image spans -1 to 1; the disc may touch the edge.
        const double x = (2 * draw[2] - 1) * (1 - scale * side / width),
                     y = (2 * draw[3] - 1) * (1 - scale * side / height);
        // Pixels turned back by the angle and blown up by 1 / scale.
        const double c = math::cos(angle) / scale, s = math::sin(angle) / scale;
        const double a[2][2] = {{c, s * height / width}, {-s * width / height, c}};
        for (int row = 0; row < 2; ++row) {
            float* to = values.data() + i * 6 + row * 3;
            to[0] = static_cast<float>(a[row][0]);
            to[1] = static_cast<float>(a[row][1]);
            to[2] = static_cast<float>(-(a[row][0] * x + a[row][1] * y));
        }
    }
    return theta;
}

Tensor Patch::place(const Tensor& pattern, const Batch& batch, int64_t round) const {
    const Tensor& x = batch.images;
    const int64_t n = x.size(0), height = x.size(1), width = x.size(2), side = pattern.size(0),
                  channels = x.size(3);
    const Margin rows{(height - side) / 2, height - side - (height - side) / 2},
        columns{(width - side) / 2, width - side - (width - side) / 2};
    const Tensor theta = transforms(batch, round).to(x.device()), mask = disc(side).to(x.device());
    auto seen = [&](const Tensor& square, int64_t depth) {
        return affine_warp(broadcast_to(pad_images(square, rows, columns), Shape{n, height, width, depth}),
                           theta);
    };
    const Tensor covered = seen(mask, 1);
    const Tensor colours = seen(reshape(pattern, Shape{1, side, side, channels}) * mask, channels);
    return x * (1.0 - covered) + colours;
}

}  // namespace microtome
