// Convolution that reads images where they lie, and finishes its results in registers.
#pragma once

#include "tensor/cpu/band.hpp"
#include "tensor/cpu/direct_table.hpp"
#include "tensor/cpu/gemm.hpp"
#include "tensor/kernels/context.hpp"

#include <cstddef>
#include <cstdint>

namespace microtome::cpu {

// y = pool(relu(patches(x) filters + bias + residual)), the sums in the order of OrderedSum. Patches of all
// channels.
struct Direct {
    Patches patches;
    int64_t images = 0, columns = 0;
    Source x;
    const float* strips = nullptr;  // as pack_strips makes them
    Result y{};                     // a grid of the patches' positions, or with pool of their windows
    const float* bias = nullptr;
    const float* residual = nullptr;  // laid out as y
    bool relu = false, pool = false;
    uint8_t* gate =
        nullptr;             // laid out as y, densely: with pool a byte for each element, else a bit; or null
    float* gated = nullptr;  // receives x behind its gate, where one position is one pixel; or null
};

// Whether the function below can do it at all.
bool is_direct(const Patches& patches);

// The inner loops of the instruction set in use.
const DirectTable& direct_kernels();

void direct(const Direct& problem, const KernelContext& context);
std::size_t direct_workspace(const Patches& patches, int threads);

// The strips of a matrix (k, columns) of which at(i, column) is an element.
int64_t strip_floats(int64_t k, int64_t columns);
template <class At>
void pack_strips(int64_t k, int64_t columns, const At& at, float* strips);

// How wide the strip is that begins `left` columns before the last.
inline int64_t direct_strip_width(int64_t left) {
    return left > 8 ? 16 : left > 4 ? 8 : 4;
}

template <class At>
void pack_strips(int64_t k, int64_t columns, const At& at, float* strips) {
    for (int64_t column = 0; column < columns; column += kDirectStrip) {
        const int64_t width = direct_strip_width(columns - column);
        for (int64_t i = 0; i < k; ++i)
            for (int64_t j = 0; j < width; ++j) *strips++ = column + j < columns ? at(i, column + j) : 0.0f;
    }
}

}  // namespace microtome::cpu
