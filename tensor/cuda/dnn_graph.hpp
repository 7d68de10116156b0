// A convolution, and what follows it, as cuDNN's graph API is told of it.
#pragma once

#include "base/error.hpp"
#include "tensor/cuda/cudnn.hpp"
#include "tensor/precision.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace microtome::cuda::cudnn {

inline constexpr int64_t kMostAlignment = 16;  // bytes; the widest access of a thread

enum class Kind : uint8_t { forward, input_gradient, weight_gradient };

// Everything that the library is told.
struct Problem {
    int device = 0;
    Kind kind{};
    Precision precision{};
    bool bias = false, residual = false, relu = false;
    int64_t alignment = kMostAlignment;  // of the least aligned tensor
    int64_t n = 0, h = 0, w = 0, c = 0, oh = 0, ow = 0, o = 0, kh = 0, kw = 0, groups = 1;
    std::array<int64_t, 2> strides{}, dilations{}, paddings{};

    friend auto operator<=>(const Problem&, const Problem&) = default;
};

// Names of tensors within a graph.
enum Id : int64_t { kX = 1, kW, kY, kBias, kResidual, kSum, kBiased, kResult };

// What the library says of its last failure.
inline std::string reason_of(const Functions& library, Status status) {
    char detail[256] = {};
    library.last_error_string(detail, sizeof detail);
    return str(library.error_string(status), *detail != 0 ? ": " : "", detail);
}

// That it would not describe something.
struct Refusal {
    std::string reason;
};

// A descriptor of the library's, which is set, then finalized, then used.
class Owned {
  public:
    Owned(const Functions& library, DescriptorType type) : library_(&library) {
        require(library.create_descriptor(type, &descriptor_));
    }
    ~Owned() {
        if (descriptor_ != nullptr) library_->destroy_descriptor(descriptor_);
    }
    Owned(Owned&& other) noexcept
        : library_(other.library_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}
    Owned& operator=(Owned&&) = delete;

    Descriptor* get() const { return descriptor_; }

    template <class Value>
    Owned& set(Attribute name, ElementType type, std::span<const Value> values) {
        require(library_->set_attribute(descriptor_, name, type, static_cast<int64_t>(values.size()),
                                        values.data()));
        return *this;
    }
    template <class Value>
    Owned& set(Attribute name, ElementType type, const Value& value) {
        return set(name, type, std::span<const Value>(&value, 1));
    }
    Owned& set(Attribute name, const Descriptor* other) { return set(name, ElementType::descriptor, other); }
    Owned finalized() {
        require(library_->finalize(descriptor_));
        return std::move(*this);
    }

    template <class Value>
    int64_t get(Attribute name, ElementType type, std::span<Value> values) const {
        int64_t found = 0;
        require(library_->get_attribute(descriptor_, name, type, static_cast<int64_t>(values.size()), &found,
                                        values.data()));
        return found;
    }

  private:
    void require(Status status) const {
        if (status != Status::success) throw Refusal{reason_of(*library_, status)};
    }

    const Functions* library_;
    Descriptor* descriptor_ = nullptr;
};

// Describes a problem as a graph of operations: the convolution, then, in f32, residual, bias and ReLU as far
// as it has them. All its descriptors go to `parts`, and live as long as the graph is used. Throws Refusal.
const Descriptor* describe(const Functions& library, const Problem& problem, Context* handle,
                           std::vector<Owned>& parts);

}  // namespace microtome::cuda::cudnn
