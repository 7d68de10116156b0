#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Absolute : UnaryOp<op::Absolute, kernels::Unary::absolute> {
    static constexpr std::string_view name = "absolute";
    static constexpr std::string_view formula = "y = |x|";
    static constexpr std::string_view kinks = "x = 0: the derivative is 0";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * sign(record.input(0))};
    }
    static void samples(Samples<Absolute>& s) {
        s.add("any", {}, {away_from_zero({3, 5})});
        s.kink("x = 0", {}, {Tensor::of({0.0, -0.0, -2.0}, {3})}, {Tensor::of({5.0, 6.0, 7.0}, {3})},
               {Tensor::of({0.0, 0.0, -7.0}, {3})});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s,
                     [](const Shape& shape, uint64_t seed) { return away_from_zero(shape, 0.1, 1, seed); });
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Absolute>() {
    return describe<op::Absolute>();
}

Tensor abs(const Tensor& x) {
    return apply<op::Absolute>({}, {x})[0];
}

}  // namespace microtome
