#include "autograd/tape.hpp"

#include "autograd/describe.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/attention.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/normalization.hpp"
#include "autograd/ops/pooling.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <memory>
#include <thread>

using namespace microtome;
using Catch::Contains;

namespace {

Tensor vector_of(std::initializer_list<double> values) {
    return Tensor::of(values, Shape{static_cast<int64_t>(values.size())});
}

std::vector<double> elements(const Tensor& x) {
    auto data = x.data<double>();
    return {data.begin(), data.end()};
}

using Numbers = std::vector<double>;

}  // namespace

TEST_CASE("nothing is recorded outside a tape, nor what does not depend on something watched", "[tape]") {
    Tensor x = vector_of({1, 2}), c = vector_of({3, 4});
    Tensor before = x * c;
    Tape tape;
    tape.watch(x);
    CHECK(tape.follows(x));
    CHECK_FALSE(tape.follows(c));
    Tensor constant = c * c + before;
    CHECK(tape.records().empty());
    CHECK_FALSE(tape.follows(constant));
    CHECK_FALSE(tape.follows(before));
    Tensor y = x * c;
    CHECK(tape.records().size() == 1);
    CHECK(tape.follows(y));
}

TEST_CASE("gradients of sums, and of variables that came more than once", "[tape]") {
    Tensor x = vector_of({1, 2, 3});
    Tape tape;
    tape.watch(x);
    CHECK(elements(tape.gradient(sum(x), x)) == Numbers{1, 1, 1});
    CHECK(elements(tape.gradient(sum(x * x + x), x)) == Numbers{3, 5, 7});
    // Of a vector: the sum of its elements, so each image has its own.
    CHECK(elements(tape.gradient(x * x, x)) == Numbers{2, 4, 6});
    // Of itself, and of an intermediate result.
    CHECK(elements(tape.gradient(x, x)) == Numbers{1, 1, 1});
    Tensor square = x * x;
    CHECK(elements(tape.gradient(square * square, square)) == Numbers{2, 8, 18});
    // Zeros where y is followed and does not depend on x.
    Tensor other = vector_of({1});
    tape.watch(other);
    CHECK(elements(tape.gradient(sum(x), other)) == Numbers{0});
}

TEST_CASE("several cotangents through one forward are the rows of the Jacobian", "[tape]") {
    Tensor w = Tensor::of({1.0, 2.0, 3.0, 4.0}, {2, 2}), x = Tensor::of({5.0, 6.0}, {1, 2});
    Tape tape;
    tape.watch(x);
    Tensor y = matmul(x, w);
    CHECK(elements(tape.vjp({y}, {Tensor::of({1.0, 0.0}, {1, 2})}, {x})[0]) == Numbers{1, 3});
    CHECK(elements(tape.vjp({y}, {Tensor::of({0.0, 1.0}, {1, 2})}, {x})[0]) == Numbers{2, 4});
    // Several outputs add up; the same output twice does, too.
    Tensor one = Tensor::of({1.0, 1.0}, {1, 2});
    CHECK(elements(tape.vjp({y, x, x}, {one, one, one}, {x})[0]) == Numbers{5, 9});
    CHECK_THROWS_AS(tape.vjp({y}, {}, {x}), TapeError);
    CHECK_THROWS_AS(tape.vjp({y}, {vector_of({1, 1})}, {x}), ShapeError);
}

TEST_CASE("nested tapes: the derivatives of x^3", "[tape]") {
    Tensor x = vector_of({2, -3});
    Tape third;
    third.watch(x);
    Tensor d2;
    {
        Tape second;
        second.watch(x);
        Tensor d1;
        {
            Tape first;
            first.watch(x);
            d1 = first.gradient(x * x * x, x);
        }
        CHECK(elements(d1) == Numbers{12, 27});
        d2 = second.gradient(d1, x);
    }
    CHECK(elements(d2) == Numbers{12, -18});
    CHECK(elements(third.gradient(d2, x)) == Numbers{6, 6});
}

