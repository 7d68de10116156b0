// An op of one's own, outside microtome's list: leaky ReLU, written, used and checked. docs/writing-an-op.md
// explains it member by member.
#include <iostream>
#include <microtome/autograd/describe.hpp>
#include <microtome/autograd/gradcheck/check_op.hpp>
#include <microtome/autograd/ops/arithmetic.hpp>
#include <microtome/autograd/ops/comparison.hpp>
#include <microtome/autograd/tape.hpp>

using namespace microtome;

struct LeakyRelu {
    static constexpr std::string_view name = "leaky_relu";
    static constexpr std::string_view formula = "y = x where x > 0, else slope x";
    static constexpr std::string_view kinks = "x = 0: the derivative is the slope";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    struct Attributes {
        double slope = 0.01;
        void each(auto&& field) const { field("slope", slope); }
    };

    static Specs shape_rule(const Attributes&, const Specs& in) {
        if (!is_floating(in[0].dtype))
            throw DtypeError(name, str("expected a floating tensor, got ", in[0]), "cast() it to f32");
        return {in[0]};
    }

    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext&) {
        visit_floating("leaky_relu", in[0].dtype(), [&]<class T>() {
            auto x = in[0].data<T>();
            auto y = out[0].mutable_data<T>();
            const T slope = static_cast<T>(a.slope);
            for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] > 0 ? x[i] : slope * x[i];
        });
    }

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }

    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        return {where(greater(record.input(0), 0.0), g[0], g[0] * a.slope)};
    }

    static void samples(Samples<LeakyRelu>& s) {
        s.add("any", {0.1}, {away_from_zero({3, 5})});
        s.add("a slope above 1", {3}, {away_from_zero({7})});
        s.add("empty", {}, {uniform({0, 2})});
        s.kink("x = 0", {0.25}, {Tensor::of({0.0, -0.0, 1.0}, {3})}, {Tensor::of({4.0, 8.0, 3.0}, {3})},
               {Tensor::of({1.0, 2.0, 3.0}, {3})});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

Tensor leaky_relu(const Tensor& x, double slope = 0.01) {
    return apply_user_op<LeakyRelu>({slope}, {x})[0];
}

int main() {
    Tape tape;
    Tensor x = tape.watch(Tensor::of<float>({-2, -0.5f, 0, 3}, {4}));
    Tensor y = leaky_relu(x, 0.1);
    std::cout << y << ", gradient " << tape.gradient(y, x) << '\n';

    bool pass = true;
    for (const gradcheck::Row& row : gradcheck::check_op(user_op<LeakyRelu>())) {
        std::cout << row << '\n';
        pass = pass && row.pass;
    }
    return pass ? 0 : 1;
}
