// Maxima of any window, and ReLU and maxima of 2x2 pixels over whole lines.
#include "tensor/cpu/isa/gates.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

void max_window(const float* const* pixels, const uint8_t* numbers, int64_t count, int64_t channels, float* y,
                uint8_t* winner) {
    int64_t c = 0;
    for (; c + kWidth <= channels; c += kWidth) {
        Floats most = load(pixels[0] + c);
        Ints number = numbers[0] - Ints{};
        for (int64_t t = 1; t < count; ++t) {
            const Floats x = load(pixels[t] + c);
            const Ints wins = (x > most) | (x != x);
            most = wins ? x : most;
            number = wins ? numbers[t] - Ints{} : number;
        }
        store(y + c, most);
        if (winner != nullptr) store_bytes<kWidth>(winner + c, number);
    }
    for (; c < channels; ++c) {
        float most = pixels[0][c];
        uint8_t number = numbers[0];
        for (int64_t t = 1; t < count; ++t) {
            const float x = pixels[t][c];
            if (x > most || x != x) most = x, number = numbers[t];
        }
        y[c] = most;
        if (winner != nullptr) winner[c] = number;
    }
}

template <int Lanes>
MICROTOME_INLINE void pool_channels(const float* top, const float* bottom, int64_t channels, float* y,
                                    uint8_t* gate) {
    typename IntVector<Lanes>::Type winner;
    store_lanes<Lanes>(y, largest(load_lanes<Lanes>(top), load_lanes<Lanes>(top + channels),
                                  load_lanes<Lanes>(bottom), load_lanes<Lanes>(bottom + channels), winner));
    if (gate != nullptr) store_bytes<Lanes>(gate, winner);
}

void relu_pool(const float* top, const float* bottom, int64_t windows, int64_t channels, float* y,
               uint8_t* gate) {
    for (int64_t j = 0; j < windows; ++j, top += 2 * channels, bottom += 2 * channels, y += channels) {
        uint8_t* bytes = gate == nullptr ? nullptr : gate + j * channels;
        auto at = [=](int64_t c) { return bytes == nullptr ? nullptr : bytes + c; };
        int64_t c = 0;
        for (; c + kWidth <= channels; c += kWidth)
            pool_channels<kWidth>(top + c, bottom + c, channels, y + c, at(c));
        for (; c < channels; ++c) pool_channels<1>(top + c, bottom + c, channels, y + c, at(c));
    }
}

template <int Lanes>
MICROTOME_INLINE void unpool_channels(const float* g, const uint8_t* gate, int64_t channels, int line,
                                      float* x) {
    using V = typename Vector<Lanes>::Type;
    const V sum = V{} + load_lanes<Lanes>(g);  // so that -0 becomes 0, as where windows overlap
    const auto winner = load_bytes<Lanes>(gate);
    store_lanes<Lanes>(x, winner == 2 * line ? sum : V{});
    store_lanes<Lanes>(x + channels, winner == 2 * line + 1 ? sum : V{});
}

void unpool(const float* g, const uint8_t* gate, int64_t windows, int64_t channels, int line, float* x) {
    for (int64_t j = 0; j < windows; ++j, g += channels, gate += channels, x += 2 * channels) {
        int64_t c = 0;
        for (; c + kWidth <= channels; c += kWidth)
            unpool_channels<kWidth>(g + c, gate + c, channels, line, x + c);
        for (; c < channels; ++c) unpool_channels<1>(g + c, gate + c, channels, line, x + c);
    }
}

}  // namespace

extern const PoolTable pool_table = {max_window, relu_pool, unpool};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