TEST_CASE("mixed second derivatives", "[tape]") {
    // f = a^2 b: d2f/da db = 2 a = d2f/db da, d2f/db2 = 0.
    Tensor a = vector_of({3}), b = vector_of({5});
    Tape outer;
    outer.watch({a, b});
    Tape inner;
    inner.watch({a, b});
    Tensors d = inner.gradient(a * a * b, {a, b});
    CHECK(elements(d[0]) == Numbers{30});
    CHECK(elements(d[1]) == Numbers{9});
    CHECK(elements(outer.gradient(d[0], b)) == Numbers{6});
    CHECK(elements(outer.gradient(d[1], a)) == Numbers{6});
    CHECK(elements(outer.gradient(d[1], b)) == Numbers{0});
}

TEST_CASE("an inner tape may watch what an outer one computed", "[tape]") {
    // A penalty on the gradient, as in training with |df/dx|^2: x = w^2, f = x^3, (3 x^2)^2 = 9 w^8.
    Tensor w = vector_of({2});
    Tape outer;
    outer.watch(w);
    Tensor x = w * w;
    Tensor g;
    {
        Tape inner;
        inner.watch(x);
        g = inner.gradient(x * x * x, x);
    }
    CHECK(elements(outer.gradient(g * g, w)) == Numbers{9 * 8 * 128});
}

TEST_CASE("jvp against differences", "[tape]") {
    Tensor w = uniform({4, 3}, -1, 1, 2);
    auto f = [&](const Tensor& x) { return exp(matmul(x, w)) * matmul(x, w); };
    Tensor x = uniform({2, 4}, -1, 1, 3), v = uniform({2, 4}, -1, 1, 4);
    auto [y, derivative] = jvp(f, x, v);
    CHECK(identical(y, f(x)));
    const double h = 1e-5;
    Numbers up = elements(f(x + v * h)), down = elements(f(x - v * h)), d = elements(derivative);
    REQUIRE(d.size() == 6);
    for (std::size_t i = 0; i < d.size(); ++i)
        CHECK(d[i] == Approx((up[i] - down[i]) / (2 * h)).epsilon(1e-8));
    // A function of something else has no derivative by x: zeros.
    CHECK(elements(jvp([&](const Tensor&) { return w; }, x, v).second) == Numbers(12, 0.0));
}

TEST_CASE("writing to a saved tensor is an error, never a wrong gradient", "[tape]") {
    Tensor x = vector_of({1, 2}), c = vector_of({3, 4});
    Tape tape;
    tape.watch(x);
    Tensor y = x * c;
    CHECK(elements(tape.gradient(y, x)) == Numbers{3, 4});
    c.mutable_data<double>()[0] = 7;
    CHECK_THROWS_WITH(tape.gradient(y, x), Contains("[multiply]") && Contains("was written to") &&
                                               Contains("HINT") && Contains("clone()"));
    CHECK_THROWS_AS(tape.gradient(y, x), TapeError);
    // What was not saved may change: exp keeps its output only.
    Tensor z = exp(x);
    x.mutable_data<double>()[0] = 9;
    CHECK(elements(tape.gradient(z, x))[1] == std::exp(2.0));
    // A reshape shares storage, so writing to it counts.
    Tensor e = exp(x);
    e.view(Shape{2, 1}).mutable_data<double>()[0] = 0;
    CHECK_THROWS_AS(tape.gradient(e, x), TapeError);
}

TEST_CASE("tensors that a tape does not follow", "[tape]") {
    Tensor x = vector_of({1, 2}), other = vector_of({3});
    Tape tape;
    Tensor early = x * x;
    tape.watch(x);
    Tensor y = x * x;
    CHECK_THROWS_WITH(tape.gradient(early, x),
                      Contains("an output that this tape follows") && Contains("watch() the input before"));
    CHECK_THROWS_WITH(tape.gradient(y, other), Contains("an input that this tape follows"));
    CHECK_THROWS_WITH(tape.gradient(stop_gradient(y), x), Contains("stop_gradient"));
    CHECK_THROWS_AS(tape.gradient(y.clone(), x), TapeError);
    CHECK_THROWS_AS(tape.gradient(Tensor(), x), TapeError);
    CHECK_THROWS_AS(tape.gradient(y, Tensor()), TapeError);
    CHECK_THROWS_AS(tape.watch(Tensor()), TapeError);
    CHECK_THROWS_AS(tape.watch(Tensor::zeros({2}, Dtype::i64)), DtypeError);
}

