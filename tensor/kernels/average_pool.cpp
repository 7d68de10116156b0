// Pooling over windows of any size, which may differ from place to place.
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/parallel.hpp"
#include "tensor/kernels/pool.hpp"

namespace microtome {

PoolWindows pool_windows(const PoolShape& s) {
    return {s.n,
            s.c,
            {s.h, s.oh, s.kernel_h, s.stride_h, s.pad_top},
            {s.w, s.ow, s.kernel_w, s.stride_w, s.pad_left}};
}

PoolWindows adaptive_windows(const char* op, const Shape& x, int64_t oh, int64_t ow) {
    if (x.rank() != 4) throw ShapeError(op, str("expected x (N, H, W, C), got ", x));
    if (oh < 1 || ow < 1) throw OptionsError(op, str("expected an output of 1x1 or more, got ", oh, "x", ow));
    if (x[1] < 1 || x[2] < 1) throw ShapeError(op, str("expected an image with pixels, got ", x));
    PoolWindows windows{x[0], x[3], {}, {}};
    windows.rows = {.size = x[1], .count = oh, .adaptive = true};
    windows.columns = {.size = x[2], .count = ow, .adaptive = true};
    return windows;
}

namespace kernels {

void average_pool2d(const PoolWindows& windows, const Tensor& x, Tensor& y, KernelContext& context) {
    if (cuda::on_cuda(y))
        return cuda::run("average_pool2d", y, {&x},
                         [&](auto gpu) { gpu->average_pool2d(gpu.stream, windows, gpu.in(x), gpu.out(y)); });
    const WindowAxis &rows = windows.rows, &columns = windows.columns;
    const int64_t channels = windows.c;
    visit_floating("average_pool2d", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        const int64_t work = rows.size * columns.size * channels / std::max<int64_t>(rows.count, 1);
        parallel_rows(windows.n * rows.count, work, context, [&](int64_t row) {
            const int64_t i = row % rows.count;
            const T* image = source + row / rows.count * rows.size * columns.size * channels;
            for (int64_t j = 0; j < columns.count; ++j) {
                T* sum = destination + (row * columns.count + j) * channels;
                std::fill(sum, sum + channels, T(0));
                for (int64_t p = rows.begin(i); p < rows.end(i); ++p)
                    for (int64_t q = columns.begin(j); q < columns.end(j); ++q) {
                        const T* pixel = image + (p * columns.size + q) * channels;
#pragma omp simd
                        for (int64_t c = 0; c < channels; ++c) sum[c] += pixel[c];
                    }
                const auto count =
                    static_cast<T>((rows.end(i) - rows.begin(i)) * (columns.end(j) - columns.begin(j)));
#pragma omp simd
                for (int64_t c = 0; c < channels; ++c) sum[c] /= count;
            }
        });
    });
}

void average_unpool2d(const PoolWindows& windows, const Tensor& g, Tensor& x, KernelContext& context) {
    if (cuda::on_cuda(x))
        return cuda::run("average_unpool2d", x, {&g}, [&](auto gpu) {
            gpu->average_unpool2d(gpu.stream, windows, gpu.in(g), gpu.out(x));
        });
    const WindowAxis &rows = windows.rows, &columns = windows.columns;
    const int64_t channels = windows.c;
    visit_floating("average_unpool2d", g.dtype(), [&]<class T>() {
        const T* source = g.data<T>().data();
        T* destination = x.mutable_data<T>().data();
        parallel_rows(windows.n * rows.size, columns.size * channels, context, [&](int64_t row) {
            const int64_t p = row % rows.size;
            const T* cotangent = source + row / rows.size * rows.count * columns.count * channels;
            for (int64_t q = 0; q < columns.size; ++q) {
                T* sum = destination + (row * columns.size + q) * channels;
                std::fill(sum, sum + channels, T(0));
                for (int64_t i = rows.first(p); i < rows.last(p); ++i)
                    for (int64_t j = columns.first(q); j < columns.last(q); ++j) {
                        const auto count = static_cast<T>((rows.end(i) - rows.begin(i)) *
                                                          (columns.end(j) - columns.begin(j)));
                        const T* from = cotangent + (i * columns.count + j) * channels;
#pragma omp simd
                        for (int64_t c = 0; c < channels; ++c) sum[c] += from[c] / count;
                    }
            }
        });
    });
}

void windowed_max(const PoolWindows& windows, const Tensor& x, Tensor& y, Tensor* winner,
                  KernelContext& context) {
    if (cuda::on_cuda(y)) {
        Tensor winners = winner ? *winner : Tensor();
        return cuda::run("windowed_max", y, {&x, &winners}, [&](auto gpu) {
            gpu->windowed_max(gpu.stream, windows, gpu.in(x), gpu.out(y), cuda::out<int64_t>(winners));
        });
    }
    const WindowAxis &rows = windows.rows, &columns = windows.columns;
    const int64_t channels = windows.c;
    int64_t* winners = winner ? winner->mutable_data<int64_t>().data() : nullptr;
    visit_floating("windowed_max", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        const int64_t work = rows.size * columns.size * channels / std::max<int64_t>(rows.count, 1);
        parallel_rows(windows.n * rows.count, work, context, [&](int64_t row) {
            const int64_t i = row % rows.count;
            const T* image = source + row / rows.count * rows.size * columns.size * channels;
            for (int64_t at = row * columns.count * channels; at < (row + 1) * columns.count * channels;
                 ++at) {
                const int64_t j = at / channels % columns.count, c = at % channels;
                int64_t best = rows.begin(i) * columns.size + columns.begin(j);
                T most = image[best * channels + c];
                for (int64_t p = rows.begin(i); p < rows.end(i); ++p)
                    for (int64_t q = columns.begin(j); q < columns.end(j); ++q) {
                        const int64_t pixel = p * columns.size + q;
                        const T value = image[pixel * channels + c];
                        if (!(value > most || value != value)) continue;
                        most = value;
                        best = pixel;
                    }
                destination[at] = most;
                if (winners) winners[at] = best;
            }
        });
    });
}

}  // namespace kernels
}  // namespace microtome
