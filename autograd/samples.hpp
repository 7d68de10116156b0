// The inputs on which an op's gradient is checked: part of the op, because only its author knows where it
// hurts.
//
//     static void samples(Samples<Multiply>& s) {
//         s.add("same shape", {}, {uniform({3, 5}), uniform({3, 5})});
//         s.add("a row broadcast", {}, {uniform({4, 3}), uniform({3})});
//         s.add_same("x * x", {}, uniform({7}), 2);                      // one tensor in two places
//         s.fails("shapes that clash", {}, {f64({2, 3}), f64({2, 4})}, "shapes that broadcast");
//     }
//
// The checker runs every sample in f64: full Jacobian against finite differences, a random cotangent, second
// order, each needs-mask, and the saved tensors' contract. Samples lie away from kinks by more than 1e-3;
// what is promised exactly at one is stated with kink(). Where no step of finite differences would fit, at
// 1e-30 or 1e30, a sample is added with extreme(), for the oracles that take none: those on dual numbers.
#pragma once

#include "autograd/op.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace microtome {

struct OpSample {
    std::string name;
    std::shared_ptr<const void> attributes;
    Tensors inputs;  // the same tensor twice is one variable
    Needs checked;   // inputs to differentiate by
};

struct KinkCase {
    std::string name;
    std::shared_ptr<const void> attributes;
    Tensors inputs;
    Tensors cotangents;  // one per output
    Tensors expected;    // one gradient per input; undefined: not looked at
};

struct ErrorCase {
    std::string name;
    std::shared_ptr<const void> attributes;
    Specs inputs;
    std::string message;  // a part of the text of the error that the shape rule must throw
};

struct SampleSet {
    std::vector<OpSample> samples;
    std::vector<KinkCase> kinks;
    std::vector<ErrorCase> errors;
    std::vector<OpSample> extremes{};
};

template <class Op>
class Samples : public SampleSet {
  public:
    using Attributes = typename Op::Attributes;

    // Differentiates by every floating input except those listed as constants.
    void add(std::string name, Attributes attributes, Tensors inputs, std::vector<int> constants = {}) {
        samples.push_back(made(std::move(name), std::move(attributes), std::move(inputs), constants));
    }

    // The same, of a size at which only exact derivatives can be compared.
    void extreme(std::string name, Attributes attributes, Tensors inputs, std::vector<int> constants = {}) {
        extremes.push_back(made(std::move(name), std::move(attributes), std::move(inputs), constants));
    }

    // The same tensor in every place: f(x, x).
    void add_same(std::string name, Attributes attributes, const Tensor& input, int times) {
        add(std::move(name), std::move(attributes), Tensors(times, input));
    }

    // Exactly at a kink the gradient must be the expected one.
    void kink(std::string name, Attributes attributes, Tensors inputs, Tensors cotangents, Tensors expected) {
        kinks.push_back({std::move(name), share(std::move(attributes)), std::move(inputs),
                         std::move(cotangents), std::move(expected)});
    }

    // The op must refuse such inputs, with this text in its error.
    void fails(std::string name, Attributes attributes, Specs inputs, std::string message) {
        errors.push_back(
            {std::move(name), share(std::move(attributes)), std::move(inputs), std::move(message)});
    }

  private:
    static OpSample made(std::string name, Attributes attributes, Tensors inputs,
                         const std::vector<int>& constants) {
        Needs checked;
        for (int i = 0; i < static_cast<int>(inputs.size()); ++i)
            if (is_floating(inputs[i].dtype()) &&
                std::find(constants.begin(), constants.end(), i) == constants.end())
                checked.set(i);
        return {std::move(name), share(std::move(attributes)), std::move(inputs), checked};
    }
    static std::shared_ptr<const void> share(Attributes attributes) {
        return std::make_shared<const Attributes>(std::move(attributes));
    }
};

// Inputs, all f64 unless said otherwise. The same call with the same seed gives the same numbers everywhere.
Tensor uniform(const Shape& shape, double low = -1, double high = 1, uint64_t seed = 1);
// |x| in [smallest, largest], random sign: for ops with a kink at 0.
Tensor away_from_zero(const Shape& shape, double smallest = 0.1, double largest = 1, uint64_t seed = 1);
// A random order of evenly spaced numbers in [-1, 1]: no two equal, for max, sort and pooling.
Tensor distinct(const Shape& shape, uint64_t seed = 1);
// i64 in [0, below).
Tensor integers(const Shape& shape, int64_t below, uint64_t seed = 1);
// Rows of positive numbers that sum to 1: soft targets.
Tensor simplex(const Shape& shape, uint64_t seed = 1);

// Sizes around those of vectors and tiles, where a kernel's tail begins.
inline constexpr int64_t kTailSizes[] = {1, 15, 16, 17, 31, 33};
// Tiny, huge and ordinary, of either sign: for extreme().
Tensor far_apart(bool negative = true);

// Specs for fails().
inline Spec f64(const Shape& shape) {
    return {shape, Dtype::f64, kCpu};
}
inline Spec i64(const Shape& shape) {
    return {shape, Dtype::i64, kCpu};
}

}  // namespace microtome
