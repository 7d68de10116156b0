#include "tensor/kernels/rows.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/cpu/rows_table.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/reduce.hpp"
#include "tensor/reference/rows.hpp"

#include <algorithm>

namespace microtome::kernels {
namespace {

template <class T>
const cpu::RowsTable<T>& table();
template <>
const cpu::RowsTable<float>& table() {
    return cpu::pick(cpu::reference::rows_table, cpu::avx2::rows_table, cpu::avx512::rows_table);
}
template <class T>
constexpr cpu::RowsTable<T> kTextbook{reference::softmax<T>,
                                      reference::log_softmax<T>,
                                      reference::logsumexp<T>,
                                      reference::softmax_gradient<T>,
                                      reference::log_softmax_gradient<T>,
                                      reference::layer_norm<T>,
                                      reference::layer_norm_gradient<T>};
template <>
const cpu::RowsTable<double>& table() {
    return kTextbook<double>;
}
template <>
const cpu::RowsTable<Dual>& table() {
    return kTextbook<Dual>;
}

struct Rows {
    int64_t count, length;
};
// x (..., C) as rows of channels, of which there may be none.
Rows channels_of(const char* where, const Tensor& x) {
    if (x.rank() == 0) throw ShapeError(where, "expected at least one axis, got a scalar");
    int64_t length = x.size(-1), count = 1;
    for (int axis = 0; axis + 1 < x.rank(); ++axis) count *= x.size(axis);
    return {count, length};
}
Rows rows_of(const char* where, const Tensor& x) {
    Rows rows = channels_of(where, x);
    if (rows.length == 0 && rows.count > 0)
        throw ShapeError(where, str("expected rows with elements, got ", x.shape()));
    return rows;
}

void require_same(const char* where, const Tensor& x, const Tensor& y) {
    if (x.shape() != y.shape())
        throw ShapeError(where, str("expected tensors of one shape, got ", x.shape(), " and ", y.shape()));
}
void require_elements(const char* where, const char* name, const Tensor& x, int64_t elements) {
    if (x.elements() != elements)
        throw ShapeError(where, str("expected ", name, " with ", elements, " elements, got ", x.shape()));
}

// body(first row, number of rows), a few thousand elements at a time, shared out among threads.
template <class Body>
void for_rows(Rows rows, const KernelContext& context, Body body) {
    int64_t group =
        std::clamp<int64_t>(8192 / std::max<int64_t>(rows.length, 1), 1, std::max<int64_t>(rows.count, 1));
    cpu::parallel_tasks((rows.count + group - 1) / group, context.threads,
                        [=](int64_t i, int) { body(i * group, std::min(group, rows.count - i * group)); });
}

// The kernels of the form (T* of x's shape, ..., T* of x's shape): select(table) of the CPU's, on_gpu(table)
// of those of GPUs.
template <class Select, class OnGpu, class... Inputs>
void map_rows(const char* where, Tensor& to, const KernelContext& context, Select select, OnGpu on_gpu,
              const Inputs&... inputs) {
    Rows rows = rows_of(where, to);
    (require_same(where, inputs, to), ...);
    if (cuda::on_cuda(to))
        return cuda::run(where, to, {&inputs...}, [&](auto gpu) {
            on_gpu (*gpu.kernels)(gpu.stream, gpu.in(inputs)..., gpu.out(to), rows.count, rows.length);
        });
    visit_floating(where, to.dtype(), [&]<class T>() {
        auto kernel = select(table<T>());
        T* y = to.mutable_data<T>().data();
        auto run = [&](auto... from) {
            for_rows(rows, context, [=](int64_t first, int64_t count) {
                int64_t offset = first * rows.length;
                kernel((from + offset)..., y + offset, count, rows.length);
            });
        };
        run(inputs.template data<T>().data()...);
    });
}

}  // namespace

void softmax(const Tensor& x, Tensor& y, const KernelContext& context) {
    map_rows(
        "softmax", y, context, [](auto& kernels) { return kernels.softmax; },
        [](auto& gpu) { return gpu.softmax; }, x);
}

void log_softmax(const Tensor& x, Tensor& y, const KernelContext& context) {
    map_rows(
        "log_softmax", y, context, [](auto& kernels) { return kernels.log_softmax; },
        [](auto& gpu) { return gpu.log_softmax; }, x);
}

void softmax_input_gradient(const Tensor& g, const Tensor& y, Tensor& dx, const KernelContext& context) {
    map_rows(
        "softmax_input_gradient", dx, context, [](auto& kernels) { return kernels.softmax_gradient; },
        [](auto& gpu) { return gpu.softmax_gradient; }, g, y);
}

void log_softmax_input_gradient(const Tensor& g, const Tensor& y, Tensor& dx, const KernelContext& context) {
    map_rows(
        "log_softmax_input_gradient", dx, context, [](auto& kernels) { return kernels.log_softmax_gradient; },
        [](auto& gpu) { return gpu.log_softmax_gradient; }, g, y);
}

void logsumexp(const Tensor& x, Tensor& y, const KernelContext& context) {
    Rows rows = rows_of("logsumexp", x);
    require_elements("logsumexp", "an output", y, rows.count);
    if (cuda::on_cuda(y))
        return cuda::run("logsumexp", y, {&x}, [&](auto gpu) {
            gpu->logsumexp(gpu.stream, gpu.in(x), gpu.out(y), rows.count, rows.length);
        });
    visit_floating("logsumexp", x.dtype(), [&]<class T>() {
        const T* from = x.data<T>().data();
        T* to = y.mutable_data<T>().data();
        auto kernel = table<T>().logsumexp;
        for_rows(rows, context, [=](int64_t first, int64_t count) {
            kernel(from + first * rows.length, to + first, count, rows.length);
        });
    });
}

void layer_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, double epsilon, Tensor& y,
                Tensor& mean, Tensor& rstd, const KernelContext& context) {
    const char* where = "layer_norm";
    Rows rows = rows_of(where, x);
    require_same(where, x, y);
    require_elements(where, "mean", mean, rows.count);
    require_elements(where, "rstd", rstd, rows.count);
    if (scale.defined()) require_elements(where, "scale", scale, rows.length);
    if (shift.defined()) require_elements(where, "shift", shift, rows.length);
    if (cuda::on_cuda(y))
        return cuda::run(where, y, {&x, &scale, &shift, &mean, &rstd}, [&](auto gpu) {
            gpu->layer_norm(gpu.stream, gpu.in(x), gpu.in(scale), gpu.in(shift), gpu.number(epsilon),
                            gpu.out(y), gpu.out(mean), gpu.out(rstd), rows.count, rows.length);
        });
    visit_floating(where, x.dtype(), [&]<class T>() {
        const T* from = x.data<T>().data();
        const T* by = scale.defined() ? scale.data<T>().data() : nullptr;
        const T* plus = shift.defined() ? shift.data<T>().data() : nullptr;
        T *to = y.mutable_data<T>().data(), *m = mean.mutable_data<T>().data(),
          *r = rstd.mutable_data<T>().data();
        T small = static_cast<T>(epsilon);
        auto kernel = table<T>().layer_norm;
        for_rows(rows, context, [=](int64_t first, int64_t count) {
            int64_t offset = first * rows.length;
            kernel(from + offset, by, plus, small, to + offset, m + first, r + first, count, rows.length);
        });
    });
}

