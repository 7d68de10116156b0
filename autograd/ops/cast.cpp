#include "autograd/describe.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/tape.hpp"
#include "tensor/kernels/elementwise.hpp"

namespace microtome {

struct op::Cast {
    static constexpr std::string_view name = "cast";
    static constexpr std::string_view formula = "y = x in another element type";
    // Rounding is flat almost everywhere; as everywhere else in training, it is treated as the identity.
    static constexpr std::string_view kinks = "rounding between floating types has the identity's gradient";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        Dtype dtype = Dtype::f32;
        void each(auto&& field) const { field("to", std::string_view(name_of(dtype))); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        return {{in[0].shape, a.dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::convert(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {cast(g[0], record.input_specs[0].dtype)};
    }
    static void samples(Samples<Cast>& s) {
        // Finite differences see f64 to f64 alone; through f32 they would see its steps.
        s.add("f64", {Dtype::f64}, {uniform({3, 5})});
        s.add("nothing", {Dtype::f64}, {uniform({0})});
        s.add("to dual numbers", {Dtype::dual}, {uniform({3})});
        s.kink("to f32", {Dtype::f32}, {Tensor::of({0.1, -7.0}, {2})}, {Tensor::of<float>({3, 0.5f}, {2})},
               {Tensor::of({3.0, 0.5}, {2})});
        s.kink("from f32", {Dtype::f64}, {Tensor::of<float>({0.1f, -7}, {2})}, {Tensor::of({0.1, 0.5}, {2})},
               {Tensor::of<float>({0.1f, 0.5f}, {2})});
    }
};

template <>
const OpInfo& op_info<op::Cast>() {
    return describe<op::Cast>();
}

Tensor cast(const Tensor& x, Dtype dtype) {
    if (x.defined() && x.dtype() == dtype) return x;
    if (is_floating(x.dtype()) && is_floating(dtype)) return apply<op::Cast>({dtype}, {x})[0];
    PauseTapes pause;  // integers have no gradient
    return apply<op::Cast>({dtype}, {x})[0];
}

}  // namespace microtome
