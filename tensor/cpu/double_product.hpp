// Convolutions and matrix products in f64 and on dual numbers, fast enough to check whole networks. The bits
// are those of the textbook's loops (tensor/reference) in f64 and in the values of dual numbers; a tangent,
// which is two products, x' w + x w', has its two sums added at the end.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/dual.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/kernels/epilogue.hpp"
#include "tensor/matmul_shape.hpp"

namespace microtome::cpu {

// Whether what follows takes this geometry: large enough to gain, one group. It decides nothing about bits.
bool double_product_pays(const ConvShape& shape);
bool double_product_pays(const MatmulShape& shape);

// Of the workspace, in bytes.
std::size_t double_conv2d_workspace(const ConvShape& shape, int threads);
std::size_t double_conv2d_input_gradient_workspace(const ConvShape& shape, int threads);
std::size_t double_matmul_workspace(const MatmulShape& shape, int threads);

// As reference::conv2d and so on, for T double or Dual. No accumulating epilogue; none at all on dual
// numbers. The matrix c is not transposed.
template <class T>
void double_conv2d(const ConvShape& shape, const T* x, const T* w, T* y, const KernelContext& context,
                   const Epilogue<T>& epilogue);
template <class T>
void double_conv2d_input_gradient(const ConvShape& shape, const T* g, const T* w, T* dx,
                                  const KernelContext& context);
template <class T>
void double_matmul(const MatmulShape& shape, const T* a, const T* b, T* c, const KernelContext& context,
                   const Epilogue<T>& epilogue);

}  // namespace microtome::cpu
