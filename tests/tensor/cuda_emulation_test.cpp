// The emulated device itself: what kernels rely on, and the mistakes that it must notice.
#include "base/error.hpp"
#include "tensor/cuda/device.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <vector>

using Catch::Contains;
using namespace microtome;
using namespace microtome::cuda;
using namespace microtome::cuda::emulated;

namespace {

struct Numbers {
    int of[64];
};

void reverse_kernel(int* x) {
    auto& box = shared<Numbers>().of;
    box[threadIdx.x] = x[threadIdx.x];
    barrier();
    x[threadIdx.x] = box[blockDim.x - 1 - threadIdx.x];
}

void where_kernel(int64_t* places, int* runs) {
    for (int64_t i = first_element(); i < 1000; i += all_threads()) {
        ++runs[i];
        places[i] = i * 2;
    }
}

void shuffle_kernel(double* x) {
    double own = x[threadIdx.x];
    for (int half = 8; half > 0; half /= 2) own += shuffle_down_16(own, half);
    x[threadIdx.x] = shuffle_first_16(own);
}

void ballot_kernel(uint32_t* votes) {
    const uint32_t bits = ballot(threadIdx.x % 3 == 0);
    votes[threadIdx.x] = bits;
}

// Only half of the threads come to the barrier.
void divergent_kernel() {
    if (threadIdx.x % 2 == 0) barrier();
}
// Some wait for a shuffle and others for a barrier.
void crossed_kernel() {
    if (threadIdx.x < 16) {
        shuffle_down_16(1, 1);
    } else {
        barrier();
    }
}
// Half a group takes part.
void half_group_kernel() {
    if (threadIdx.x < 8) shuffle_down_16(1, 1);
}
void barrier_kernel() {
    barrier();
}
void overrun_kernel() {
    reinterpret_cast<volatile int*>(&shared<Numbers>())[64] = 1;
}
void shared_kernel() {
    shared<Numbers>().of[0] = 1;
}
void unwritten_kernel(double* x) {
    *x = shared<double>();
}
void throwing_kernel() {
    barrier();
    if (threadIdx.x == 3) throw OptionsError("kernel", "expected no such thing");
    barrier();
}

// Lacks the barrier between writing and reading what a neighbour wrote.
void racing_kernel(int* x, int distance) {
    auto& box = shared<Numbers>().of;
    const int own = static_cast<int>(threadIdx.x), neighbour = own + distance;
    box[own] = 1;
    barrier();
    box[own] = 2;
    if (neighbour >= 0 && neighbour < 64) x[first_element()] = box[neighbour];
    barrier();
}

const Stream stream{};

}  // namespace

TEST_CASE("threads of a block meet at barriers", "[cuda][emulation]") {
    std::vector<int> x(64);
    std::iota(x.begin(), x.end(), 0);
    launch(stream, {.threads = 64, .shared_bytes = sizeof(Numbers)}, reverse_kernel, x.data());
    for (int i = 0; i < 64; ++i) REQUIRE(x[static_cast<std::size_t>(i)] == 63 - i);
}

TEST_CASE("every thread of every block runs once", "[cuda][emulation]") {
    for (bool meets : {false, true}) {
        std::vector<int64_t> places(1000);
        std::vector<int> runs(1000);
        launch(stream, {.blocks = 3, .threads = 96, .meets = meets}, where_kernel, places.data(),
               runs.data());
        for (int64_t i = 0; i < 1000; ++i) {
            REQUIRE(runs[static_cast<std::size_t>(i)] == 1);
            REQUIRE(places[static_cast<std::size_t>(i)] == 2 * i);
        }
    }
}

TEST_CASE("shuffles and ballots exchange values", "[cuda][emulation]") {
    std::vector<double> x(48);
    std::iota(x.begin(), x.end(), 1);
    launch(stream, {.threads = 48}, shuffle_kernel, x.data());
    for (std::size_t i = 0; i < 48; ++i) CHECK(x[i] == 16 * static_cast<double>(i / 16 * 16) + 136);

    std::vector<uint32_t> votes(64);
    launch(stream, {.threads = 64}, ballot_kernel, votes.data());
    for (unsigned i = 0; i < 64; ++i) {
        uint32_t expected = 0;
        for (unsigned k = 0; k < 32; ++k) expected |= static_cast<uint32_t>((i / 32 * 32 + k) % 3 == 0) << k;
        CHECK(votes[i] == expected);
    }
}

TEST_CASE("what hangs or lies on a GPU is an error", "[cuda][emulation]") {
    CHECK_THROWS_WITH(launch(stream, {.threads = 64}, divergent_kernel),
                      Contains("32 that ended") || Contains("32 of 64"));
    CHECK_THROWS_WITH(launch(stream, {.threads = 32}, crossed_kernel), Contains("barrier"));
    CHECK_THROWS_AS(launch(stream, {.threads = 16}, half_group_kernel), Error);
    CHECK_THROWS_WITH(launch(stream, {.threads = 32, .meets = false}, barrier_kernel),
                      Contains("do not meet"));
    CHECK_THROWS_WITH(launch(stream, {.threads = 1, .shared_bytes = sizeof(Numbers)}, overrun_kernel),
                      Contains("inside shared memory"));
    CHECK_THROWS_WITH(launch(stream, {.threads = 1, .shared_bytes = 8}, shared_kernel),
                      Contains("shared memory"));
    CHECK_THROWS_WITH(launch(stream, {.threads = 1025}, barrier_kernel), Contains("threads"));
    CHECK_THROWS_AS(launch(stream, {.threads = 32}, throwing_kernel), OptionsError);
    // And it goes on working afterwards.
    launch(stream, {.threads = 32}, barrier_kernel);
}

TEST_CASE("shared memory begins as NaN", "[cuda][emulation]") {
    double x = 0;
    launch(stream, {.threads = 1, .shared_bytes = sizeof(double)}, unwritten_kernel, &x);
    CHECK(std::isnan(x));
}

TEST_CASE("a barrier that is missing shows, whichever neighbour is read", "[cuda][emulation]") {
    for (int distance : {-1, 1}) {
        std::vector<int> x(128);
        launch(stream, {.blocks = 2, .threads = 64, .shared_bytes = sizeof(Numbers)}, racing_kernel, x.data(),
               distance);
        CHECK(std::count(x.begin(), x.end(), 1) > 0);
    }
}
