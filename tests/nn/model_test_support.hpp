// What the tests of models share.
#pragma once

#include "nn/module.hpp"
#include "tensor/hash.hpp"

namespace microtome::test {

// Pixels in [0, 1], the same everywhere, no two rows alike.
inline Tensor images(const Shape& shape, uint64_t seed = 1) {
    std::vector<float> pixels(static_cast<std::size_t>(shape.elements()));
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (float& pixel : pixels) {  // Knuth's linear congruential generator, upper bits
        state = state * 6364136223846793005u + 1442695040888963407u;
        pixel = static_cast<float>(state >> 40) / static_cast<float>(1 << 24);
    }
    return Tensor::of(pixels, shape);
}

// Images begin to end - 1 of a batch.
inline Tensor part(const Tensor& batch, int64_t begin, int64_t end) {
    return batch.view(batch.shape().with(0, end - begin), begin * (batch.elements() / batch.size(0)));
}

// One number for every weight and buffer.
inline uint64_t state_hash(const Module& model) {
    uint64_t hash = kHashSeed;
    for (const NamedTensor& entry : model.state())
        hash = hash_bytes(hex(hash_of(entry.tensor)), hash_bytes(entry.name, hash));
    return hash;
}

}  // namespace microtome::test
