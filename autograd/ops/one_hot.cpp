#include "autograd/describe.hpp"
#include "autograd/ops/losses.hpp"
#include "tensor/kernels/index.hpp"

#include <algorithm>

namespace microtome {

struct op::OneHot {
    static constexpr std::string_view name = "one_hot";
    static constexpr std::string_view formula = "y[i][c] = 1 where c = labels[i], else 0";
    static constexpr std::string_view not_differentiable = "labels are not numbers to differentiate by";
    struct Attributes {
        int64_t classes = 0;
        Dtype dtype = Dtype::f32;
        void each(auto&& field) const {
            field("classes", classes);
            field("dtype", dtype);
        }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        if (in[0].dtype != Dtype::i64) throw DtypeError(name, str("expected labels i64, got ", in[0]));
        if (in[0].shape.rank() != 1) throw ShapeError(name, str("expected labels (N), got ", in[0]));
        if (a.classes < 1) throw OptionsError(name, str("expected at least one class, got ", a.classes));
        if (!is_floating(a.dtype) || a.dtype == Dtype::bf16)
            throw DtypeError(name, str("expected to make f32 or f64, got ", a.dtype));
        return {{Shape{in[0].shape[0], a.classes}, a.dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext&) {
        kernels::one_hot(in[0], out[0]);
    }
    static void samples(Samples<OneHot>& s) {
        s.add("any", {3, Dtype::f64}, {integers({5}, 3)});
        s.add("none", {3, Dtype::f64}, {integers({0}, 3)});
        s.fails("not a list", {3, Dtype::f64}, {i64({2, 2})}, "labels (N)");
        s.fails("floating labels", {3, Dtype::f64}, {f64({2})}, "i64");
        s.fails("no class", {0, Dtype::f64}, {i64({2})}, "at least one class");
        s.fails("to integers", {3, Dtype::i64}, {i64({2})}, "f32 or f64");
    }
};

template <>
const OpInfo& op_info<op::OneHot>() {
    return describe<op::OneHot>();
}

Tensor one_hot(const Tensor& labels, int64_t classes, Dtype dtype) {
    return apply<op::OneHot>({classes, dtype}, {labels})[0];
}

}  // namespace microtome
