#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

#include <limits>

namespace microtome {

struct op::Clamp {
    static constexpr std::string_view name = "clamp";
    static constexpr std::string_view formula = "y = min(max(x, low), high)";
    static constexpr std::string_view kinks = "x = low and x = high: the derivative is 0, as it is outside";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    static constexpr int in_place = 0;
    struct Attributes {
        double low = 0, high = 1;
        void each(auto&& field) const {
            field("low", low);
            field("high", high);
        }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_floating(name, in[0]);
        if (!(a.low <= a.high))
            throw OptionsError(name, str("expected low <= high, got ", a.low, " and ", a.high));
        return {in[0]};
    }
    static Specs gates(const Attributes&, const Specs& in) { return {gate_spec(in[0])}; }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        if (out.size() > 1)
            kernels::range_gate(in[0], a.low, a.high, out[0], out[1], context);
        else
            kernels::ternary(kernels::Ternary::clamp, in[0], literal_like(in[0], a.low),
                             literal_like(in[0], a.high), out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().gates(); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {apply_gate(g[0], record.gate(0))};
    }
    static void samples(Samples<Clamp>& s) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        Tensor x = Tensor::of({-0.7, -0.2, 0.1, 0.4, 0.6, 1.3, 0.3, 2.0, -3.0}, {9});
        s.add("inside and out", {0, 0.5}, {x});
        s.add("no limit above", {0, infinity}, {x});
        s.add("no limit below", {-infinity, 0.5}, {x});
        s.add("empty", {0, 1}, {uniform({0, 2})});
        for (int64_t size : kTailSizes)
            s.add(str("elements: ", size), {-0.05, 2}, {away_from_zero({size}, 0.1, 1)});
        s.extreme("tiny and huge", {-1e-15, 1e20}, {far_apart()});
        s.kink("at the ends", {0, 1}, {Tensor::of({0.0, -0.0, 0.5, 1.0, 1.5}, {5})},
               {Tensor::of({5.0, 6.0, 7.0, 8.0, 9.0}, {5})}, {Tensor::of({0.0, 0.0, 7.0, 0.0, 0.0}, {5})});
        s.kink("an interval of one point", {1, 1}, {Tensor::of({0.0, 1.0, 2.0}, {3})},
               {Tensor::of({5.0, 6.0, 7.0}, {3})}, {Tensor::zeros({3}, Dtype::f64)});
        s.fails("ends the wrong way round", {1, 0}, {f64({2})}, "low <= high");
        s.fails("integers", {0, 1}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Clamp>() {
    return describe<op::Clamp>();
}

Tensor clamp(const Tensor& x, double low, double high) {
    return apply<op::Clamp>({low, high}, {x})[0];
}

}  // namespace microtome
