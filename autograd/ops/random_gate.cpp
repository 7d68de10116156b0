#include "autograd/describe.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/dropout.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/shaping.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace microtome {

struct op::RandomGate {
    static constexpr std::string_view name = "random_gate";
    static constexpr std::string_view formula =
        "bit j of sample i = 1 where number j of its stream is not below rate";
    static constexpr std::string_view not_differentiable = "a draw depends on a key, not on numbers";
    struct Attributes {
        int64_t elements = 0;  // of each sample
        double rate = 0;
        void each(auto&& field) const {
            field("elements", elements);
            field("rate", rate);
        }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        if (!(a.rate >= 0 && a.rate < 1))
            throw OptionsError("dropout", str("expected a rate in [0,1), got ", a.rate));
        if (in[0].dtype != Dtype::i64 || !(in[0].shape == Shape{4}))
            throw ShapeError("dropout", str("expected a key i64(4), got ", in[0]), "key_tensor() makes one");
        if (in[1].dtype != Dtype::i64 || in[1].shape.rank() != 1)
            throw ShapeError("dropout", str("expected ids i64(N), got ", in[1]));
        return {{{(in[1].shape[0] * a.elements + 7) / 8}, Dtype::u8, in[1].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        fill_gate(in[0], in[1], a.elements, a.rate, out[0], context);
    }
    static void samples(Samples<RandomGate>& s) {
        Tensor key = key_tensor({.seed = 1, .purpose = 2, .step = 3});
        s.add("any", {5, 0.5}, {key, integers({3}, 100)});
        s.add("no samples", {5, 0.5}, {key, integers({0}, 100)});
        s.add("no elements", {0, 0.5}, {key, integers({3}, 100)});
        s.fails("a rate of 1", {5, 1}, {i64({4}), i64({3})}, "rate in [0,1)");
        s.fails("not a key", {5, 0.5}, {i64({3}), i64({3})}, "key i64(4)");
        s.fails("floating ids", {5, 0.5}, {i64({4}), f64({3})}, "ids i64(N)");
    }
};

template <>
const OpInfo& op_info<op::RandomGate>() {
    return describe<op::RandomGate>();
}

Tensor random_gate(const Tensor& key, const Tensor& ids, int64_t elements, double rate) {
    return apply<op::RandomGate>({elements, rate}, {key, ids})[0];
}

Tensor key_tensor(const RandomKey& key) {
    return Tensor::of({std::bit_cast<int64_t>(key.seed), std::bit_cast<int64_t>(key.purpose),
                       static_cast<int64_t>(key.restart), static_cast<int64_t>(key.step)},
                      {4});
}

namespace {

int64_t elements_per_sample(const char* where, const Tensor& x, const Tensor& ids) {
    if (x.rank() == 0 || !(ids.shape() == Shape{x.size(0)}))
        throw ShapeError(where, str("expected x (N, ...) and ids (N), got ", x.spec(), " and ", ids.spec()));
    int64_t elements = 1;
    for (int axis = 1; axis < x.rank(); ++axis) elements *= x.size(axis);
    return elements;
}

}  // namespace

Tensor dropout(const Tensor& x, double rate, const Tensor& key, const Tensor& ids) {
    const int64_t elements = elements_per_sample("dropout", x, ids);
    return apply_gate(x, random_gate(key, ids, elements, rate)) * (1 / (1 - rate));
}

Tensor drop_path(const Tensor& x, double rate, const Tensor& key, const Tensor& ids) {
    elements_per_sample("drop_path", x, ids);
    Shape shape = x.shape();
    for (int axis = 1; axis < shape.rank(); ++axis) shape = shape.with(axis, 1);
    Tensor kept = Tensor::full(shape, 1 / (1 - rate), x.dtype(), x.device());
    return x * apply_gate(kept, random_gate(key, ids, 1, rate));
}

}  // namespace microtome
