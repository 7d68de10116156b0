// A GPU's programming model on the CPU, for tests: what kernels see of the device when they are compiled as
// C++. Blocks run one after another. The threads of a block are fibers on one thread of the host, which run
// until they wait for others; where a kernel says that none waits, they are turns of a loop. Implemented in
// tests/emulation/.
//
// Errors that a GPU answers with a wrong result or a hang are exceptions here (microtome::Error): a barrier
// that some threads of a block never reach, a shuffle that some of its threads never reach, shared memory
// that a launch did not ask for, writes behind it. Shared memory and new memory are filled with NaN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

namespace microtome::cuda::emulation {

struct Index {
    unsigned x = 0;
};
extern thread_local Index threadIdx, blockIdx, blockDim, gridDim;

struct Shape {
    unsigned blocks, threads;
    std::size_t shared_bytes;
    bool meets;
};

// Calls body once for each thread of each block.
void run(const Shape& shape, void (*body)(const void*), const void* data);
template <class Body>
void run(const Shape& shape, const Body& body) {
    run(
        shape, [](const void* data) { (*static_cast<const Body*>(data))(); }, &body);
}

// Does what the device was asked for; while a graph is captured it is noted instead.
bool capturing();
void note(std::function<void()> work);
template <class Work>
void submit(const Work& work) {
    capturing() ? note(work) : work();
}

void barrier();
uint32_t ballot(bool vote);
std::byte* shared_memory(std::size_t bytes);

// Among `width` neighbouring threads, each gives 8 bytes and takes those of another.
uint64_t exchange(int width, uint64_t bits, int (*source)(const void*, int lane), const void* data);
template <class T, class Source>
T exchange(int width, T value, const Source& source) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = exchange(
        width, bits, [](const void* data, int lane) { return (*static_cast<const Source*>(data))(lane); },
        &source);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace microtome::cuda::emulation
