#include "tensor/kernels/index.hpp"

#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/parallel.hpp"

#include <algorithm>
#include <numeric>
#include <type_traits>

namespace microtome::kernels {
namespace {

// An array seen as (outer, size, inner) around one axis.
struct AxisView {
    int64_t outer = 1, size = 1, inner = 1;

    AxisView(const Shape& shape, int axis) : size(shape[axis]) {
        for (int i = 0; i < axis; ++i) outer *= shape[i];
        for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
    }
};

void require_in_range(const char* where, const Tensor& index, int64_t size) {
    for (int64_t i : index.data<int64_t>())
        if (i < 0 || i >= size)
            throw ShapeError(where, str("expected indices from 0 to ", size - 1, ", got ", i));
}

}  // namespace

void gather(const Tensor& x, const Tensor& index, int axis, Tensor& y, KernelContext& context) {
    if (cuda::on_cuda(y))
        return cuda::run("gather", y, {&x, &index}, [&](auto gpu) {
            gpu->gather(gpu.stream, cuda::axis_shape(y.shape(), axis), x.size(axis), gpu.in(x),
                        cuda::in<int64_t>(index), gpu.out(y));
        });
    const AxisView from(x.shape(), axis), to(y.shape(), axis);
    require_in_range("gather", index, from.size);
    const int64_t* at = index.data<int64_t>().data();
    visit_floating("gather", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        parallel_rows(to.outer, to.size * to.inner, context, [&](int64_t outer) {
            for (int64_t row = outer * to.size; row < (outer + 1) * to.size; ++row)
                for (int64_t i = row * to.inner; i < (row + 1) * to.inner; ++i)
                    destination[i] = source[(outer * from.size + at[i]) * from.inner + i % to.inner];
        });
    });
}

void scatter_add(const Tensor& g, const Tensor& index, int axis, Tensor& x, KernelContext& context) {
    if (cuda::on_cuda(x))
        return cuda::run("scatter_add", x, {&g, &index}, [&](auto gpu) {
            gpu->scatter_add(gpu.stream, cuda::axis_shape(g.shape(), axis), x.size(axis), gpu.in(g),
                             cuda::in<int64_t>(index), gpu.out(x));
        });
    const AxisView from(g.shape(), axis), to(x.shape(), axis);
    require_in_range("scatter_add", index, to.size);
    const int64_t* at = index.data<int64_t>().data();
    visit_floating("scatter_add", g.dtype(), [&]<class T>() {
        const T* source = g.data<T>().data();
        T* destination = x.mutable_data<T>().data();
        std::fill(destination, destination + x.elements(), T(0));
        parallel_rows(from.outer, from.size * from.inner, context, [&](int64_t outer) {
            for (int64_t row = outer * from.size; row < (outer + 1) * from.size; ++row)
                for (int64_t i = row * from.inner; i < (row + 1) * from.inner; ++i)
                    destination[(outer * to.size + at[i]) * to.inner + i % from.inner] += source[i];
        });
    });
}

void take_rows(const Tensor& x, const Tensor& index, Tensor& y, KernelContext& context) {
    if (cuda::on_cuda(y))
        return cuda::run("take", y, {&x, &index}, [&](auto gpu) {
            gpu->take_rows(gpu.stream, x.size(0), y.elements() / index.elements(), index.elements(),
                           gpu.in(x), cuda::in<int64_t>(index), gpu.out(y));
        });
    require_in_range("take", index, x.size(0));
    const int64_t* at = index.data<int64_t>().data();
    const int64_t size = index.elements() ? y.elements() / index.elements() : 0;
    visit_floating("take", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        parallel_rows(index.elements(), size, context, [&](int64_t row) {
            std::copy_n(source + at[row] * size, size, destination + row * size);
        });
    });
}

void add_rows(const Tensor& g, const Tensor& index, Tensor& x, KernelContext&) {
    if (cuda::on_cuda(x))
        return cuda::run("add_rows", x, {&g, &index}, [&](auto gpu) {
            const int64_t rows = x.size(0), count = index.elements();
            Tensor scratch(Spec{{cuda::add_rows_scratch(rows, count)}, Dtype::i64, x.device()});
            gpu->add_rows(gpu.stream, rows, x.elements() / rows, count, gpu.in(g), cuda::in<int64_t>(index),
                          cuda::out<int64_t>(scratch), gpu.out(x));
        });
    require_in_range("add_rows", index, x.size(0));
    const int64_t* at = index.data<int64_t>().data();
    const int64_t size = index.elements() ? g.elements() / index.elements() : 0;
    visit_floating("add_rows", g.dtype(), [&]<class T>() {
        const T* source = g.data<T>().data();
        T* destination = x.mutable_data<T>().data();
        std::fill(destination, destination + x.elements(), T(0));
        // Rows may meet, so they are added one after another.
        for (int64_t row = 0; row < index.elements(); ++row)
            for (int64_t i = 0; i < size; ++i) destination[at[row] * size + i] += source[row * size + i];
    });
}

