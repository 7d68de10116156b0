#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Reciprocal : UnaryOp<op::Reciprocal, kernels::Unary::reciprocal> {
    static constexpr std::string_view name = "reciprocal";
    static constexpr std::string_view formula = "y = 1 / x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().output(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {-(g[0] * square(record.output(0)))};
    }
    static void samples(Samples<Reciprocal>& s) {
        s.add("any", {}, {away_from_zero({3, 5}, 0.5, 2)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s,
                     [](const Shape& shape, uint64_t seed) { return away_from_zero(shape, 0.5, 2, seed); });
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Reciprocal>() {
    return describe<op::Reciprocal>();
}

Tensor reciprocal(const Tensor& x) {
    return apply<op::Reciprocal>({}, {x})[0];
}

}  // namespace microtome
