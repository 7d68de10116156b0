#include "nn/models/mobilenet.hpp"

#include "autograd/ops/arithmetic.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

// Convolution, batch norm, ReLU6.
void append_unit(Sequential& net, int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups) {
    net.append<Sequential>()
        .then<Conv2d>(in, out,
                      Conv2dOptions{.kernel = kernel,
                                    .stride = stride,
                                    .padding = kernel / 2,
                                    .groups = groups,
                                    .bias = false,
                                    .weight_start = he_normal(Fan::out)})
        .then<BatchNorm>(out)
        .then<Relu6>();
}

// The nearest multiple of 8, but no less than nine tenths of what was asked.
int64_t scaled_channels(int64_t standard, double width) {
    const double wanted = static_cast<double>(standard) * width;
    const int64_t rounded = std::max<int64_t>(8, static_cast<int64_t>(wanted + 4) / 8 * 8);
    return static_cast<double>(rounded) < 0.9 * wanted ? rounded + 8 : rounded;
}

struct Stage {
    int64_t expansion, channels, blocks, stride;
};
constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                             {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

}  // namespace

InvertedResidual::InvertedResidual(int64_t in, int64_t out, int64_t stride, int64_t expansion)
    : conv_(add<Sequential>("conv")), shortcut_(stride == 1 && in == out) {
    const int64_t inside = in * expansion;
    if (expansion != 1) append_unit(conv_, in, inside, 1, 1, 1);
    append_unit(conv_, inside, inside, 3, stride, inside);
    conv_
        .then<Conv2d>(inside, out,
                      Conv2dOptions{.kernel = 1, .bias = false, .weight_start = he_normal(Fan::out)})
        .then<BatchNorm>(out);
}

Tensor InvertedResidual::forward(const Tensor& x, const Pass& pass) {
    Tensor y = conv_(x, pass);
    return shortcut_ ? x + y : y;
}

MobilenetV2::MobilenetV2(const MobilenetOptions& options)
    : preprocess_(add<Preprocess>("preprocess", options.image)),
      features_(add<Sequential>("features")),
      avgpool_(add<GlobalAveragePool>("avgpool")),
      classifier_(add<Sequential>("classifier")) {
    if (!(options.width > 0))
        throw OptionsError("mobilenet", str("expected a width above 0, got ", options.width));
    int64_t in = scaled_channels(32, options.width);
    append_unit(features_, options.image.channels, in, 3, 2, 1);
    for (const Stage& stage : kStages) {
        const int64_t out = scaled_channels(stage.channels, options.width);
        for (int64_t block = 0; block < stage.blocks; ++block) {
            features_.then<InvertedResidual>(in, out, block == 0 ? stage.stride : 1, stage.expansion);
            in = out;
        }
    }
    const int64_t last = scaled_channels(1280, std::max(options.width, 1.0));
    append_unit(features_, in, last, 1, 1, 1);
    classifier_.then<Dropout>(options.dropout)
        .then<Linear>(last, options.classes,
                      LinearOptions{.weight_start = normal(0.01), .bias_start = zeros()});
}

Tensor MobilenetV2::forward(const Tensor& x, const Pass& pass) {
    return classifier_(avgpool_(features_(preprocess_(x, pass), pass), pass), pass);
}

}  // namespace microtome
