#include "tensor/kernels/pool.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/pool_table.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/parallel.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace microtome {
namespace {

constexpr int64_t kLargest = int64_t{1} << 30;  // keeps every sum and product of two sizes far from overflow

}  // namespace

PoolShape pool_shape(const char* op, const Shape& x, const PoolOptions& o) {
    if (x.rank() != 4) throw ShapeError(op, str("expected x (N, H, W, C), got ", x));
    if (std::min({o.kernel_h, o.kernel_w, o.stride_h, o.stride_w}) < 1 ||
        std::max({o.kernel_h, o.kernel_w, o.stride_h, o.stride_w}) > kLargest)
        throw OptionsError(op, str("expected kernel and stride from 1 to 2^30, got kernel ", o.kernel_h, "x",
                                   o.kernel_w, ", stride ", o.stride_h, "x", o.stride_w));
    if (std::min({o.pad_top, o.pad_bottom, o.pad_left, o.pad_right}) < 0 ||
        std::max(o.pad_top, o.pad_bottom) >= o.kernel_h || std::max(o.pad_left, o.pad_right) >= o.kernel_w)
        throw OptionsError(
            op, str("expected padding from 0 to less than the kernel, got ", o.pad_top, ",", o.pad_bottom,
                    ",", o.pad_left, ",", o.pad_right, " with kernel ", o.kernel_h, "x", o.kernel_w));
    PoolShape shape{o, x[0], x[1], x[2], x[3], 0, 0};
    int64_t rows = shape.h + o.pad_top + o.pad_bottom - o.kernel_h,
            columns = shape.w + o.pad_left + o.pad_right - o.kernel_w;
    if (rows < 0 || columns < 0 || shape.h == 0 || shape.w == 0)
        throw ShapeError(op, str("expected an image of at least ", o.kernel_h, "x", o.kernel_w,
                                 " with its padding, got ", x));
    shape.oh = rows / o.stride_h + 1;
    shape.ow = columns / o.stride_w + 1;
    return shape;
}

PoolShape max_pool_shape(const char* op, const Shape& x, const PoolOptions& o) {
    if (o.kernel_h > 255 || o.kernel_w > 255 || o.kernel_h * o.kernel_w > 255)
        throw OptionsError(op,
                           str("expected a window of at most 255 pixels, got ", o.kernel_h, "x", o.kernel_w),
                           "pool twice, or reduce over axes 1 and 2 to pool the whole image");
    return pool_shape(op, x, o);
}

namespace kernels {
namespace {

// Where pixel `winner` of the window of output row i, column j lies in the input: (row * w + column).
int64_t source_pixel(const PoolShape& s, int64_t i, int64_t j, int64_t winner) {
    int64_t row = i * s.stride_h - s.pad_top + winner / s.kernel_w;
    int64_t column = j * s.stride_w - s.pad_left + winner % s.kernel_w;
    return row * s.w + column;
}

const cpu::PoolTable& pool_kernels() {
#if defined(__x86_64__)
    return cpu::pick(cpu::reference::pool_table, cpu::avx2::pool_table, cpu::avx512::pool_table);
#else
    return cpu::reference::pool_table;
#endif
}

// Whether x takes the place of the largest so far. A NaN does.
template <class T>
bool beats(T x, T most) {
    return x > most || x != x;
}

// The pixels of one window that lie inside the image, rows and columns counted within the window.
struct Inside {
    int64_t first_row, last_row, first_column, last_column;  // the last ones are inside, too

