// Where attacks with a random start begin.
#pragma once

#include "attacks/gradient_step.hpp"
#include "tensor/random.hpp"

namespace microtome {

// Each image moved to a place drawn uniformly from the ball, then into [0, 1]; key.sample is set to its id.
//
// L-inf: each value by U(-epsilon, epsilon). L2: normal numbers give the direction, epsilon u^(1/values) the
// distance, u uniform in [0, 1) (Muller 1959), drawn at the key's step + 1.
Tensor random_start(const Ball& ball, const Batch& batch, RandomKey key);

}  // namespace microtome
