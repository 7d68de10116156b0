// What a kernel is given besides its arrays. Kernels write into outputs they are given and allocate nothing.
#pragma once

#include <cstddef>
#include <span>

namespace microtome {

// How many threads the kernels called from this thread may use: OpenMP's maximum (OMP_NUM_THREADS or the
// number of processors) unless a ThreadLimit in scope says otherwise. No result depends on it.
int thread_limit();

class ThreadLimit {
  public:
    explicit ThreadLimit(int threads);  // throws OptionsError below 1
    ~ThreadLimit();
    ThreadLimit(const ThreadLimit&) = delete;
    ThreadLimit& operator=(const ThreadLimit&) = delete;

  private:
    int previous_;
};

struct KernelContext {
    int threads = thread_limit();
    std::span<std::byte> workspace{};  // 64-byte aligned, at least as large as the kernel said it needs
};

// Throws OptionsError when the workspace is too small or not aligned.
void require_workspace(const char* where, const KernelContext& context, std::size_t bytes);

}  // namespace microtome
