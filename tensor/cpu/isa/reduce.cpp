// Reductions in f32: the lanes of tensor/reference/reduce.hpp as vectors.

#include "tensor/cpu/isa/lanes.hpp"
#include "tensor/cpu/reduce_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

using kernels::kReductionColumns;
using kernels::Reduction;

// partial[i] takes in x[i], for i < n.
template <class Rule>
MICROTOME_INLINE void take_all(Rule rule, const float* x, float* partial, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) partial[i] = rule.take(partial[i], x[i]);
}

// The lanes of `columns` results, side by side, meet in a tree. Lanes that nothing went to would change
// nothing.
template <class Rule>
MICROTOME_INLINE void join_columns(Rule rule, float* partial, int64_t lanes, int64_t columns) {
    for (int64_t half = kLanes / 2; half > 0; half /= 2) {
        int64_t joined = (lanes - half < half ? lanes - half : half) * columns;
        const float* other = partial + half * columns;
#pragma GCC ivdep
        for (int64_t i = 0; i < joined; ++i) partial[i] = rule.join(partial[i], other[i]);
    }
}

void reduce_rows(Reduction reduction, const float* x, int64_t count, int64_t length, float* y) {
    microtome::reference::visit(reduction, [=](auto rule) {
        for (int64_t i = 0; i < count; ++i) {
            const float* row = x + i * length;
            y[i] = reduce_row(rule, length, [=](auto at) { return at(row); });
        }
    });
}

void reduce_columns(Reduction reduction, const float* x, int64_t rows, int64_t stride, int64_t columns,
                    const float* center, float* y) {
    microtome::reference::visit(reduction, [=](auto rule) {
        float partial[kLanes * kReductionColumns];
        int64_t lanes = rows < kLanes ? rows : kLanes;
        for (int64_t i = 0; i < lanes * columns; ++i) partial[i] = rule.template start<float>();
        for (int64_t r = 0; r < rows; r += kLanes) {
            int64_t count = rows - r < kLanes ? rows - r : kLanes;
            if (center == nullptr && stride == columns) {  // sixteen rows are one run of memory
                take_all(rule, x + r * stride, partial, count * columns);
                continue;
            }
            for (int64_t lane = 0; lane < count; ++lane) {
                const float* row = x + (r + lane) * stride;
                float* sums = partial + lane * columns;
                if (center == nullptr) {
                    take_all(rule, row, sums, columns);
                    continue;
                }
#pragma GCC ivdep
                for (int64_t c = 0; c < columns; ++c) sums[c] = rule.take(sums[c], row[c] - center[c]);
            }
        }
        join_columns(rule, partial, lanes, columns);
        for (int64_t c = 0; c < columns; ++c) y[c] = partial[c];
    });
}

}  // namespace

extern const ReduceTable<float> reduce_table{reduce_rows, reduce_columns};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
