// Convolution stages measured, layer by layer.
#pragma once

#include "apps/measure.hpp"

#include <ostream>
#include <vector>

namespace microtome::apps {

// The stages of the lung study's network at 180 x 180 pixels and the different ones of ResNet50 at 224 x 224,
// one image, forward and input gradient, and per image the weight gradient of eight, with one thread and with
// thread_limit(). Operations are those of the
// direct convolution, a multiply-add counting as two: a share of peak above 1 is work left out. Gates of the
// gradient are those of random arrays: half of what a ReLU sees, and where it is pooled most windows, are let
// through. Prints a table, appends its rows. Returns an exit status. About a minute.
int bench_conv(std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
