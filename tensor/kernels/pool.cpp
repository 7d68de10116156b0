#include "tensor/kernels/pool.hpp"

#include "tensor/kernels/parallel.hpp"

#include <algorithm>

namespace microtome {

PoolShape pool_shape(const char* op, const Shape& x, const PoolOptions& o) {
    if (x.rank() != 4) throw ShapeError(op, str("expected x (N, H, W, C), got ", x));
    if (std::min({o.kernel_h, o.kernel_w, o.stride_h, o.stride_w}) < 1)
        throw OptionsError(op, str("expected kernel and stride of 1 or more, got kernel ", o.kernel_h, "x",
                                   o.kernel_w, ", stride ", o.stride_h, "x", o.stride_w));
    if (std::min({o.pad_top, o.pad_bottom, o.pad_left, o.pad_right}) < 0 ||
        std::max(o.pad_top, o.pad_bottom) >= o.kernel_h || std::max(o.pad_left, o.pad_right) >= o.kernel_w)
        throw OptionsError(
            op, str("expected padding from 0 to less than the kernel, got ", o.pad_top, ",", o.pad_bottom,
                    ",", o.pad_left, ",", o.pad_right, " with kernel ", o.kernel_h, "x", o.kernel_w));
    if (o.kernel_h > 255 || o.kernel_w > 255 || o.kernel_h * o.kernel_w > 255)
        throw OptionsError(op,
                           str("expected a window of at most 255 pixels, got ", o.kernel_h, "x", o.kernel_w),
                           "pool twice, or reduce over axes 1 and 2 to pool the whole image");
    PoolShape shape{o, x[0], x[1], x[2], x[3], 0, 0};
    int64_t rows = shape.h + o.pad_top + o.pad_bottom - o.kernel_h,
            columns = shape.w + o.pad_left + o.pad_right - o.kernel_w;
    if (rows < 0 || columns < 0)
        throw ShapeError(op, str("expected an image of at least ", o.kernel_h, "x", o.kernel_w,
                                 " with its padding, got ", x));
    shape.oh = rows / o.stride_h + 1;
    shape.ow = columns / o.stride_w + 1;
    return shape;
}

namespace kernels {
namespace {

// Where pixel `winner` of the window of output row i, column j lies in the input: (row * w + column).
int64_t source_pixel(const PoolShape& s, int64_t i, int64_t j, int64_t winner) {
    int64_t row = i * s.stride_h - s.pad_top + winner / s.kernel_w;
    int64_t column = j * s.stride_w - s.pad_left + winner % s.kernel_w;
    return row * s.w + column;
}

template <class T>
void max_pool_row(const PoolShape& s, const T* image, T* y, uint8_t* winner, int64_t i) {
    for (int64_t j = 0; j < s.ow; ++j, y += s.c, winner += winner ? s.c : 0) {
        bool first = true;
        for (int64_t p = 0; p < s.kernel_h; ++p) {
            int64_t row = i * s.stride_h - s.pad_top + p;
            if (row < 0 || row >= s.h) continue;
            for (int64_t q = 0; q < s.kernel_w; ++q) {
                int64_t column = j * s.stride_w - s.pad_left + q;
                if (column < 0 || column >= s.w) continue;
                const T* x = image + (row * s.w + column) * s.c;
                const auto index = static_cast<uint8_t>(p * s.kernel_w + q);
                if (first) {
                    std::copy(x, x + s.c, y);
                    if (winner) std::fill(winner, winner + s.c, index);
                } else if (winner) {
                    for (int64_t c = 0; c < s.c; ++c) {
                        bool wins = x[c] > y[c] || x[c] != x[c];
                        y[c] = wins ? x[c] : y[c];
                        winner[c] = wins ? index : winner[c];
                    }
                } else {
                    for (int64_t c = 0; c < s.c; ++c) y[c] = x[c] > y[c] || x[c] != x[c] ? x[c] : y[c];
                }
                first = false;
            }
        }
    }
}

}  // namespace

void max_pool2d(const PoolShape& s, const Tensor& x, Tensor& y, Tensor* winner, KernelContext& context) {
    uint8_t* winners = winner ? winner->mutable_data<uint8_t>().data() : nullptr;
    visit_f32_f64("max_pool2d", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        const int64_t row_size = s.ow * s.c;
        parallel_rows(s.n * s.oh, row_size * s.kernel_h * s.kernel_w, context, [&](int64_t row) {
            max_pool_row(s, source + row / s.oh * s.h * s.w * s.c, destination + row * row_size,
                         winners ? winners + row * row_size : nullptr, row % s.oh);
        });
    });
}

void max_unpool2d(const PoolShape& s, const Tensor& g, const Tensor& winner, Tensor& x,
                  KernelContext& context) {
    const uint8_t* winners = winner.data<uint8_t>().data();
    visit_f32_f64("max_unpool2d", g.dtype(), [&]<class T>() {
        const T* source = g.data<T>().data();
        T* destination = x.mutable_data<T>().data();
        // Windows may overlap, so an image is one thread's work.
        parallel_rows(s.n, s.h * s.w * s.c, context, [&](int64_t n) {
            T* image = destination + n * s.h * s.w * s.c;
            std::fill(image, image + s.h * s.w * s.c, T(0));
            int64_t at = n * s.oh * s.ow * s.c;
            for (int64_t i = 0; i < s.oh; ++i)
                for (int64_t j = 0; j < s.ow; ++j)
                    for (int64_t c = 0; c < s.c; ++c, ++at)
                        image[source_pixel(s, i, j, winners[at]) * s.c + c] += source[at];
        });
    });
}

void max_pool2d_gather(const PoolShape& s, const Tensor& x, const Tensor& winner, Tensor& y,
                       KernelContext& context) {
    const uint8_t* winners = winner.data<uint8_t>().data();
    visit_f32_f64("max_pool2d_gather", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        parallel_rows(s.n * s.oh, s.ow * s.c, context, [&](int64_t row) {
            const T* image = source + row / s.oh * s.h * s.w * s.c;
            int64_t at = row * s.ow * s.c;
            for (int64_t j = 0; j < s.ow; ++j)
                for (int64_t c = 0; c < s.c; ++c, ++at)
                    destination[at] = image[source_pixel(s, row % s.oh, j, winners[at]) * s.c + c];
        });
    });
}

}  // namespace kernels
}  // namespace microtome
