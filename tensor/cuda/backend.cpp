#include "tensor/cuda/backend.hpp"

#include "tensor/convert.hpp"
#include "tensor/cuda/pinned.hpp"

#include <atomic>
#include <cstring>

namespace microtome::cuda {

#if defined(MICROTOME_CUDA)
namespace gpu {
const Backend& built_in();  // runtime.cu
}
#endif

namespace {
std::atomic<const Backend*> installed{nullptr};
}

const Backend* backend() {
    if (const Backend* tests = installed.load()) return tests;
#if defined(MICROTOME_CUDA)
    return &gpu::built_in();
#else
    return nullptr;
#endif
}

void install(const Backend* backend) {
    release_pinned_memory();
    installed.store(backend);
}

const Backend& backend_of(Device device) {
    const Backend* found = backend();
    if (found == nullptr)
        throw DeviceError(
            "device", str("expected a CUDA device for '", device, "', but this build has no CUDA backend"),
            "use cpu");
    const int count = found->device_count();
    if (count == 0)
        throw DeviceError("device",
                          str("expected a CUDA device for '", device, "', but there is no GPU here"),
                          "use cpu; `nvidia-smi` shows what the driver sees");
    if (device.index >= count)
        throw DeviceError("device", str("expected one of ", count, " CUDA devices, got '", device, "'"),
                          str("the last is cuda:", count - 1));
    return *found;
}

void throw_fault(const Fault& fault) {
    throw ShapeError("cuda", str("expected indices from 0 to ", fault.size - 1, ", got ", fault.index));
}

Queue queue_of(const char* where, const Tensor& y, std::initializer_list<const Tensor*> others) {
    for (const Tensor* x : others)
        if (x->defined() && !(x->device() == y.device()))
            throw DeviceError(where,
                              str("expected all tensors on ", y.device(), ", got one on ", x->device()),
                              "copy it there first");
    const Backend& found = backend_of(y.device());
    return {found, found.stream(y.device().index)};
}

Tensor scratch(const Tensor& y, int64_t elements) {
    return elements == 0 ? Tensor() : Tensor(Spec{{elements}, y.dtype(), y.device()});
}

void fill(Tensor& y, double value) {
    if (y.elements() == 0) return;
    const Queue queue = queue_of("full", y, {});
    visit_dtype(y.dtype(), [&]<class T>() {
        if constexpr (std::is_same_v<T, Dual>) {
            throw DtypeError("full", str("expected a type that GPUs have, got ", y.spec()));
        } else {
            T element;
            if constexpr (std::is_same_v<T, bfloat16>)
                element = bfloat16(static_cast<float>(value));
            else
                element = static_cast<T>(value);
            uint64_t bits = 0;
            std::memcpy(&bits, &element, sizeof element);
            queue.memory().fill(queue.stream, sizeof element, bits, y.mutable_raw(), y.elements());
        }
    });
}

void copy_elements(const char* where, const Strided<2>& shape, const Tensor& x, Tensor& y, int64_t from_x,
                   int64_t from_y) {
    if (x.dtype() != y.dtype())
        throw DtypeError(where, str("expected one type, got ", x.spec(), " and ", y.spec()));
    const Queue queue = queue_of(where, y, {&x});
    if (shape.elements == 0) return;
    const auto size = static_cast<int64_t>(size_of(x.dtype()));
    queue.memory().copy(queue.stream, static_cast<int>(size), shape, x.raw() + from_x * size,
                        y.mutable_raw() + from_y * size);
}

}  // namespace microtome::cuda
