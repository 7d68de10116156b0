#include "tensor/kernels/context.hpp"

#include "base/error.hpp"

#include <cstdint>
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

void require_workspace(const char* where, const KernelContext& context, std::size_t bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(context.workspace.data());
    if (context.workspace.size() < bytes || address % 64 != 0)
        throw OptionsError(where, str("expected a workspace of ", bytes, " bytes, 64-byte aligned, got ",
                                      context.workspace.size(), " bytes at ", address % 64, " modulo 64"));
}

}  // namespace microtome