TEST_CASE("stop_gradient and replace_gradient", "[tape]") {
    Tensor x = vector_of({0.5, 2});
    Tape tape;
    tape.watch(x);
    CHECK(elements(tape.gradient(x * stop_gradient(x), x)) == Numbers{0.5, 2});
    // The values of one function with the gradient of another, nothing of the first being recorded.
    Tensor y = replace_gradient(
        x, [](const Tensor& t) { return exp(t * 100.0); }, [](const Tensor& t) { return t * 3.0; });
    CHECK(elements(y)[0] == Approx(std::exp(50.0)));
    CHECK(elements(tape.gradient(y, x)) == Numbers{3, 3});
    for (const Tape::Record& record : tape.records()) CHECK(record.run.op->name != "exp");
}

TEST_CASE("a released tape gives no second gradient", "[tape]") {
    Tensor x = vector_of({1, 2});
    Tape tape;
    tape.watch(x);
    Tensor y = x * x;
    CHECK(tape.saved_bytes() > 0);
    CHECK(elements(tape.gradient(y, x)) == Numbers{2, 4});  // keeps
    CHECK(elements(tape.gradient(y, x, Tape::After::release)) == Numbers{2, 4});
    CHECK(tape.saved_bytes() == 0);
    CHECK_THROWS_WITH(tape.gradient(y, x), Contains("released") && Contains("After::keep"));
}

namespace {

// conv - relu - pool - linear, the small network of these tests.
struct Network {
    Tensor filters = uniform({3, 3, 3, 2}, -1, 1, 5), weights = uniform({12, 4}, -1, 1, 6);

    Tensor operator()(const Tensor& x) const {
        const ConvOptions same{.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1};
        return matmul(flatten(max_pool2d(relu(conv2d(x, filters, same)))), weights);
    }
};

struct OpNames : OpObserver {
    std::vector<std::string> seen;
    void ran(const OpInfo& op, const std::shared_ptr<const void>&, const Tensors&, const Tensors&,
             const Tensors&) override {
        seen.emplace_back(op.name);
    }
};

std::vector<std::string> saved_by(const Tape& tape) {
    std::vector<std::string> result;
    for (const Tape::Record& record : tape.records()) {
        std::string saved;
        for (std::size_t i = 0; i < record.run.inputs.size(); ++i)
            if (record.run.inputs[i].tensor.defined()) saved += str(" input ", i);
        for (std::size_t i = 0; i < record.run.outputs.size(); ++i)
            if (record.run.outputs[i].tensor.defined()) saved += str(" output ", i);
        for (const SavedTensor& gate : record.run.gates)
            if (gate.tensor.defined()) saved += " gate";
        result.push_back(str(record.run.op->name, ":", saved));
    }
    return result;
}

}  // namespace

TEST_CASE("an attack saves nothing for weights, training computes nothing for images", "[tape]") {
    using Texts = std::vector<std::string>;
    Network network;
    Tensor x = uniform({2, 4, 4, 2});
    Tensor image_gradient;
    {
        Tape tape;
        tape.watch(x);
        Tensor y = network(x);
        CHECK(saved_by(tape) ==
              Texts{"conv2d: input 1", "relu: gate", "max_pool2d: gate", "reshape:", "matmul: input 1"});
        // The network's own weights, a bit per element of 2x4x4x3 and a byte per winner of 2x2x2x3.
        CHECK(tape.saved_bytes() ==
              network.filters.spec().bytes() + network.weights.spec().bytes() + 12 + 24);
        image_gradient = tape.gradient(y, x);
    }
    {
        Tape tape;
        tape.watch({network.filters, network.weights});
        Tensor y = network(x);  // the matmul's own input depends on the filters
        CHECK(saved_by(tape) == Texts{"conv2d: input 0", "relu: gate", "max_pool2d: gate",
                                      "reshape:", "matmul: input 0 input 1"});
        Tensors d = tape.gradient(y, {network.filters, network.weights});
        CHECK(d[0].shape() == network.filters.shape());
        CHECK_THROWS_AS(tape.gradient(y, x), TapeError);
    }
    {
        // Everything watched, only the image asked for: the same bits, and no work for the weights.
        Tape tape;
        tape.watch({x, network.filters, network.weights});
        Tensor y = network(x);
        OpNames names;
        Tensor only;
        {
            ObserveOps observe(names);
            only = tape.gradient(y, x);
        }
        CHECK(identical(only, image_gradient));
        CHECK(names.seen ==
              Texts{"matmul", "reshape", "max_unpool2d", "apply_gate", "conv2d_input_gradient"});
    }
}

