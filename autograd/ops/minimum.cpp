#include "autograd/ops/comparison.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Minimum : BinaryOp<op::Minimum, kernels::Binary::minimum> {
    static constexpr std::string_view name = "minimum";
    static constexpr std::string_view formula = "y = min(a, b)";
    static constexpr std::string_view kinks = "a = b: the gradient goes to b";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0).input(1); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        Tensor first = less(record.input(0), record.input(1));
        Tensors d(2);
        if (record.needs(0)) d[0] = unbroadcast(where(first, g[0], 0.0), record, 0);
        if (record.needs(1)) d[1] = unbroadcast(where(first, 0.0, g[0]), record, 1);
        return d;
    }
    static void samples(Samples<Minimum>& s) {
        // distinct() has no number between 0.29 and 0.32 for these shapes.
        auto left = [](const Shape& shape, uint64_t seed) { return distinct(shape, seed); };
        auto right = [](const Shape& shape, uint64_t seed) { return away_from_zero(shape, 0.3, 0.31, seed); };
        broadcasting_samples(s, left, right);
        s.kink("equals", {}, {Tensor::of({1.0, 2.0, 3.0}, {3}), Tensor::of({1.0, 3.0, 2.0}, {3})},
               {Tensor::of({5.0, 6.0, 7.0}, {3})},
               {Tensor::of({0.0, 6.0, 0.0}, {3}), Tensor::of({5.0, 0.0, 7.0}, {3})});
    }
};

template <>
const OpInfo& op_info<op::Minimum>() {
    return describe<op::Minimum>();
}

Tensor minimum(const Tensor& a, const Tensor& b) {
    return apply<op::Minimum>({}, {a, b})[0];
}

}  // namespace microtome
