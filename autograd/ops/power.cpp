#include "autograd/ops/comparison.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Power : BinaryOp<op::Power, kernels::Binary::power> {
    static constexpr std::string_view name = "power";
    static constexpr std::string_view formula = "y = x^p";
    static constexpr std::string_view kinks =
        "x <= 0: the derivative by the exponent is 0; x = 0: that by x is p * 0^(p - 1), as IEEE gives it";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs needs) {
        Saves saves = Saves().input(0).input_if(needs[0], 1);
        return needs[1] ? saves.output(0) : saves;
    }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        const Tensor& x = record.input(0);
        Tensors d(2);
        if (record.needs(0)) {
            const Tensor& p = record.input(1);
            d[0] = unbroadcast(g[0] * p * power(x, p - 1.0), record, 0);
        }
        if (record.needs(1)) {
            Tensor positive = greater(x, 0.0);
            // log(1) = 0 stands in where there is no logarithm, so that no NaN arises that 0 would not undo.
            d[1] = unbroadcast(g[0] * where(positive, record.output(0), 0.0) * log(where(positive, x, 1.0)),
                               record, 1);
        }
        return d;
    }
    static void samples(Samples<Power>& s) {
        broadcasting_samples(
            s, [](const Shape& shape, uint64_t seed) { return uniform(shape, 0.5, 2, seed); },
            [](const Shape& shape, uint64_t seed) { return uniform(shape, -2, 3, seed); });
        s.add("a negative base", {}, {away_from_zero({5}, 0.5, 2), Tensor::scalar(3, Dtype::f64)}, {1});
        s.add("a square at 0", {}, {Tensor::of({0.0, 1.0}, {2}), Tensor::scalar(2, Dtype::f64)}, {1});
        s.add_same("x^x", {}, uniform({4}, 0.5, 2), 2);
        s.extreme("tiny and huge", {}, {far_apart(false), Tensor::of({2.0, -1.5, 3.0, 0.5, -2.0}, {5})});
        s.kink("no logarithm at 0 and below", {},
               {Tensor::of({0.0, -2.0, 1.0}, {3}), Tensor::of({2.0, 3.0, 5.0}, {3})},
               {Tensor::of({1.0, 1.0, 1.0}, {3})},
               {Tensor::of({0.0, 12.0, 5.0}, {3}), Tensor::of({0.0, 0.0, 0.0}, {3})});
    }
};

template <>
const OpInfo& op_info<op::Power>() {
    return describe<op::Power>();
}

Tensor power(const Tensor& x, const Tensor& exponent) {
    return apply<op::Power>({}, {x, exponent})[0];
}

Tensor power(const Tensor& x, double exponent) {
    return power(x, literal_like(x, exponent));
}

}  // namespace microtome