void layer_norm_input_gradient(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                               const Tensor& scale, Tensor& dx, const KernelContext& context) {
    const char* where = "layer_norm_input_gradient";
    Rows rows = rows_of(where, x);
    require_same(where, g, x);
    require_same(where, x, dx);
    require_elements(where, "mean", mean, rows.count);
    require_elements(where, "rstd", rstd, rows.count);
    if (scale.defined()) require_elements(where, "scale", scale, rows.length);
    if (cuda::on_cuda(dx))
        return cuda::run(where, dx, {&g, &x, &mean, &rstd, &scale}, [&](auto gpu) {
            gpu->layer_norm_gradient(gpu.stream, gpu.in(g), gpu.in(x), gpu.in(mean), gpu.in(rstd),
                                     gpu.in(scale), gpu.out(dx), rows.count, rows.length);
        });
    visit_floating(where, x.dtype(), [&]<class T>() {
        const T *from = g.data<T>().data(), *at = x.data<T>().data();
        const T *m = mean.data<T>().data(), *r = rstd.data<T>().data();
        const T* by = scale.defined() ? scale.data<T>().data() : nullptr;
        T* to = dx.mutable_data<T>().data();
        auto kernel = table<T>().layer_norm_gradient;
        for_rows(rows, context, [=](int64_t first, int64_t count) {
            int64_t offset = first * rows.length;
            kernel(from + offset, at + offset, m + first, r + first, by, to + offset, count, rows.length);
        });
    });
}

void channel_statistics(const Tensor& x, Tensor& mean, Tensor& variance, const KernelContext& context) {
    const char* where = "channel_statistics";
    Rows rows = channels_of(where, x);
    if (rows.count == 0) throw ShapeError(where, str("expected elements to average, got ", x.shape()));
    require_elements(where, "mean", mean, rows.length);
    require_elements(where, "variance", variance, rows.length);
    Tensor matrix = x.view({rows.count, rows.length});
    auto divide = [&](Tensor& sums) {
        const Tensor count = Tensor::scalar(static_cast<double>(rows.count), sums.dtype(), sums.device());
        if (cuda::on_cuda(sums)) return binary(Binary::divide, sums, count, sums, context);
        visit_floating(where, sums.dtype(), [&]<class T>() {
            for (T& sum : sums.mutable_data<T>()) sum /= static_cast<T>(rows.count);
        });
    };
    Tensor mean_row = mean.view({rows.length}), variance_row = variance.view({rows.length});
    reduce(Reduction::sum, matrix, axis_mask(matrix.shape(), {0}), mean_row, context);
    divide(mean_row);
    squared_deviations(matrix, mean_row, variance_row, context);
    divide(variance_row);
}

void scale_shift(const Tensor& x, const Tensor& scale, const Tensor& shift, Tensor& y,
                 const KernelContext& context) {
    Rows rows = channels_of("scale_shift", x);
    require_same("scale_shift", x, y);
    require_elements("scale_shift", "scale", scale, rows.length);
    require_elements("scale_shift", "shift", shift, rows.length);
    ternary(Ternary::multiply_add, x, scale.view({rows.length}), shift.view({rows.length}), y, context);
}

}  // namespace microtome::kernels
