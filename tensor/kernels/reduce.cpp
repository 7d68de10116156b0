#include "tensor/kernels/reduce.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/reference/reduce.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace microtome::kernels {
namespace {

template <class T>
const cpu::ReduceTable<T>& table();
template <>
const cpu::ReduceTable<float>& table() {
    return cpu::pick(cpu::reference::reduce_table, cpu::avx2::reduce_table, cpu::avx512::reduce_table);
}
template <class T>
constexpr cpu::ReduceTable<T> kTextbook{reference::reduce_rows<T>, reference::reduce_columns<T>};
template <>
const cpu::ReduceTable<double>& table() {
    return kTextbook<double>;
}
template <>
const cpu::ReduceTable<Dual>& table() {
    return kTextbook<Dual>;
}

constexpr int64_t kElementsPerThread = 16384;

int threads_for(int64_t elements, const KernelContext& context) {
    return static_cast<int>(std::clamp<int64_t>(elements / kElementsPerThread, 1, context.threads));
}

// Neighbouring axes that are all kept or all reduced count as one, axes of size 1 as none.
struct Groups {
    int rank = 0;
    std::array<int64_t, Shape::kMaxRank> size{}, stride{};
    std::array<bool, Shape::kMaxRank> reduced{};

    Groups(const Shape& shape, AxisMask axes) {
        for (int axis = 0; axis < shape.rank(); ++axis) {
            if (shape[axis] == 1) continue;
            bool reduce_it = (axes >> axis & 1u) != 0;
            if (rank == 0 || reduced[rank - 1] != reduce_it) {
                size[rank] = 1;
                reduced[rank++] = reduce_it;
            }
            size[rank - 1] *= shape[axis];
        }
        int64_t step = 1;
        for (int i = rank - 1; i >= 0; --i) {
            stride[i] = step;
            step *= size[i];
        }
    }

    int64_t elements(bool of_reduced) const {
        int64_t product = 1;
        for (int i = 0; i < rank; ++i) product *= reduced[i] == of_reduced ? size[i] : 1;
        return product;
    }
    // Where the index-th kept or reduced combination lies, counted in row-major order.
    int64_t offset(int64_t index, bool of_reduced) const {
        int64_t result = 0;
        for (int i = rank - 1; i >= 0; --i) {
            if (reduced[i] != of_reduced) continue;
            result += index % size[i] * stride[i];
            index /= size[i];
        }
        return result;
    }
};

// Neighbouring results that are made together: y[first] to y[first + count - 1].
struct Unit {
    int64_t first, count;
};

// Makes all results of `length` elements each. unit_at(u) is the u-th unit, of at most kReductionColumns;
// chunk(unit, begin, n, part) reduces elements begin to begin + n of each of the unit's results into part.
template <class T, class UnitAt, class Chunk>
void reduce_units(Reduction reduction, int64_t units, int64_t results, int64_t length,
                  const KernelContext& context, T* y, UnitAt unit_at, Chunk chunk) {
    int64_t chunks = (length + kReductionChunk - 1) / kReductionChunk;
    int threads = threads_for(results * length, context);
    auto reduce_chunk = [=](int64_t u, int64_t c, T* part) {
        int64_t begin = c * kReductionChunk;
        chunk(unit_at(u), begin, std::min(kReductionChunk, length - begin), part);
    };
    auto join_chunk = [=](int64_t u, int64_t c, const T* part) {
        Unit unit = unit_at(u);
        T* to = y + unit.first;
        if (c == 0) std::copy_n(part, unit.count, to);
        if (c == 0) return;
        reference::visit(reduction, [=](auto rule) {
            for (int64_t i = 0; i < unit.count; ++i) to[i] = rule.join(to[i], part[i]);
        });
    };
    if (units >= threads || chunks == 1) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t u = 0; u < units; ++u) {
            std::array<T, kReductionColumns> part;
            for (int64_t c = 0; c < chunks; ++c) {
                reduce_chunk(u, c, part.data());
                join_chunk(u, c, part.data());
            }
        }
        return;
    }
    // Few results of many elements: the threads share the chunks, a wave of them at a time.
    constexpr int64_t kWave = 32;
    std::array<T, kWave * kReductionColumns> parts;
    for (int64_t u = 0; u < units; ++u)
        for (int64_t wave = 0; wave < chunks; wave += kWave) {
            int64_t count = std::min(kWave, chunks - wave);
#pragma omp parallel for num_threads(threads) schedule(static)
            for (int64_t i = 0; i < count; ++i) reduce_chunk(u, wave + i, &parts[i * kReductionColumns]);
            for (int64_t i = 0; i < count; ++i) join_chunk(u, wave + i, &parts[i * kReductionColumns]);
        }
}

