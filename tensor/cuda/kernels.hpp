// The kernels of the CUDA backend, as tables of functions that put work into a stream. Pointers lead into the
// device's memory; shapes have been checked. Filled twice from the same source: by nvcc for GPUs, and by the
// tests for a device emulated on the CPU.
//
// Promised, unless an entry says otherwise: the bits of the CPU's kernels, which is to say those of
// tensor/reference/.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/cpu/reduce_table.hpp"
#include "tensor/cuda/geometry.hpp"
#include "tensor/dtype.hpp"
#include "tensor/functors.hpp"
#include "tensor/kernels/epilogue.hpp"
#include "tensor/matmul_shape.hpp"
#include "tensor/philox.hpp"
#include "tensor/pixel_change.hpp"
#include "tensor/pool_shape.hpp"
#include "tensor/precision.hpp"
#include "tensor/updates.hpp"

#include <cstddef>
#include <cstdint>

namespace microtome::cuda {

// An index that lay outside its range: kernels cannot throw, so they note the first and go on with another.
// Whoever next waits for the device throws it.
struct Fault {
    int32_t raised = 0;
    int64_t index = 0, size = 0;
};

// Work in the order in which it is to be done.
struct Stream {
    void* handle = nullptr;
    int32_t device = 0;
    Fault* fault = nullptr;  // in memory that both sides see
};

// Numbers by name (tensor/random.hpp): a stream of draws, but for the sample where samples differ.
struct DrawKey {
    uint64_t seed = 0, purpose = 0, sample = 0;
    uint32_t restart = 0, step = 0;
};

template <class T>
struct Kernels {
    // --- elementwise.cu; outputs may be inputs of their own shape
    void (*unary)(Stream, kernels::Unary, const T* x, T* y, int64_t n);
    void (*binary)(Stream, kernels::Binary, const Strided<2>&, const T* a, const T* b, T* y);
    void (*ternary)(Stream, kernels::Ternary, const Strided<3>&, const T* a, const T* b, const T* c, T* y);
    void (*range_gate)(Stream, const T* x, T low, T high, T* y, uint8_t* gate, int64_t n);
    void (*apply_gate)(Stream, const T* g, const uint8_t* gate, T* dx, int64_t n);

    // --- reduce.cu
    // y (results); squares are of x - center[result] where a center is given. `parts` holds
    // reduce_parts(shape) elements.
    void (*reduce)(Stream, kernels::Reduction, const ReduceShape&, const T* x, const T* center, T* parts,
                   T* y);
    void (*arg_extreme)(Stream, bool maximum, const AxisShape&, const T* x, T* values, int64_t* indices);

    // --- rows.cu: x (rows, n)
    void (*softmax)(Stream, const T* x, T* y, int64_t rows, int64_t n);
    void (*log_softmax)(Stream, const T* x, T* y, int64_t rows, int64_t n);
    void (*logsumexp)(Stream, const T* x, T* y, int64_t rows, int64_t n);
    void (*softmax_gradient)(Stream, const T* g, const T* y, T* dx, int64_t rows, int64_t n);
    void (*log_softmax_gradient)(Stream, const T* g, const T* y, T* dx, int64_t rows, int64_t n);
    void (*layer_norm)(Stream, const T* x, const T* scale, const T* shift, T epsilon, T* y, T* mean, T* rstd,
                       int64_t rows, int64_t n);
    void (*layer_norm_gradient)(Stream, const T* g, const T* x, const T* mean, const T* rstd, const T* scale,
                                T* dx, int64_t rows, int64_t n);

    // Of squares summed, y (rows) becomes roots; where the squares have left the range of T, x (rows, n) is
    // asked.
    void (*norm_l2)(Stream, const T* x, T* y, int64_t rows, int64_t n);
    // of each channel; see tensor/batch_norm.hpp
    void (*batch_norm_scale)(Stream, const T* gamma, const T* beta, const T* mean, const T* variance, T eps,
                             T* scale, T* shift, int64_t channels);
    void (*batch_norm_gradient)(Stream, const T* gamma, const T* variance, T eps, const T* dbeta, T count,
                                T* dgamma, T* a, T* b, T* c, int64_t channels);

