// A device that has no memory left, as an error of its own: whoever knows the batch can say which to try.
#pragma once

#include "base/error.hpp"

#include <cstdint>

namespace microtome {

class OutOfMemoryError : public DeviceError {
    using DeviceError::DeviceError;
};

// What work() gives. An OutOfMemoryError comes out with the batch that it was for, and a smaller one to try.
template <class Work>
auto with_batch_advice(std::string_view where, int64_t images, const Work& work) {
    try {
        return work();
    } catch (const OutOfMemoryError& error) {
        throw OutOfMemoryError(
            where,
            str("out of memory with ", images, images == 1 ? " image" : " images",
                " at a time: ", error.what()),
            images > 1 ? str("try a batch of ", images / 2) : "one image alone does not fit");
    }
}

}  // namespace microtome
