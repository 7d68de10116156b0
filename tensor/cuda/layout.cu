// Filling, and moving elements about: broadcasting, permuting, boxes, flipping are one kernel, in which
// element i of a box goes from one place to another.
//
// Least work: every element is read once and written once, 8 bytes in f32 (4 to fill). A permutation whose
// last axis moves reads or writes in steps, up to eight times as many bytes as it needs. Not measured on a
// GPU yet.
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

template <class T>
MICROTOME_KERNEL void fill_kernel(T value, T* y, int64_t n) {
    for (int64_t i = first_element(); i < n; i += all_threads()) y[i] = value;
}

template <class T>
MICROTOME_KERNEL void copy_kernel(Strided<2> shape, const T* x, T* y) {
    for (int64_t i = first_element(); i < shape.elements; i += all_threads()) {
        const Offsets<2> at = shape.at(i);
        y[at.of[0]] = x[at.of[1]];
    }
}

MICROTOME_KERNEL void copy_bf16_kernel(Strided<2> shape, const float* x, bfloat16* y) {
    for (int64_t i = first_element(); i < shape.elements; i += all_threads()) {
        const Offsets<2> at = shape.at(i);
        y[at.of[0]] = bfloat16(x[at.of[1]]);
    }
}

// body(a number as wide as an element)
template <class Body>
void visit_size(int size, Body body) {
    switch (size) {
        case 1: return body(uint8_t());
        case 2: return body(uint16_t());
        case 4: return body(uint32_t());
        default: return body(uint64_t());
    }
}

void fill(Stream stream, int size, uint64_t bits, void* y, int64_t n) {
    visit_size(size, [=](auto like) {
        using T = decltype(like);
        launch(stream, flat(n), fill_kernel<T>, static_cast<T>(bits), static_cast<T*>(y), n);
    });
}

void copy(Stream stream, int size, const Strided<2>& shape, const void* x, void* y) {
    visit_size(size, [&](auto like) {
        using T = decltype(like);
        launch(stream, flat(shape.elements), copy_kernel<T>, shape, static_cast<const T*>(x),
               static_cast<T*>(y));
    });
}

void copy_bf16(Stream stream, const Strided<2>& shape, const float* x, bfloat16* y) {
    launch(stream, flat(shape.elements), copy_bf16_kernel, shape, x, y);
}

}  // namespace

void add_layout(KernelTable& table) {
    table.memory.fill = fill;
    table.memory.copy = copy;
    table.memory.copy_bf16 = copy_bf16;
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
