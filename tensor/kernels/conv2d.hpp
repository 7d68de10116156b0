// Two-dimensional convolution and its two gradients: the kernels that operations call.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/kernels/epilogue.hpp"
#include "tensor/tensor.hpp"

#include <cstddef>

namespace microtome::kernels {

// T is float (fast), double or Dual (for checks). Activations are NHWC, filters OHWI; see ConvShape for the
// shapes. Outputs may not overlap inputs. As for matmul, the bits depend on the geometry of one image alone;
// those of the weight gradient, a sum over images, on the geometry of the batch.

// y (N, OH, OW, O) from x (N, H, W, C) and w (O, KH, KW, C/groups).
template <class T>
void conv2d(const ConvShape& shape, const T* x, const T* w, T* y, const KernelContext& context,
            const Epilogue<T>& epilogue = {});

// dx (N, H, W, C) from g (N, OH, OW, O) and w.
template <class T>
void conv2d_input_gradient(const ConvShape& shape, const T* g, const T* w, T* dx,
                           const KernelContext& context);

// dw (O, KH, KW, C/groups) from x and g.
template <class T>
void conv2d_weight_gradient(const ConvShape& shape, const T* x, const T* g, T* dw,
                            const KernelContext& context);

// The same for tensors, on any device.
void conv2d(const ConvShape& shape, const Tensor& x, const Tensor& w, Tensor& y,
            const KernelContext& context);
void conv2d_input_gradient(const ConvShape& shape, const Tensor& g, const Tensor& w, Tensor& dx,
                           const KernelContext& context);
void conv2d_weight_gradient(const ConvShape& shape, const Tensor& x, const Tensor& g, Tensor& dw,
                            const KernelContext& context);

// The workspace that each needs, in bytes; on a CUDA device, none.
template <class T>
std::size_t conv2d_workspace(const ConvShape& shape, int threads = thread_limit());
template <class T>
std::size_t conv2d_input_gradient_workspace(const ConvShape& shape, int threads = thread_limit());
template <class T>
std::size_t conv2d_weight_gradient_workspace(const ConvShape& shape, int threads = thread_limit());

}  // namespace microtome::kernels
