// Convolution and its two gradients as the textbook has them: the oracle of the fast kernels, bit for bit.
//
// y is linear in x and in the filters w, so the three functions below are one bilinear form taken apart in
// three ways: for any g shaped like y,   <g, conv(x, w)> = <dx(g, w), x> = <dw(x, g), w>.
//
// Taps that fall outside an image count as products with zero. That keeps the place of each product in its
// OrderedSum a matter of geometry alone.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/kernels/epilogue.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <cstdint>

namespace microtome::reference {

// Element of an NHWC array of `height` x `width` images with `channels` channels; zero outside the image.
template <class T>
T pixel_or_zero(const T* images, int64_t height, int64_t width, int64_t channels, int64_t n, int64_t row,
                int64_t column, int64_t channel) {
    if (row < 0 || row >= height || column < 0 || column >= width) return T(0);
    return images[((n * height + row) * width + column) * channels + channel];
}

// y (N, OH, OW, O) from x (N, H, W, C) and w (O, KH, KW, C/groups). The sum runs over (p, q, c): the rows of
// the filter, its columns, the channels of the group.
template <class T>
void conv2d(const ConvShape& s, const T* x, const T* w, T* y, const Epilogue<T>& epilogue = {}) {
    for (int64_t n = 0; n < s.n; ++n)
        for (int64_t i = 0; i < s.oh; ++i)
            for (int64_t j = 0; j < s.ow; ++j)
                for (int64_t o = 0; o < s.o; ++o) {
                    int64_t at = ((n * s.oh + i) * s.ow + j) * s.o + o;
                    int64_t first_c = o / s.group_o() * s.group_c();
                    const T* filter = w + o * s.kh * s.kw * s.group_c();
                    OrderedSum<T> sum = epilogue.accumulate ? OrderedSum<T>(y[at]) : OrderedSum<T>();
                    for (int64_t p = 0; p < s.kh; ++p)
                        for (int64_t q = 0; q < s.kw; ++q)
                            for (int64_t c = 0; c < s.group_c(); ++c)
                                sum.add(pixel_or_zero(x, s.h, s.w, s.c, n,
                                                      i * s.stride_h + p * s.dilation_h - s.pad_top,
                                                      j * s.stride_w + q * s.dilation_w - s.pad_left,
                                                      first_c + c),
                                        filter[(p * s.kw + q) * s.group_c() + c]);
                    y[at] = epilogue.finish(sum.result(), o, at);
                }
}

// dx (N, H, W, C) from g (N, OH, OW, O) and w. Pixel (row, column) of x is met by tap (p, q) of output pixel
// (i, j) where i * stride_h = row + pad_top - p * dilation_h, if the stride divides that, and likewise j. The
// sum runs over (p, q, o) with p and q falling, so that i and j rise.
template <class T>
void conv2d_input_gradient(const ConvShape& s, const T* g, const T* w, T* dx) {
    for (int64_t n = 0; n < s.n; ++n)
        for (int64_t row = 0; row < s.h; ++row)
            for (int64_t column = 0; column < s.w; ++column)
                for (int64_t c = 0; c < s.c; ++c) {
                    int64_t first_o = c / s.group_c() * s.group_o();
                    OrderedSum<T> sum;
                    for (int64_t p = s.kh - 1; p >= 0; --p) {
                        int64_t i_times_stride = row + s.pad_top - p * s.dilation_h;
                        if (i_times_stride % s.stride_h != 0) continue;
                        for (int64_t q = s.kw - 1; q >= 0; --q) {
                            int64_t j_times_stride = column + s.pad_left - q * s.dilation_w;
                            if (j_times_stride % s.stride_w != 0) continue;
                            for (int64_t o = first_o; o < first_o + s.group_o(); ++o)
                                sum.add(pixel_or_zero(g, s.oh, s.ow, s.o, n, i_times_stride / s.stride_h,
                                                      j_times_stride / s.stride_w, o),
                                        w[((o * s.kh + p) * s.kw + q) * s.group_c() + c % s.group_c()]);
                        }
                    }
                    dx[((n * s.h + row) * s.w + column) * s.c + c] = sum.result();
                }
}

// dw (O, KH, KW, C/groups) from x and g. The sum runs over (n, i, j): all output pixels of all images.
template <class T>
void conv2d_weight_gradient(const ConvShape& s, const T* x, const T* g, T* dw) {
    for (int64_t o = 0; o < s.o; ++o)
        for (int64_t p = 0; p < s.kh; ++p)
            for (int64_t q = 0; q < s.kw; ++q)
                for (int64_t c = 0; c < s.group_c(); ++c) {
                    int64_t channel = o / s.group_o() * s.group_c() + c;
                    OrderedSum<T> sum;
                    for (int64_t n = 0; n < s.n; ++n)
                        for (int64_t i = 0; i < s.oh; ++i)
                            for (int64_t j = 0; j < s.ow; ++j)
                                sum.add(
                                    pixel_or_zero(x, s.h, s.w, s.c, n,
                                                  i * s.stride_h + p * s.dilation_h - s.pad_top,
                                                  j * s.stride_w + q * s.dilation_w - s.pad_left, channel),
                                    g[((n * s.oh + i) * s.ow + j) * s.o + o]);
                    dw[((o * s.kh + p) * s.kw + q) * s.group_c() + c] = sum.result();
                }
}

}  // namespace microtome::reference
