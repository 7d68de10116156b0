// Pooling over windows, and its gradients. Each thread makes one element of the result, so sums over windows
// that overlap have one order.
//
// Least work: x is read and y written once, with a byte for the winner: for windows of 2x2 in f32, 4 + 1 +
// 1/4 bytes for each pixel. Where windows overlap, pixels come again from the cache. Not measured on a GPU
// yet.
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

// Element i of (n, rows, columns, channels).
struct Place {
    int64_t n, row, column, c;
};
MICROTOME_HD Place place_at(int64_t i, int64_t rows, int64_t columns, int64_t channels) {
    const int64_t pixel = i / channels, line = pixel / columns;
    return {line / rows, line % rows, pixel % columns, i % channels};
}

template <class T>
MICROTOME_KERNEL void max_pool2d_kernel(PoolShape s, const T* x, T* y, uint8_t* winner) {
    for (int64_t i = first_element(); i < s.n * s.oh * s.ow * s.c; i += all_threads()) {
        const Place at = place_at(i, s.oh, s.ow, s.c);
        const int64_t top = at.row * s.stride_h - s.pad_top, left = at.column * s.stride_w - s.pad_left;
        T most = T(0);
        int64_t best = -1;
        for (int64_t p = 0; p < s.kernel_h; ++p)
            for (int64_t q = 0; q < s.kernel_w; ++q) {
                const int64_t row = top + p, column = left + q;
                if (row < 0 || row >= s.h || column < 0 || column >= s.w) continue;
                const T value = x[((at.n * s.h + row) * s.w + column) * s.c + at.c];
                if (best >= 0 && !(value > most || value != value)) continue;
                most = value;
                best = p * s.kernel_w + q;
            }
        y[i] = most;
        if (winner != nullptr) winner[i] = static_cast<uint8_t>(best);
    }
}

// Each pixel looks for the windows that it won.
template <class T>
MICROTOME_KERNEL void max_unpool2d_kernel(PoolShape s, const T* g, const uint8_t* winner, T* x) {
    const WindowAxis rows{s.h, s.oh, s.kernel_h, s.stride_h, s.pad_top},
        columns{s.w, s.ow, s.kernel_w, s.stride_w, s.pad_left};
    for (int64_t i = first_element(); i < s.n * s.h * s.w * s.c; i += all_threads()) {
        const Place at = place_at(i, s.h, s.w, s.c);
        T sum = T(0);
        for (int64_t row = rows.first(at.row); row < rows.last(at.row); ++row)
            for (int64_t column = columns.first(at.column); column < columns.last(at.column); ++column) {
                const int64_t p = at.row - (row * s.stride_h - s.pad_top),
                              q = at.column - (column * s.stride_w - s.pad_left);
                const int64_t window = ((at.n * s.oh + row) * s.ow + column) * s.c + at.c;
                if (winner[window] == p * s.kernel_w + q) sum = sum + g[window];
            }
        x[i] = sum;
    }
}

template <class T>
MICROTOME_KERNEL void max_pool2d_gather_kernel(PoolShape s, const T* x, const uint8_t* winner, T* y,
                                               Fault* fault) {
    for (int64_t i = first_element(); i < s.n * s.oh * s.ow * s.c; i += all_threads()) {
        const Place at = place_at(i, s.oh, s.ow, s.c);
        const int64_t row = at.row * s.stride_h - s.pad_top + winner[i] / s.kernel_w,
                      column = at.column * s.stride_w - s.pad_left + winner[i] % s.kernel_w;
        const bool inside =
            row >= 0 && row < s.h && column >= 0 && column < s.w && winner[i] < s.kernel_h * s.kernel_w;
        if (!inside) note_fault(fault, winner[i], s.kernel_h * s.kernel_w);
        y[i] = !inside ? T(0) : x[((at.n * s.h + row) * s.w + column) * s.c + at.c];
    }
}

template <class T>
MICROTOME_KERNEL void average_pool2d_kernel(PoolWindows s, const T* x, T* y) {
    const int64_t n = s.n * s.rows.count * s.columns.count * s.c;
    for (int64_t i = first_element(); i < n; i += all_threads()) {
        const Place at = place_at(i, s.rows.count, s.columns.count, s.c);
        const int64_t top = s.rows.begin(at.row), bottom = s.rows.end(at.row),
                      left = s.columns.begin(at.column), right = s.columns.end(at.column);
        T sum = T(0);
        for (int64_t p = top; p < bottom; ++p)
            for (int64_t q = left; q < right; ++q)
                sum = sum + x[((at.n * s.rows.size + p) * s.columns.size + q) * s.c + at.c];
        y[i] = sum / static_cast<T>((bottom - top) * (right - left));
    }
}

