#include "tensor/kernels/index.hpp"

#include "tensor/kernels/parallel.hpp"

#include <algorithm>

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
    const AxisView from(x.shape(), axis), to(y.shape(), axis);
    require_in_range("gather", index, from.size);
    const int64_t* at = index.data<int64_t>().data();
    visit_f32_f64("gather", x.dtype(), [&]<class T>() {
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
    const AxisView from(g.shape(), axis), to(x.shape(), axis);
    require_in_range("scatter_add", index, to.size);
    const int64_t* at = index.data<int64_t>().data();
    visit_f32_f64("scatter_add", g.dtype(), [&]<class T>() {
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

}  // namespace microtome::kernels
