// Batched matrix multiplication: the kernel that operations call.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/kernels/epilogue.hpp"
#include "tensor/matmul_shape.hpp"
#include "tensor/tensor.hpp"

#include <cstddef>

namespace microtome::kernels {

// c = a b for every matrix of the batch, then the epilogue; T is float (fast), double or Dual (for checks).
// The pointers may lead into the middle of a tensor. c may not overlap a or b, nor its own matrices each
// other. A transposed c is the product of the transposes, and takes no bias. The order of summation is that
// of tensor/reference/ordered_sum.hpp: the bits depend neither on threads, nor on the instruction set, nor on
// the rest of the batch.
template <class T>
void matmul(const MatmulShape& shape, const T* a, const T* b, T* c, const KernelContext& context,
            const Epilogue<T>& epilogue = {});

// The same for tensors, on any device, where a, b and c begin with their tensors' first elements.
void matmul(const MatmulShape& shape, const Tensor& a, const Tensor& b, Tensor& c,
            const KernelContext& context, bool accumulate = false);

// The workspace that matmul needs, in bytes; on a CUDA device, none.
template <class T>
std::size_t matmul_workspace(const MatmulShape& shape, int threads = thread_limit());

// A matrix that many products share as their right factor, f32, laid out once as the kernel reads it. The
// layout belongs to the instruction set in use.
std::size_t packed_matrix_floats(int64_t n, int64_t k);
// b is (k, n), or (n, k) when transposed, dense.
void pack_matrix(int64_t n, int64_t k, const float* b, bool transposed, float* packed);
// c (m, n) = a (m, k) b (k, n), then the epilogue: matmul's bits.
void matmul_packed(int64_t m, int64_t n, int64_t k, const float* a, const float* packed, float* c,
                   const KernelContext& context, const Epilogue<float>& epilogue = {});

}  // namespace microtome::kernels