    Inside(const PoolShape& s, int64_t i, int64_t j) {
        const int64_t top = i * s.stride_h - s.pad_top, left = j * s.stride_w - s.pad_left;
        first_row = std::max<int64_t>(-top, 0), last_row = std::min(s.kernel_h, s.h - top) - 1;
        first_column = std::max<int64_t>(-left, 0), last_column = std::min(s.kernel_w, s.w - left) - 1;
    }
};

template <class T>
void max_window(const T* const* pixels, const uint8_t* numbers, int64_t count, int64_t channels, T* y,
                uint8_t* winner) {
    for (int64_t c = 0; c < channels; ++c) {
        int64_t best = 0;
        for (int64_t t = 1; t < count; ++t)
            if (beats(pixels[t][c], pixels[best][c])) best = t;
        y[c] = pixels[best][c];
        if (winner) winner[c] = numbers[best];
    }
}
void max_window(const float* const* pixels, const uint8_t* numbers, int64_t count, int64_t channels, float* y,
                uint8_t* winner) {
    pool_kernels().max_window(pixels, numbers, count, channels, y, winner);
}

template <class T>
void max_pool_row(const PoolShape& s, const T* image, T* y, uint8_t* winner, int64_t i) {
    std::array<const T*, 255> pixels;
    std::array<uint8_t, 255> numbers;
    for (int64_t j = 0; j < s.ow; ++j, y += s.c, winner += winner ? s.c : 0) {
        const Inside window(s, i, j);
        const int64_t first = (i * s.stride_h - s.pad_top) * s.w + j * s.stride_w - s.pad_left;
        std::size_t count = 0;
        for (int64_t p = window.first_row; p <= window.last_row; ++p)
            for (int64_t q = window.first_column; q <= window.last_column; ++q, ++count) {
                pixels[count] = image + (first + p * s.w + q) * s.c;
                numbers[count] = static_cast<uint8_t>(p * s.kernel_w + q);
            }
        max_window(pixels.data(), numbers.data(), static_cast<int64_t>(count), s.c, y, winner);
    }
}

// The usual pooling, windows of 2x2 side by side: what follows needs no index arithmetic, and its loops run
// over all channels of a row's pixels at once.
bool side_by_side(const PoolShape& s) {
    return s.kernel_h == 2 && s.kernel_w == 2 && s.stride_h == 2 && s.stride_w == 2 &&
           std::max({s.pad_top, s.pad_bottom, s.pad_left, s.pad_right}) == 0;
}

template <class T>
void unpool_line(const PoolShape& s, const T* g, const uint8_t* winner, T* top, T* bottom) {
    for (int64_t j = 0; j < s.ow; ++j, top += 2 * s.c, bottom += 2 * s.c, g += s.c, winner += s.c) {
        T* const pixels[4] = {top, top + s.c, bottom, bottom + s.c};
        for (int t = 0; t < 4; ++t)
            for (int64_t c = 0; c < s.c; ++c) pixels[t][c] = winner[c] == t ? T(0) + g[c] : T(0);
    }
}
void unpool_line(const PoolShape& s, const float* g, const uint8_t* winner, float* top, float* bottom) {
    pool_kernels().unpool(g, winner, s.ow, s.c, 0, top);
    pool_kernels().unpool(g, winner, s.ow, s.c, 1, bottom);
}

// `top` and `bottom` are the two rows of pixels under one row of windows.
template <class T>
void max_unpool_2x2_row(const PoolShape& s, const T* g, const uint8_t* winner, T* top, T* bottom) {
    unpool_line(s, g, winner, top, bottom);
    // Where the image has an odd column, no window looks.
    const int64_t seen = 2 * s.ow * s.c, rest = s.w * s.c - seen;
    std::fill_n(top + seen, rest, T(0));
    std::fill_n(bottom + seen, rest, T(0));
}

template <class T>
void max_gather_2x2_row(const PoolShape& s, const T* top, const T* bottom, const uint8_t* winner, T* y) {
    for (int64_t j = 0; j < s.ow; ++j, top += 2 * s.c, bottom += 2 * s.c, y += s.c, winner += s.c) {
#pragma omp simd
        for (int64_t c = 0; c < s.c; ++c) {
            int index = winner[c];
            T a = top[c], b = top[s.c + c], d = bottom[c], e = bottom[s.c + c];
            T upper = index == 0 ? a : b, lower = index == 2 ? d : e;
            y[c] = index < 2 ? upper : lower;
        }
    }
}

}  // namespace

void max_pool2d(const PoolShape& s, const Tensor& x, Tensor& y, Tensor* winner, KernelContext& context) {
    if (cuda::on_cuda(y)) {
        Tensor winners = winner ? *winner : Tensor();
        return cuda::run("max_pool2d", y, {&x, &winners}, [&](auto gpu) {
            gpu->max_pool2d(gpu.stream, s, gpu.in(x), gpu.out(y), cuda::out<uint8_t>(winners));
        });
    }
    uint8_t* winners = winner ? winner->mutable_data<uint8_t>().data() : nullptr;
    visit_floating("max_pool2d", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        const int64_t row_size = s.ow * s.c;
        parallel_rows(s.n * s.oh, row_size * s.kernel_h * s.kernel_w, context, [&](int64_t row) {
            const T* image = source + row / s.oh * s.h * s.w * s.c;
            max_pool_row(s, image, destination + row * row_size, winners ? winners + row * row_size : nullptr,
                         row % s.oh);
        });
    });
}

