// Work done ahead of its time on threads, and handed out in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace microtome {

// Calls make(0), make(1), ..., each once, on threads of its own, at most `ahead` of what take() has handed
// out. Without threads take() calls it itself. All members are to be called from one thread.
template <class T>
class Prefetcher {
  public:
    Prefetcher(int threads, int64_t ahead, std::function<T(int64_t)> make)
        : make_(std::move(make)), slots_(static_cast<std::size_t>(ahead)) {
        try {
            for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
        } catch (...) {
            end();
            throw;
        }
    }
    // Waits for the calls in progress, and makes no more.
    ~Prefetcher() { end(); }
    Prefetcher(const Prefetcher&) = delete;
    Prefetcher& operator=(const Prefetcher&) = delete;

    // Forgets what was made, once the calls in progress have returned: what make() reads may be changed now.
    void stop() {
        std::unique_lock lock(mutex_);
        count_ = 0;
        idle_.wait(lock, [&] { return busy_ == 0; });
        for (Slot& slot : slots_) slot = {};
        begun_ = taken_ = 0;
    }
    // Begins with make(0) again, up to make(count - 1).
    void start(int64_t count) {
        stop();
        std::lock_guard lock(mutex_);
        count_ = count;
        wanted_.notify_all();
    }

    // The next one; to be called `count` times at most. What make() threw is thrown here, in its turn; again,
    // if asked again.
    T take() {
        std::unique_lock lock(mutex_);
        Slot& slot = slots_[static_cast<std::size_t>(taken_) % slots_.size()];
        if (threads_.empty() && !slot.made()) {
            slot.value = make_(taken_);
        } else {
            ready_.wait(lock, [&] { return slot.made(); });
        }
        if (slot.error) std::rethrow_exception(slot.error);
        T value = std::move(*slot.value);
        slot = {};
        ++taken_;
        wanted_.notify_one();
        return value;
    }

  private:
    struct Slot {
        std::optional<T> value;
        std::exception_ptr error;
        bool made() const { return value || error; }
    };

    bool may_begin() const {
        return begun_ < count_ && begun_ < taken_ + static_cast<int64_t>(slots_.size());
    }

    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            wanted_.wait(lock, [&] { return ended_ || may_begin(); });
            if (ended_) return;
            const int64_t index = begun_++;
            ++busy_;
            lock.unlock();
            Slot made;
            try {
                made.value = make_(index);
            } catch (...) {
                made.error = std::current_exception();
            }
            lock.lock();
            --busy_;
            slots_[static_cast<std::size_t>(index) % slots_.size()] = std::move(made);
            ready_.notify_one();
            idle_.notify_one();
        }
    }

    void end() {
        {
            std::lock_guard lock(mutex_);
            ended_ = true;
            wanted_.notify_all();
        }
        for (std::thread& thread : threads_) thread.join();
    }

    std::function<T(int64_t)> make_;
    std::mutex mutex_;  // of all below
    std::condition_variable wanted_, ready_, idle_;
    std::vector<Slot> slots_;  // made[index % size]
    int64_t count_ = 0, begun_ = 0, taken_ = 0;
    int busy_ = 0;
    bool ended_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace microtome
