// A convolution with bias, ReLU and maxima of 2x2 pixels as one function, and its gradients: what training
// runs.
//
//     y = max_pool(relu(conv2d(x, w) + bias))
//
// The convolution's own output, four times as large as y, is never written, and the gradients calculate with
// the quarter at most of its gradient that is not 0.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <cstddef>
#include <cstdint>

namespace microtome::kernels {

// T is float (fast), double or Dual (for checks). Sizes are rounded down: y is (N, OH / 2, OW / 2, O), and so
// is the gate, u8: which of the window's four pixels won, row by row (the first of equals; NaN wins), or 4
// where the ReLU shut it. `gate` may be null going forward; the gradients take one as conv_pool gives it.
// Outputs may not overlap inputs.
//
// In f32, y and dx are those of a stage that need not be exact (kernels/conv_stage.hpp), within its bound. dw
// and dbias sum in an order of their own: an element is within kConvPoolError of the true sum, relative to
// the sum of its products' sizes.
inline constexpr double kConvPoolError = 1e-6;

// Whether every byte is one that a gate has; the gradients trust that it is.
bool is_conv_pool_gate(const uint8_t* gate, int64_t count);

template <class T>
void conv_pool(const ConvShape& shape, const T* x, const T* w, const T* bias, T* y, uint8_t* gate,
               const KernelContext& context);

// dx (N, H, W, C) from g = dL/dy.
template <class T>
void conv_pool_input_gradient(const ConvShape& shape, const T* g, const uint8_t* gate, const T* w, T* dx,
                              const KernelContext& context);

// dw (O, KH, KW, C / groups) and dbias (O).
template <class T>
void conv_pool_weight_gradient(const ConvShape& shape, const T* x, const T* g, const uint8_t* gate, T* dw,
                               T* dbias, const KernelContext& context);

// The same for tensors, on any device; on a CUDA device exact, as conv2d and what follows it one by one.
// `gate` may be null going forward.
void conv_pool(const ConvShape& shape, const Tensor& x, const Tensor& w, const Tensor& bias, Tensor& y,
               Tensor* gate, const KernelContext& context);
void conv_pool_input_gradient(const ConvShape& shape, const Tensor& g, const Tensor& gate, const Tensor& w,
                              Tensor& dx, const KernelContext& context);
void conv_pool_weight_gradient(const ConvShape& shape, const Tensor& x, const Tensor& g, const Tensor& gate,
                               Tensor& dw, Tensor& dbias, const KernelContext& context);

// The workspace that each needs, in bytes; on a CUDA device, none.
template <class T>
std::size_t conv_pool_workspace(const ConvShape& shape, int threads = thread_limit());
template <class T>
std::size_t conv_pool_input_gradient_workspace(const ConvShape& shape, int threads = thread_limit());
template <class T>
std::size_t conv_pool_weight_gradient_workspace(const ConvShape& shape, int threads = thread_limit());

}  // namespace microtome::kernels
