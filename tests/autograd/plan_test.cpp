#include "autograd/plan.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/pooling.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"

#include <catch2/catch.hpp>
#include <sstream>

namespace microtome {
namespace {

// Two convolutions and a dense layer, and an exponential of weights alone.
struct SmallNet {
    Tensor w1 = uniform({4, 3, 3, 2}, -1, 1, 1), b1 = uniform({4}, -1, 1, 2),
           w2 = uniform({5, 3, 3, 4}, -1, 1, 3), w3 = uniform({20, 3}, -1, 1, 4);

    Tensor operator()(const Tensor& x) const {
        Tensor h = max_pool2d(relu(conv2d(x, w1) * exp(b1) + b1));
        return matmul(flatten(relu(conv2d(h, w2))), w3);
    }
};

// Squared logits and their gradient by the image.
Tensors loss_and_input_gradient(const SmallNet& net, const Tensors& in) {
    Tape tape;
    Tensor x = tape.watch(in[0]);
    Tensor logits = net(x);
    Tensor loss = sum(logits * logits, {1});
    return {loss, tape.gradient(loss, x)};
}

Plan plan_of(const SmallNet& net, int64_t batch) {
    return Plan::trace({f64({batch, 10, 10, 2})},
                       [&](const Tensors& in) { return loss_and_input_gradient(net, in); });
}

}  // namespace

TEST_CASE("a plan gives the tape's bits, run after run", "[plan]") {
    SmallNet net;
    for (int64_t batch : {0, 1, 3}) {
        Plan plan = plan_of(net, batch);
        for (uint64_t seed : {7, 8, 7}) {
            Tensor x = uniform({batch, 10, 10, 2}, -1, 1, seed);
            Tensors expected = loss_and_input_gradient(net, {x}), got = plan.run({x});
            REQUIRE(got.size() == 2);
            CHECK(identical(got[0], expected[0]));
            CHECK(identical(got[1], expected[1]));
        }
    }
}

TEST_CASE("a plan's results are copies, its result() is in place", "[plan]") {
    Plan plan = Plan::trace({f64({2})}, [](const Tensors& in) -> Tensors { return {in[0] + in[0]}; });
    Tensor first = plan.run({Tensor::of({1.0, 2.0}, {2})})[0];
    plan.input(0).copy_from(Tensor::of({5.0, 6.0}, {2}));
    plan.replay();
    CHECK(identical(first, Tensor::of({2.0, 4.0}, {2})));
    CHECK(identical(plan.result(0), Tensor::of({10.0, 12.0}, {2})));
    plan.replay();  // the input stays where it was
    CHECK(identical(plan.result(0), Tensor::of({10.0, 12.0}, {2})));
}

TEST_CASE("a plan allocates nothing while it runs, and less than the tape", "[plan]") {
    SmallNet net;
    Plan plan = plan_of(net, 4);
    CHECK(plan.arena_bytes() < plan.value_bytes() * 2 / 3);
    plan.replay();
    const std::size_t held = memory_use().current;
    reset_peak_memory();
    plan.replay();
    CHECK(memory_use().peak == held);
}

TEST_CASE("a plan works in place where nobody looks back", "[plan]") {
    const int64_t bytes = 8 * 1024;
    auto arena = [&](const Plan::Function& f) {
        return static_cast<int64_t>(Plan::trace({f64({1024})}, f).arena_bytes()) / bytes;
    };
    // The input has a place of its own; a chain shares another.
    CHECK(arena([](const Tensors& in) -> Tensors { return {exp(-(in[0] + in[0]))}; }) == 2);
    // The middle is read again behind what it leads to.
    CHECK(arena([](const Tensors& in) -> Tensors {
              Tensor a = in[0] + in[0], b = exp(a);
              return {a * b};
          }) == 3);
    // A result stays.
    CHECK(arena([](const Tensors& in) -> Tensors {
              Tensor a = in[0] + in[0];
              return {a, exp(a)};
          }) == 3);
    // Through a view of all, and not beside a view of a part: row 0 is read again for every row, and is too
    // long for a kernel to keep a copy.
    auto run = [](const Plan::Function& f) {
        Tensor x = uniform({4, 1600});
        CHECK(identical(Plan::trace({x.spec()}, f).run({x})[0], f({x})[0]));
    };
    run([](const Tensors& in) -> Tensors { return {exp(reshape(in[0] * in[0], Shape{6400}))}; });
    run([](const Tensors& in) -> Tensors {
        Tensor a = in[0] * in[0];
        return {a * slice(a, 0, 0, 1)};
    });
    run([](const Tensors& in) -> Tensors {
        Tensor a = in[0] * in[0];
        return {a * transpose(reshape(a, Shape{1600, 4}))};
    });
    run([](const Tensors& in) -> Tensors {
        Tensor a = in[0] * 2.0;
        return {relu(a + a) * relu(-a)};
    });
}

TEST_CASE("a plan calculates constants once and drops what leads nowhere", "[plan]") {
    SmallNet net;
    Plan plan = plan_of(net, 1);
    std::ostringstream text;
    plan.print(text);
    CHECK(text.str().find("conv2d") != std::string::npos);
    CHECK(text.str().find("conv2d_input_gradient") != std::string::npos);
    CHECK(text.str().find("exp") == std::string::npos);              // of weights alone
    CHECK(text.str().find("weight_gradient") == std::string::npos);  // nobody watches the weights
    Plan with_waste = Plan::trace({f64({1, 10, 10, 2})}, [&](const Tensors& in) {
        exp(in[0]);
        return loss_and_input_gradient(net, in);
    });
    CHECK(with_waste.steps() == plan.steps());
}

TEST_CASE("a plan refuses to run with weights that have changed", "[plan]") {
    SmallNet net;
    Plan plan = plan_of(net, 1);
    Tensor x = uniform({1, 10, 10, 2});
    plan.run({x});
    net.b1.mutable_data<double>()[0] = 3;  // the plan knows exp(b1) only
    CHECK_THROWS_AS(plan.run({x}), TapeError);
    CHECK_THROWS_WITH(plan.run({x}), Catch::Contains("written to since"));
    CHECK(identical(plan_of(net, 1).run({x})[1], loss_and_input_gradient(net, {x})[1]));
}

TEST_CASE("a plan refuses inputs it was not traced for, and functions it cannot trace", "[plan]") {
    SmallNet net;
    Plan plan = plan_of(net, 2);
    CHECK_THROWS_AS(plan.run({uniform({3, 10, 10, 2})}), ShapeError);
    CHECK_THROWS_AS(plan.run({}), ShapeError);
    CHECK_THROWS_AS(plan.run({Tensor()}), ShapeError);
    CHECK_THROWS_WITH(
        Plan::trace({f64({2})},
                    [](const Tensors& in) -> Tensors { return {in[0] * in[0].data<double>()[0]}; }),
        Catch::Contains("abstract"));
    CHECK_THROWS_AS(
        Plan::trace({f64({2})}, [](const Tensors&) -> Tensors { return {Tensor::abstract(f64({2}))}; }),
        TapeError);
    CHECK_THROWS_AS(Plan::trace({f64({2})}, [](const Tensors&) -> Tensors { return {Tensor()}; }), TapeError);
}

TEST_CASE("a plan returns constants, inputs and views", "[plan]") {
    Tensor constant = Tensor::of({4.0}, {1});
    Plan plan = Plan::trace({f64({2, 3})}, [&](const Tensors& in) -> Tensors {
        return {in[0], reshape(in[0], Shape{3, 2}), constant, reshape(in[0] * 2.0, Shape{6})};
    });
    Tensor x = uniform({2, 3});
    Tensors out = plan.run({x});
    CHECK(identical(out[0], x));
    CHECK(identical(out[1], x.view({3, 2})));
    CHECK(identical(out[2], constant));
    CHECK(identical(out[3], (x * 2.0).view({6})));
}

}  // namespace microtome