// x (results, length): each result's elements lie side by side.
template <class T>
void reduce_rows(Reduction reduction, const T* x, int64_t results, int64_t length,
                 const KernelContext& context, T* y) {
    auto kernel = table<T>().rows;
    int64_t width = length > kReductionChunk ? 1 : std::clamp<int64_t>(4096 / length, 1, kReductionColumns);
    reduce_units<T>(
        reduction, (results + width - 1) / width, results, length, context, y,
        [=](int64_t u) {
            return Unit{u * width, std::min(width, results - u * width)};
        },
        [=](Unit unit, int64_t begin, int64_t n, T* part) {
            kernel(reduction, x + unit.first * length + begin, unit.count, n, part);
        });
}

// x (outer, length, columns), results (outer, columns): the elements of a result lie `columns` apart. With a
// center (columns), squares are of the distance from it.
template <class T>
void reduce_columns(Reduction reduction, const T* x, int64_t outer, int64_t length, int64_t columns,
                    const T* center, const KernelContext& context, T* y) {
    auto kernel = table<T>().columns;
    int64_t tiles = (columns + kReductionColumns - 1) / kReductionColumns;
    reduce_units<T>(
        reduction, outer * tiles, outer * columns, length, context, y,
        [=](int64_t u) {
            int64_t column = u % tiles * kReductionColumns;
            return Unit{u / tiles * columns + column, std::min(kReductionColumns, columns - column)};
        },
        [=](Unit unit, int64_t begin, int64_t n, T* part) {
            int64_t block = unit.first / columns, column = unit.first % columns;
            kernel(reduction, x + (block * length + begin) * columns + column, n, columns, unit.count,
                   center == nullptr ? nullptr : center + column, part);
        });
}

// Reduced and kept axes in any other mixture: each result's elements are collected first.
template <class T>
void reduce_scattered(Reduction reduction, const T* x, const Groups& groups, const KernelContext& context,
                      T* y) {
    auto kernel = table<T>().rows;
    int64_t results = groups.elements(false);
    reduce_units<T>(
        reduction, results, results, groups.elements(true), context, y,
        [](int64_t u) {
            return Unit{u, 1};
        },
        [=, &groups](Unit unit, int64_t begin, int64_t n, T* part) {
            std::array<T, kReductionChunk> collected;
            const T* base = x + groups.offset(unit.first, false);
            for (int64_t i = 0; i < n; ++i) collected[i] = base[groups.offset(begin + i, true)];
            kernel(reduction, collected.data(), 1, n, part);
        });
}

void require_kept_shape(const Tensor& x, AxisMask axes, const Tensor& y) {
    auto next = [](const Shape& shape, AxisMask skipped, int axis) {
        while (axis < shape.rank() && ((skipped >> axis & 1u) != 0 || shape[axis] == 1)) ++axis;
        return axis;
    };
    const Shape &from = x.shape(), &to = y.shape();
    int i = next(from, axes, 0), j = next(to, 0, 0);
    for (; i < from.rank() && j < to.rank() && from[i] == to[j];
         i = next(from, axes, i + 1), j = next(to, 0, j + 1)) {
    }
    if (i < from.rank() || j < to.rank())
        throw ShapeError("reduce",
                         str("expected an output with the axes of ", from, " that are kept, got ", to));
}

template <class T>
void arg_extreme(bool maximum, const T* x, int64_t outer, int64_t length, int64_t inner, T* values,
                 int64_t* indices, const KernelContext& context) {
#pragma omp parallel for num_threads(threads_for(outer* length* inner, context)) schedule(static)
    for (int64_t i = 0; i < outer * inner; ++i) {
        const T* from = x + i / inner * length * inner + i % inner;
        T best = from[0];
        int64_t index = 0;
        // a NaN beats every number, and nothing beats a NaN
        for (int64_t j = 1; j < length && best == best; ++j) {
            T value = from[j * inner];
            if (value != value || (maximum ? value > best : value < best)) best = value, index = j;
        }
        values[i] = best;
        indices[i] = index;
    }
}

