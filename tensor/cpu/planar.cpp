#include "tensor/cpu/planar.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/cpu/planar_table.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <algorithm>

namespace microtome::cpu {
namespace {

const PlanarTable& kernels() {
#if defined(__x86_64__)
    return pick(reference::planar_table, avx2::planar_table, avx512::planar_table);
#else
    return reference::planar_table;
#endif
}

int64_t round_up(int64_t a, int64_t b) {
    return (a + b - 1) / b * b;
}

// A band of lines of the result, and the lines of g that it needs, as planes.
struct Band {
    int64_t reach;         // lines of g beyond those of the result
    int64_t plane_stride;  // positions, their margin to the right, and room for the last vectors
    int64_t line_stride;   // all planes of a line
    int64_t lines;         // of the result

    explicit Band(const Patches& s) {
        constexpr int64_t wanted_floats = int64_t{1} << 17;  // half a megabyte: at home in L2
        reach = std::max<int64_t>(s.taps_h - 1, 0) * s.tap_h;
        plane_stride =
            round_up(round_up(s.grid_w, kPlanarPositions) + std::max<int64_t>(s.taps_w - 1, 0) * s.tap_w, 16);
        line_stride = plane_stride * s.channels;
        lines = std::clamp<int64_t>(wanted_floats / std::max<int64_t>(line_stride, 1) - reach, 4, 16);
    }
    int64_t floats() const { return (lines + reach) * line_stride; }
};

}  // namespace

bool is_planar(const ConvShape& s) {
    return s.groups == 1 && s.c >= 1 && s.c <= kPlanarColumns && s.w >= 16 * s.stride_w && s.kh * s.kw > 1 &&
           s.kh * s.kw * s.o <= kSumSlice && s.kh * s.dilation_h <= 32 && s.kw * s.dilation_w <= 32;
}

void planar(const Patches& s, const float* g, int64_t images, const float* filter, int64_t columns,
            const Result& result, const KernelContext& context) {
    const Band band(s);
    const int64_t bands = (s.grid_h + band.lines - 1) / band.lines;
    float* work = reinterpret_cast<float*>(context.workspace.data());
    const PlanarTable& table = kernels();
    parallel_tasks(images * bands, context.threads, [&](int64_t task, int thread) {
        const int64_t image = task / bands, first = task % bands * band.lines;
        const int64_t lines = std::min(band.lines, s.grid_h - first);
        float* planes = work + thread * band.floats();
        for (int64_t line = 0; line < lines + band.reach; ++line) {
            const int64_t h = first + line + s.origin_h;
            const float* from =
                h < 0 || h >= s.height ? nullptr : g + (image * s.height + h) * s.width * s.channels;
            table.to_planes(from, s.width, s.channels, -s.origin_w, band.plane_stride,
                            planes + line * band.line_stride);
        }
        for (int64_t line = 0; line < lines; ++line)
            table.line(s, planes + line * band.line_stride, band.plane_stride, band.line_stride, filter,
                       columns, result.data + image * result.image_stride + (first + line) * result.stride_h,
                       result.stride_w);
    });
}

std::size_t planar_workspace(const Patches& patches, int threads) {
    return static_cast<std::size_t>(threads * Band(patches).floats()) * sizeof(float);
}

}  // namespace microtome::cpu