    // --- product.cu; factors are rounded to the precision as they are read; `parts` holds
    // matmul_parts(shape), ... elements
    void (*matmul)(Stream, const MatmulShape&, Precision, const T* a, const T* b, T* c, const Epilogue<T>&,
                   T* parts);
    void (*conv2d)(Stream, const ConvShape&, Precision, const T* x, const T* w, T* y, const Epilogue<T>&,
                   T* parts);
    void (*conv2d_input_gradient)(Stream, const ConvShape&, Precision, const T* g, const T* w, T* dx,
                                  T* parts);
    void (*conv2d_weight_gradient)(Stream, const ConvShape&, Precision, const T* x, const T* g, T* dw,
                                   T* parts);

    // --- pool.cu
    void (*max_pool2d)(Stream, const PoolShape&, const T* x, T* y, uint8_t* winner);
    void (*max_unpool2d)(Stream, const PoolShape&, const T* g, const uint8_t* winner, T* x);
    void (*max_pool2d_gather)(Stream, const PoolShape&, const T* x, const uint8_t* winner, T* y);

    // Maxima of 2x2 pixels of a convolution's output behind its ReLU, and back (kernels/conv_pool.hpp);
    // gated_sum adds up what passes the gate for each channel, by way of n * (oh / 2) * o lines.
    void (*gated_pool)(Stream, const ConvShape&, const T* x, T* y, uint8_t* gate);
    void (*gated_unpool)(Stream, const ConvShape&, const T* g, const uint8_t* gate, T* x);
    void (*gated_sum)(Stream, const ConvShape&, const T* g, const uint8_t* gate, T* lines, T* dbias);
    void (*average_pool2d)(Stream, const PoolWindows&, const T* x, T* y);
    void (*average_unpool2d)(Stream, const PoolWindows&, const T* g, T* x);
    void (*windowed_max)(Stream, const PoolWindows&, const T* x, T* y, int64_t* winner);

    // --- index.cu: `shape` is that of index, `size` the length of x's axis
    void (*gather)(Stream, const AxisShape& shape, int64_t size, const T* x, const int64_t* index, T* y);
    void (*scatter_add)(Stream, const AxisShape& shape, int64_t size, const T* g, const int64_t* index, T* x);
    // `count` rows of `size` elements, from or to an array of `rows`; scratch of add_rows_scratch(rows,
    // count)
    void (*take_rows)(Stream, int64_t rows, int64_t size, int64_t count, const T* x, const int64_t* index,
                      T* y);
    void (*add_rows)(Stream, int64_t rows, int64_t size, int64_t count, const T* g, const int64_t* index,
                     int64_t* scratch, T* x);
    // the first `count` of each row of n; scratch of rows * sort_padding(n)
    void (*sort_rows)(Stream, bool descending, int64_t rows, int64_t n, int64_t count, const T* x,
                      int64_t* scratch, T* y, int64_t* places);
    void (*one_hot)(Stream, const int64_t* labels, int64_t rows, int64_t classes, T* y);
    void (*corners)(Stream, const WarpShape&, const T* columns, const T* rows, T* left, T* top,
                    const WarpCorners<T>&);

    // --- resample.cu: x (outer, columns, inner), y (outer, rows, inner), the matrix row by row
    void (*resample)(Stream, const AxisShape& y, int64_t columns, const int64_t* start, const int64_t* column,
                     const T* weight, const T* x, T* y_data);

    // --- random.cu
    void (*uniform)(Stream, const DrawKey&, T low, T width, T last, T* y, int64_t n);
    void (*normal)(Stream, const DrawKey&, T* y, int64_t n);
    void (*signs)(Stream, const DrawKey&, T* y, int64_t n);

