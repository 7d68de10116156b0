#include "apps/bench_layers.hpp"

#include "base/text.hpp"

namespace microtome::apps {
namespace {

constexpr ConvLayer kConvLayers[] = {
    {"lung", 180, 3, 32, 3, 1, 1, true},
    {"lung", 90, 32, 64, 3, 1, 1, true},
    {"lung", 45, 64, 64, 3, 1, 0, true},
    {"lung", 21, 64, 64, 3, 1, 0, true},
    {"resnet50", 224, 3, 64, 7, 2, 3},
    {"resnet50", 56, 64, 64, 1, 1, 0},
    {"resnet50", 56, 64, 64, 3, 1, 1},
    {"resnet50", 56, 64, 256, 1, 1, 0, false, true},
    {"resnet50", 56, 256, 64, 1, 1, 0},
    {"resnet50", 56, 256, 128, 1, 1, 0},
    {"resnet50", 56, 128, 128, 3, 2, 1},
    {"resnet50", 56, 256, 512, 1, 2, 0},
    {"resnet50", 28, 128, 512, 1, 1, 0, false, true},
    {"resnet50", 28, 512, 128, 1, 1, 0},
    {"resnet50", 28, 128, 128, 3, 1, 1},
    {"resnet50", 28, 512, 256, 1, 1, 0},
    {"resnet50", 28, 256, 256, 3, 2, 1},
    {"resnet50", 28, 512, 1024, 1, 2, 0},
    {"resnet50", 14, 256, 1024, 1, 1, 0, false, true},
    {"resnet50", 14, 1024, 256, 1, 1, 0},
    {"resnet50", 14, 256, 256, 3, 1, 1},
    {"resnet50", 14, 1024, 512, 1, 1, 0},
    {"resnet50", 14, 512, 512, 3, 2, 1},
    {"resnet50", 14, 1024, 2048, 1, 2, 0},
    {"resnet50", 7, 512, 2048, 1, 1, 0, false, true},
    {"resnet50", 7, 2048, 512, 1, 1, 0},
    {"resnet50", 7, 512, 512, 3, 1, 1},
};

}  // namespace

std::string ConvLayer::name() const {
    return str(network, " ", size, "px ", kernel, "x", kernel, stride > 1 ? str(" /", stride) : "", " ",
               channels, " to ", results, pool ? " pool" : "", residual ? " residual" : "");
}

ConvOptions ConvLayer::options() const {
    ConvOptions options;
    options.stride_h = options.stride_w = stride;
    options.pad_top = options.pad_bottom = options.pad_left = options.pad_right = padding;
    return options;
}

ConvShape ConvLayer::shape(int64_t images) const {
    return conv_shape({images, size, size, channels}, {results, kernel, kernel, channels}, options());
}

std::span<const ConvLayer> conv_layers() {
    return kConvLayers;
}

}  // namespace microtome::apps
