// What an attack's loop decides from image to image, on the device, so that the host need not be asked in
// each step (attacks/device_walk.hpp): whether an image has fooled the classifier and stays, whether its
// gradient is finite, and which step it is.
//
// Least work: judging reads N (C + 2) numbers, inspecting N; both wait for memory once. Following reads and
// writes the images that move, 12 bytes a value.
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

// A thread an image, as std::max_element goes: the first of the largest.
MICROTOME_KERNEL void judge_kernel(const float* logits, const int64_t* aim, bool wanted, const int64_t* step,
                                   Walker* walkers, int64_t images, int64_t classes) {
    for (int64_t i = first_element(); i < images; i += all_threads()) {
        if (walkers[i].stopped_at >= 0) continue;
        const float* row = logits + i * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; ++c) best = row[best] < row[c] ? c : best;
        if ((best == aim[i]) == wanted) walkers[i].stopped_at = *step;
    }
}

MICROTOME_DEVICE bool is_finite(float x) {
    return x - x == 0;
}

// A thread an image. Gradients that are not finite end the attack, so nobody minds the slow search for the
// value to blame; until the host knows of it, the image stays what it is.
MICROTOME_KERNEL void inspect_kernel(const int64_t* step, float* sums, float* g, Walker* walkers,
                                     int64_t images, int64_t size) {
    for (int64_t i = first_element(); i < images; i += all_threads()) {
        Walker& walker = walkers[i];
        if (walker.stopped_at >= 0 || is_finite(sums[i])) continue;
        int64_t at = 0;
        while (at < size && is_finite(g[i * size + at])) ++at;
        if (at == size) continue;
        if (walker.broken_at < 0) {
            walker.broken_at = *step;
            walker.gradient = g[i * size + at];
        }
        for (int64_t j = 0; j < size; ++j) g[i * size + j] = 0;
        sums[i] = 0;
    }
}

MICROTOME_KERNEL void follow_kernel(const Walker* walkers, const float* moved, float* x, int64_t images,
                                    Divisor size) {
    for (int64_t i = first_element(); i < images * size.value; i += all_threads())
        if (walkers[size.quotient(i)].stopped_at < 0) x[i] = moved[i];
}

MICROTOME_KERNEL void count_kernel(int64_t* step) {
    for (int64_t i = first_element(); i < 1; i += all_threads()) ++*step;
}

void judge(Stream stream, const float* logits, const int64_t* aim, bool wanted, const int64_t* step,
           Walker* walkers, int64_t images, int64_t classes) {
    launch(stream, flat(images), judge_kernel, logits, aim, wanted, step, walkers, images, classes);
}
void inspect(Stream stream, const int64_t* step, float* sums, float* g, Walker* walkers, int64_t images,
             int64_t size) {
    launch(stream, flat(images), inspect_kernel, step, sums, g, walkers, images, size);
}
void follow(Stream stream, const Walker* walkers, const float* moved, float* x, int64_t images,
            int64_t size) {
    launch(stream, flat(images * size), follow_kernel, walkers, moved, x, images, Divisor(size));
}
void count(Stream stream, int64_t* step) {
    launch(stream, {.threads = 1, .meets = false}, count_kernel, step);
}

}  // namespace

void add_walk(KernelTable& table) {
    table.walk = {judge, inspect, follow, count};
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
