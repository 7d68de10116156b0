#include "tensor/storage.hpp"

#include "base/error.hpp"

#include <bit>
#include <map>
#include <mutex>
#include <new>
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

class CpuAllocator {
  public:
    std::byte* take(std::size_t bytes) {
        std::lock_guard lock(mutex_);
        if (bytes > kMost) refuse(bytes);
        std::size_t rounded = size_class(bytes);
        std::byte* block = nullptr;
        if (auto& kept = kept_[rounded]; !kept.empty()) {
            block = kept.back();
            kept.pop_back();
            use_.cached -= rounded;
        } else {
            // Work whose sizes repeat finds its blocks again. Where sizes go on changing, what is kept for
            // those of before must not pile up.
            if (use_.cached + use_.current + rounded > 4 * most_ + kSpare) release_kept();
            block = fresh(rounded);
        }
        use_.current += bytes;
        use_.peak = std::max(use_.peak, use_.current);
        most_ = std::max(most_, use_.current);
        return block;
    }

    void give(std::byte* block, std::size_t bytes) noexcept {
        std::size_t rounded = size_class(bytes);
        std::lock_guard lock(mutex_);
        use_.current -= bytes;
        try {
            kept_[rounded].push_back(block);
            use_.cached += rounded;
        } catch (...) {
            operator delete(block, kAlignment);
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
    void release_kept() {
        for (auto& [size, blocks] : kept_)
            for (std::byte* block : blocks) operator delete(block, kAlignment);
        kept_.clear();
        use_.cached = 0;
    }

    std::byte* fresh(std::size_t bytes) {
        void* block = operator new(bytes, kAlignment, std::nothrow);
        if (block == nullptr) {
            release_kept();
            block = operator new(bytes, kAlignment, std::nothrow);
        }
        if (block == nullptr) refuse(bytes);
        return static_cast<std::byte*>(block);
    }

    [[noreturn]] void refuse(std::size_t bytes) const {
        throw DeviceError(
            "memory",
            str("expected ", bytes, " more bytes on the cpu, which has too little left; tensors hold ",
                use_.current, " bytes, and ", use_.cached, " are kept for reuse"),
            "a smaller batch needs less");
    }

    std::mutex mutex_;
    std::map<std::size_t, std::vector<std::byte*>> kept_;
    MemoryUse use_;
    std::size_t most_ = 0;  // that tensors ever held
};

// Never destroyed: tensors in static objects may outlive every other static.
CpuAllocator& cpu_allocator() {
    static auto* allocator = new CpuAllocator;
    return *allocator;
}

void require_cpu(Device device) {
    if (device.kind != Device::Kind::cpu)
        throw DeviceError("memory", str("this build has no device ", device),
                          "build with the CUDA toolkit installed");
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes, Device device) {
    require_cpu(device);
    return std::shared_ptr<Storage>(new Storage(cpu_allocator().take(bytes), bytes, device));
}

Storage::~Storage() {
    cpu_allocator().give(data_, bytes_);
}

MemoryUse memory_use(Device device) {
    require_cpu(device);
    return cpu_allocator().use();
}

void reset_peak_memory(Device device) {
    require_cpu(device);
    cpu_allocator().reset_peak();
}

void release_cached_memory(Device device) {
    require_cpu(device);
    cpu_allocator().release();
}

}  // namespace microtome
