// Products and convolutions of a GPU measured, beside what it could do at best.
#pragma once

#include "apps/measure.hpp"
#include "tensor/device.hpp"

#include <ostream>
#include <vector>

namespace microtome::apps {

// What a device does in a second at best, measured by kernels that do nothing else (tensor/cuda/measure.cu).
struct DevicePeak {
    double gflops = 0;  // 10^9 operations on registers; a fused multiply-add counts as two
    double gbytes = 0;  // 10^9 bytes read and written, by a copy of 256 MiB, or what fits
};
DevicePeak peak_of(Device device);

// Seconds that the device takes for `work`, which asks for it without waiting: it is asked for several times
// in a row and waited for once, and the best of three such runs counts. At least a fifth of a second each.
double device_seconds(Device device, const std::function<void()>& work);

// Square products n = 512 to 8192, plain and with the second matrix transposed. Prints a table with shares of
// both peaks, appends its rows. Returns an exit status. Some ten seconds.
int bench_device_gemm(Device device, std::ostream& out, std::vector<BenchRow>& rows);

// The convolutions of bench_layers.hpp for 32 images, forward, input gradient and weight gradient. Some
// twenty seconds.
int bench_device_conv(Device device, std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
