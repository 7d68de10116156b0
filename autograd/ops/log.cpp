#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Log : UnaryOp<op::Log, kernels::Unary::log> {
    static constexpr std::string_view name = "log";
    static constexpr std::string_view formula = "y = ln x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] / record.input(0)};
    }
    static void samples(Samples<Log>& s) {
        s.add("any", {}, {uniform({3, 5}, 0.5, 3)});
        s.add("empty", {}, {uniform({0})});
        tail_samples(s, 0.5, 3);
        s.extreme("tiny and huge", {}, {far_apart(false)});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Log>() {
    return describe<op::Log>();
}

Tensor log(const Tensor& x) {
    return apply<op::Log>({}, {x})[0];
}

}  // namespace microtome
