// Element-wise operations, the textbook's loops. y may be one of the inputs.
#pragma once

#include "tensor/functors.hpp"

namespace microtome::reference {

template <class T>
void unary(kernels::Unary operation, const T* x, T* y, int64_t n) {
    kernels::visit(operation, [=](auto f) {
        for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
    });
}

template <class T>
void binary(kernels::Binary operation, const T* a, const T* b, T* y, int64_t n) {
    kernels::visit(operation, [=](auto f) {
        for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
    });
}

template <class T>
void ternary(kernels::Ternary operation, const T* a, const T* b, const T* c, T* y, int64_t n) {
    kernels::visit(operation, [=](auto f) {
        for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i], c[i]);
    });
}

// y = x and gate = 1 where low < x < high, else y is the nearer end and gate = 0; high = infinity sets no
// limit, so that infinity passes. A NaN stays NaN and its gate is 0. Bit i % 8 of byte i / 8 belongs to
// element i; unused bits of the last byte are 0.
template <class T>
void range_gate(const T* x, T low, T high, T* y, uint8_t* gate, int64_t n) {
    bool unlimited = high == math::infinity<T>();
    for (int64_t i = 0; i < n; i += 8) {
        uint8_t bits = 0;
        for (int64_t j = i; j < n && j < i + 8; ++j) {
            T value = x[j];
            if (value > low && (value < high || unlimited))
                bits = static_cast<uint8_t>(bits | (1 << (j - i)));
            y[j] = functors::Clamp{}(value, low, high);
        }
        gate[i / 8] = bits;
    }
}

// dx = g where the gate's bit is set, else 0.
template <class T>
void apply_gate(const T* g, const uint8_t* gate, T* dx, int64_t n) {
    for (int64_t i = 0; i < n; ++i) dx[i] = (gate[i / 8] >> (i % 8) & 1) != 0 ? g[i] : T(0);
}

}  // namespace microtome::reference
