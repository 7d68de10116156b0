#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {

struct op::Reshape {
    static constexpr std::string_view name = "reshape";
    static constexpr std::string_view formula = "y = x under another shape";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        Shape shape;
        void each(auto&& field) const { field("shape", shape); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        if (a.shape.elements() != in[0].shape.elements())
            throw ShapeError(name, str("expected a shape of ", in[0].shape.elements(), " elements for ",
                                       in[0], ", got ", a.shape));
        return {{a.shape, in[0].dtype, in[0].device}};
    }
    static Tensors view(const Attributes& a, const Tensors& in) { return {in[0].view(a.shape)}; }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {reshape(g[0], record.input_specs[0].shape)};
    }
    static void samples(Samples<Reshape>& s) {
        s.add("flatten", {{2, 6}}, {uniform({2, 3, 2})});
        s.add("to a scalar", {{}}, {uniform({1, 1})});
        s.add("empty", {{0, 7}}, {uniform({3, 0})});
        s.fails("elements lost", {{5}}, {f64({2, 3})}, "6 elements");
    }
};

template <>
const OpInfo& op_info<op::Reshape>() {
    return describe<op::Reshape>();
}

Tensor reshape(const Tensor& x, const Shape& shape) {
    return apply<op::Reshape>({shape}, {x})[0];
}

Tensor reshape(const Tensor& x, std::initializer_list<int64_t> sizes) {
    std::vector<int64_t> whole(sizes);
    int64_t known = 1;
    int64_t* open = nullptr;
    for (int64_t& size : whole) {
        if (size != -1) {
            if (__builtin_mul_overflow(known, size, &known))
                throw ShapeError("reshape", str("expected sizes with at most ", x.elements(),
                                                " elements, got more than 64 bits can count"));
        } else if (open == nullptr) {
            open = &size;
        } else {
            throw ShapeError("reshape", "expected at most one size of -1");
        }
    }
    if (open != nullptr) {
        if (known <= 0 || x.elements() % known != 0)
            throw ShapeError("reshape", str("expected sizes that divide the ", x.elements(), " elements of ",
                                            x.spec(), ", got a product of ", known));
        *open = x.elements() / known;
    }
    return reshape(x, Shape(std::span<const int64_t>(whole)));
}

Tensor flatten(const Tensor& x) {
    if (x.rank() == 0) throw ShapeError("flatten", str("expected a first axis to keep, got ", x.spec()));
    int64_t rest = 1;
    for (int axis = 1; axis < x.rank(); ++axis) rest *= x.size(axis);
    return reshape(x, Shape{x.size(0), rest});
}

}  // namespace microtome
