// Reductions over any axes, and extremes with their places.
//
// Least work: every element is read once, 4 bytes in f32, for one addition or comparison. What is long is cut
// into chunks of 4096 elements, which go to different threads and are joined in order by a second kernel: one
// more element read and written for each chunk. Not measured on a GPU yet.
#include "tensor/cuda/lane_reduce.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

// Result and chunk number `task`: results that lie side by side in `parts` belong to the same chunk.
struct Task {
    int64_t result, chunk, begin, count;
};
MICROTOME_DEVICE Task task_at(int64_t task, const ReduceShape& shape) {
    const int64_t chunk = task / shape.results(), begin = chunk * kChunk, left = shape.length() - begin;
    return {task - chunk * shape.results(), chunk, begin, left < kChunk ? left : kChunk};
}
inline int64_t tasks_of(const ReduceShape& shape) {
    return shape.results() * ((shape.length() + kChunk - 1) / kChunk);
}

template <class T>
MICROTOME_DEVICE T deviation(const T* x, int64_t at, const T* center, int64_t result) {
    return center == nullptr ? x[at] : x[at] - center[result];
}

// Neighbouring lanes read neighbouring elements: for results whose own elements lie side by side.
template <class T, class Rule>
MICROTOME_KERNEL void reduce_by_lanes(Rule rule, ReduceShape shape, const T* x, const T* center, T* y,
                                      int64_t tasks) {
    for (int64_t i = first_group(); i < tasks; i += all_groups()) {
        const Task task = task_at(i, shape);
        const int64_t base = shape.kept.at(task.result).of[0];
        const T part = lanes_chunk<T>(rule, task.count, [&](int64_t j) {
            return deviation(x, base + shape.reduced.at(task.begin + j).of[0], center, task.result);
        });
        if (lane() == 0) y[i] = part;
    }
}

// Neighbouring threads read elements of neighbouring results: for those that lie apart. A block makes 32
// results, 16 threads each.
inline constexpr int kResultsPerBlock = 2 * kThreads / kLanes;
template <class T>
struct Partials {
    T of[kLanes][kResultsPerBlock];
};
template <class T, class Rule>
MICROTOME_KERNEL MICROTOME_THREADS(kLanes* kResultsPerBlock) void reduce_by_results(
    Rule rule, ReduceShape shape, const T* x, const T* center, T* y, int64_t tasks) {
    auto& partial = shared<Partials<T>>().of;
    const int own = static_cast<int>(threadIdx.x) % kResultsPerBlock;
    const int own_lane = static_cast<int>(threadIdx.x) / kResultsPerBlock;
    for (int64_t first = int64_t{blockIdx.x} * kResultsPerBlock; first < tasks;
         first += int64_t{gridDim.x} * kResultsPerBlock) {
        const int64_t i = first + own;
        if (i < tasks) {
            const Task task = task_at(i, shape);
            const int64_t base = shape.kept.at(task.result).of[0];
            T sum = rule.template start<T>();
#pragma unroll 4
            for (int64_t j = own_lane; j < task.count; j += kLanes)
                sum = rule.take(
                    sum, deviation(x, base + shape.reduced.at(task.begin + j).of[0], center, task.result));
            partial[own_lane][own] = sum;
        }
        barrier();
        if (i < tasks && own_lane == 0) {
            for (int half = kLanes / 2; half > 0; half /= 2)
                for (int k = 0; k < half; ++k)
                    partial[k][own] = rule.join(partial[k][own], partial[k + half][own]);
            y[i] = partial[0][own];
        }
        barrier();
    }
}

template <class T, class Rule>
MICROTOME_KERNEL void join_chunks(Rule rule, const T* parts, T* y, int64_t results, int64_t chunks) {
    for (int64_t i = first_element(); i < results; i += all_threads()) {
        T total = parts[i];
        for (int64_t chunk = 1; chunk < chunks; ++chunk) total = rule.join(total, parts[chunk * results + i]);
        y[i] = total;
    }
}

template <class T>
void reduce(Stream stream, kernels::Reduction reduction, const ReduceShape& shape, const T* x,
            const T* center, T* parts, T* y) {
    const int64_t tasks = tasks_of(shape), results = shape.results();
    T* to = tasks > results ? parts : y;
    reference::visit(reduction, [&](auto rule) {
        using Rule = decltype(rule);
        if (shape.contiguous()) {
            launch(stream, lanes_for(tasks), reduce_by_lanes<T, Rule>, rule, shape, x, center, to, tasks);
        } else {
            const Launch how{.blocks = blocks_for(tasks, kResultsPerBlock),
                             .threads = kLanes * kResultsPerBlock,
                             .shared_bytes = sizeof(Partials<T>)};
            launch(stream, how, reduce_by_results<T, Rule>, rule, shape, x, center, to, tasks);
        }
        if (tasks > results)
            launch(stream, flat(results), join_chunks<T, Rule>, rule, parts, y, results, tasks / results);
    });
}

// The first of equals; a NaN beats every number, and nothing beats a NaN.
template <class T>
MICROTOME_KERNEL void arg_extreme_kernel(bool maximum, AxisShape shape, const T* x, T* values,
                                         int64_t* indices) {
    for (int64_t i = first_element(); i < shape.outer * shape.inner; i += all_threads()) {
        const T* from = x + i / shape.inner * shape.length * shape.inner + i % shape.inner;
        T best = from[0];
        int64_t index = 0;
        for (int64_t j = 1; j < shape.length && best == best; ++j) {
            const T value = from[j * shape.inner];
            if (value != value || (maximum ? value > best : value < best)) best = value, index = j;
        }
        values[i] = best;
        indices[i] = index;
    }
}

template <class T>
void arg_extreme(Stream stream, bool maximum, const AxisShape& shape, const T* x, T* values,
                 int64_t* indices) {
    launch(stream, flat(shape.outer * shape.inner), arg_extreme_kernel<T>, maximum, shape, x, values,
           indices);
}

template <class T>
void add_to(Kernels<T>& kernels) {
    kernels.reduce = reduce<T>;
    kernels.arg_extreme = arg_extreme<T>;
}

}  // namespace

void add_reduce(KernelTable& table) {
    add_to(table.f32);
    add_to(table.f64);
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