void arg_extreme(bool maximum, const Tensor& x, int axis, Tensor& values, Tensor& indices,
                 const KernelContext& context) {
    const char* where = maximum ? "arg_max" : "arg_min";
    axis = x.shape().normalize(axis);
    int64_t length = x.size(axis), outer = 1, inner = 1;
    for (int i = 0; i < x.rank(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : x.size(i);
    if (length == 0) throw ShapeError(where, str("expected elements along axis ", axis, ", got ", x.shape()));
    if (values.elements() != outer * inner || indices.elements() != outer * inner)
        throw ShapeError(where, str("expected outputs of ", outer * inner, " elements, got ", values.shape(),
                                    " and ", indices.shape()));
    if (cuda::on_cuda(values))
        return cuda::run(where, values, {&x, &indices}, [&](auto gpu) {
            gpu->arg_extreme(gpu.stream, maximum, cuda::axis_shape(x.shape(), axis), gpu.in(x),
                             gpu.out(values), cuda::out<int64_t>(indices));
        });
    visit_floating(where, x.dtype(), [&]<class T>() {
        arg_extreme(maximum, x.data<T>().data(), outer, length, inner, values.mutable_data<T>().data(),
                    indices.mutable_data<int64_t>().data(), context);
    });
}

// The sum of nothing is 0; nothing has no maximum.
void require_sum(Reduction reduction, const Tensor& x) {
    if (reduction == Reduction::max || reduction == Reduction::min)
        throw ShapeError("reduce", str("expected elements to choose from, got ", x.shape()));
}

void reduce_on_cuda(const char* where, Reduction reduction, const Tensor& x, AxisMask axes,
                    const Tensor& center, Tensor& y) {
    if (y.elements() == 0) return;
    if (x.elements() == 0) return cuda::fill(y, 0);
    const cuda::ReduceShape shape = cuda::reduce_shape(x.shape(), axes);
    Tensor parts = cuda::scratch(x, cuda::reduce_parts(shape));
    cuda::run(where, y, {&x, &center}, [&](auto gpu) {
        gpu->reduce(gpu.stream, reduction, shape, gpu.in(x), gpu.in(center), gpu.out(parts), gpu.out(y));
    });
}

}  // namespace

AxisMask axis_mask(const Shape& shape, std::span<const int> axes) {
    AxisMask mask = 0;
    for (int axis : axes) {
        AxisMask bit = 1u << shape.normalize(axis);
        if ((mask & bit) != 0)
            throw ShapeError("reduce", str("expected different axes, got ", axis, " twice"));
        mask |= bit;
    }
    return mask;
}

AxisMask axis_mask(const Shape& shape, std::initializer_list<int> axes) {
    return axis_mask(shape, std::span<const int>(axes.begin(), axes.size()));
}

AxisMask all_axes(const Shape& shape) {
    return (1u << shape.rank()) - 1;
}

void reduce(Reduction reduction, const Tensor& x, AxisMask axes, Tensor& y, const KernelContext& context) {
    require_kept_shape(x, axes, y);
    if (x.elements() == 0 && y.elements() > 0) require_sum(reduction, x);
    if (cuda::on_cuda(y)) return reduce_on_cuda("reduce", reduction, x, axes, {}, y);
    visit_floating("reduce", x.dtype(), [&]<class T>() {
        const T* from = x.data<T>().data();
        T* to = y.mutable_data<T>().data();
        if (y.elements() == 0) return;
        if (x.elements() == 0) {
            std::fill_n(to, y.elements(), T(0));
            return;
        }
        // The last group is reduced: rows. Only a kept one follows the reduced one: columns.
        Groups groups(x.shape(), axes);
        int last = groups.rank - 1;
        int reduced_groups = 0;
        for (int i = 0; i < groups.rank; ++i) reduced_groups += groups.reduced[i];
        if (reduced_groups == 0) return reduce_rows(reduction, from, y.elements(), 1, context, to);
        if (reduced_groups > 1) return reduce_scattered(reduction, from, groups, context, to);
        int64_t length = groups.elements(true), results = groups.elements(false);
        if (groups.reduced[last]) return reduce_rows(reduction, from, results, length, context, to);
        int64_t columns = groups.size[last];
        const T* no_center = nullptr;
        reduce_columns(reduction, from, results / columns, length, columns, no_center, context, to);
    });
}

void sum_to(const Tensor& x, Tensor& y, const KernelContext& context) {
    const Shape &from = x.shape(), &to = y.shape();
    int missing = from.rank() - to.rank();
    AxisMask axes = 0;
    for (int axis = 0; axis < from.rank(); ++axis)
        if (axis < missing || (to[axis - missing] == 1 && from[axis] != 1)) axes |= 1u << axis;
    if (missing < 0)
        throw ShapeError("sum_to", str("expected a shape that broadcasts to ", from, ", got ", to));
    reduce(Reduction::sum, x, axes, y, context);
}

void arg_max(const Tensor& x, int axis, Tensor& values, Tensor& indices, const KernelContext& context) {
    arg_extreme(true, x, axis, values, indices, context);
}

void arg_min(const Tensor& x, int axis, Tensor& values, Tensor& indices, const KernelContext& context) {
    arg_extreme(false, x, axis, values, indices, context);
}

void squared_deviations(const Tensor& x, const Tensor& center, Tensor& y, const KernelContext& context) {
    if (x.rank() != 2 || center.elements() != x.size(1) || y.elements() != x.size(1))
        throw ShapeError("squared_deviations", str("expected x (R,C), center and y (C), got ", x.shape(),
                                                   ", ", center.shape(), " and ", y.shape()));
    if (cuda::on_cuda(y))
        return reduce_on_cuda("squared_deviations", Reduction::sum_of_squares, x, 1, center, y);
    visit_floating("squared_deviations", x.dtype(), [&]<class T>() {
        const T *from = x.data<T>().data(), *about = center.data<T>().data();
        T* to = y.mutable_data<T>().data();
        if (x.size(0) == 0) std::fill_n(to, y.elements(), T(0));
        if (x.elements() == 0) return;
        reduce_columns(Reduction::sum_of_squares, from, 1, x.size(0), x.size(1), about, context, to);
    });
}

}  // namespace microtome::kernels
