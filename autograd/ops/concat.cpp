#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/layout.hpp"

namespace microtome {
namespace {

constexpr std::size_t kMostInputs = 32;  // as many as Needs has bits

}  // namespace

struct op::Concat {
    static constexpr std::string_view name = "concat";
    static constexpr std::string_view formula = "y = the inputs one after another along an axis";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int axis = 0;
        void each(auto&& field) const { field("axis", axis); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        if (in.empty()) throw ShapeError(name, "expected at least one tensor, got none");
        const int axis = in[0].shape.normalize(a.axis);
        int64_t size = 0;
        for (const Spec& spec : in) {
            if (spec.dtype != in[0].dtype)
                throw DtypeError(name, str("expected tensors of one type, got ", in[0], " and ", spec),
                                 "cast() one of them");
            if (spec.shape.rank() != in[0].shape.rank() ||
                !(spec.shape.with(axis, 0) == in[0].shape.with(axis, 0)))
                throw ShapeError(name, str("expected tensors that agree except on axis ", axis, ", got ",
                                           in[0], " and ", spec));
            size += spec.shape[axis];
        }
        return {{in[0].shape.with(axis, size), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        std::vector<int64_t> begin(out[0].rank(), 0);
        for (const Tensor& x : in) {
            kernels::copy_into_box(x, begin, out[0], context);
            begin[a.axis] += x.size(a.axis);
        }
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        Tensors d(record.input_specs.size());
        int64_t begin = 0;
        for (std::size_t i = 0; i < d.size(); ++i) {
            const int64_t end = begin + record.input_specs[i].shape[a.axis];
            if (record.needs(static_cast<int>(i))) d[i] = slice(g[0], a.axis, begin, end);
            begin = end;
        }
        return d;
    }
    static void samples(Samples<Concat>& s) {
        s.add("rows", {0}, {uniform({2, 3}), uniform({1, 3}, -1, 1, 2)});
        s.add("three, in the middle", {1},
              {uniform({2, 1, 3}), uniform({2, 3, 3}, -1, 1, 2), uniform({2, 2, 3}, -1, 1, 3)});
        s.add("channels, one of them empty", {2},
              {uniform({2, 2, 0}), uniform({2, 2, 3}, -1, 1, 2), uniform({2, 2, 1}, -1, 1, 3)});
        s.add("one alone", {0}, {uniform({5})});
        s.add_same("the same twice", {1}, uniform({3, 2}), 2);
        s.fails("none", {0}, {}, "at least one");
        s.fails("another axis differs", {0}, {f64({2, 3}), f64({2, 4})}, "agree except on axis 0");
        s.fails("ranks that differ", {0}, {f64({2, 3}), f64({2})}, "agree except");
        s.fails("types that differ", {0}, {f64({2}), i64({2})}, "of one type");
    }
};

template <>
const OpInfo& op_info<op::Concat>() {
    return describe<op::Concat>();
}

Tensor concat(const Tensors& xs, int axis) {
    if (!xs.empty() && xs[0].defined()) {
        axis = xs[0].shape().normalize(axis);
        if (xs.size() == 1) return xs[0];
    }
    Tensors parts = xs;
    while (parts.size() > kMostInputs) {
        Tensors joined;
        for (std::size_t i = 0; i < parts.size(); i += kMostInputs) {
            const auto first = parts.begin() + static_cast<std::ptrdiff_t>(i);
            const auto count = static_cast<std::ptrdiff_t>(std::min(kMostInputs, parts.size() - i));
            joined.push_back(apply<op::Concat>({axis}, Tensors(first, first + count))[0]);
        }
        parts = std::move(joined);
    }
    return apply<op::Concat>({axis}, parts)[0];
}

Tensor stack(const Tensors& xs, int axis) {
    if (xs.empty()) throw ShapeError("stack", "expected at least one tensor, got none");
    const int rank = xs[0].rank() + 1;
    const int place = axis < 0 ? axis + rank : axis;
    if (place < 0 || place >= rank)
        throw ShapeError("stack", str("expected an axis from 0 to ", rank - 1, ", got ", axis));
    Tensors slices;
    for (const Tensor& x : xs) {
        if (!(x.shape() == xs[0].shape()))
            throw ShapeError("stack",
                             str("expected tensors of one shape, got ", xs[0].spec(), " and ", x.spec()));
        std::vector<int64_t> sizes(x.shape().begin(), x.shape().end());
        sizes.insert(sizes.begin() + place, 1);
        slices.push_back(reshape(x, Shape(std::span<const int64_t>(sizes))));
    }
    return concat(slices, place);
}

}  // namespace microtome
