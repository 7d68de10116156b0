// Matrix multiplication as the textbook has it: the oracle of the fast kernels, bit for bit.
#pragma once

#include "tensor/kernels/epilogue.hpp"
#include "tensor/matmul_shape.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <cstdint>

namespace microtome::reference {

// Where element (row, column) of matrix (outer, inner) lies.
inline int64_t element_offset(const MatrixLayout& layout, int64_t outer, int64_t inner, int64_t row,
                              int64_t column) {
    int64_t matrix = outer * layout.outer_stride + inner * layout.inner_stride;
    return layout.transposed ? matrix + column * layout.leading_dimension + row
                             : matrix + row * layout.leading_dimension + column;
}

// c[i, j] = sum over k of a[i, k] * b[k, j], for every matrix of the batch. T is float, double, or any number
// type with +, < and an fma that argument-dependent lookup finds.
template <class T>
void matmul(const MatmulShape& s, const T* a, const T* b, T* c, const Epilogue<T>& epilogue = {}) {
    for (int64_t outer = 0; outer < s.batch_outer; ++outer)
        for (int64_t inner = 0; inner < s.batch_inner; ++inner)
            for (int64_t i = 0; i < s.m; ++i)
                for (int64_t j = 0; j < s.n; ++j) {
                    int64_t at = element_offset(s.c, outer, inner, i, j);
                    OrderedSum<T> sum = epilogue.accumulate ? OrderedSum<T>(c[at]) : OrderedSum<T>();
                    for (int64_t k = 0; k < s.k; ++k)
                        sum.add(a[element_offset(s.a, outer, inner, i, k)],
                                b[element_offset(s.b, outer, inner, k, j)]);
                    c[at] = epilogue.finish(sum.result(), j, at);
                }
}

}  // namespace microtome::reference
