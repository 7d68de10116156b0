// Random numbers by name: what is drawn depends on the key and the element's place, on nothing else, neither
// on order, batch, threads nor machine. The layout is written down in tensor/philox.hpp.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace microtome {

// Which numbers. `purpose` names the layer or the attack that draws: purpose_of("dropout:blocks.3").
struct RandomKey {
    uint64_t seed = 0;
    uint64_t purpose = 0;
    uint64_t sample = 0;
    uint32_t restart = 0;
    uint32_t step = 0;
};
uint64_t purpose_of(std::string_view name);

// In [low, high): low + (high - low) u, rounded once, with u of 24 bits (f32) or 53 (f64).
void fill_uniform(const RandomKey& key, std::span<float> y, double low = 0, double high = 1,
                  const KernelContext& context = {});
void fill_uniform(const RandomKey& key, std::span<double> y, double low = 0, double high = 1,
                  const KernelContext& context = {});
// Normal, mean 0, variance 1. In f64 the f32 numbers, widened: a check in f64 sees the noise of the work in
// f32.
void fill_normal(const RandomKey& key, std::span<float> y, const KernelContext& context = {});
void fill_normal(const RandomKey& key, std::span<double> y, const KernelContext& context = {});
// -1 or 1; the same in both types.
void fill_signs(const RandomKey& key, std::span<float> y, const KernelContext& context = {});
void fill_signs(const RandomKey& key, std::span<double> y, const KernelContext& context = {});

// The same for tensors in f32 and f64, all elements from the one key. Throw DtypeError, DeviceError.
void fill_uniform(const RandomKey& key, Tensor& y, double low = 0, double high = 1,
                  const KernelContext& context = {});
void fill_normal(const RandomKey& key, Tensor& y, const KernelContext& context = {});
void fill_signs(const RandomKey& key, Tensor& y, const KernelContext& context = {});

// gate: bit i % 8 of byte i / 8 says of number i whether it is not below `rate`, where number j of sample s
// has place s * elements + j and is element j of the f32 stream in [0, 1) named by key, i64 (4): seed,
// purpose, restart, step, and by ids[s], i64 (N). Bits behind the last are 0.
void fill_gate(const Tensor& key, const Tensor& ids, int64_t elements, double rate, Tensor& gate,
               const KernelContext& context = {});

// Element i of a stream of integers below n, all equally probable: 64 bits times n, the upper half, and
// another try in the few cases that would prefer some (Lemire 2019, "Fast random integer generation in an
// interval"). Try t takes words 2 (t % 2), 2 (t % 2) + 1 of block i + (t / 2) 2^48. Throws OptionsError for
// n = 0.
uint64_t random_below(const RandomKey& key, uint64_t i, uint64_t n);

// 0 to n - 1 in random order: Fisher & Yates, drawing below i + 1 as element i, for i = n - 1 down to 1.
std::vector<int64_t> random_permutation(const RandomKey& key, int64_t n);

}  // namespace microtome
