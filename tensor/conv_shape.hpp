// The geometry of a two-dimensional convolution, checked once and shared by all its kernels.
#pragma once

#include "tensor/shape.hpp"

#include <cstdint>

namespace microtome {

// What a convolution is told besides its arrays. Sizes are in pixels. Padding is with zeros, each side on its
// own, because "same" padding of an even kernel or a stride is not symmetric.
struct ConvOptions {
    int64_t stride_h = 1, stride_w = 1;
    int64_t dilation_h = 1, dilation_w = 1;
    int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
    int64_t groups = 1;

    friend bool operator==(const ConvOptions&, const ConvOptions&) = default;
};

// x (n, h, w, c), filters (o, kh, kw, c / groups), y (n, oh, ow, o):
//
//     y[n, i, j, o] = sum over p, q, c of x[n, i*stride_h + p*dilation_h - pad_top,
//                                              j*stride_w + q*dilation_w - pad_left, c] * filter[o, p, q, c]
//
// where x is zero outside its bounds and c runs over the channels of o's group.
struct ConvShape : ConvOptions {
    int64_t n = 0, h = 0, w = 0, c = 0;  // input
    int64_t oh = 0, ow = 0, o = 0;       // output
    int64_t kh = 0, kw = 0;              // filter

    constexpr int64_t group_c() const { return c / groups; }  // input channels of one group
    constexpr int64_t group_o() const { return o / groups; }  // output channels of one group

    Shape input() const { return {n, h, w, c}; }
    Shape filters() const { return {o, kh, kw, group_c()}; }
    Shape output() const { return {n, oh, ow, o}; }
};

// The geometry for an input (N, H, W, C) and filters (O, KH, KW, C / groups). Throws ShapeError when they do
// not fit together or the filter is larger than the padded image, OptionsError for a stride, dilation or
// group count below 1 or a padding below 0.
ConvShape conv_shape(const Shape& x, const Shape& filters, const ConvOptions& options = {});

}  // namespace microtome
