// The backend of GPUs: memory, streams, copies and waiting, by the CUDA runtime. Its library is linked in
// whole and looks for the driver when it is first asked for something, so that a program which never says
// cuda costs nothing and starts anywhere.
#include "tensor/cuda/backend.hpp"
#include "tensor/cuda/blas.hpp"
#include "tensor/cuda/device.hpp"
#include "tensor/cuda/dnn.hpp"
#include "tensor/cuda/library.hpp"

#include <mutex>
#include <new>
#include <vector>

namespace microtome::cuda::gpu {
namespace {

void require(cudaError_t status, const char* what) {
    if (status != cudaSuccess)
        throw DeviceError("cuda", str("expected the device to ", what, ", got: ", cudaGetErrorString(status)),
                          "after such an error the program has to be started anew");
}

// Makes a device the thread's current one for a while.
class Current {
  public:
    explicit Current(int device) {
        require(cudaGetDevice(&before_), "be chosen");
        if (device != before_) require(cudaSetDevice(device), "be chosen");
    }
    ~Current() { cudaSetDevice(before_); }
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;

  private:
    int before_ = 0;
};

int device_count() {
    static const int count = [] {
        int found = 0;
        return cudaGetDeviceCount(&found) == cudaSuccess ? found : 0;
    }();
    return count;
}

std::string device_name(int device) {
    cudaDeviceProp properties;
    require(cudaGetDeviceProperties(&properties, device), "say its name");
    return properties.name;
}

void* allocate(int device, std::size_t bytes) {
    const Current current(device);
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, bytes == 0 ? 1 : bytes);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();  // it is no failure of the next call
        return nullptr;
    }
    require(status, "allocate memory");
    return memory;
}

void release(int, void* memory) noexcept {
    cudaFree(memory);
}

// One stream a device, in which everything happens in the order in which it was asked for.
Stream stream(int device) {
    static std::mutex mutex;
    static auto* streams = new std::vector<Stream>(static_cast<std::size_t>(device_count()));
    require(cudaSetDevice(device), "be chosen");
    std::lock_guard lock(mutex);
    Stream& found = (*streams)[static_cast<std::size_t>(device)];
    if (found.handle == nullptr) {
        found.device = device;
        void* fault = nullptr;
        require(cudaHostAlloc(&fault, sizeof(Fault), cudaHostAllocPortable), "share memory");
        found.fault = new (fault) Fault;
        cudaStream_t handle = nullptr;
        require(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "make a stream");
        found.handle = handle;
    }
    return found;
}

void synchronize(const Stream& stream) {
    require(cudaStreamSynchronize(static_cast<cudaStream_t>(stream.handle)), "do its work");
    const Fault fault = *stream.fault;
    *stream.fault = {};
    if (fault.raised != 0) throw_fault(fault);
}

void copy(const Stream& stream, Device to_device, void* to, Device from_device, const void* from,
          std::size_t bytes) {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream.handle)),
            "copy");
    if (to_device == kCpu || from_device == kCpu) synchronize(stream);
}

// Opened when the first product is asked for, and never destroyed: the driver may be gone by then.
Blas* blas() {
    static Blas* const found = Blas::open(library_files("cublasLt", {13, 12})).release();
    return found;
}
Dnn* dnn() {
    static Dnn* const found = Dnn::open(library_files("cudnn", {9})).release();
    return found;
}

}  // namespace

void require_launched() {
    require(cudaGetLastError(), "start a kernel");
}

const Backend& built_in() {
    static const Backend backend{
        .device_count = device_count,
        .device_name = device_name,
        .allocate = allocate,
        .release = release,
        .stream = stream,
        .copy = copy,
        .synchronize = synchronize,
        .keeps_blocks = true,
        .kernels = all_kernels(),
        .blas = blas,
        .dnn = dnn,
    };
    return backend;
}

}  // namespace microtome::cuda::gpu
