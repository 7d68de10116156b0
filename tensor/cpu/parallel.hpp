// Independent tasks, shared out among threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <omp.h>

namespace microtome::cpu {

// task(i, thread) for every i below count, in any order; `thread` is below `threads` and no other task runs
// with the same one at the same time. What a task calculates may depend on neither.
template <class Task>
void parallel_tasks(int64_t count, int threads, Task&& task) {
    const int team = static_cast<int>(std::min<int64_t>(count, threads));
    // Not a region of one thread: within such, gcc's OpenMP starts new threads for every region inside.
    if (team <= 1) {
        for (int64_t i = 0; i < count; ++i) task(i, 0);
        return;
    }
#pragma omp parallel for num_threads(team) schedule(dynamic)
    for (int64_t i = 0; i < count; ++i) task(i, omp_get_thread_num());
}

}  // namespace microtome::cpu
