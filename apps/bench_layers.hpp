// The convolutions that benchmarks measure: those of the lung study's network at 180 x 180 pixels, and the
// different ones of ResNet50 at 224 x 224.
#pragma once

#include "tensor/conv_shape.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace microtome::apps {

// Square: images, filters, strides, padding. What follows the convolution is part of its stage on the CPU.
struct ConvLayer {
    const char* network;
    int64_t size, channels, results, kernel, stride, padding;
    bool pool = false, residual = false;

    std::string name() const;
    ConvOptions options() const;
    ConvShape shape(int64_t images) const;
};

std::span<const ConvLayer> conv_layers();

}  // namespace microtome::apps
