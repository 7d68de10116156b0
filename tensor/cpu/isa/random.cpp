// Random numbers in f32: words a few blocks at a time, then what is made of them, both in loops that the
// compiler vectorises.
#include "tensor/cpu/isa/simd.hpp"
#include "tensor/cpu/random_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

constexpr int kBlocks = 64;

template <class Make>
MICROTOME_INLINE void fill(random::StreamKey key, uint32_t restart, uint32_t step, uint64_t block, float* y,
                           int64_t n, Make make) {
    for (; n > 0; n -= 4 * kBlocks, y += 4 * kBlocks, block += kBlocks) {
        uint32_t word[4 * kBlocks];
        for (int i = 0; i < kBlocks; ++i) {
            random::Words words = random::block_of(key, restart, step, block + static_cast<uint64_t>(i));
            for (int j = 0; j < 4; ++j) word[4 * i + j] = words.word[j];
        }
        int64_t count = n < 4 * kBlocks ? n : 4 * kBlocks;
        for (int64_t i = 0; i < count; ++i) y[i] = make(word[i]);
    }
}

void uniform(random::StreamKey key, uint32_t restart, uint32_t step, uint64_t block, float* y, int64_t n) {
    fill(key, restart, step, block, y, n, [](uint32_t word) { return random::uniform_float(word); });
}
void normal(random::StreamKey key, uint32_t restart, uint32_t step, uint64_t block, float* y, int64_t n) {
    fill(key, restart, step, block, y, n, [](uint32_t word) { return random::normal_float(word); });
}
void signs(random::StreamKey key, uint32_t restart, uint32_t step, uint64_t block, float* y, int64_t n) {
    fill(key, restart, step, block, y, n, [](uint32_t word) { return random::random_sign(word); });
}

}  // namespace

extern const RandomTable random_table{uniform, normal, signs};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
