#include "tests/emulation/emulated_device.hpp"

#include "tensor/cuda/blas.hpp"
#include "tensor/cuda/device.hpp"
#include "tensor/cuda/dnn.hpp"
#include "tests/emulation/emulated_graph.hpp"
#include "tests/emulation/emulated_queue.hpp"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace microtome::cuda::emulation {
namespace {

// Memory of its own for each block, fenced on both sides and full of NaN.
constexpr std::size_t kFence = 64;
constexpr int kFill = 0xff;

std::mutex mutex;
std::map<void*, std::size_t> blocks;
std::size_t limit = 0, held = 0;
int overrun = 0, waited = 0;
Fault fault;
std::unique_ptr<Blas> fake_blas;
std::unique_ptr<Dnn> fake_dnn;

void* allocate(int, std::size_t bytes) {
    require_done_now("an allocation");
    std::lock_guard lock(mutex);
    if (held > limit || bytes > limit - held) return nullptr;
    auto* memory =
        static_cast<std::byte*>(operator new (bytes + 2 * kFence, std::align_val_t{64}, std::nothrow));
    if (memory == nullptr) return nullptr;
    std::memset(memory, kFill, bytes + 2 * kFence);
    blocks[memory + kFence] = bytes;
    held += bytes;
    return memory + kFence;
}

void release(int, void* block) noexcept {
    std::lock_guard lock(mutex);
    const auto found = blocks.find(block);
    const std::size_t bytes = found->second;
    auto* memory = static_cast<std::byte*>(block) - kFence;
    auto written = [](std::byte b) { return b != std::byte{kFill}; };
    overrun += std::any_of(memory, memory + kFence, written) ||
               std::any_of(memory + kFence + bytes, memory + 2 * kFence + bytes, written);
    held -= bytes;
    blocks.erase(found);
    operator delete (memory, std::align_val_t{64});
}

void synchronize(const Stream& stream) {
    require_done_now("waiting for the device");
    ++waited;
    finish_copies(stream);
    const Fault found = std::exchange(fault, Fault());
    if (found.raised != 0) throw_fault(found);
}

void copy(const Stream& stream, Device to_device, void* to, Device from_device, const void* from,
          std::size_t bytes) {
    if (to_device == kCpu || from_device == kCpu) synchronize(stream);
    if (from_device == kCpu) note_upload(bytes);
    submit([=] { std::memmove(to, from, bytes); });
}

const Backend emulated_backend = [] {
    Backend backend{
        .device_count = [] { return 1; },
        .device_name = [](int) { return std::string("an emulated device"); },
        .allocate = allocate,
        .release = release,
        .stream =
            [](int) {
                return Stream{nullptr, 0, &fault};
            },
        .copy = copy,
        .synchronize = synchronize,
        .keeps_blocks = false,
        .kernels = emulated::all_kernels(),
        // The stand-ins for libraries work at once, and cannot be noted for a graph.
        .blas =
            [] {
                if (fake_blas) require_done_now("a product by a library");
                return fake_blas.get();
            },
        .dnn =
            [] {
                if (fake_dnn) require_done_now("a convolution by a library");
                return fake_dnn.get();
            },
    };
    add_queue(backend);
    add_graphs(backend);
    return backend;
}();

}  // namespace

EmulatedDevice::EmulatedDevice() : EmulatedDevice(std::size_t{1} << 30) {
    install(nullptr);
    if (backend() == nullptr || backend()->device_count() == 0) install(&emulated_backend);
}

EmulatedDevice::EmulatedDevice(std::size_t memory) {
    limit = memory;
    install(&emulated_backend);
}

EmulatedDevice::~EmulatedDevice() {
    install(nullptr);
}

Libraries::Libraries() : mode_(ProductMode{.libraries = true}) {
    const std::string blas_file = MICROTOME_CUBLASLT, dnn_file = MICROTOME_CUDNN;
    fake_blas = Blas::open({&blas_file, 1});
    fake_dnn = Dnn::open({&dnn_file, 1});
}

Libraries::~Libraries() {
    fake_blas.reset();
    fake_dnn.reset();
}

Blas& Libraries::blas() const {
    Blas* found = backend()->blas();
    if (found == nullptr) throw Error("test", "expected cuBLASLt beside the GPU, got none");
    return *found;
}

Dnn& Libraries::dnn() const {
    Dnn* found = backend()->dnn();
    if (found == nullptr) throw Error("test", "expected cuDNN beside the GPU, got none");
    return *found;
}

int64_t Libraries::descriptors_alive() {
    void* library = dlopen(MICROTOME_CUDNN, RTLD_NOW);
    return reinterpret_cast<int64_t (*)()>(dlsym(library, "stand_in_alive"))();
}

std::string cudnn_planner() {
    return MICROTOME_CUDNN_PLANNER;
}

bool EmulatedDevice::is_gpu() {
    return backend() != &emulated_backend;
}

void EmulatedDevice::limit_memory(std::size_t bytes) {
    limit = bytes;
}

int EmulatedDevice::overruns() {
    return overrun;
}

int EmulatedDevice::waits() {
    return waited;
}

int64_t EmulatedDevice::uploaded() {
    return emulation::uploaded();
}

int EmulatedDevice::misuses() {
    return emulation::misuses();
}

}  // namespace microtome::cuda::emulation
