#include "base/error.hpp"
#include "tensor/cuda/emulation.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <ucontext.h>
#include <vector>

// Sanitizers are told of every switch from fiber to fiber. Where gcc defines a macro, clang has a feature.
#if defined(__has_feature)
#define MICROTOME_HAS_FEATURE(feature) __has_feature(feature)
#else
#define MICROTOME_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || MICROTOME_HAS_FEATURE(address_sanitizer)
#define MICROTOME_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__) || MICROTOME_HAS_FEATURE(thread_sanitizer)
#define MICROTOME_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace microtome::cuda::emulation {

thread_local Index threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr std::size_t kStack = 64 * 1024;
constexpr unsigned kMostThreads = 1024;
constexpr std::size_t kFence = 64;            // bytes around shared memory that nobody may write to
constexpr auto kUnwritten = std::byte{0xff};  // NaN in every type of float

// What a thread of the block waits for.
enum class Wait : uint8_t { nothing, barrier, group, end };

struct Fiber {
    ucontext_t context{};
    std::unique_ptr<std::byte[]> stack;
    Wait wait = Wait::nothing;
    int width = 0;       // of the group it waits for
    uint64_t given = 0;  // what it brought there
    uint64_t shown = 0;  // what it brought to the last meeting that took place
#if defined(MICROTOME_ASAN)
    void* fake_stack = nullptr;
#endif
#if defined(MICROTOME_TSAN)
    void* tsan = nullptr;
#endif
};

// One block at a time on each thread of the host.
class Block {
  public:
    void run(const Shape& shape, void (*body)(const void*), const void* data) {
        if (running_)
            throw Error("emulation", "expected kernels to be launched by the host, got a launch in a kernel");
        if (shape.threads < 1 || shape.threads > kMostThreads || shape.blocks < 1)
            throw Error("emulation",
                        str("expected 1 to ", kMostThreads, " threads and at least a block, got ",
                            shape.threads, " threads in ", shape.blocks));
        running_ = true;
        shape_ = shape;
        body_ = body;
        data_ = data;
        error_ = nullptr;
        blockDim = {shape.threads};
        gridDim = {shape.blocks};
        try {
            // The last block first, and in every other block the last thread first: on a GPU nobody knows.
            for (unsigned x = shape.blocks; x-- > 0;) {
                blockIdx = {x};
                backwards_ = x % 2 != 0;
                run_block();
            }
        } catch (...) {
            running_ = false;
            throw;
        }
        running_ = false;
    }

    // The fiber that runs waits until the others let it go on.
    void wait(Wait what, int width = 0, uint64_t given = 0) {
        if (!shape_.meets)
            throw Error("emulation", "expected a kernel whose threads do not meet, as its launch says");
        Fiber& self = fibers_[threadIdx.x];
        self.wait = what;
        self.width = width;
        self.given = given;
        leave(self, false);
    }

    uint64_t shown_by(unsigned thread) const { return fibers_[thread].shown; }

    std::byte* shared(std::size_t bytes) {
        if (bytes > shape_.shared_bytes)
            throw Error("emulation", str("expected at most the ", shape_.shared_bytes,
                                         " bytes of shared memory that were launched, got ", bytes));
        return shared_.data() + kFence;
    }

  private:
    // Whose turn it is after i others.
    unsigned turn(unsigned i) const { return backwards_ ? shape_.threads - 1 - i : i; }

    void run_block() {
        shared_.assign(shape_.shared_bytes + 2 * kFence, kUnwritten);
        if (!shape_.meets) {
            for (unsigned i = 0; i < shape_.threads; ++i) {
                threadIdx = {turn(i)};
                body_(data_);
            }
        } else {
            run_fibers();
        }
        auto written = [](std::byte b) { return b != kUnwritten; };
        if (std::any_of(shared_.begin(), shared_.begin() + kFence, written) ||
            std::any_of(shared_.end() - kFence, shared_.end(), written))
            throw Error("emulation", "expected writes inside shared memory, got one beside it");
    }

    void run_fibers() {
        if (fibers_.size() < shape_.threads) fibers_.resize(shape_.threads);
        for (unsigned t = 0; t < shape_.threads; ++t) start(t);
        unsigned ended = 0;
        while (ended < shape_.threads) {
            for (unsigned i = 0; i < shape_.threads; ++i)
                if (fibers_[turn(i)].wait == Wait::nothing) enter(turn(i));
            if (error_) std::rethrow_exception(error_);
            ended = release();
        }
    }

