#include "nn/models/vgg.hpp"

#include "autograd/ops/pooling.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {
namespace {

constexpr int64_t kGrid = 7;  // pixels a side that the dense layers see

}  // namespace

Vgg16::Vgg16(const VggOptions& options)
    : preprocess_(add<Preprocess>("preprocess", options.image)),
      features_(add<Sequential>("features")),
      avgpool_(add<Function>("avgpool", "AdaptiveAvgPool2d",
                             [](const Tensor& x) { return adaptive_average_pool2d(x, kGrid, kGrid); })),
      classifier_(add<Sequential>("classifier")) {
    int64_t in = options.image.channels;
    for (const auto& [convolutions, out] :
         {std::pair<int, int64_t>{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}}) {
        for (int i = 0; i < convolutions; ++i) {
            features_
                .then<Conv2d>(
                    in, out,
                    Conv2dOptions{.padding = 1, .weight_start = he_normal(Fan::out), .bias_start = zeros()})
                .then<Relu>();
            in = out;
        }
        features_.then<MaxPool2d>(2);
    }
    LinearOptions dense{.weight_start = normal(0.01), .bias_start = zeros()};
    LinearOptions first = dense;
    first.images = {kGrid, kGrid, in};
    classifier_.then<Linear>(kGrid * kGrid * in, options.hidden, first)
        .then<Relu>()
        .then<Dropout>(options.dropout);
    classifier_.then<Linear>(options.hidden, options.hidden, dense)
        .then<Relu>()
        .then<Dropout>(options.dropout);
    classifier_.then<Linear>(options.hidden, options.classes, dense);
}

Tensor Vgg16::forward(const Tensor& x, const Pass& pass) {
    Tensor y = avgpool_(features_(preprocess_(x, pass), pass), pass);
    return classifier_(flatten(y), pass);
}

}  // namespace microtome
