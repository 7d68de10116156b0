// Element-wise operations with broadcasting, gates, and conversion, on the CPU, in f32 and f64.
//
// Outputs have their shape and type already. y may be one of the inputs, as long as its shape is y's; other
// overlap is not allowed. No result depends on the number of threads or the instruction set.
// Errors: ShapeError, DtypeError, DeviceError.
#pragma once

#include "tensor/functors.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <string_view>

namespace microtome::kernels {

// The common shape of a and b by NumPy's rule: axes are matched from the last; sizes are equal or one is 1.
// Throws ShapeError in the name of `where` if there is none.
Shape broadcast_shape(std::string_view where, const Shape& a, const Shape& b);

// y = f(x), y = f(a, b), y = f(a, b, c), with inputs broadcast to y's shape.
void unary(Unary operation, const Tensor& x, Tensor& y, const KernelContext& context = {});
void binary(Binary operation, const Tensor& a, const Tensor& b, Tensor& y, const KernelContext& context = {});
void ternary(Ternary operation, const Tensor& a, const Tensor& b, const Tensor& c, Tensor& y,
             const KernelContext& context = {});

// y = x repeated along the axes where x has size 1 or none. Any type.
void broadcast_to(const Tensor& x, Tensor& y, const KernelContext& context = {});

// A gate holds one bit per element in u8, ceil(n / 8) bytes: bit i % 8 of byte i / 8 for element i.
//
// y = max(x, 0), and the bits of x > 0.
void relu_gate(const Tensor& x, Tensor& y, Tensor& gate, const KernelContext& context = {});
// y = clamp(x, low, high), and the bits of low < x < high.
void range_gate(const Tensor& x, double low, double high, Tensor& y, Tensor& gate,
                const KernelContext& context = {});
// dx = g where the gate's bit is set, else 0.
void apply_gate(const Tensor& g, const Tensor& gate, Tensor& dx, const KernelContext& context = {});

// y = x in y's type. Floating to floating rounds to nearest; to u8 and i64 truncates towards zero and
// saturates, NaN becoming 0.
void convert(const Tensor& x, Tensor& y, const KernelContext& context = {});

}  // namespace microtome::kernels
