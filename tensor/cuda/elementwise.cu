// Element-wise operations with broadcasting, gates, conversion: one thread an element.
//
// Least work: each input that is not repeated is read once and the output written once, 4 bytes an element in
// f32 (8 for unary, 12 for binary); a gate adds 1/8 byte. All of it is bound by memory, erf, pow, sin and cos
// in f64 apart. Not measured on a GPU yet.
#include "tensor/convert.hpp"
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

template <class T, class Formula>
MICROTOME_KERNEL void unary_kernel(Formula f, const T* x, T* y, int64_t n) {
    for (int64_t i = first_element(); i < n; i += all_threads()) y[i] = f(x[i]);
}

template <class T, class Formula>
MICROTOME_KERNEL void binary_kernel(Formula f, Strided<2> shape, const T* a, const T* b, T* y) {
    for (int64_t i = first_element(); i < shape.elements; i += all_threads()) {
        const Offsets<2> at = shape.at(i);
        y[i] = f(a[at.of[0]], b[at.of[1]]);
    }
}

template <class T, class Formula>
MICROTOME_KERNEL void ternary_kernel(Formula f, Strided<3> shape, const T* a, const T* b, const T* c, T* y) {
    for (int64_t i = first_element(); i < shape.elements; i += all_threads()) {
        const Offsets<3> at = shape.at(i);
        y[i] = f(a[at.of[0]], b[at.of[1]], c[at.of[2]]);
    }
}

// A warp at a time, of which each thread has an element and every eighth writes a byte of the gate.
template <class T>
MICROTOME_KERNEL void range_gate_kernel(const T* x, T low, T high, T* y, uint8_t* gate, int64_t n) {
    const bool unlimited = high == math::infinity<T>();
    const int64_t whole = (n + 31) / 32 * 32;
    for (int64_t i = first_element(); i < whole; i += all_threads()) {
        bool inside = false;
        if (i < n) {
            const T value = x[i];
            inside = value > low && (value < high || unlimited);
            y[i] = functors::Clamp{}(value, low, high);
        }
        const uint32_t bits = ballot(inside);
        if (i < n && i % 8 == 0) gate[i / 8] = static_cast<uint8_t>(bits >> (i % 32));
    }
}

template <class T>
MICROTOME_KERNEL void apply_gate_kernel(const T* g, const uint8_t* gate, T* dx, int64_t n) {
    for (int64_t i = first_element(); i < n; i += all_threads())
        dx[i] = (gate[i / 8] >> (i % 8) & 1) != 0 ? g[i] : T(0);
}

template <class From, class To>
MICROTOME_KERNEL void convert_kernel(const From* x, To* y, int64_t n) {
    for (int64_t i = first_element(); i < n; i += all_threads()) y[i] = convert_one<To>(x[i]);
}

template <class T>
void unary(Stream stream, kernels::Unary operation, const T* x, T* y, int64_t n) {
    kernels::visit(operation,
                   [=](auto f) { launch(stream, flat(n), unary_kernel<T, decltype(f)>, f, x, y, n); });
}
template <class T>
void binary(Stream stream, kernels::Binary operation, const Strided<2>& shape, const T* a, const T* b, T* y) {
    kernels::visit(operation, [&](auto f) {
        launch(stream, flat(shape.elements), binary_kernel<T, decltype(f)>, f, shape, a, b, y);
    });
}
template <class T>
void ternary(Stream stream, kernels::Ternary operation, const Strided<3>& shape, const T* a, const T* b,
             const T* c, T* y) {
    kernels::visit(operation, [&](auto f) {
        launch(stream, flat(shape.elements), ternary_kernel<T, decltype(f)>, f, shape, a, b, c, y);
    });
}
template <class T>
void range_gate(Stream stream, const T* x, T low, T high, T* y, uint8_t* gate, int64_t n) {
    launch(stream, {.blocks = blocks_for(n, kThreads)}, range_gate_kernel<T>, x, low, high, y, gate, n);
}
template <class T>
void apply_gate(Stream stream, const T* g, const uint8_t* gate, T* dx, int64_t n) {
    launch(stream, flat(n), apply_gate_kernel<T>, g, gate, dx, n);
}

// Dual numbers stay on the CPU.
template <class Body>
void visit_type(Dtype dtype, Body body) {
    switch (dtype) {
        case Dtype::f32: return body(float());
        case Dtype::f64: return body(double());
        case Dtype::bf16: return body(bfloat16());
        case Dtype::u8: return body(uint8_t());
        case Dtype::i64: return body(int64_t());
        case Dtype::dual: break;
    }
}
void convert(Stream stream, Dtype from, Dtype to, const void* x, void* y, int64_t n) {
    visit_type(from, [=](auto source) {
        visit_type(to, [=](auto target) {
            using From = decltype(source);
            using To = decltype(target);
            launch(stream, flat(n), convert_kernel<From, To>, static_cast<const From*>(x),
                   static_cast<To*>(y), n);
        });
    });
}

template <class T>
void add_to(Kernels<T>& kernels) {
    kernels.unary = unary<T>;
    kernels.binary = binary<T>;
    kernels.ternary = ternary<T>;
    kernels.range_gate = range_gate<T>;
    kernels.apply_gate = apply_gate<T>;
}

}  // namespace

void add_elementwise(KernelTable& table) {
    add_to(table.f32);
    add_to(table.f64);
    table.memory.convert = convert;
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