void one_hot(const Tensor& labels, Tensor& y) {
    const int64_t classes = y.size(1);
    if (cuda::on_cuda(y))
        return cuda::run("one_hot", y, {&labels}, [&](auto gpu) {
            gpu->one_hot(gpu.stream, cuda::in<int64_t>(labels), y.size(0), classes, gpu.out(y));
        });
    visit_floating("one_hot", y.dtype(), [&]<class T>() {
        T* row = y.mutable_data<T>().data();
        std::fill_n(row, y.elements(), T(0));
        for (int64_t label : labels.data<int64_t>()) {
            if (label < 0 || label >= classes)
                throw ShapeError("one_hot", str("expected labels from 0 to ", classes - 1, ", got ", label));
            row[label] = T(1);
            row += classes;
        }
    });
}

void find_corners(const Tensor& columns, const Tensor& rows, int64_t h, int64_t w, Tensor& left, Tensor& top,
                  std::span<Corner, 4> corners) {
    const int64_t points = columns.elements();
    if (points == 0) return;
    const cuda::WarpShape shape{h, w, points, cuda::Divisor(points / columns.size(0))};
    if (cuda::on_cuda(left))
        return cuda::run("affine_warp", left, {&columns, &rows, &top}, [&](auto gpu) {
            cuda::WarpCorners<std::remove_pointer_t<decltype(gpu.out(left))>> to;
            for (std::size_t i = 0; i < 4; ++i) {
                to.index[i] = cuda::out<int64_t>(corners[i].index);
                to.inside[i] = gpu.out(corners[i].inside);
            }
            gpu->corners(gpu.stream, shape, gpu.in(columns), gpu.in(rows), gpu.out(left), gpu.out(top), to);
        });
    visit_floating("affine_warp", left.dtype(), [&]<class T>() {
        const auto x = columns.data<T>(), y = rows.data<T>();
        const auto first = left.mutable_data<T>(), second = top.mutable_data<T>();
        for (std::size_t p = 0; p < x.size(); ++p) {
            first[p] = shape.cell(x[p], w);
            second[p] = shape.cell(y[p], h);
        }
        for (std::size_t corner = 0; corner < 4; ++corner) {
            const auto places = corners[corner].index.template mutable_data<int64_t>();
            const auto mask = corners[corner].inside.template mutable_data<T>();
            for (std::size_t p = 0; p < x.size(); ++p) {
                const int64_t pixel = shape.pixel(static_cast<int64_t>(p), first[p], second[p],
                                                  static_cast<int>(corner / 2), static_cast<int>(corner % 2));
                places[p] = pixel < 0 ? 0 : pixel;
                mask[p] = pixel < 0 ? T(0) : T(1);
            }
        }
    });
}

std::size_t sort_workspace(const Shape& x) {
    return static_cast<std::size_t>(x.elements()) * sizeof(int64_t);
}

void sort_rows(const Tensor& x, bool descending, Tensor& y, Tensor& index, KernelContext& context) {
    const int64_t size = x.size(-1), count = y.size(-1);
    if (y.elements() == 0) return;
    if (cuda::on_cuda(y))
        return cuda::run("sort", y, {&x, &index}, [&](auto gpu) {
            const int64_t rows = x.elements() / size;
            Tensor order(Spec{{rows * cuda::sort_padding(size)}, Dtype::i64, x.device()});
            gpu->sort_rows(gpu.stream, descending, rows, size, count, gpu.in(x), cuda::out<int64_t>(order),
                           gpu.out(y), cuda::out<int64_t>(index));
        });
    auto* scratch = reinterpret_cast<int64_t*>(context.workspace.data());
    visit_floating("sort", x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* values = y.mutable_data<T>().data();
        int64_t* places = index.mutable_data<int64_t>().data();
        parallel_rows(x.elements() / size, size * 16, context, [&](int64_t row) {
            const T* from = source + row * size;
            int64_t* order = scratch + row * size;
            std::iota(order, order + size, int64_t{0});
            // Where values are equal, places decide: then the order is total, and any sort is a stable one.
            std::partial_sort(order, order + count, order + size, [=](int64_t i, int64_t j) {
                const T a = from[i], b = from[j];
                const bool a_last = a != a, b_last = b != b;
                if (a_last != b_last) return b_last;
                if (a_last || a == b) return i < j;
                return descending ? a > b : a < b;
            });
            for (int64_t i = 0; i < count; ++i) {
                values[row * count + i] = from[order[i]];
                places[row * count + i] = order[i];
            }
        });
    });
}

}  // namespace microtome::kernels
