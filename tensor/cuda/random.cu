// Random numbers by name: each element is calculated from its key and place (tensor/philox.hpp), so nothing
// is read and the bits are the CPU's.
//
// Least work: each element is written once. Four of them come from one block of ten rounds, some 100 integer
// operations, so that f32 is about as much bound by arithmetic as by memory. Not measured on a GPU yet.
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

// Where a stream of draws begins: what all of its blocks share.
struct Draws {
    random::StreamKey key;
    uint32_t restart, step;

    MICROTOME_HD random::Words block(int64_t i) const {
        return random::block_of(key, restart, step, static_cast<uint64_t>(i));
    }
};
Draws draws_of(const DrawKey& key) {
    return {random::stream_key(key.seed, key.purpose, key.sample), key.restart, key.step};
}

struct UniformFloat {
    float low, width, last;
    bool plain;  // from 0 to 1

    MICROTOME_HD float operator()(uint32_t word) const {
        const float u = random::uniform_float(word);
        if (plain) return u;
        const float x = math::fma(u, width, low);
        return last < x ? last : x;
    }
};
struct Normal {
    MICROTOME_HD float operator()(uint32_t word) const { return random::normal_float(word); }
};
struct Sign {
    MICROTOME_HD float operator()(uint32_t word) const { return random::random_sign(word); }
};

// A thread makes four elements of one block.
template <class T, class Make>
MICROTOME_KERNEL void draw_kernel(Draws draws, Make make, T* y, int64_t n) {
    for (int64_t block = first_element(); block * 4 < n; block += all_threads()) {
        const random::Words words = draws.block(block);
        for (int i = 0; i < 4; ++i)
            if (block * 4 + i < n) y[block * 4 + i] = static_cast<T>(make(words.word[i]));
    }
}
MICROTOME_KERNEL void draw_doubles_kernel(Draws draws, double low, double width, double last, double* y,
                                          int64_t n) {
    for (int64_t block = first_element(); block * 2 < n; block += all_threads()) {
        const random::Words words = draws.block(block);
        for (int i = 0; i < 2; ++i) {
            if (block * 2 + i >= n) break;
            const double u = random::uniform_double(words.word[2 * i], words.word[2 * i + 1]);
            const double x = math::fma(u, width, low);
            y[block * 2 + i] = last < x ? last : x;
        }
    }
}

// A thread makes a byte.
MICROTOME_KERNEL void random_gate_kernel(const int64_t* key, const int64_t* ids, int64_t samples,
                                         Divisor elements, float rate, uint8_t* gate) {
    const int64_t n = samples * elements.value;
    for (int64_t byte = first_element(); byte * 8 < n; byte += all_threads()) {
        uint32_t bits = 0;
        for (int64_t i = byte * 8; i < n && i < byte * 8 + 8; ++i) {
            const Division place = divide(i, elements);
            const random::StreamKey stream =
                random::stream_key(static_cast<uint64_t>(key[0]), static_cast<uint64_t>(key[1]),
                                   static_cast<uint64_t>(ids[place.quotient]));
            const random::Words words =
                random::block_of(stream, static_cast<uint32_t>(key[2]), static_cast<uint32_t>(key[3]),
                                 static_cast<uint64_t>(place.remainder / 4));
            const float number = random::uniform_float(words.word[place.remainder % 4]);
            bits |= static_cast<uint32_t>(number >= rate) << (i - byte * 8);
        }
        gate[byte] = static_cast<uint8_t>(bits);
    }
}

void uniform(Stream stream, const DrawKey& key, float low, float width, float last, float* y, int64_t n) {
    const UniformFloat make{low, width, last, low == 0 && width == 1};
    launch(stream, flat((n + 3) / 4), draw_kernel<float, UniformFloat>, draws_of(key), make, y, n);
}
void uniform(Stream stream, const DrawKey& key, double low, double width, double last, double* y, int64_t n) {
    launch(stream, flat((n + 1) / 2), draw_doubles_kernel, draws_of(key), low, width, last, y, n);
}
template <class T>
void normal(Stream stream, const DrawKey& key, T* y, int64_t n) {
    launch(stream, flat((n + 3) / 4), draw_kernel<T, Normal>, draws_of(key), Normal{}, y, n);
}
template <class T>
void signs(Stream stream, const DrawKey& key, T* y, int64_t n) {
    launch(stream, flat((n + 3) / 4), draw_kernel<T, Sign>, draws_of(key), Sign{}, y, n);
}
void random_gate(Stream stream, const int64_t* key, const int64_t* ids, int64_t samples, int64_t elements,
                 float rate, uint8_t* gate) {
    const int64_t bytes = (samples * elements + 7) / 8;
    launch(stream, flat(bytes), random_gate_kernel, key, ids, samples, Divisor(elements), rate, gate);
}

template <class T>
void add_to(Kernels<T>& kernels) {
    kernels.uniform = uniform;
    kernels.normal = normal<T>;
    kernels.signs = signs<T>;
}

}  // namespace

void add_random(KernelTable& table) {
    add_to(table.f32);
    add_to(table.f64);
    table.memory.random_gate = random_gate;
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
