// What descriptors hold: shared by the two halves of the stand-in for cuDNN.
#pragma once

#include "tensor/cuda/cudnn.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

namespace microtome::cuda::cudnn {

// What engines there are, the least suitable first.
enum Engine : int64_t {
    kNondeterministic,  // a little more each time
    kWinograd,
    kDownConverting,
    kGreedy,       // wants more workspace than there is
    kUnavailable,  // cannot be prepared
    kTensorCore,
    kPlain,
    kEngines
};
inline std::vector<NumericalNote> notes_of(int64_t engine) {
    switch (engine) {
        case kNondeterministic: return {NumericalNote::nondeterministic};
        case kWinograd: return {NumericalNote::strict_nan, NumericalNote::winograd_4x4};
        case kDownConverting: return {NumericalNote::down_convert_inputs, NumericalNote::tensor_core};
        case kTensorCore: return {NumericalNote::tensor_core};
        case kPlain: return {NumericalNote::strict_nan};
        default: return {};
    }
}

struct Node {
    DescriptorType type;
    bool finalized = false;
    std::map<Attribute, std::vector<std::byte>> values{};
    const Node* graph = nullptr;  // of an engine, its configuration and its plan
    int64_t engine = -1;

    bool has(Attribute name) const { return values.contains(name); }
    template <class T>
    std::vector<T> all(Attribute name) const {
        const std::vector<std::byte>& bytes = values.at(name);
        std::vector<T> result(bytes.size() / sizeof(T));
        std::memcpy(result.data(), bytes.data(), bytes.size());
        return result;
    }
    template <class T>
    T one(Attribute name) const {
        T result;
        std::memcpy(&result, values.at(name).data(), sizeof result);
        return result;
    }
    const Node& node(Attribute name) const { return *one<const Node*>(name); }

    // --- of tensors
    std::vector<int64_t> dimensions() const { return all<int64_t>(Attribute::tensor_dimensions); }
    std::vector<int64_t> strides() const { return all<int64_t>(Attribute::tensor_strides); }
    int64_t id() const { return one<int64_t>(Attribute::tensor_id); }
    DataType data_type() const { return one<DataType>(Attribute::tensor_type); }
    bool is_virtual() const {
        return has(Attribute::tensor_is_virtual) && one<bool>(Attribute::tensor_is_virtual);
    }
    int64_t elements() const {
        int64_t product = 1;
        for (int64_t size : dimensions()) product *= size;
        return product;
    }
    // C innermost, and nothing between elements.
    bool is_packed() const {
        const auto d = dimensions();
        return strides() == std::vector<int64_t>{d[1] * d[2] * d[3], 1, d[3] * d[1], d[1]};
    }
};

// The parts of an operation by their roles in y = convolution of x and w.
struct Convolution {
    const Node *how, *x, *w, *y;
    float alpha, beta;
    const Node* result;

    static bool is(const Node& operation) {
        return operation.type == DescriptorType::forward ||
               operation.type == DescriptorType::input_gradient ||
               operation.type == DescriptorType::weight_gradient;
    }
    explicit Convolution(const Node& operation) {
        using A = Attribute;
        auto take = [&](A a, A b, A c, A image, A filters, A response) {
            alpha = operation.one<float>(a), beta = operation.one<float>(b);
            how = &operation.node(c), x = &operation.node(image), w = &operation.node(filters);
            y = &operation.node(response);
        };
        if (operation.type == DescriptorType::forward) {
            take(A::forward_alpha, A::forward_beta, A::forward_convolution, A::forward_x, A::forward_w,
                 A::forward_y);
            result = y;
        } else if (operation.type == DescriptorType::input_gradient) {
            take(A::input_gradient_alpha, A::input_gradient_beta, A::input_gradient_convolution,
                 A::input_gradient_dx, A::input_gradient_w, A::input_gradient_dy);
            result = x;
        } else {
            take(A::weight_gradient_alpha, A::weight_gradient_beta, A::weight_gradient_convolution,
                 A::weight_gradient_x, A::weight_gradient_dw, A::weight_gradient_dy);
            result = w;
        }
    }
    int64_t axis(Attribute name, std::size_t i) const { return how->all<int64_t>(name).at(i); }
};

// Runs a plan on the addresses of a pack, with so many bytes of workspace; all have been checked.
void execute(const Node& plan, const Node& pack, int64_t workspace);

}  // namespace microtome::cuda::cudnn
