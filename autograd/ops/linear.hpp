// Matrix products and convolutions: where the time goes.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

enum class Transpose { no, yes };

// a (..., M, K) times b (..., K, N) is (..., M, N), matrix by matrix; a transposed operand is read as such,
// never copied. The axes before the last two must agree, or one operand has none and serves every matrix.
Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose_a = Transpose::no,
              Transpose transpose_b = Transpose::no);

// y (N, OH, OW, O) from x (N, H, W, C) and filters w (O, KH, KW, C / groups): cross-correlation, as
// everywhere in deep learning. Closed under differentiation with the two below.
Tensor conv2d(const Tensor& x, const Tensor& w, const ConvOptions& options = {});

// The adjoint in x: dL/dx (N, h, w, C) from g = dL/dy and the filters.
Tensor conv2d_input_gradient(const Tensor& g, const Tensor& w, int64_t h, int64_t width,
                             const ConvOptions& options = {});

// The adjoint in w: dL/dw (O, kh, kw, C / groups) from x and g.
Tensor conv2d_weight_gradient(const Tensor& x, const Tensor& g, int64_t kh, int64_t kw,
                              const ConvOptions& options = {});

// max_pool2d(relu(conv2d(x, w) + bias)) over windows of 2x2 pixels as one op that writes a quarter of what
// the four write and keeps a byte of each window: which pixel won, if any. Its gradients calculate with these
// pixels alone. In f32 its last bits are not those of the four: within the bounds of
// tensor/kernels/conv_pool.hpp. bias (O).
Tensor conv2d_relu_pool(const Tensor& x, const Tensor& w, const Tensor& bias,
                        const ConvOptions& options = {});

// Its gradients from g = dL/dy (N, OH / 2, OW / 2, O) and the bytes (u8, of the same shape; 4: none won).
Tensor conv2d_relu_pool_input_gradient(const Tensor& g, const Tensor& gate, const Tensor& w, int64_t h,
                                       int64_t width, const ConvOptions& options = {});
struct ConvReluPoolWeightGradients {
    Tensor w, bias;
};
ConvReluPoolWeightGradients conv2d_relu_pool_weight_gradient(const Tensor& x, const Tensor& g,
                                                             const Tensor& gate, int64_t kh, int64_t kw,
                                                             const ConvOptions& options = {});

}  // namespace microtome
