#include "tensor/kernels/layout.hpp"

#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/parallel.hpp"

#include <array>
#include <cstring>

namespace microtome::kernels {
namespace {

using Strides = std::array<int64_t, Shape::kMaxRank>;

Strides row_major_strides(const Shape& shape) {
    Strides strides{};
    int64_t stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        strides[axis] = stride;
        stride *= shape[axis];
    }
    return strides;
}

// The offset of element (i_0, ..., i_{count-1}, 0, ...) under strides, where the i are the digits of `row`.
int64_t offset_of(int64_t row, const Shape& shape, int count, const Strides& strides) {
    int64_t offset = 0;
    for (int axis = count - 1; axis >= 0; --axis) {
        offset += row % shape[axis] * strides[axis];
        row /= shape[axis];
    }
    return offset;
}

void copy_strides(const Strides& from, int64_t (&to)[cuda::kMaxRank]) {
    std::copy(from.begin(), from.end(), to);
}

// The same on a GPU, element by element.
void copy_box_on_cuda(const char* where, const Tensor& x, Tensor& y, std::span<const int64_t> begin,
                      bool box_is_x) {
    const Tensor &box = box_is_x ? x : y, &whole = box_is_x ? y : x;
    const Strides strides = row_major_strides(whole.shape());
    int64_t first = 0, places[2][cuda::kMaxRank] = {};
    for (int axis = 0; axis < whole.rank(); ++axis) first += begin[axis] * strides[axis];
    copy_strides(strides, places[box_is_x ? 0 : 1]);
    copy_strides(row_major_strides(box.shape()), places[box_is_x ? 1 : 0]);
    cuda::copy_elements(where, cuda::strided(box.shape(), places), x, y, box_is_x ? 0 : first,
                        box_is_x ? first : 0);
}

// Copies rows of the smaller array, each contiguous in both, to or from its box in the larger one.
void copy_box(std::byte* destination, const std::byte* source, const Shape& box, const Shape& whole,
              std::span<const int64_t> begin, std::size_t element, bool box_is_source,
              const KernelContext& context) {
    if (box.elements() == 0) return;
    Strides strides = row_major_strides(whole);
    int64_t first = 0;
    for (int axis = 0; axis < whole.rank(); ++axis) first += begin[axis] * strides[axis];
    int outer = std::max(box.rank() - 1, 0);
    int64_t length = box.rank() ? box[-1] : 1;
    std::size_t bytes = static_cast<std::size_t>(length) * element;
    parallel_rows(box.elements() / length, length, context, [&](int64_t row) {
        std::size_t in_box = static_cast<std::size_t>(row) * bytes;
        std::size_t in_whole =
            static_cast<std::size_t>(first + offset_of(row, box, outer, strides)) * element;
        std::memcpy(destination + (box_is_source ? in_whole : in_box),
                    source + (box_is_source ? in_box : in_whole), bytes);
    });
}

}  // namespace

void clear(Tensor& y) {
    if (cuda::on_cuda(y)) return cuda::fill(y, 0);
    if (y.elements() > 0) std::memset(y.mutable_raw(), 0, y.spec().bytes());
}

void permute(const Tensor& x, const std::vector<int>& order, Tensor& y, KernelContext& context) {
    if (y.elements() == 0) return;
    const int rank = y.rank();
    const Strides from = row_major_strides(x.shape());
    Strides strides{};  // of x, in y's order of axes
    for (int axis = 0; axis < rank; ++axis) strides[axis] = from[order[axis]];
    if (cuda::on_cuda(y)) {
        int64_t places[2][cuda::kMaxRank] = {};
        copy_strides(row_major_strides(y.shape()), places[0]);
        copy_strides(strides, places[1]);
        return cuda::copy_elements("permute", cuda::strided(y.shape(), places), x, y);
    }
    const int outer = std::max(rank - 1, 0);
    const int64_t length = rank ? y.size(-1) : 1;
    const int64_t step = rank ? strides[rank - 1] : 1;
    visit_dtype(x.dtype(), [&]<class T>() {
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        parallel_rows(y.elements() / length, length, context, [&](int64_t row) {
            const T* read = source + offset_of(row, y.shape(), outer, strides);
            T* write = destination + row * length;
            for (int64_t i = 0; i < length; ++i) write[i] = read[i * step];
        });
    });
}

void copy_into_box(const Tensor& x, std::span<const int64_t> begin, Tensor& y, KernelContext& context) {
    if (cuda::on_cuda(y)) return copy_box_on_cuda("copy_into_box", x, y, begin, true);
    copy_box(y.mutable_raw(), x.raw(), x.shape(), y.shape(), begin, size_of(x.dtype()), true, context);
}

void copy_from_box(const Tensor& x, std::span<const int64_t> begin, Tensor& y, KernelContext& context) {
    if (cuda::on_cuda(y)) return copy_box_on_cuda("copy_from_box", x, y, begin, false);
    copy_box(y.mutable_raw(), x.raw(), y.shape(), x.shape(), begin, size_of(x.dtype()), false, context);
}

void flip(const Tensor& x, int axis, Tensor& y, KernelContext& context) {
    if (y.elements() == 0) return;
    if (cuda::on_cuda(y)) {
        const Strides strides = row_major_strides(x.shape());
        int64_t places[2][cuda::kMaxRank] = {};
        copy_strides(strides, places[0]);
        copy_strides(strides, places[1]);
        places[1][axis] = -strides[axis];
        const int64_t last = (x.size(axis) - 1) * strides[axis];
        return cuda::copy_elements("flip", cuda::strided(y.shape(), places), x, y, last);
    }
    int64_t inner = 1;
    for (int i = axis + 1; i < x.rank(); ++i) inner *= x.size(i);
    const int64_t size = x.size(axis);
    const std::size_t bytes = static_cast<std::size_t>(inner) * size_of(x.dtype());
    const std::byte* source = x.raw();
    std::byte* destination = y.mutable_raw();
    parallel_rows(y.elements() / inner, inner, context, [&](int64_t row) {
        const int64_t mirrored = row - row % size + (size - 1 - row % size);
        std::memcpy(destination + static_cast<std::size_t>(row) * bytes,
                    source + static_cast<std::size_t>(mirrored) * bytes, bytes);
    });
}

}  // namespace microtome::kernels
