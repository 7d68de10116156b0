// What can be known of cuDNN without a GPU: NVIDIA's own library, where it is found, takes the descriptors
// that dnn.cpp makes, and has an allowed engine for them on a GPU that is described to it.
#include "tensor/cuda/dnn.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <iostream>
#include <sstream>

using namespace microtome;
using namespace microtome::testing;

namespace {

struct Layer {
    const char* name;
    Shape x, w;
    ConvOptions options{};
};
ConvOptions padded(int64_t padding, int64_t stride = 1, int64_t groups = 1) {
    return {.stride_h = stride,
            .stride_w = stride,
            .pad_top = padding,
            .pad_bottom = padding,
            .pad_left = padding,
            .pad_right = padding,
            .groups = groups};
}

}  // namespace

TEST_CASE("NVIDIA's library plans every kind of convolution", "[cuda][dnn]") {
#if defined(MICROTOME_SANITIZE)
    return;  // others' leaks are none of ours
#endif
    EmulatedDevice device(std::size_t{1} << 30);
    std::ostringstream said;
    std::streambuf* log = std::clog.rdbuf(said.rdbuf());
    const std::string file = cuda::emulation::cudnn_planner();
    const auto library = cuda::Dnn::open({&file, 1});
    std::clog.rdbuf(log);
    if (library == nullptr) {
        WARN("there is no libcudnn that plans without a GPU");
        return;
    }
    const Layer layers[] = {
        {"ResNet50's first", {2, 224, 224, 3}, {64, 7, 7, 3}, padded(3, 2)},
        {"ResNet50's 3x3", {2, 28, 28, 128}, {128, 3, 3, 128}, padded(1)},
        {"ResNet50's 3x3 with a stride", {2, 56, 56, 128}, {128, 3, 3, 128}, padded(1, 2)},
        {"ResNet50's 1x1", {2, 14, 14, 1024}, {256, 1, 1, 1024}},
        {"ResNet50's shortcut", {2, 56, 56, 256}, {512, 1, 1, 256}, padded(0, 2)},
        {"the lung network's first", {2, 180, 180, 1}, {32, 3, 3, 1}, padded(1)},
        {"the lung network's second", {2, 90, 90, 32}, {64, 3, 3, 32}, padded(1)},
        {"ViT's patches", {2, 224, 224, 3}, {192, 16, 16, 3}, padded(0, 16)},
        {"MobileNetV2's depthwise", {2, 56, 56, 96}, {96, 3, 3, 1}, padded(1, 2, 96)},
        {"one pixel", {1, 1, 1, 1}, {1, 1, 1, 1}},
        {"primes", {3, 7, 11, 5}, {7, 3, 2, 5}, {.pad_top = 1, .pad_bottom = 1}},
        {"groups and dilation", {1, 9, 8, 4}, {6, 3, 2, 2}, {.dilation_h = 2, .dilation_w = 3, .groups = 2}},
        {"a stride beyond the filter", {2, 9, 8, 2}, {3, 1, 1, 2}, {.stride_h = 3, .stride_w = 4}},
    };
    int64_t asked = 0;
    for (const Layer& layer : layers) {
        const ConvShape s = conv_shape(layer.x, layer.w, layer.options);
        auto make = [](const Shape& shape) { return Tensor(Spec{shape, Dtype::f32, kCuda}); };
        Tensor x = make(s.input()), w = make(s.filters()), y = make(s.output());
        const Tensor bias = make({s.o}), residual = make(s.output());
        const cuda::Queue queue = cuda::queue_of("test", y, {});
        for (Precision precision : {Precision::f32, Precision::tf32, Precision::bf16}) {
            INFO(layer.name << ", " << precision);
            CHECK(library->conv2d(queue, s, precision, x, w, y));
            CHECK(library->conv2d(queue, s, precision, x, w, y, {bias, {}, true}));
            CHECK(library->conv2d(queue, s, precision, x, w, y, {bias, residual, true}));
            CHECK(library->conv2d_input_gradient(queue, s, precision, y, w, x));
            CHECK(library->conv2d_weight_gradient(queue, s, precision, x, y, w));
            asked += 5;
        }
    }
    CHECK(library->calls() == asked);
}