template <class T>
MICROTOME_KERNEL void average_unpool2d_kernel(PoolWindows s, const T* g, T* x) {
    const int64_t n = s.n * s.rows.size * s.columns.size * s.c;
    for (int64_t i = first_element(); i < n; i += all_threads()) {
        const Place at = place_at(i, s.rows.size, s.columns.size, s.c);
        T sum = T(0);
        for (int64_t row = s.rows.first(at.row); row < s.rows.last(at.row); ++row)
            for (int64_t column = s.columns.first(at.column); column < s.columns.last(at.column); ++column) {
                const auto count = static_cast<T>((s.rows.end(row) - s.rows.begin(row)) *
                                                  (s.columns.end(column) - s.columns.begin(column)));
                sum = sum + g[((at.n * s.rows.count + row) * s.columns.count + column) * s.c + at.c] / count;
            }
        x[i] = sum;
    }
}

template <class T>
MICROTOME_KERNEL void windowed_max_kernel(PoolWindows s, const T* x, T* y, int64_t* winner) {
    const int64_t n = s.n * s.rows.count * s.columns.count * s.c;
    for (int64_t i = first_element(); i < n; i += all_threads()) {
        const Place at = place_at(i, s.rows.count, s.columns.count, s.c);
        int64_t best = -1;
        T most = T(0);
        for (int64_t p = s.rows.begin(at.row); p < s.rows.end(at.row); ++p)
            for (int64_t q = s.columns.begin(at.column); q < s.columns.end(at.column); ++q) {
                const T value = x[((at.n * s.rows.size + p) * s.columns.size + q) * s.c + at.c];
                if (best >= 0 && !(value > most || value != value)) continue;
                most = value;
                best = p * s.columns.size + q;
            }
        y[i] = most;
        if (winner != nullptr) winner[i] = best;
    }
}

// --- maxima of 2x2 pixels behind a ReLU (tensor/kernels/conv_pool.hpp): gates say which pixel won, or kShut

constexpr uint8_t kShut = 4;

// The window's first pixel, and how far its other three lie from it.
struct Window {
    int64_t first, right, below;
    MICROTOME_HD int64_t pixel(int number) const { return first + number % 2 * right + number / 2 * below; }
};
MICROTOME_HD Window window_at(const Place& at, const ConvShape& s) {
    return {((at.n * s.oh + 2 * at.row) * s.ow + 2 * at.column) * s.o + at.c, s.o, s.ow * s.o};
}
MICROTOME_HD int64_t windows_of(const ConvShape& s) {
    return s.n * (s.oh / 2) * (s.ow / 2) * s.o;
}

template <class T>
MICROTOME_KERNEL void gated_pool_kernel(ConvShape s, const T* x, T* y, uint8_t* gate) {
    for (int64_t i = first_element(); i < windows_of(s); i += all_threads()) {
        const Window window = window_at(place_at(i, s.oh / 2, s.ow / 2, s.o), s);
        uint8_t winner = 0;
        T most = x[window.first];
        for (uint8_t k = 1; k < 4; ++k) {
            const T value = x[window.pixel(k)];
            if (!(value > most || value != value)) continue;
            most = value;
            winner = k;
        }
        y[i] = most;
        if (gate != nullptr) gate[i] = most > T(0) ? winner : kShut;
    }
}

// Each pixel looks for its window; those left over by odd sizes have none.
template <class T>
MICROTOME_KERNEL void gated_unpool_kernel(ConvShape s, const T* g, const uint8_t* gate, T* x, Fault* fault) {
    for (int64_t i = first_element(); i < s.n * s.oh * s.ow * s.o; i += all_threads()) {
        const Place at = place_at(i, s.oh, s.ow, s.o);
        const int64_t row = at.row / 2, column = at.column / 2;
        T value = T(0);
        if (row < s.oh / 2 && column < s.ow / 2) {
            const int64_t window = ((at.n * (s.oh / 2) + row) * (s.ow / 2) + column) * s.o + at.c;
            if (gate[window] > kShut) note_fault(fault, gate[window], kShut + 1);
            if (gate[window] == at.row % 2 * 2 + at.column % 2) value = g[window];
        }
        x[i] = value;
    }
}

