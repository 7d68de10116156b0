#include "tensor/storage.hpp"

#include "base/error.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/memory_reserve.hpp"
#include "tensor/out_of_memory.hpp"

#include <bit>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace microtome {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr std::size_t kSpare = std::size_t{64} << 20;  // bytes that may be kept in any case
constexpr std::size_t kMost = std::size_t{1} << 62;    // bytes; rounding up cannot overflow below it

// Small blocks in steps of 64 bytes, larger ones in eighths of a power of two: at most 1/8 is wasted.
std::size_t size_class(std::size_t bytes) {
    if (bytes <= 1024) return (bytes + 63) / 64 * 64;
    std::size_t step = std::bit_floor(bytes) / 8;
    return (bytes + step - 1) / step * step;
}

using BlocksBySize = std::map<std::size_t, std::vector<std::byte*>>;

}  // namespace

struct MemoryReserve::Blocks {
    CachingAllocator& allocator;
    BlocksBySize kept;  // that no tensor has
};

namespace {
thread_local MemoryReserve::Blocks* reserve_in_use = nullptr;
}

// Memory of one device: the processor's, or that of a GPU, all of whose work is done in one order, so that a
// block which a kernel still reads may be given to the next kernel at once.
class CachingAllocator {
  public:
    explicit CachingAllocator(Device device, const cuda::Backend* backend = nullptr)
        : device_(device), backend_(backend), keeps_blocks_(backend == nullptr || backend->keeps_blocks) {}

    std::byte* take(std::size_t bytes) {
        std::lock_guard lock(mutex_);
        if (bytes > kMost) refuse(bytes);
        std::size_t rounded = held_for(bytes);
        MemoryReserve::Blocks* reserve =
            reserve_in_use && &reserve_in_use->allocator == this ? reserve_in_use : nullptr;
        std::byte* block = reserve ? found_in(reserve->kept, rounded) : nullptr;
        if (block == nullptr) {
            block = found_in(kept_, rounded);
            if (block == nullptr) {
                // Work whose sizes repeat finds its blocks again. Where sizes go on changing, what is kept
                // for those of before must not pile up.
                if (use_.cached + use_.current + rounded > 4 * most_ + kSpare) release_kept();
                block = fresh(rounded);
            }
            if (reserve) set_apart(block, rounded, *reserve);
        }
        use_.current += bytes;
        use_.peak = std::max(use_.peak, use_.current);
        most_ = std::max(most_, use_.current);
        return block;
    }

    void give(std::byte* block, std::size_t bytes) noexcept {
        std::size_t rounded = held_for(bytes);
        std::lock_guard lock(mutex_);
        use_.current -= bytes;
        const auto reserve = reserved_.find(block);
        if (reserve == reserved_.end()) return keep(block, rounded);
        reserve->second->kept[rounded].push_back(block);  // there is room: set_apart() saw to it
        use_.cached += rounded;
    }

    // The blocks of a reserve are everybody's again; those that a tensor still has, when it goes.
    void dissolve(MemoryReserve::Blocks& reserve) noexcept {
        std::lock_guard lock(mutex_);
        std::erase_if(reserved_, [&](const auto& entry) { return entry.second == &reserve; });
        for (auto& [size, blocks] : reserve.kept)
            for (std::byte* block : blocks) {
                use_.cached -= size;
                keep(block, size);
            }
    }

    void release() {
        std::lock_guard lock(mutex_);
        release_kept();
    }

    MemoryUse use() {
        std::lock_guard lock(mutex_);
        return use_;
    }

    void reset_peak() {
        std::lock_guard lock(mutex_);
        use_.peak = use_.current;
    }

  private:
    std::size_t held_for(std::size_t bytes) const { return keeps_blocks_ ? size_class(bytes) : bytes; }

    std::byte* allocate(std::size_t bytes) {
        if (backend_ != nullptr) return static_cast<std::byte*>(backend_->allocate(device_.index, bytes));
        return static_cast<std::byte*>(operator new(bytes, kAlignment, std::nothrow));
    }
    void free(std::byte* block) noexcept {
        if (backend_ != nullptr)
            backend_->release(device_.index, block);
        else
            operator delete(block, kAlignment);
    }

