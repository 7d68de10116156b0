#include "attacks/blended_patch.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {

BlendedPatch::BlendedPatch(const BlendedPatchOptions& options)
    : UniversalAttack("blended-patch", options.fit), options_(options) {
    if (options.size < 1 || options.size > (1 << 16))
        throw OptionsError(name(), str("expected a size of 1 pixel or more, got ", options.size));
    if (options.top < 0 || options.left < 0 || options.top > (1 << 16) || options.left > (1 << 16))
        throw OptionsError(
            name(), str("expected a place in the image, got row ", options.top, ", column ", options.left));
    if (!(options.beta >= 0 && options.beta <= 1))
        throw OptionsError(name(), str("expected beta from 0 to 1, got ", options.beta));
}

AttackOptions BlendedPatch::own_options() const {
    return {{"size", str(options_.size)},
            {"top", str(options_.top)},
            {"left", str(options_.left)},
            {"beta", str(options_.beta)}};
}

Shape BlendedPatch::pattern_shape(const Shape& images) const {
    if (options_.top + options_.size > images[1] || options_.left + options_.size > images[2])
        throw ShapeError(name(), str("expected images that hold ", options_.size, " pixels from row ",
                                     options_.top, ", column ", options_.left, ", got ", images));
    return {options_.size, options_.size, images[3]};
}

Tensor BlendedPatch::start(const Shape& pattern) const {
    Tensor p(Spec{pattern});
    fill_start(p);
    return p;
}

Tensor BlendedPatch::place(const Tensor& pattern, const Batch& batch, int64_t) const {
    const Tensor& x = batch.images;
    const Margin rows{options_.top, x.size(1) - options_.top - options_.size},
        columns{options_.left, x.size(2) - options_.left - options_.size};
    const Shape one{1, options_.size, options_.size, pattern.size(2)};
    const Tensor mask = pad_images(Tensor::full(one, options_.beta, Dtype::f32, x.device()), rows, columns);
    return x + mask * (pad_images(reshape(pattern, one), rows, columns) - x);
}

}  // namespace microtome
