// The geometry of a batch of matrix products, shared by the reference and the fast kernels.
#pragma once

#include <cstdint>
#include <utility>

namespace microtome {

// How a batch of matrices lies in memory; all counts in elements. Element (i, j) of matrix (p, q) is at
//     p * outer_stride + q * inner_stride + i * leading_dimension + j
// and, when transposed, i and j change places. Two batch strides are what it takes to read the heads of a
// packed qkv tensor (N, T, 3, H, D) where they lie: outer over N, inner over H, leading dimension 3 * H * D.
struct MatrixLayout {
    int64_t leading_dimension = 0;
    bool transposed = false;
    int64_t outer_stride = 0;  // 0: every matrix along this axis of the batch is the same
    int64_t inner_stride = 0;
};

// c (m, n) = a (m, k) times b (k, n), for each of batch_outer * batch_inner matrices.
struct MatmulShape {
    int64_t batch_outer = 1, batch_inner = 1;
    int64_t m = 0, n = 0, k = 0;
    MatrixLayout a, b, c;

    // Dense, row-major matrices, one after another: a is (batch, m, k), or (batch, k, m) when a is
    // transposed; b is (batch, k, n) or (batch, n, k).
    static MatmulShape dense(int64_t m, int64_t n, int64_t k, bool a_transposed = false,
                             bool b_transposed = false, int64_t batch = 1) {
        return {batch,
                1,
                m,
                n,
                k,
                {a_transposed ? m : k, a_transposed, m * k, 0},
                {b_transposed ? k : n, b_transposed, k * n, 0},
                {n, false, m * n, 0}};
    }
};

// (a b)^T = b^T a^T: the rows of a transposed result become contiguous.
inline MatmulShape transposed(const MatmulShape& shape) {
    MatmulShape result = shape;
    std::swap(result.a, result.b);
    std::swap(result.m, result.n);
    for (MatrixLayout* layout : {&result.a, &result.b, &result.c}) layout->transposed = !layout->transposed;
    return result;
}

}  // namespace microtome