void max_unpool2d(const PoolShape& s, const Tensor& g, const Tensor& winner, Tensor& x,
                  KernelContext& context) {
    if (cuda::on_cuda(x))
        return cuda::run("max_unpool2d", x, {&g, &winner}, [&](auto gpu) {
            gpu->max_unpool2d(gpu.stream, s, gpu.in(g), cuda::in<uint8_t>(winner), gpu.out(x));
        });
    const uint8_t* winners = winner.data<uint8_t>().data();
    visit_floating("max_unpool2d", g.dtype(), [&]<class T>() {
        const T* source = g.data<T>().data();
        T* destination = x.mutable_data<T>().data();
        if (side_by_side(s)) {
            const int64_t row_size = s.w * s.c;
            parallel_rows(s.n * s.oh, 2 * row_size, context, [&](int64_t row) {
                const int64_t i = row % s.oh;
                T* top = destination + (row / s.oh * s.h + 2 * i) * row_size;
                const int64_t at = row * s.ow * s.c;
                max_unpool_2x2_row(s, source + at, winners + at, top, top + row_size);
                if (i == s.oh - 1)  // an odd row below
                    std::fill(top + 2 * row_size, top + (s.h - 2 * i) * row_size, T(0));
            });
            return;
        }
        std::vector<int64_t> offsets;  // of a window's pixels from its first
        for (int64_t p = 0; p < s.kernel_h; ++p)
            for (int64_t q = 0; q < s.kernel_w; ++q) offsets.push_back((p * s.w + q) * s.c);
        // Windows may overlap, so an image is one thread's work.
        parallel_rows(s.n, s.h * s.w * s.c, context, [&](int64_t n) {
            T* image = destination + n * s.h * s.w * s.c;
            std::fill(image, image + s.h * s.w * s.c, T(0));
            int64_t at = n * s.oh * s.ow * s.c;
            for (int64_t i = 0; i < s.oh; ++i)
                for (int64_t j = 0; j < s.ow; ++j) {
                    const int64_t first =
                        ((i * s.stride_h - s.pad_top) * s.w + j * s.stride_w - s.pad_left) * s.c;
                    for (int64_t c = 0; c < s.c; ++c, ++at)
                        image[first + offsets[winners[at]] + c] += source[at];
                }
        });
    });
}

void max_pool2d_gather(const PoolShape& s, const Tensor& x, const Tensor& winner, Tensor& y,
                       KernelContext& context) {
    if (cuda::on_cuda(y))
        return cuda::run("max_pool2d_gather", y, {&x, &winner}, [&](auto gpu) {
            gpu->max_pool2d_gather(gpu.stream, s, gpu.in(x), cuda::in<uint8_t>(winner), gpu.out(y));
        });
    const uint8_t* winners = winner.data<uint8_t>().data();
    visit_floating("max_pool2d_gather", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        const bool simple = side_by_side(s);
        parallel_rows(s.n * s.oh, s.ow * s.c, context, [&](int64_t row) {
            const T* image = source + row / s.oh * s.h * s.w * s.c;
            int64_t at = row * s.ow * s.c;
            if (simple) {
                const T* top = image + row % s.oh * 2 * s.w * s.c;
                return max_gather_2x2_row(s, top, top + s.w * s.c, winners + at, destination + at);
            }
            for (int64_t j = 0; j < s.ow; ++j)
                for (int64_t c = 0; c < s.c; ++c, ++at)
                    destination[at] = image[source_pixel(s, row % s.oh, j, winners[at]) * s.c + c];
        });
    });
}

}  // namespace kernels
}  // namespace microtome
