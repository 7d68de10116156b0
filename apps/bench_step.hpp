// A model's steps measured: forward, input gradient, training.
#pragma once

#include "apps/measure.hpp"

#include <cstdint>
#include <ostream>
#include <vector>

namespace microtome::apps {

// The lung study's network at 180 x 180 pixels, `batch` images at a time, on thread_limit() threads:
//
//     forward         logits in eval mode, nothing recorded
//     input_gradient  eval mode: the gradient of the summed cross-entropy by the images, on the tape
//     input_gradient_plan   the same, traced once and replayed
//     training        train mode: gradients of all weights by the mean cross-entropy, and a step of Adam
//
// Operations are those of the direct convolutions and products: one pass forward, two for the input gradient,
// three for training less the gradient of the images. Prints a table, appends its rows. About half a minute.
int bench_step(int64_t batch, std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
