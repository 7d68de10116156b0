// One number for type, shape and every bit of a tensor, to state that two results are the same.
#pragma once

#include "base/hash.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

// Equal for identical() tensors, on every little-endian machine and every device. Throws as Tensor::data()
// does.
inline uint64_t hash_of(const Tensor& given) {
    const Tensor tensor = given.to(kCpu);
    return visit_dtype(tensor.dtype(), [&]<class T>() {
        uint64_t hash = hash_bytes(str(tensor.spec()));
        return hash_bytes(std::as_bytes(tensor.data<T>()), hash);
    });
}

}  // namespace microtome
