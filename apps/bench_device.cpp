#include "apps/bench_device.hpp"

#include "apps/bench_layers.hpp"
#include "autograd/ops/linear.hpp"
#include "base/text.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/random.hpp"

#include <algorithm>
#include <iomanip>

namespace microtome::apps {
namespace {

constexpr double kLeast = 0.2;  // seconds of a run

Tensor some(const Shape& shape, Device device, const char* name) {
    Tensor x(Spec{shape, Dtype::f32, device});
    fill_uniform({.seed = 1, .purpose = purpose_of(name)}, x, -1, 1);
    return x;
}

// A row in which every tensor is touched once at least.
BenchRow row_of(const char* suite, const std::string& name, double seconds, double operations, double bytes,
                const DevicePeak& peak) {
    BenchRow row{.suite = suite, .name = name, .seconds = seconds, .gflops = 1e-9 * operations / seconds};
    row.peak_gflops = peak.gflops;
    row.share_of_peak = row.gflops / peak.gflops;
    row.gbytes = 1e-9 * bytes / seconds;
    row.share_of_bandwidth = row.gbytes / peak.gbytes;
    return row;
}

void print(const BenchRow& row, std::ostream& out) {
    const auto flags = out.flags();
    out << std::fixed << "    " << std::left << std::setw(54) << row.name << std::right
        << std::setprecision(3) << std::setw(10) << 1e3 * row.seconds << " ms" << std::setprecision(0)
        << std::setw(8) << row.gflops << " GF/s" << std::setw(5) << 100 * row.share_of_peak << " %"
        << std::setw(7) << row.gbytes << " GB/s" << std::setw(5) << 100 * row.share_of_bandwidth << " %\n"
        << std::flush;
    out.flags(flags);
}

DevicePeak announced(Device device, std::ostream& out) {
    const DevicePeak peak = peak_of(device);
    const auto flags = out.flags();
    out << std::fixed << std::setprecision(0) << device << " at best: " << peak.gflops
        << " GF/s in f32 on registers, " << peak.gbytes << " GB/s read and written; shares are of these\n";
    out.flags(flags);
    return peak;
}

double bytes_of(std::initializer_list<const Tensor*> tensors) {
    double bytes = 0;
    for (const Tensor* x : tensors) bytes += static_cast<double>(x->spec().bytes());
    return bytes;
}

}  // namespace

double device_seconds(Device device, const std::function<void()>& work) {
    const cuda::Backend& backend = cuda::backend_of(device);
    const cuda::Stream stream = backend.stream(device.index);
    const auto run = [&](int64_t times) {
        return seconds_of([&] {
            for (int64_t i = 0; i < times; ++i) work();
            backend.synchronize(stream);
        });
    };
    run(1);  // whatever is made once
    int64_t times = 1;
    double seconds = run(times);
    while (seconds < kLeast && times < (int64_t{1} << 20)) {
        times =
            std::max(2 * times, static_cast<int64_t>(1.2 * kLeast / seconds * static_cast<double>(times)));
        seconds = run(times);
    }
    for (int i = 0; i < 2; ++i) seconds = std::min(seconds, run(times));
    return seconds / static_cast<double>(times);
}

DevicePeak peak_of(Device device) {
    const cuda::Backend& backend = cuda::backend_of(device);
    const cuda::Stream stream = backend.stream(device.index);
    const cuda::MeasureKernels& kernels = backend.kernels.measure;
    Tensor sink = Tensor::zeros({1}, Dtype::f32, device);
    DevicePeak peak;
    // As many rounds as take a millisecond or so; a slow device is not kept busy for long.
    int64_t rounds = 1;
    double operations = 0;
    const auto once = [&] { operations = kernels.multiply_adds(stream, rounds, cuda::out<float>(sink)); };
    const auto timed = [&] {
        return seconds_of([&] {
            once();
            backend.synchronize(stream);
        });
    };
    timed();
    while (timed() < 1e-3) rounds *= 2;
    const double seconds = device_seconds(device, once);
    peak.gflops = 1e-9 * operations / seconds;

    int64_t floats = int64_t{1} << 26;
    Tensor from, to;
    while (!to.defined()) try {
            from = Tensor::zeros({floats}, Dtype::f32, device);
            to = Tensor(from.spec());
        } catch (const DeviceError&) {
            from = {};
            floats /= 4;
            if (floats < 4096) throw;
        }
    const double copied = device_seconds(
        device, [&] { kernels.copy_floats(stream, cuda::in<float>(from), cuda::out<float>(to), floats); });
    peak.gbytes = 1e-9 * 8 * static_cast<double>(floats) / copied;
    return peak;
}

int bench_device_gemm(Device device, std::ostream& out, std::vector<BenchRow>& rows) {
    out << "matrix products n x n of f32 numbers\n";
    const DevicePeak peak = announced(device, out);
    for (int64_t n : {512, 1024, 2048, 4096, 8192})
        for (Transpose transpose : {Transpose::no, Transpose::yes}) {
            const Tensor a = some({n, n}, device, "a"), b = some({n, n}, device, "b");
            const double seconds = device_seconds(device, [&] { matmul(a, b, Transpose::no, transpose); });
            const double size = static_cast<double>(n);
            rows.push_back(row_of("gemm", str("n=", n, transpose == Transpose::yes ? " transposed" : ""),
                                  seconds, 2 * size * size * size, 12 * size * size, peak));
            print(rows.back(), out);
        }
    return 0;
}

int bench_device_conv(Device device, std::ostream& out, std::vector<BenchRow>& rows) {
    constexpr int64_t kImages = 32;
    out << "convolutions of " << kImages << " images in f32\n";
    const DevicePeak peak = announced(device, out);
    for (const ConvLayer& layer : conv_layers()) {
        const ConvShape shape = layer.shape(kImages);
        const Tensor x = some(shape.input(), device, "x"), w = some(shape.filters(), device, "w"),
                     g = some(shape.output(), device, "g");
        const double operations = 2.0 * static_cast<double>(g.elements()) *
                                  static_cast<double>(layer.kernel * layer.kernel * layer.channels);
        const auto measure = [&](const char* direction, const std::function<void()>& work) {
            rows.push_back(row_of("conv", str(layer.name(), " ", direction), device_seconds(device, work),
                                  operations, bytes_of({&x, &w, &g}), peak));
            print(rows.back(), out);
        };
        const ConvOptions options = layer.options();
        measure("forward", [&] { conv2d(x, w, options); });
        measure("input_gradient", [&] { conv2d_input_gradient(g, w, layer.size, layer.size, options); });
        measure("weight_gradient",
                [&] { conv2d_weight_gradient(x, g, layer.kernel, layer.kernel, options); });
    }
    return 0;
}

}  // namespace microtome::apps
