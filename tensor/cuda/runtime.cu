// The backend of GPUs: memory, streams, copies and waiting, by the CUDA runtime. Its library is linked in
// whole and looks for the driver when it is first asked for something, so that a program which never says
// cuda costs nothing and starts anywhere.
#include "tensor/cuda/backend.hpp"
#include "tensor/cuda/blas.hpp"
#include "tensor/cuda/device.hpp"
#include "tensor/cuda/dnn.hpp"
#include "tensor/cuda/library.hpp"
#include "tensor/out_of_memory.hpp"

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

cudaStream_t handle_of(const Stream& stream) {
    return static_cast<cudaStream_t>(stream.handle);
}
cudaEvent_t event_of(void* event) {
    return static_cast<cudaEvent_t>(event);
}

// Neither waits for the default stream, nor is waited for by it: an order between them is that of events.
void* make_stream() {
    cudaStream_t handle = nullptr;
    require(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "make a stream");
    return handle;
}

// A device's two streams, in each of which everything happens in the order in which it was asked for.
struct Streams {
    Stream work, copies;
};
Streams streams_of(int device) {
    static std::mutex mutex;
    static auto* streams = new std::vector<Streams>(static_cast<std::size_t>(device_count()));
    require(cudaSetDevice(device), "be chosen");
    std::lock_guard lock(mutex);
    Streams& found = (*streams)[static_cast<std::size_t>(device)];
    if (found.work.handle == nullptr) {
        void* fault = nullptr;
        require(cudaHostAlloc(&fault, sizeof(Fault), cudaHostAllocPortable), "share memory");
        found.work.fault = found.copies.fault = new (fault) Fault;
        found.work.device = found.copies.device = device;
        found.copies.handle = make_stream();
        found.work.handle = make_stream();
    }
    return found;
}
Stream stream(int device) {
    return streams_of(device).work;
}
Stream copy_stream(int device) {
    return streams_of(device).copies;
}

void throw_noted(const Stream& stream) {
    const Fault fault = *stream.fault;
    *stream.fault = {};
    if (fault.raised != 0) throw_fault(fault);
}

void synchronize(const Stream& stream) {
    require(cudaStreamSynchronize(handle_of(stream)), "do its work");
    throw_noted(stream);
}

void copy(const Stream& stream, Device to_device, void* to, Device from_device, const void* from,
          std::size_t bytes) {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, handle_of(stream)), "copy");
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

// Portable: whichever device copies from it, it need not wait for the host.
void* allocate_pinned(std::size_t bytes) {
    void* memory = nullptr;
    const cudaError_t status = cudaHostAlloc(&memory, bytes == 0 ? 1 : bytes, cudaHostAllocPortable);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        return nullptr;
    }
    require(status, "share memory");
    return memory;
}

void release_pinned(void* memory) noexcept {
    cudaFreeHost(memory);
}

void copy_later(const Stream& stream, Device, void* to, Device, const void* from, std::size_t bytes) {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, handle_of(stream)), "copy");
}

void* make_event(int device) {
    const Current current(device);
    cudaEvent_t event = nullptr;
    require(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "make an event");
    return event;
}

void release_event(void* event) noexcept {
    cudaEventDestroy(event_of(event));
}

void record(const Stream& stream, void* event) {
    require(cudaEventRecord(event_of(event), handle_of(stream)), "record an event");
}

void begin_after(const Stream& stream, void* event) {
    require(cudaStreamWaitEvent(handle_of(stream), event_of(event), 0), "wait for an event");
}

bool has_come(void* event) {
    const cudaError_t status = cudaEventQuery(event_of(event));
    if (status == cudaErrorNotReady) {
        cudaGetLastError();  // it is no failure of the next call
        return false;
    }
    require(status, "do its work");
    return true;
}

void wait(const Stream& stream, void* event) {
    require(cudaEventSynchronize(event_of(event)), "do its work");
    // A kernel behind the event may be writing the fault just now.
    if (stream.fault->raised != 0) synchronize(stream);
}

// Other threads may go on allocating meanwhile; this one may not.
void begin_capture(const Stream& stream) {
    require(
        cudaStreamBeginCapture(static_cast<cudaStream_t>(stream.handle), cudaStreamCaptureModeThreadLocal),
        "note work for a graph");
}

// Null, and no error left behind, where what was asked for could not be noted.
cudaGraph_t noted(const Stream& stream) {
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(static_cast<cudaStream_t>(stream.handle), &graph) == cudaSuccess) return graph;
    cudaGetLastError();
    return nullptr;
}

void* end_capture(const Stream& stream) {
    cudaGraph_t graph = noted(stream);
    if (graph == nullptr)
        throw DeviceError("cuda", "expected work that a graph can hold, got what has to be done at once");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiateWithFlags(&executable, graph, 0);
    cudaGraphDestroy(graph);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        throw OutOfMemoryError("cuda", "expected memory for a graph, but there is too little left");
    }
    require(status, "make a graph");
    return executable;
}

void drop_capture(const Stream& stream) noexcept {
    cudaGraph_t graph = noted(stream);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();  // of the call that could not be noted
}

void launch_graph(const Stream& stream, void* graph) {
    require(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), static_cast<cudaStream_t>(stream.handle)),
            "start a graph");
}

// One that still runs goes on to its end.
void release_graph(void* graph) noexcept {
    cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
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
        .allocate_pinned = allocate_pinned,
        .release_pinned = release_pinned,
        .copy_stream = copy_stream,
        .copy_later = copy_later,
        .make_event = make_event,
        .release_event = release_event,
        .record = record,
        .begin_after = begin_after,
        .has_come = has_come,
        .wait = wait,
        .begin_capture = begin_capture,
        .end_capture = end_capture,
        .drop_capture = drop_capture,
        .launch_graph = launch_graph,
        .release_graph = release_graph,
        .keeps_blocks = true,
        .kernels = all_kernels(),
        .blas = blas,
        .dnn = dnn,
    };
    return backend;
}

}  // namespace microtome::cuda::gpu
