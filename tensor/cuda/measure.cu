// What a device can do at best, measured: fused multiply-adds on registers alone, and memory copied by a
// kernel. Benchmarks state their figures as shares of these (apps/bench_device.cpp).
//
// Least work: multiply_adds moves nothing; its 8 sums a thread are independent, which is enough for a
// scheduler that issues one instruction of each of its warps in turn. copy_floats reads and writes 4 bytes an
// element, 16 bytes a thread at a time. Not measured on a GPU yet.
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

constexpr int kSums = 8;

// `never` is no value that a sum can have, which the compiler does not know.
MICROTOME_KERNEL void multiply_adds_kernel(int64_t rounds, float factor, float never, float* sink) {
    float sums[kSums];
    for (int k = 0; k < kSums; ++k) sums[k] = static_cast<float>(threadIdx.x + static_cast<unsigned>(k));
    for (int64_t round = 0; round < rounds; ++round)
        for (int k = 0; k < kSums; ++k) sums[k] = math::fma(sums[k], factor, 1.0f);
    float sum = 0;
    for (int k = 0; k < kSums; ++k) sum += sums[k];
    if (sum == never) *sink = sum;
}

struct alignas(16) Four {
    float of[4];
};
MICROTOME_KERNEL void copy_kernel(const Four* x, Four* y, int64_t n) {
    for (int64_t i = first_element(); i < n; i += all_threads()) y[i] = x[i];
}

double multiply_adds(Stream stream, int64_t rounds, float* sink) {
    const Launch how{.blocks = static_cast<unsigned>(kMostBlocks), .meets = false};
    launch(stream, how, multiply_adds_kernel, rounds, 0.5f, -1.0f, sink);
    return 2.0 * kSums * static_cast<double>(rounds) * static_cast<double>(how.blocks) * how.threads;
}
void copy_floats(Stream stream, const float* x, float* y, int64_t n) {
    launch(stream, flat(n / 4), copy_kernel, reinterpret_cast<const Four*>(x), reinterpret_cast<Four*>(y),
           n / 4);
}

}  // namespace

void add_measure(KernelTable& table) {
    table.measure.multiply_adds = multiply_adds;
    table.measure.copy_floats = copy_floats;
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
