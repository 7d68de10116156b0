// The seam between the framework and a GPU. Everything that the framework wants of CUDA is in this struct of
// functions: memory, copies, waiting, and the kernels. There is one where nvcc built this program and one
// that tests install, which runs the same kernels on the CPU.
#pragma once

#include "tensor/cuda/kernels.hpp"
#include "tensor/tensor.hpp"

#include <initializer_list>
#include <string>

namespace microtome::cuda {

class Blas;  // blas.hpp
class Dnn;   // dnn.hpp

struct Backend {
    int (*device_count)();  // 0 without a driver
    std::string (*device_name)(int device);
    // Null when the device has no such memory left. What is freed may be handed out again at once: all work
    // of a device is done in the order in which it was asked for.
    void* (*allocate)(int device, std::size_t bytes);
    void (*release)(int device, void* memory) noexcept;
    Stream (*stream)(int device);
    // Between host and device, or within a device; done when it returns where the host takes part.
    void (*copy)(const Stream& stream, Device to_device, void* to, Device from_device, const void* from,
                 std::size_t bytes);
    // Waits for all work asked for so far. Throws ShapeError for a Fault, DeviceError where the device
    // failed.
    void (*synchronize)(const Stream& stream);

    // --- for what goes on while the host does (pinned.hpp)
    // Memory of the host that devices read and write by themselves; null when there is none left.
    void* (*allocate_pinned)(std::size_t bytes) = nullptr;
    void (*release_pinned)(void* memory) noexcept = nullptr;
    // A second queue of the device: for copies that go on while the first one's kernels run.
    Stream (*copy_stream)(int device) = nullptr;
    // Asks for a copy between pinned memory and a device and returns. The pinned memory is left alone until
    // an event that was recorded behind the copy has been waited for.
    void (*copy_later)(const Stream& stream, Device to_device, void* to, Device from_device, const void* from,
                       std::size_t bytes) = nullptr;
    // An event comes when all that its stream was asked for before record() is done; it can be recorded
    // again.
    void* (*make_event)(int device) = nullptr;
    void (*release_event)(void* event) noexcept = nullptr;
    void (*record)(const Stream& stream, void* event) = nullptr;
    // What the stream is asked for from now on begins once the event has come.
    void (*begin_after)(const Stream& stream, void* event) = nullptr;
    bool (*has_come)(void* event) = nullptr;
    // The host waits for an event of that stream. Throws as synchronize() does.
    void (*wait)(const Stream& stream, void* event) = nullptr;

    // --- graphs (graph.hpp)
    // From now on what this thread asks of the stream is noted and not done. What cannot be noted throws.
    void (*begin_capture)(const Stream& stream) = nullptr;
    // What was noted, ready to be launched. DeviceError where something was asked for that no graph can hold.
    void* (*end_capture)(const Stream& stream) = nullptr;
    void (*drop_capture)(const Stream& stream) noexcept = nullptr;
    void (*launch_graph)(const Stream& stream, void* graph) = nullptr;
    void (*release_graph)(void* graph) noexcept = nullptr;

    bool keeps_blocks;  // whether freed memory is kept for reuse
    KernelTable kernels;
    Blas* (*blas)() = nullptr;  // null, or it returns null: there is no library for products of matrices
    Dnn* (*dnn)() = nullptr;    // the same for convolutions
};

// The installed one, else the one that this program was built with, else null: there is no CUDA.
const Backend* backend();
// For tests. Null goes back to the built-in one. Tensors of the one before must be gone.
void install(const Backend* backend);

// The backend and stream of a device; DeviceError for one that is not there.
const Backend& backend_of(Device device);

// Throws what a Fault says.
[[noreturn]] void throw_fault(const Fault& fault);

inline bool on_cuda(const Tensor& x) {
    return x.device().kind == Device::Kind::cuda;
}

// The address of x's elements for a kernel; null when undefined. Throws DtypeError for another T.
template <class T>
const T* in(const Tensor& x) {
    if (!x.defined()) return nullptr;
    if (x.dtype() != dtype_of<T>())
        throw DtypeError("cuda", str("expected elements of ", dtype_of<T>(), ", got ", x.spec()),
                         "cast() converts");
    return reinterpret_cast<const T*>(x.raw());
}
template <class T>
T* out(Tensor& x) {
    if (!x.defined()) return nullptr;
    in<T>(x);
    return reinterpret_cast<T*>(x.mutable_raw());
}

// What a kernel needs besides its arrays.
struct Queue {
    const Backend& backend;
    Stream stream;
    const MemoryKernels& memory() const { return backend.kernels.memory; }
};
// The queue of y's device. Throws DeviceError, naming them, unless the others (those that are defined) are on
// it.
Queue queue_of(const char* where, const Tensor& y, std::initializer_list<const Tensor*> others);

// The kernels of one type, and how they get at tensors of that type.
template <class T>
struct Gpu {
    const Kernels<T>* kernels;
    Stream stream;

    const Kernels<T>* operator->() const { return kernels; }
    const T* in(const Tensor& x) const { return cuda::in<T>(x); }
    T* out(Tensor& x) const { return cuda::out<T>(x); }
    T number(double x) const { return static_cast<T>(x); }
};

// Hands the making of y over to its device: body(Gpu<T>) for y's type, f32 or f64; nothing where y has no
// elements. `others` are all other tensors that the kernel touches.
template <class Body>
void run(const char* where, const Tensor& y, std::initializer_list<const Tensor*> others, const Body& body) {
    const Queue queue = queue_of(where, y, others);
    visit_f32_f64(where, y.dtype(), [&]<class T>() {
        if (y.elements() > 0) body(Gpu<T>{&queue.backend.kernels.of<T>(), queue.stream});
    });
}

// Scratch memory of so many elements on y's device; undefined for 0.
Tensor scratch(const Tensor& y, int64_t elements);

// y's every element becomes `value`, in y's type.
void fill(Tensor& y, double value);
// y[i] = x[i] in the order of `shape`, for elements of any type, y's places being array 0.
void copy_elements(const char* where, const Strided<2>& shape, const Tensor& x, Tensor& y, int64_t from_x = 0,
                   int64_t from_y = 0);

}  // namespace microtome::cuda
