#include "nn/models/mlp.hpp"

#include "autograd/ops/shaping.hpp"

namespace microtome {

Mlp::Mlp(const MlpOptions& options)
    : preprocess_(add<Preprocess>("preprocess", options.image)), relu_(add<Relu>("relu")) {
    if (options.depth < 0)
        throw OptionsError("mlp", str("expected a depth of 0 or more, got ", options.depth));
    const ImageOptions& image = options.image;
    LinearOptions linear{.weight_start = he_normal(),
                         .bias_start = zeros(),
                         .images = {image.height, image.width, image.channels}};
    int64_t in = linear.images.elements();
    for (int64_t i = 1; i <= options.depth + 1; ++i) {
        const int64_t out = i <= options.depth ? options.width : options.classes;
        layers_.push_back(&add<Linear>(str("fc", i), in, out, linear));
        linear.images = {};  // only the first sees pixels
        in = out;
    }
}

Tensor Mlp::forward(const Tensor& x, const Pass& pass) {
    Tensor y = flatten(preprocess_(x, pass));
    for (Linear* layer : layers_) {
        y = (*layer)(y, pass);
        if (layer != layers_.back()) y = relu_(y, pass);
    }
    return y;
}

}  // namespace microtome
