#include "autograd/describe.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/require.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/index.hpp"

#include <numeric>

namespace microtome {

// The first `count` of each row's elements in order, and where they stood. Other axes are moved last by the
// public functions.
struct op::Sort {
    static constexpr std::string_view name = "sort";
    static constexpr std::string_view formula = "y[.., i] = x[.., index[.., i]], y in order";
    static constexpr std::string_view kinks = "equals keep their order, and their gradients with it";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        bool descending = false;
        int64_t count = 0;
        void each(auto&& field) const {
            field("descending", descending);
            field("count", count);
        }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        const Shape& x = in[0].shape;
        require_floating(name, in[0]);
        if (x.rank() == 0) throw ShapeError(name, str("expected an axis to sort along, got ", in[0]));
        if (a.count < 0 || a.count > x[-1])
            throw ShapeError(name, str("expected 0 to ", x[-1], " elements to be taken, got ", a.count));
        const Shape y = x.with(-1, a.count);
        return {{y, in[0].dtype, in[0].device}, {y, Dtype::i64, in[0].device}};
    }
    static std::size_t workspace(const Attributes&, const Specs& in) {
        return kernels::sort_workspace(in[0].shape);
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::sort_rows(in[0], a.descending, out[0], out[1], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().output(1); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        if (!g[0].defined()) return {Tensor()};
        return {scatter_add(g[0], record.output(1), -1, record.input_specs[0].shape[-1])};
    }
    static void samples(Samples<Sort>& s) {
        s.add("ascending", {false, 7}, {distinct({3, 7})});
        s.add("descending", {true, 5}, {distinct({2, 2, 5})});
        s.add("the three largest", {true, 3}, {distinct({2, 7})});
        s.add("one", {false, 1}, {distinct({3, 1})});
        s.add("past two vectors", {false, 33}, {distinct({1, 33})});
        s.extreme("tiny and huge", {true, 8}, {far_apart()});
        s.add("none taken", {true, 0}, {distinct({2, 3})});
        s.add("no rows", {false, 3}, {uniform({0, 3})});
        s.kink("equals", {true, 3}, {Tensor::of({1.0, 2.0, 2.0}, {3})},
               {Tensor::of({5.0, 6.0, 7.0}, {3}), Tensor::zeros({3}, Dtype::i64)},
               {Tensor::of({7.0, 5.0, 6.0}, {3})});
        s.fails("more than there are", {true, 4}, {f64({2, 3})}, "0 to 3 elements");
        s.fails("a scalar", {true, 1}, {f64({})}, "an axis to sort");
        s.fails("integers", {true, 3}, {i64({3})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Sort>() {
    return describe<op::Sort>();
}

namespace {

// The order of axes that exchanges `axis` and the last: its own inverse.
std::vector<int> exchange_with_last(int rank, int axis) {
    std::vector<int> order(rank);
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[axis], order[rank - 1]);
    return order;
}

Sorted sort_along(const char* where, const Tensor& x, int axis, bool descending, int64_t count) {
    if (x.rank() == 0) throw ShapeError(where, str("expected an axis to sort along, got ", x.spec()));
    axis = x.shape().normalize(axis);
    if (count < 0 || count > x.size(axis))
        throw ShapeError(where, str("expected 0 to ", x.size(axis), " elements from axis ", axis, " of ",
                                    x.spec(), ", got ", count));
    const bool last = axis == x.rank() - 1;
    const std::vector<int> order = exchange_with_last(x.rank(), axis);
    const Tensors y = apply<op::Sort>({descending, count}, {last ? x : permute(x, order)});
    return last ? Sorted{y[0], y[1]} : Sorted{permute(y[0], order), permute(y[1], order)};
}

}  // namespace

Sorted sort(const Tensor& x, int axis, bool descending) {
    const int64_t count = x.rank() ? x.size(axis) : 0;
    return sort_along("sort", x, axis, descending, count);
}

Sorted top_k(const Tensor& x, int64_t k, int axis) {
    return sort_along("top_k", x, axis, true, k);
}

}  // namespace microtome
