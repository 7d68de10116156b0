// NVIDIA's libcudnn itself, as far as it goes without a GPU: since version 9.8 it checks graphs, asks its
// heuristic and makes plans for a GPU whose properties it is given. This library stands before it, gives it
// those of an H100 wherever a handle would be set, and runs nothing. Where there is no libcudnn that can do
// this, its version is 0.
#include "tensor/cuda/cudnn.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <string_view>

namespace microtome::cuda::cudnn {
namespace {

constexpr DescriptorType kDeviceProperties{38};
constexpr Attribute kHeuristicsDevice{204}, kPlanDevice{407}, kDeviceJson{2702};
constexpr ElementType kCharacter{24};
constexpr std::string_view kDevice = R"({
"deviceName": "NVIDIA H100 80GB HBM3", "deviceVer": 900, "driverVer": 13000,
"cudaDeviceId": 0, "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1,
"multiProcessorCount": 132, "smCountOrigin": 0, "warpSize": 32,
"maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
"reservedSharedMemoryPerBlock": 1024, "oversizedSharedMemoryPerBlock": 0,
"maxRegistersPerSM": 65536, "regsPerBlock": 65536, "maxCtasPerSM": 32,
"maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048,
"maxBlockSize": [1024, 1024, 64], "maxGridSize": [2147483647, 65535, 65535],
"totalGlobalMem": 85017755648, "l2CacheSize": 52428800,
"smClockRateKHz": 1980000, "memClockRateKHz": 2619000, "memoryBusWidth": 5120
})";

struct Library {
    Functions call{};
    Descriptor* device = nullptr;
    bool works = false;

    Library() {
        void* handle = nullptr;
        for (const char* file : {"libcudnn.so.9", "/usr/local/cuda/lib64/libcudnn.so.9"})
            if (handle == nullptr) handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) return;
        auto find = [&](const char* name, auto*& function) {
            function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
            return function != nullptr;
        };
        works = find("cudnnGetVersion", call.version) && find("cudnnGetErrorString", call.error_string) &&
                find("cudnnGetLastErrorString", call.last_error_string) &&
                find("cudnnBackendCreateDescriptor", call.create_descriptor) &&
                find("cudnnBackendDestroyDescriptor", call.destroy_descriptor) &&
                find("cudnnBackendSetAttribute", call.set_attribute) &&
                find("cudnnBackendFinalize", call.finalize) &&
                find("cudnnBackendGetAttribute", call.get_attribute) && describe_device();
    }
    bool describe_device() {
        return call.create_descriptor(kDeviceProperties, &device) == Status::success &&
               call.set_attribute(device, kDeviceJson, kCharacter, std::ssize(kDevice) + 1, kDevice.data()) ==
                   Status::success &&
               call.finalize(device) == Status::success;
    }
};

const Library& library() {
    static const Library found;
    return found;
}

}  // namespace

extern "C" {

std::size_t cudnnGetVersion() {
    return library().works ? library().call.version() : 0;
}
const char* cudnnGetErrorString(Status status) {
    return library().call.error_string(status);
}
void cudnnGetLastErrorString(char* message, std::size_t size) {
    library().call.last_error_string(message, size);
}
Status cudnnCreate(Context** handle) {
    *handle = static_cast<Context*>(std::malloc(1));
    return Status::success;
}
Status cudnnDestroy(Context* handle) {
    std::free(handle);
    return Status::success;
}
Status cudnnSetStream(Context*, void*) {
    return Status::success;
}
Status cudnnBackendCreateDescriptor(DescriptorType type, Descriptor** descriptor) {
    return library().call.create_descriptor(type, descriptor);
}
Status cudnnBackendDestroyDescriptor(Descriptor* descriptor) {
    return library().call.destroy_descriptor(descriptor);
}
Status cudnnBackendSetAttribute(Descriptor* descriptor, Attribute name, ElementType type, int64_t count,
                                const void* elements) {
    const Library& real = library();
    auto give_device = [&](Attribute place) {
        return real.call.set_attribute(descriptor, place, ElementType::descriptor, 1, &real.device);
    };
    if (name == Attribute::graph_handle) return Status::success;
    if (name == Attribute::plan_handle) return give_device(kPlanDevice);
    if (name == Attribute::heuristics_graph)
        if (const Status status = give_device(kHeuristicsDevice); status != Status::success) return status;
    return real.call.set_attribute(descriptor, name, type, count, elements);
}
Status cudnnBackendFinalize(Descriptor* descriptor) {
    return library().call.finalize(descriptor);
}
Status cudnnBackendGetAttribute(Descriptor* descriptor, Attribute name, ElementType type, int64_t room,
                                int64_t* found, void* elements) {
    return library().call.get_attribute(descriptor, name, type, room, found, elements);
}
Status cudnnBackendExecute(Context*, Descriptor*, Descriptor*) {
    return Status::success;
}

}  // extern "C"
}  // namespace microtome::cuda::cudnn
