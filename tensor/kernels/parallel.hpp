// Loops over independent rows, shared among threads. No result depends on the number of threads, because
// every row is calculated whole by one of them.
#pragma once

#include "tensor/kernels/context.hpp"

#include <cstdint>

namespace microtome::kernels {

// Calls body(row) for row in [0, rows): on the context's threads where there is enough to do, else on this
// one.
template <class Body>
void parallel_rows(int64_t rows, int64_t elements_per_row, const KernelContext& context, const Body& body) {
    [[maybe_unused]] const int threads = rows * elements_per_row < (int64_t{1} << 15) ? 1 : context.threads;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < rows; ++row) body(row);
}

}  // namespace microtome::kernels