    std::byte* found_in(BlocksBySize& blocks, std::size_t size) {
        const auto found = blocks.find(size);
        if (found == blocks.end() || found->second.empty()) return nullptr;
        std::byte* block = found->second.back();
        found->second.pop_back();
        use_.cached -= size;
        return block;
    }

    void set_apart(std::byte* block, std::size_t size, MemoryReserve::Blocks& reserve) {
        try {
            std::vector<std::byte*>& kept = reserve.kept[size];
            std::size_t same = 1;
            for (const auto& [other, owner] : reserved_) same += owner == &reserve;
            kept.reserve(same);  // as many as can ever come back
            reserved_.emplace(block, &reserve);
        } catch (...) {
            keep(block, size);
            throw;
        }
    }

    void keep(std::byte* block, std::size_t size) noexcept {
        if (!keeps_blocks_) return free(block);
        try {
            kept_[size].push_back(block);
            use_.cached += size;
        } catch (...) {
            free(block);
        }
    }

    void release_kept() {
        for (auto& [size, blocks] : kept_)
            for (std::byte* block : blocks) {
                use_.cached -= size;
                free(block);
            }
        kept_.clear();
    }

    std::byte* fresh(std::size_t bytes) {
        std::byte* block = allocate(bytes);
        if (block == nullptr) {
            release_kept();
            block = allocate(bytes);
        }
        if (block == nullptr) refuse(bytes);
        return block;
    }

    [[noreturn]] void refuse(std::size_t bytes) const {
        throw OutOfMemoryError("memory",
                               str("expected ", bytes, " more bytes on the ", device_,
                                   ", which has too little left; tensors hold ", use_.current, " bytes, and ",
                                   use_.cached, " are kept for reuse"),
                               "a smaller batch needs less");
    }

    const Device device_;
    const cuda::Backend* const backend_;  // null: the processor's memory
    const bool keeps_blocks_;
    std::mutex mutex_;
    BlocksBySize kept_;
    std::map<std::byte*, MemoryReserve::Blocks*> reserved_;  // blocks of reserves, in use or not
    MemoryUse use_;
    std::size_t most_ = 0;  // that tensors ever held
};

namespace {

// Allocators are never destroyed: tensors in static objects may outlive every other static.
CachingAllocator& cpu_allocator() {
    static auto* allocator = new CachingAllocator(kCpu);
    return *allocator;
}

CachingAllocator& allocator_of(Device device) {
    if (device.kind == Device::Kind::cpu) return cpu_allocator();
    const cuda::Backend& backend = cuda::backend_of(device);
    static auto* mutex = new std::mutex;
    static auto* allocators = new std::map<std::pair<const cuda::Backend*, int>, CachingAllocator*>;
    std::lock_guard lock(*mutex);
    CachingAllocator*& allocator = (*allocators)[{&backend, device.index}];
    if (allocator == nullptr) allocator = new CachingAllocator(device, &backend);
    return *allocator;
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes, Device device) {
    CachingAllocator& allocator = allocator_of(device);
    return std::shared_ptr<Storage>(new Storage(allocator.take(bytes), bytes, device, allocator));
}

Storage::~Storage() {
    allocator_.give(data_, bytes_);
}

MemoryReserve::MemoryReserve(Device device) : blocks_(new Blocks{allocator_of(device), {}}) {}
MemoryReserve::~MemoryReserve() {
    blocks_->allocator.dissolve(*blocks_);
}
MemoryReserve::Use::Use(const MemoryReserve& reserve)
    : before_(std::exchange(reserve_in_use, reserve.blocks_.get())) {}
MemoryReserve::Use::~Use() {
    reserve_in_use = before_;
}

MemoryUse memory_use(Device device) {
    return allocator_of(device).use();
}

void reset_peak_memory(Device device) {
    allocator_of(device).reset_peak();
}

void release_cached_memory(Device device) {
    allocator_of(device).release();
}

}  // namespace microtome
