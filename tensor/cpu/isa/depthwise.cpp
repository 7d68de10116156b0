// Depthwise convolution: a chain of multiply-adds for every channel of every position.
#include "tensor/cpu/depthwise_table.hpp"
#include "tensor/cpu/isa/strips.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

// Channels of one pixel; zeros outside the image.
template <int Lanes>
MICROTOME_INLINE typename Vector<Lanes>::Type pixel(const Patches& s, const float* image, int64_t h,
                                                    int64_t w, int64_t channel) {
    if (h < 0 || h >= s.height || w < 0 || w >= s.width) return typename Vector<Lanes>::Type{};
    return load_lanes<Lanes>(image + (h * s.width + w) * s.pixel_stride + channel);
}

template <int Lanes, int Vectors>
MICROTOME_INLINE void position(const Patches& s, const float* image, int64_t h0, int64_t w0, int64_t channel,
                               const float* filter, float* y, bool add) {
    typename Vector<Lanes>::Type sum[Vectors] = {};
    filter += channel;
    for (int64_t t = 0; t < s.taps_h; ++t)
        for (int64_t u = 0; u < s.taps_w; ++u, filter += s.channels)
            for (int v = 0; v < Vectors; ++v)
                sum[v] = fma_lanes<Lanes>(
                    pixel<Lanes>(s, image, h0 + t * s.tap_h, w0 + u * s.tap_w, channel + v * Lanes),
                    load_lanes<Lanes>(filter + v * Lanes), sum[v]);
    for (int v = 0; v < Vectors; ++v) {
        float* to = y + channel + v * Lanes;
        store_lanes<Lanes>(to, add ? load_lanes<Lanes>(to) + sum[v] : sum[v]);
    }
}

void line(const Patches& s, const float* image, int64_t i, const float* filter, float* y, int64_t y_stride,
          bool add) {
    const int64_t h0 = i * s.step_h + s.origin_h;
    for (int64_t j = 0; j < s.grid_w; ++j, y += y_stride) {
        const int64_t w0 = j * s.step_w + s.origin_w;
        int64_t c = 0;
        for (; c + 4 * kWidth <= s.channels; c += 4 * kWidth)
            position<kWidth, 4>(s, image, h0, w0, c, filter, y, add);
        for (; c + kWidth <= s.channels; c += kWidth)
            position<kWidth, 1>(s, image, h0, w0, c, filter, y, add);
        for (; c + 4 <= s.channels; c += 4) position<4, 1>(s, image, h0, w0, c, filter, y, add);
        for (; c < s.channels; ++c) position<1, 1>(s, image, h0, w0, c, filter, y, add);
    }
}

template <int Lanes, int Vectors>
MICROTOME_INLINE void sums_over_positions(const Patches& s, const float* x, const float* g, int64_t t,
                                          int64_t u, int64_t first, int64_t count, int64_t channel,
                                          float* sums) {
    typename Vector<Lanes>::Type sum[Vectors] = {};
    int64_t j = first % s.grid_w, i = first / s.grid_w % s.grid_h;
    const float* image = x + first / s.grid_w / s.grid_h * s.height * s.width * s.pixel_stride;
    g += first * s.channels + channel;
    for (int64_t p = 0; p < count; ++p, g += s.channels) {
        const int64_t h = i * s.step_h + t * s.tap_h + s.origin_h;
        const int64_t w = j * s.step_w + u * s.tap_w + s.origin_w;
        for (int v = 0; v < Vectors; ++v)
            sum[v] = fma_lanes<Lanes>(pixel<Lanes>(s, image, h, w, channel + v * Lanes),
                                      load_lanes<Lanes>(g + v * Lanes), sum[v]);
        if (++j < s.grid_w) continue;
        j = 0;
        if (++i < s.grid_h) continue;
        i = 0, image += s.height * s.width * s.pixel_stride;
    }
    for (int v = 0; v < Vectors; ++v) store_lanes<Lanes>(sums + v * Lanes, sum[v]);
}

void weight_sums(const Patches& s, const float* x, const float* g, int64_t t, int64_t u, int64_t first,
                 int64_t count, int64_t channel, int64_t channels, float* sums) {
    int64_t c = 0;
    for (; c + 4 * kWidth <= channels; c += 4 * kWidth)
        sums_over_positions<kWidth, 4>(s, x, g, t, u, first, count, channel + c, sums + c);
    for (; c + kWidth <= channels; c += kWidth)
        sums_over_positions<kWidth, 1>(s, x, g, t, u, first, count, channel + c, sums + c);
    for (; c + 4 <= channels; c += 4)
        sums_over_positions<4, 1>(s, x, g, t, u, first, count, channel + c, sums + c);
    for (; c < channels; ++c) sums_over_positions<1, 1>(s, x, g, t, u, first, count, channel + c, sums + c);
}

}  // namespace

extern const DepthwiseTable depthwise_table = {line, weight_sums};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