// The gradient of the bias: lines of windows first, then all of them in order.
template <class T>
MICROTOME_KERNEL void gated_line_sums_kernel(ConvShape s, const T* g, const uint8_t* gate, T* lines) {
    const int64_t windows = s.ow / 2;
    for (int64_t i = first_element(); i < s.n * (s.oh / 2) * s.o; i += all_threads()) {
        const int64_t line = i / s.o, o = i % s.o;
        T sum = T(0);
        for (int64_t j = 0; j < windows; ++j) {
            const int64_t at = (line * windows + j) * s.o + o;
            if (gate[at] < kShut) sum = sum + g[at];
        }
        lines[i] = sum;
    }
}
template <class T>
MICROTOME_KERNEL void sum_lines_kernel(ConvShape s, const T* lines, T* dbias) {
    for (int64_t o = first_element(); o < s.o; o += all_threads()) {
        T sum = T(0);
        for (int64_t line = 0; line < s.n * (s.oh / 2); ++line) sum = sum + lines[line * s.o + o];
        dbias[o] = sum;
    }
}

template <class T>
void gated_pool(Stream stream, const ConvShape& s, const T* x, T* y, uint8_t* gate) {
    launch(stream, flat(windows_of(s)), gated_pool_kernel<T>, s, x, y, gate);
}
template <class T>
void gated_unpool(Stream stream, const ConvShape& s, const T* g, const uint8_t* gate, T* x) {
    launch(stream, flat(s.n * s.oh * s.ow * s.o), gated_unpool_kernel<T>, s, g, gate, x, stream.fault);
}
template <class T>
void gated_sum(Stream stream, const ConvShape& s, const T* g, const uint8_t* gate, T* lines, T* dbias) {
    if (s.n > 0) launch(stream, flat(s.n * (s.oh / 2) * s.o), gated_line_sums_kernel<T>, s, g, gate, lines);
    launch(stream, flat(s.o), sum_lines_kernel<T>, s, lines, dbias);
}

template <class T>
void average_pool2d(Stream stream, const PoolWindows& s, const T* x, T* y) {
    launch(stream, flat(s.n * s.rows.count * s.columns.count * s.c), average_pool2d_kernel<T>, s, x, y);
}
template <class T>
void average_unpool2d(Stream stream, const PoolWindows& s, const T* g, T* x) {
    launch(stream, flat(s.n * s.rows.size * s.columns.size * s.c), average_unpool2d_kernel<T>, s, g, x);
}
template <class T>
void windowed_max(Stream stream, const PoolWindows& s, const T* x, T* y, int64_t* winner) {
    launch(stream, flat(s.n * s.rows.count * s.columns.count * s.c), windowed_max_kernel<T>, s, x, y, winner);
}

template <class T>
void max_pool2d(Stream stream, const PoolShape& s, const T* x, T* y, uint8_t* winner) {
    launch(stream, flat(s.n * s.oh * s.ow * s.c), max_pool2d_kernel<T>, s, x, y, winner);
}
template <class T>
void max_unpool2d(Stream stream, const PoolShape& s, const T* g, const uint8_t* winner, T* x) {
    launch(stream, flat(s.n * s.h * s.w * s.c), max_unpool2d_kernel<T>, s, g, winner, x);
}
template <class T>
void max_pool2d_gather(Stream stream, const PoolShape& s, const T* x, const uint8_t* winner, T* y) {
    launch(stream, flat(s.n * s.oh * s.ow * s.c), max_pool2d_gather_kernel<T>, s, x, winner, y, stream.fault);
}

template <class T>
void add_to(Kernels<T>& kernels) {
    kernels.max_pool2d = max_pool2d<T>;
    kernels.max_unpool2d = max_unpool2d<T>;
    kernels.max_pool2d_gather = max_pool2d_gather<T>;
    kernels.gated_pool = gated_pool<T>;
    kernels.gated_unpool = gated_unpool<T>;
    kernels.gated_sum = gated_sum<T>;
    kernels.average_pool2d = average_pool2d<T>;
    kernels.average_unpool2d = average_unpool2d<T>;
    kernels.windowed_max = windowed_max<T>;
}

}  // namespace

void add_pool(KernelTable& table) {
    add_to(table.f32);
    add_to(table.f64);
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