    // Lets go on who may: everybody at a barrier when all of the block are there, a group when all of it are.
    // The number of threads that have ended.
    unsigned release() {
        unsigned ended = 0, at_barrier = 0, released = 0;
        for (unsigned t = 0; t < shape_.threads; ++t) {
            ended += fibers_[t].wait == Wait::end;
            at_barrier += fibers_[t].wait == Wait::barrier;
        }
        if (at_barrier == shape_.threads) {
            for (unsigned t = 0; t < shape_.threads; ++t) fibers_[t].wait = Wait::nothing;
            return 0;
        }
        for (unsigned t = 0; t < shape_.threads; ++t) {
            if (fibers_[t].wait != Wait::group) continue;
            const auto width = static_cast<unsigned>(fibers_[t].width), first = t / width * width;
            if (t != first) continue;
            bool all = first + width <= shape_.threads;
            for (unsigned i = first; all && i < first + width; ++i)
                all = fibers_[i].wait == Wait::group && fibers_[i].width == fibers_[t].width;
            for (unsigned i = first; all && i < first + width; ++i, ++released) {
                fibers_[i].wait = Wait::nothing;
                fibers_[i].shown = fibers_[i].given;
            }
        }
        if (ended < shape_.threads && released == 0)
            throw Error("emulation", str("expected all threads that meet to come, got ", ended, " of ",
                                         shape_.threads, " that ended and ", at_barrier, " at a barrier"));
        return ended;
    }

    void start(unsigned t) {
        Fiber& fiber = fibers_[t];
        if (!fiber.stack) fiber.stack = std::make_unique<std::byte[]>(kStack);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = kStack;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, &Block::entry, 0);
        fiber.wait = Wait::nothing;
#if defined(MICROTOME_TSAN)
        fiber.tsan = __tsan_create_fiber(0);
#endif
    }

    void enter(unsigned t) {
        Fiber& fiber = fibers_[t];
        threadIdx = {t};
#if defined(MICROTOME_ASAN)
        __sanitizer_start_switch_fiber(&fake_stack_, fiber.stack.get(), kStack);
#endif
#if defined(MICROTOME_TSAN)
        tsan_ = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(fiber.tsan, 0);
#endif
        swapcontext(&host_, &fiber.context);
#if defined(MICROTOME_ASAN)
        __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
#endif
#if defined(MICROTOME_TSAN)
        if (fiber.wait == Wait::end) __tsan_destroy_fiber(fiber.tsan);
#endif
    }

    void leave(Fiber& self, bool forever) {
#if defined(MICROTOME_ASAN)
        __sanitizer_start_switch_fiber(forever ? nullptr : &self.fake_stack, host_bottom_, host_size_);
#endif
#if defined(MICROTOME_TSAN)
        __tsan_switch_to_fiber(tsan_, 0);
#endif
        if (forever)
            setcontext(&host_);
        else
            swapcontext(&self.context, &host_);
#if defined(MICROTOME_ASAN)
        __sanitizer_finish_switch_fiber(self.fake_stack, &host_bottom_, &host_size_);
#endif
    }

    static void entry();
    void thread_main() {
#if defined(MICROTOME_ASAN)
        __sanitizer_finish_switch_fiber(nullptr, &host_bottom_, &host_size_);
#endif
        try {
            body_(data_);
        } catch (...) {
            if (!error_) error_ = std::current_exception();
        }
        Fiber& self = fibers_[threadIdx.x];
        self.wait = Wait::end;
        leave(self, true);
    }

    bool running_ = false, backwards_ = false;
    Shape shape_{};
    void (*body_)(const void*) = nullptr;
    const void* data_ = nullptr;
    std::vector<Fiber> fibers_;
    std::vector<std::byte> shared_;
    ucontext_t host_{};
    std::exception_ptr error_;
#if defined(MICROTOME_ASAN)
    void* fake_stack_ = nullptr;
    const void* host_bottom_ = nullptr;
    std::size_t host_size_ = 0;
#endif
#if defined(MICROTOME_TSAN)
    void* tsan_ = nullptr;
#endif
};

Block& block() {
    thread_local Block block;
    return block;
}

void Block::entry() {
    block().thread_main();
}

}  // namespace

void run(const Shape& shape, void (*body)(const void*), const void* data) {
    block().run(shape, body, data);
}

void barrier() {
    block().wait(Wait::barrier);
}

// What is shown changes when the group meets again, and by then all have read it.
uint64_t exchange(int width, uint64_t bits, int (*source)(const void*, int lane), const void* data) {
    const unsigned first = threadIdx.x / static_cast<unsigned>(width) * static_cast<unsigned>(width);
    block().wait(Wait::group, width, bits);
    const int lane = static_cast<int>(threadIdx.x - first);
    return block().shown_by(first + static_cast<unsigned>(source(data, lane)));
}

uint32_t ballot(bool vote) {
    const unsigned first = threadIdx.x / 32 * 32;
    block().wait(Wait::group, 32, vote);
    uint32_t votes = 0;
    for (unsigned i = 0; i < 32; ++i) votes |= static_cast<uint32_t>(block().shown_by(first + i)) << i;
    return votes;
}

std::byte* shared_memory(std::size_t bytes) {
    return block().shared(bytes);
}

}  // namespace microtome::cuda::emulation