TEST_CASE("a chain of 100,000 ops is walked and freed without recursion", "[tape]") {
    Tensor x = vector_of({1});
    Tape tape;
    tape.watch(x);
    Tensor y = x;
    for (int i = 0; i < 100'000; ++i) y = -y;
    CHECK(tape.records().size() == 100'000);
    CHECK(elements(tape.gradient(y, x)) == Numbers{1});
}

TEST_CASE("tapes belong to their thread", "[tape]") {
    Tensor x = vector_of({3});
    Tape here;
    here.watch(x);
    Numbers there;
    std::thread([&] {
        Tape tape;
        tape.watch(x);
        there = elements(tape.gradient(x * x, x));
    }).join();
    CHECK(there == Numbers{6});
    CHECK(here.records().empty());
}

TEST_CASE("nothing is recorded while tapes are paused", "[tape]") {
    Tensor x = vector_of({3});
    Tape tape;
    tape.watch(x);
    Tensor y = x * x;
    Tensor unseen;
    {
        PauseTapes pause;
        PauseTapes again;
        unseen = y * y;
    }
    CHECK_FALSE(tape.follows(unseen));
    CHECK(tape.records().size() == 1);
    CHECK(elements(tape.gradient(y * y, x)) == Numbers{108});
}

TEST_CASE("a tape made during a pause records", "[tape]") {
    Tensor x = vector_of({2, 3});
    Tape around;
    around.watch(x);
    auto gone = std::make_unique<Tape>();
    {
        PauseTapes pause;
        Tape tape;
        tape.watch(x);
        gone.reset();  // a tape fewer before the pause does not pause those after it
        CHECK(elements(tape.gradient(x * x, x)) == Numbers{4, 6});
        {
            PauseTapes also_this_one;
            CHECK_FALSE(tape.follows(x * x));
        }
        CHECK(tape.follows(x * x));
        CHECK(elements(jvp([](const Tensor& t) { return t * t; }, x, x).second) == Numbers{8, 18});
    }
    CHECK(around.records().empty());
    CHECK(around.follows(x * x));
}

TEST_CASE("second derivatives of fused ops under a pause", "[tape]") {
    // The vjp of a fused op's vjp makes a tape of its own.
    const Tensor x = uniform({2, 3, 12}, -1, 1, 7), scale = uniform({12}, 0.5, 1.5, 8),
                 shift = uniform({12}, -1, 1, 9), v = uniform({2, 3, 12}, -1, 1, 10);
    using Function = std::function<Tensor(const Tensor&)>;
    const std::vector<Function> functions{
        [](const Tensor& t) { return sum(square(attention(t, 2))); },
        [&](const Tensor& t) { return sum(square(layer_norm(t, scale, shift, 1e-5))); }};
    for (const Function& f : functions) {
        Tensor hessian_times_v;
        {
            Tape outer;
            outer.watch(x);
            Tape inner;
            inner.watch(x);
            Tensor g = inner.gradient(f(x), x);
            hessian_times_v = outer.vjp({g}, {v}, {x})[0];
            PauseTapes pause;
            CHECK(identical(outer.vjp({g}, {v}, {x})[0], hessian_times_v));
        }
        for (double element : elements(hessian_times_v)) CHECK(element != 0);
        PauseTapes pause;
        Tape outer;
        outer.watch(x);
        Tape inner;
        inner.watch(x);
        CHECK(identical(outer.vjp({inner.gradient(f(x), x)}, {v}, {x})[0], hessian_times_v));
    }
}

TEST_CASE("shapes alone go through a network and back", "[tape]") {
    Network network;
    Tensor x = Tensor::abstract({{7, 4, 4, 2}, Dtype::f64, kCpu});
    Tape tape;
    tape.watch(x);
    tape.watch(network.filters);
    Tensor y = network(x);
    CHECK(y.is_abstract());
    CHECK(y.shape() == Shape{7, 4});
    Tensors d = tape.gradient(y, {x, network.filters});
    CHECK(d[0].is_abstract());
    CHECK(d[0].shape() == x.shape());
    CHECK(d[1].shape() == network.filters.shape());
    CHECK_THROWS_AS(d[0].data<double>(), ShapeError);
}

TEST_CASE("gradient statistics", "[tape]") {
    Tensor x = vector_of({1, -2, 3, 0});
    Tape tape;
    tape.watch(x);
    Tensor y = relu(x);
    Tensor unused = x + 1.0;
    Tensor z = y * vector_of({3, 5, -4, 0});
    tape.gradient(z, x);
    CHECK_FALSE(tape.records()[0].gradient.reached);  // off by default
    tape.observe_gradients(true);
    tape.gradient(z, x);
    const GradientStatistics& at_relu = tape.records()[0].gradient;
    CHECK(at_relu.reached);
    CHECK(at_relu.norm == Approx(std::sqrt(9.0 + 25 + 16)));
    CHECK(at_relu.largest == 5);
    CHECK(at_relu.zero_share == 0.25);
    CHECK(at_relu.not_finite == 0);
    CHECK_FALSE(tape.records()[1].gradient.reached);
    tape.vjp({z}, {vector_of({INFINITY, NAN, 1, 1})}, {x});
    CHECK(tape.records()[2].gradient.not_finite == 2);
    CHECK(tape.records()[2].gradient.largest == 1);
}

namespace {

// y = 5 x, by a vjp that consists of no ops.
struct OpaqueTimes5 {
    static constexpr std::string_view name = "opaque_times_5";
    static constexpr std::string_view formula = "y = 5 x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::none;
    static constexpr std::string_view second_order_reason = "the vjp is a loop";
    using Attributes = NoAttributes;
    static Specs shape_rule(const Attributes&, const Specs& in) { return {in[0]}; }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext&) {
        for (int64_t i = 0; i < in[0].elements(); ++i)
            out[0].mutable_data<double>()[i] = 5 * in[0].data<double>()[i];
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded&, const Tensors& g) {
        Tensors d{Tensor(g[0].spec())};
        KernelContext context;
        forward(a, g, d, context);
        return d;
    }
    static void samples(Samples<OpaqueTimes5>& s) { s.add("any", {}, {uniform({3})}); }
};

}  // namespace

TEST_CASE("a vjp without second order: first derivatives only, and no silent zeros", "[tape]") {
    auto times5 = [](const Tensor& t) { return apply_user_op<OpaqueTimes5>({}, {t})[0]; };
    Tensor x = vector_of({1, 2});
    Tape outer;
    outer.watch(x);
    Tape inner;
    inner.watch(x);
    Tensor y = times5(x * x);
    Tensor d = inner.gradient(y, x);
    CHECK(elements(d) == Numbers{10, 20});
    CHECK(elements(outer.gradient(y, x)) == Numbers{10, 20});
    // d = g * 2 x with g from the opaque vjp: the part through x is there, but not all of it is.
    Tensor square = x * x;
    Tensor through = inner.gradient(times5(square * square), square);
    CHECK(elements(through) == Numbers{10, 40});
    CHECK_THROWS_WITH(jvp(times5, x, x),
                      Contains("[opaque_times_5]") && Contains("no second order: the vjp is a loop"));
    CHECK_THROWS_AS(jvp(times5, x, x), TapeError);
}

TEST_CASE("a vjp that gives a gradient of another shape is refused", "[tape]") {
    struct Wrong {
        static Specs shape(const void*, const Specs& in) { return {in[0]}; }
        static Tensors same(const void*, const Tensors& in) { return {in[0].view(in[0].shape())}; }
        static Saves nothing(const void*, Needs) { return {}; }
        static Tensors scalar(const void*, const Recorded&, const Tensors&) { return {Tensor::scalar(1)}; }
    };
    OpInfo op;
    op.name = "wrong";
    op.shape_rule = Wrong::shape;
    op.view = Wrong::same;
    op.saves = Wrong::nothing;
    op.vjp = Wrong::scalar;
    Tensor x = vector_of({1, 2});
    Tape tape;
    tape.watch(x);
    Tensor y = apply(op, nullptr, {x})[0];
    CHECK_THROWS_WITH(tape.gradient(y, x), Contains("[wrong] its vjp gave f32()") && Contains("f64(2)"));
}
