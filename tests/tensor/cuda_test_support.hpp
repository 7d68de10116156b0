// What the tests of the CUDA backend share: a kernel run on both devices, and the same bits asked of both.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tests/emulation/emulated_device.hpp"
#include "tests/tensor/same_bits.hpp"

#include <cstring>

namespace microtome::testing {

using cuda::emulation::EmulatedDevice;
using cuda::emulation::kCuda;

inline Tensors to(const Tensors& tensors, Device device) {
    Tensors moved;
    for (const Tensor& tensor : tensors) moved.push_back(tensor.to(device));
    return moved;
}

// Of one type and shape, with the same bits; any NaN counts as any other.
inline bool agree(const Tensor& a, const Tensor& b) {
    if (a.defined() != b.defined()) return false;
    if (!a.defined()) return true;
    if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
    const Tensor x = a.to(kCpu), y = b.to(kCpu);
    if (x.dtype() == Dtype::f32) return same_bits<float>(x, y);
    if (x.dtype() == Dtype::f64) return same_bits<double>(x, y);
    return identical(x, y);
}

// kernel(inputs, outputs, context) on the CPU and on the emulated device, the outputs beginning as `outputs`.
// Whether all outputs agree.
template <class Kernel>
bool same_on_both(const Tensors& inputs, const Tensors& outputs, const Kernel& kernel,
                  std::size_t workspace = 0) {
    KernelContext context;
    Tensor memory(Spec{{static_cast<int64_t>(workspace)}, Dtype::u8, kCpu});
    context.workspace = {memory.mutable_raw(), workspace};
    Tensors expected, actual;
    for (const Tensor& output : outputs) expected.push_back(output.clone());
    for (const Tensor& output : outputs) actual.push_back(output.to(kCuda));
    kernel(inputs, expected, context);
    const int overruns = EmulatedDevice::overruns();
    KernelContext on_device;
    kernel(to(inputs, kCuda), actual, on_device);
    for (std::size_t i = 0; i < outputs.size(); ++i)
        if (!agree(expected[i], actual[i])) return false;
    actual.clear();
    return EmulatedDevice::overruns() == overruns;
}

// A tensor that a kernel is to fill.
inline Tensor unwritten(const Shape& shape, Dtype dtype) {
    return Tensor::full(shape, 77, dtype);
}

}  // namespace microtome::testing
