// The geometry of pooling, checked once and shared by all its kernels.
#pragma once

#include "tensor/shape.hpp"

#include <algorithm>
#include <cstdint>

namespace microtome {

// A window of kernel_h x kernel_w pixels, stride apart. Padding never wins a maximum and never counts in a
// mean.
struct PoolOptions {
    int64_t kernel_h = 2, kernel_w = 2;
    int64_t stride_h = 2, stride_w = 2;
    int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

    friend bool operator==(const PoolOptions&, const PoolOptions&) = default;
};

struct PoolShape : PoolOptions {
    int64_t n = 0, h = 0, w = 0, c = 0;  // input
    int64_t oh = 0, ow = 0;              // output: sizes are rounded down, pixels left over are not looked at

    Shape input() const { return {n, h, w, c}; }
    Shape output() const { return {n, oh, ow, c}; }
};

// Throws ShapeError for x that is not (N, H, W, C) or a window larger than the padded image, OptionsError for
// sizes below 1 or above 2^30, or padding that leaves a window without a pixel.
PoolShape pool_shape(const char* op, const Shape& x, const PoolOptions& options);
// The same for maxima: a winner is one byte, so OptionsError for a window of more than 255 pixels.
PoolShape max_pool_shape(const char* op, const Shape& x, const PoolOptions& options);

// The windows along one axis of an image: window i covers pixels begin(i) to end(i) - 1, which are at least
// one and lie inside the image; pixel p is in the windows first(p) to last(p) - 1.
struct WindowAxis {
    int64_t size = 0, count = 0;  // pixels, windows
    int64_t kernel = 1, stride = 1, pad = 0;
    bool adaptive = false;  // windows of nearly equal size that cover the axis; kernel, stride and pad unused

    constexpr int64_t begin(int64_t i) const {
        return adaptive ? i * size / count : std::max<int64_t>(i * stride - pad, 0);
    }
    constexpr int64_t end(int64_t i) const {
        return adaptive ? ((i + 1) * size + count - 1) / count : std::min(i * stride - pad + kernel, size);
    }
    constexpr int64_t first(int64_t p) const {
        if (adaptive) return p * count / size;
        return std::max<int64_t>(p + pad - kernel + stride, 0) / stride;
    }
    constexpr int64_t last(int64_t p) const {
        if (adaptive) return ((p + 1) * count + size - 1) / size;
        return std::min((p + pad) / stride + 1, count);
    }
};

// The windows of a pooling, rows and columns.
struct PoolWindows {
    int64_t n = 0, c = 0;
    WindowAxis rows, columns;

    Shape input() const { return {n, rows.size, columns.size, c}; }
    Shape output() const { return {n, rows.count, columns.count, c}; }
};
PoolWindows pool_windows(const PoolShape& shape);
// Window i of oh covers rows floor(i h / oh) to ceil((i + 1) h / oh) - 1, columns likewise, as in PyTorch.
// Throws ShapeError for x that is not (N, H, W, C) or has no pixels, OptionsError for sizes below 1.
PoolWindows adaptive_windows(const char* op, const Shape& x, int64_t oh, int64_t ow);

}  // namespace microtome
