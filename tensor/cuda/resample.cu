// Sparse matrices along one axis: resizing and blurring. One thread an element of the result.
//
// Least work: x is read and y written once; each element takes as many products as its row of the matrix has
// weights, two to four when resizing, which come from the cache. In f32 4 bytes an element of x and of y. Not
// measured on a GPU yet.
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

template <class T>
MICROTOME_KERNEL void resample_kernel(AxisShape shape, int64_t columns, const int64_t* start,
                                      const int64_t* column, const T* weight, const T* x, T* y) {
    for (int64_t i = first_element(); i < shape.outer * shape.length * shape.inner; i += all_threads()) {
        const int64_t line = i / shape.inner, outer = line / shape.length, row = line % shape.length;
        T sum = T(0);
        for (int64_t k = start[row]; k < start[row + 1]; ++k)
            sum = math::fma(weight[k], x[(outer * columns + column[k]) * shape.inner + i % shape.inner], sum);
        y[i] = sum;
    }
}

template <class T>
void resample(Stream stream, const AxisShape& shape, int64_t columns, const int64_t* start,
              const int64_t* column, const T* weight, const T* x, T* y) {
    launch(stream, flat(shape.outer * shape.length * shape.inner), resample_kernel<T>, shape, columns, start,
           column, weight, x, y);
}

}  // namespace

void add_resample(KernelTable& table) {
    table.f32.resample = resample<float>;
    table.f64.resample = resample<double>;
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
