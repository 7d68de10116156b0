// What kernels are written in. A .cu file is compiled by nvcc for GPUs, and as plain C++ for the device that
// the tests emulate (emulation.hpp); between the two differ only the names below. Kernels say `barrier()`,
// not
// __syncthreads(), and `launch(...)`, not <<<...>>>.
//
// A kernel:
//
//     template <class T>
//     MICROTOME_KERNEL void double_it(const T* x, T* y, int64_t n) {
//         for (int64_t i = first_element(); i < n; i += all_threads()) y[i] = x[i] + x[i];
//     }
//     launch(stream, flat(n), double_it<T>, x, y, n);
#pragma once

#include "tensor/cuda/kernels.hpp"

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#define MICROTOME_CUDA_NAME gpu
#define MICROTOME_KERNEL __global__
#define MICROTOME_THREADS(most) __launch_bounds__(most)
#define MICROTOME_DEVICE __device__ __forceinline__
#else
#include "tensor/cuda/emulation.hpp"
#define MICROTOME_CUDA_NAME emulated
#define MICROTOME_KERNEL
#define MICROTOME_THREADS(most)
#define MICROTOME_DEVICE inline
#endif

namespace microtome::cuda::MICROTOME_CUDA_NAME {

#if defined(__CUDACC__)
inline constexpr unsigned kThreads = 256;     // of a block, where nothing else is needed
inline constexpr int64_t kMostBlocks = 2048;  // what no GPU of today runs at once; loops do the rest
#else
// A small device, so that tests see loops go on, and few threads wait for each other.
inline constexpr unsigned kThreads = 64;
inline constexpr int64_t kMostBlocks = 4;
#endif

// How many threads run a kernel, and what they share. Registers always suffice for 256 threads; a kernel for
// blocks of more says MICROTOME_THREADS(most) behind MICROTOME_KERNEL.
struct Launch {
    unsigned blocks = 1;
    unsigned threads = kThreads;   // in a block
    std::size_t shared_bytes = 0;  // for shared<Struct>()
    bool meets = true;             // whether threads wait for each other: barrier(), shuffles, ballots
};

#if defined(__CUDACC__)

// Throws DeviceError when the last launch was refused. In runtime.cu.
void require_launched();

template <class... Parameters, class... Arguments>
void launch(const Stream& stream, const Launch& how, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
    kernel<<<how.blocks, how.threads, how.shared_bytes, static_cast<cudaStream_t>(stream.handle)>>>(
        static_cast<Parameters>(arguments)...);
    require_launched();
}

MICROTOME_DEVICE void barrier() {
    __syncthreads();
}
// The value of the thread `distance` further on among each 16 threads, all of which take part.
template <class T>
MICROTOME_DEVICE T shuffle_down_16(T value, int distance) {
    return __shfl_down_sync(0xffffu << (threadIdx.x & 16u), value, distance, 16);
}
template <class T>
MICROTOME_DEVICE T shuffle_first_16(T value) {
    return __shfl_sync(0xffffu << (threadIdx.x & 16u), value, 0, 16);
}
// One bit for each of 32 threads, all of which take part.
MICROTOME_DEVICE uint32_t ballot(bool vote) {
    return __ballot_sync(0xffffffffu, vote);
}
// The block's shared memory, uninitialised.
template <class Struct>
MICROTOME_DEVICE Struct& shared() {
    static_assert(sizeof(Struct) <= 48 * 1024, "more has to be asked for in advance");
    extern __shared__ __align__(16) unsigned char shared_memory[];
    return *reinterpret_cast<Struct*>(shared_memory);
}
// Adds to a number that several threads add to, and returns what it was. Only of whole numbers: their sum
// does not depend on the order.
MICROTOME_DEVICE int64_t add_atomically(int64_t* sum, int64_t more) {
    static_assert(sizeof(unsigned long long) == sizeof(int64_t));
    return static_cast<int64_t>(
        atomicAdd(reinterpret_cast<unsigned long long*>(sum), static_cast<unsigned long long>(more)));
}
MICROTOME_DEVICE void note_fault(Fault* fault, int64_t index, int64_t size) {
    if (atomicCAS(&fault->raised, 0, 1) != 0) return;
    fault->index = index;
    fault->size = size;
}

#else

template <class... Parameters, class... Arguments>
void launch(const Stream&, const Launch& how, void (*kernel)(Parameters...), const Arguments&... arguments) {
    emulation::submit([how, kernel, ... values = static_cast<Parameters>(arguments)] {
        emulation::run({how.blocks, how.threads, how.shared_bytes, how.meets}, [&] { kernel(values...); });
    });
}

using emulation::ballot;
using emulation::barrier;
using emulation::blockDim;
using emulation::blockIdx;
using emulation::gridDim;
using emulation::threadIdx;

template <class T>
T shuffle_down_16(T value, int distance) {
    return emulation::exchange(16, value,
                               [=](int lane) { return lane + distance < 16 ? lane + distance : lane; });
}
template <class T>
T shuffle_first_16(T value) {
    return emulation::exchange(16, value, [](int) { return 0; });
}
template <class Struct>
Struct& shared() {
    return *reinterpret_cast<Struct*>(emulation::shared_memory(sizeof(Struct)));
}
inline int64_t add_atomically(int64_t* sum, int64_t more) {
    *sum += more;
    return *sum - more;
}
inline void note_fault(Fault* fault, int64_t index, int64_t size) {
    if (fault->raised == 0) *fault = {1, index, size};
}

#endif

// --- for both

MICROTOME_DEVICE int64_t first_element() {
    return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
MICROTOME_DEVICE int64_t all_threads() {
    return int64_t{gridDim.x} * blockDim.x;
}

// Blocks for so many independent tasks, `each` of them by a block at a time.
inline unsigned blocks_for(int64_t tasks, int64_t each) {
    const int64_t blocks = (tasks + each - 1) / each;
    return static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
}
// A thread an element, none of which waits for another.
inline Launch flat(int64_t elements) {
    return {.blocks = blocks_for(elements, kThreads), .meets = false};
}

// Each .cu file's part of the table.
void add_elementwise(KernelTable& table);
void add_layout(KernelTable& table);
void add_reduce(KernelTable& table);
void add_rows(KernelTable& table);
void add_product(KernelTable& table);
void add_pool(KernelTable& table);
void add_random(KernelTable& table);
void add_index(KernelTable& table);
void add_resample(KernelTable& table);
void add_updates(KernelTable& table);
void add_augment(KernelTable& table);
void add_measure(KernelTable& table);
void add_walk(KernelTable& table);

inline KernelTable all_kernels() {
    KernelTable table{};
    for (auto add : {add_elementwise, add_layout, add_reduce, add_rows, add_product, add_pool, add_random,
                     add_updates, add_index, add_resample, add_augment, add_measure, add_walk})
        add(table);
    return table;
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
