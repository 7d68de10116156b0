#include "autograd/describe.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/tape.hpp"

namespace microtome {

struct op::ReplaceGradient {
    static constexpr std::string_view name = "replace_gradient";
    static constexpr std::string_view formula = "y = value, dy/dsurrogate = 1";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        if (!(in[0] == in[1]))
            throw ShapeError(
                name, str("expected value and surrogate of one shape and type, got ", in[0], " and ", in[1]));
        return {in[0]};
    }
    static Tensors view(const Attributes&, const Tensors& in) { return {in[0].view(in[0].shape())}; }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes&, const Recorded&, const Tensors& g) { return {Tensor(), g[0]}; }
    static void samples(Samples<ReplaceGradient>& s) {
        // The lie is the point, so finite differences can only check it where it tells the truth.
        s.add_same("a surrogate that is the value", {}, uniform({3}), 2);
        s.kink("another surrogate", {}, {uniform({2}), uniform({2}, -1, 1, 2)}, {Tensor::of({3.0, 4.0}, {2})},
               {Tensor::of({0.0, 0.0}, {2}), Tensor::of({3.0, 4.0}, {2})});
        s.fails("two shapes", {}, {f64({2}), f64({3})}, "one shape");
    }
};

template <>
const OpInfo& op_info<op::ReplaceGradient>() {
    return describe<op::ReplaceGradient>();
}

Tensor replace_gradient(const Tensor& value, const Tensor& surrogate) {
    return apply<op::ReplaceGradient>({}, {value, surrogate})[0];
}

Tensor replace_gradient(const Tensor& x, const std::function<Tensor(const Tensor&)>& forward,
                        const std::function<Tensor(const Tensor&)>& backward) {
    Tensor value = [&] {
        PauseTapes pause;
        return forward(x);
    }();
    return replace_gradient(value, backward(x));
}

}  // namespace microtome
