// Python's pickles, as far as PyTorch's state dicts need them. A pickle is a program for a small stack
// machine, and some of its instructions call whatever Python function they name; that is how a file of
// weights can run somebody else's code. Here nothing is called. The machine knows the instructions that build
// numbers, texts, tuples, lists and dictionaries, and the few names that a state dict has (below); any other
// instruction or name is refused, with its place.
//
//     collections.OrderedDict                               a dictionary
//     torch.FloatStorage, torch.HalfStorage, ...            the element type of a storage
//     torch._utils._rebuild_tensor, _rebuild_tensor_v2      a tensor: part of a storage, with strides
//     torch._utils._rebuild_parameter                       the tensor in it
#pragma once

#include "nn/elements.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace microtome {

// A block of elements, which lies beside the pickle under its key.
struct PickledStorage {
    FileType type = FileType::f32;
    std::string key;
    uint64_t elements = 0;
};

// Elements of a storage: the first at `offset`, along each axis `stride` elements apart. All lie within what
// the pickle says of the storage, and there are no more of them than of the storage's.
struct PickledTensor {
    const PickledStorage* storage = nullptr;
    int64_t offset = 0;
    Shape shape;
    std::vector<int64_t> strides;
};

struct PickledValue {
    enum class Kind : uint8_t {
        none,
        boolean,
        integer,
        real,
        text,
        sequence,
        dictionary,
        global,
        storage,
        tensor
    };

    Kind kind = Kind::none;
    int64_t integer = 0;  // also of booleans
    double real = 0;
    std::string text;                        // also a global's name, "torch.FloatStorage"
    std::vector<const PickledValue*> items;  // of a sequence; of a dictionary keys and values in turn
    PickledStorage storage;
    PickledTensor tensor;
};

// The values of a pickle; they refer to each other and die with it.
struct Pickle {
    std::deque<PickledValue> values;
    const PickledValue* root = nullptr;
};

// Throws FormatError in the name of `where` for what is no pickle of protocol 2 to 4, is cut short, or has
// anything but the above in it.
Pickle read_pickle(std::string_view bytes, const std::string& where);

// "a text", "a dictionary": for messages.
std::string_view name_of(PickledValue::Kind kind);

}  // namespace microtome
