#include "tensor/kernels/context.hpp"

#include "base/error.hpp"

#include <omp.h>

namespace microtome {
namespace {
thread_local int limit = 0;  // 0: OpenMP's own
}

int thread_limit() {
    return limit > 0 ? limit : omp_get_max_threads();
}

ThreadLimit::ThreadLimit(int threads) : previous_(limit) {
    if (threads < 1) throw OptionsError("threads", str("expected 1 or more, got ", threads));
    limit = threads;
}

ThreadLimit::~ThreadLimit() {
    limit = previous_;
}

}  // namespace microtome
