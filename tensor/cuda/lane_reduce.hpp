// The one order of reductions (tensor/reference/reduce.hpp) on the device: its sixteen virtual lanes are
// sixteen neighbouring threads. So a result has the CPU's bits, whoever calculates it beside others.
#pragma once

#include "tensor/cuda/device.hpp"
#include "tensor/reference/reduce.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {

inline constexpr int kLanes = kernels::kReductionLanes;
inline constexpr int64_t kChunk = kernels::kReductionChunk;

MICROTOME_DEVICE int lane() {
    return static_cast<int>(threadIdx.x) % kLanes;
}

// One chunk, n <= kChunk; the first lane gets the result.
template <class T, class Rule, class Element>
MICROTOME_DEVICE T lanes_chunk(Rule rule, int64_t n, Element element) {
    T partial = rule.template start<T>();
#pragma unroll 4
    for (int64_t j = lane(); j < n; j += kLanes) partial = rule.take(partial, element(j));
    for (int half = kLanes / 2; half > 0; half /= 2)
        partial = rule.join(partial, shuffle_down_16(partial, half));
    return partial;
}

// Any number of elements; all lanes get the result.
template <class T, class Rule, class Element>
MICROTOME_DEVICE T lanes_reduce(Rule rule, int64_t n, Element element) {
    T total = rule.template start<T>();
    for (int64_t begin = 0; begin < n; begin += kChunk) {
        const int64_t count = n - begin < kChunk ? n - begin : kChunk;
        const T part = lanes_chunk<T>(rule, count, [&](int64_t j) { return element(begin + j); });
        total = begin == 0 ? part : rule.join(total, part);
    }
    return shuffle_first_16(total);
}

// A group of sixteen threads for each of so many rows.
inline Launch lanes_for(int64_t rows) {
    return {.blocks = blocks_for(rows, kThreads / kLanes)};
}
MICROTOME_DEVICE int64_t first_group() {
    return first_element() / kLanes;
}
MICROTOME_DEVICE int64_t all_groups() {
    return all_threads() / kLanes;
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