    // --- updates.cu; where `trouble` is given, nothing moves unless it is 0
    void (*sgd)(Stream, const updates::Sgd<T>&, const double* trouble, const T* g, T* p, int64_t n);
    void (*sgd_momentum)(Stream, const updates::SgdMomentum<T>&, const double* trouble, const T* g, T* p,
                         T* v, int64_t n);
    void (*sgd_velocity)(Stream, const updates::SgdVelocity<T>&, const double* trouble, const T* g, T* p,
                         T* v, int64_t n);
    void (*adam)(Stream, const updates::Adam<T>&, const double* trouble, const T* g, T* p, T* m, T* v,
                 int64_t n);
    void (*moving_average)(Stream, const updates::MovingAverage<T>&, const T* p, T* average, int64_t n);
    void (*clip_linf)(Stream, const updates::ClipLinf<T>&, const T* x0, T* x, int64_t n);
    // |x - x0|, or |x| where x0 is null, of each of so many images of `size` elements
    void (*lengths)(Stream, const T* x, const T* x0, int64_t images, int64_t size, double* y);
    void (*step_l2)(Stream, double alpha, const double* lengths, const T* g, T* x, int64_t images,
                    int64_t size);
    void (*clip_l2)(Stream, double epsilon, T low, T high, const double* lengths, const T* x0, T* x,
                    int64_t images, int64_t size);
    void (*pgd_linf)(Stream, const updates::PgdLinf<T>&, const T* g, const T* x0, T* x, int64_t n);
};

// Those that do not calculate in T.
struct MemoryKernels {
    // --- elementwise.cu
    void (*convert)(Stream, Dtype from, Dtype to, const void* x, void* y, int64_t n);
    // --- layout.cu: elements of 1, 2, 4 or 8 bytes
    void (*fill)(Stream, int size, uint64_t bits, void* y, int64_t n);
    void (*copy)(Stream, int size, const Strided<2>&, const void* x, void* y);  // y at array 0, x at array 1
    void (*copy_bf16)(Stream, const Strided<2>&, const float* x, bfloat16* y);  // the same, rounded
    // --- augment.cu: bytes (images, height, width, channels) as floats in [0,1], each image changed its own
    // way; `changes` null: as they are
    void (*augment)(Stream, const PixelChange* changes, const uint8_t* x, float* y, int64_t images,
                    int64_t height, int64_t width, int64_t channels);
    // --- random.cu: a bit is 1 where the number is not below rate
    void (*random_gate)(Stream, const int64_t* key, const int64_t* ids, int64_t samples, int64_t elements,
                        float rate, uint8_t* gate);
};

// --- measure.cu: what the device can do at best
struct MeasureKernels {
    // On registers alone; returns how many operations, a multiply-add counting as two. `sink` is one float.
    double (*multiply_adds)(Stream, int64_t rounds, float* sink);
    void (*copy_floats)(Stream, const float* x, float* y, int64_t n);  // n a multiple of 4
};

// How an image fares in an attack that goes on without the host.
struct Walker {
    int64_t stopped_at = -1;  // the step at whose beginning it was found to have fooled the classifier
    int64_t broken_at = -1;   // the first step in which its gradient was not finite,
    float gradient = 0;       // and a value of it then
};

// --- walk.cu: steps of an attack; `step`, in the device's memory, is which
struct WalkKernels {
    // Images whose largest logit, the first of equals, is their `aim`, or where that is not wanted any other,
    // stop if they have not yet.
    void (*judge)(Stream, const float* logits, const int64_t* aim, bool wanted, const int64_t* step,
                  Walker* walkers, int64_t images, int64_t classes);
    // Gradients that are not finite are noted, for images that go on, and become 0, as do their sums of |g|.
    void (*inspect)(Stream, const int64_t* step, float* sums, float* g, Walker* walkers, int64_t images,
                    int64_t size);
    // Images that go on become what they have moved to.
    void (*follow)(Stream, const Walker* walkers, const float* moved, float* x, int64_t images, int64_t size);
    void (*count)(Stream, int64_t* step);  // one more
};

struct KernelTable {
    Kernels<float> f32;
    Kernels<double> f64;
    MemoryKernels memory;
    MeasureKernels measure;
    WalkKernels walk;

    template <class T>
    const Kernels<T>& of() const;
};
template <>
inline const Kernels<float>& KernelTable::of<float>() const {
    return f32;
}
template <>
inline const Kernels<double>& KernelTable::of<double>() const {
    return f64;
}

// How many elements of scratch memory a kernel wants.
inline int64_t reduce_parts(const ReduceShape& shape) {
    const int64_t chunks = (shape.length() + kernels::kReductionChunk - 1) / kernels::kReductionChunk;
    return chunks > 1 ? chunks * shape.results() : 0;
}
inline int64_t add_rows_scratch(int64_t rows, int64_t count) {
    return 3 * rows + count;
}
int64_t matmul_parts(const MatmulShape& shape);
int64_t conv2d_parts(const ConvShape& shape);
int64_t conv2d_input_gradient_parts(const ConvShape& shape);
int64_t conv2d_weight_gradient_parts(const ConvShape& shape);

}  // namespace microtome::cuda
