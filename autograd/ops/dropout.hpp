// Dropout, whose every draw has a name: the key and the sample's id say what is drawn, and neither batch,
// order nor threads do.
#pragma once

#include "tensor/random.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

// i64 (4): seed, purpose, restart, step. Keys are inputs of ops, so that a plan may be replayed with another;
// the key's sample is not used, the ids are.
Tensor key_tensor(const RandomKey& key);

// x (N, ...) with each element 0 with probability rate, else divided by 1 - rate: Srivastava et al. 2014,
// scaled while training. ids is i64 (N). Element j of a sample is dropped where number j of its stream of
// uniform f32 numbers is below rate. Saves one bit per element. Throws OptionsError unless 0 <= rate < 1.
Tensor dropout(const Tensor& x, double rate, const Tensor& key, const Tensor& ids);

// The same for samples as a whole, from the first number of each: stochastic depth, Huang et al. 2016, with
// timm's scaling by 1 / (1 - rate).
Tensor drop_path(const Tensor& x, double rate, const Tensor& key, const Tensor& ids);

// The gate that dropout puts on x: u8, bits of N * elements numbers, 0 where the element is dropped.
Tensor random_gate(const Tensor& key, const Tensor& ids, int64_t elements, double rate);

}  // namespace microtome
