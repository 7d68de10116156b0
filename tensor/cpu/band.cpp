#include "tensor/cpu/band.hpp"

#include "tensor/cpu/conv_steps.hpp"

#include <algorithm>

namespace microtome::cpu {
namespace {

// Columns [begin, end) of line h.
void load_line(const Source& source, const Patches& s, int64_t n, int64_t h, int64_t begin, int64_t end,
               float* to) {
    const int64_t c = s.channels, count = (end - begin) * c;
    if (source.pooled) {
        const int64_t lines = s.height / 2, windows = s.width / 2;
        if (h / 2 >= lines) {
            std::fill_n(to, count, 0.0f);
            return;
        }
        // Windows lie at even columns; what the image has on either side of them is its own.
        const int64_t at = (n * lines + h / 2) * windows * c;
        for (int64_t w = begin; w < end;) {
            if (w % 2 == 0 && w + 2 <= end && w / 2 < windows) {
                const int64_t whole = std::min(end / 2, windows) - w / 2;
                pool_kernels().unpool(source.data + at + w / 2 * c, source.gate + at + w / 2 * c, whole, c,
                                      static_cast<int>(h % 2), to);
                to += 2 * whole * c, w += 2 * whole;
                continue;
            }
            const auto winner = static_cast<uint8_t>(h % 2 * 2 + w % 2);
            for (int64_t e = at + w / 2 * c, last = e + c; e < last; ++e)
                *to++ = w / 2 < windows && source.gate[e] == winner ? 0.0f + source.data[e] : 0.0f;
            ++w;
        }
        return;
    }
    const int64_t at = ((n * s.height + h) * s.width + begin) * c;
    if (source.plain())
        std::copy_n(source.data + at, count, to);
    else
        gate_elements(source.data + at, source.gate, at, count, to);
}

}  // namespace

void load_band(const Source& source, const Patches& s, int64_t n, int64_t first, int64_t lines, int64_t left,
               int64_t columns, float* band) {
    const int64_t begin = std::clamp<int64_t>(left, 0, s.width),
                  end = std::clamp<int64_t>(left + columns, begin, s.width);
    for (int64_t h = first; h < first + lines; ++h, band += columns * s.channels) {
        if (h < 0 || h >= s.height || begin == end) {
            std::fill_n(band, columns * s.channels, 0.0f);
            continue;
        }
        float* inside = band + (begin - left) * s.channels;
        std::fill(band, inside, 0.0f);
        load_line(source, s, n, h, begin, end, inside);
        std::fill(inside + (end - begin) * s.channels, band + columns * s.channels, 0.0f);
    }
}

}  // namespace microtome::cpu
