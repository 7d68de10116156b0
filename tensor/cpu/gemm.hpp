// The product of two float matrices, whatever they are cut from: the one core behind matmul and convolution.
#pragma once

#include "tensor/cpu/gemm_table.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/kernels/epilogue.hpp"

#include <cstddef>
#include <cstdint>

namespace microtome::cpu {

// One factor. A matrix whose rows are contiguous (by_columns false) or whose columns are; or, with `patches`,
// the patch matrix of the images that start at `data`.
struct Factor {
    const float* data = nullptr;
    int64_t leading_dimension = 0;
    bool by_columns = false;
    const Patches* patches = nullptr;
    int64_t outer_stride = 0, inner_stride = 0;  // from one matrix of the batch to the next
    const float* packed = nullptr;               // a right factor as pack_right_factor() leaves it
};

// Where the product goes: row r, counted as (image, i, j) over a grid, is n contiguous elements at
// image * image_stride + i * stride_h + j * stride_w. A plain matrix is a grid of one line.
struct Result {
    float* data = nullptr;
    int64_t grid_h = 1, grid_w = 1;
    int64_t image_stride = 0, stride_h = 0, stride_w = 0;
    int64_t outer_stride = 0, inner_stride = 0;

    static Result matrix(float* data, int64_t m, int64_t leading_dimension) {
        return {data, 1, m > 0 ? m : 1, 0, 0, leading_dimension};
    }
};

// c (m, n) = a (m, k) b (k, n) for each of batch_outer * batch_inner, in the order of OrderedSum. As the
// right factor, patches are (k, n): a row is one position. As the left one they are (m, k): a row is one
// result.
struct Gemm {
    int64_t batch_outer = 1, batch_inner = 1;
    int64_t m = 0, n = 0, k = 0;
    Factor a, b;
    Result c;
    Epilogue<float> epilogue{};
    int64_t bias_inner_stride = 0;
};

void gemm(const Gemm& problem, const KernelContext& context);

// A right factor (k, n) that is used often, cut into strips once: for the instruction set in use.
std::size_t right_factor_floats(int64_t n, int64_t k);
void pack_right_factor(const Factor& b, int64_t n, int64_t k, float* packed);

// Which rises, or stays, with each of the sizes.
std::size_t gemm_workspace(int64_t m, int64_t n, int64_t k, int threads);

// The inner loops of the instruction set in use.
const GemmTable& gemm_kernels();
const PackTable& pack_kernels();

}  // namespace microtome::cpu
