// Optimizer and attack steps against the papers' formulas, written out again here in plain double arithmetic.
#include "tensor/kernels/updates.hpp"

#include "tensor/cpu/isa.hpp"
#include "tests/tensor/kernel_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

using namespace microtome;

namespace {

constexpr int kSteps = 10;

// A gradient that changes sign and size along the way.
double gradient(int step, int i) {
    return std::sin(0.7 * step + i) * (1 + 0.3 * i);
}

Tensor gradients(int step, int n) {
    std::vector<double> g;
    for (int i = 0; i < n; ++i) g.push_back(gradient(step, i));
    return Tensor::of(g, {n});
}

// Runs ten steps by the kernel and by the formula (step, i, p) for three weights, and compares after each.
void compare(const std::function<void(int step, const Tensor& g, Tensor& p)>& kernel,
             const std::function<void(int step, int i, double g, double& p)>& formula) {
    Tensor p = Tensor::of({0.5, -1.25, 2.0}, {3});
    std::vector<double> expected{0.5, -1.25, 2.0};
    for (int step = 1; step <= kSteps; ++step) {
        kernel(step, gradients(step, 3), p);
        for (int i = 0; i < 3; ++i) {
            formula(step, i, gradient(step, i), expected[i]);
            CHECK(p.data<double>()[i] == Approx(expected[i]).epsilon(1e-13).margin(1e-13));
        }
    }
}

// Every instruction set and any number of threads must give these bits.
void same_bits_everywhere(const std::function<void(Tensor& x)>& step, const Tensor& start) {
    Tensor first;
    for (cpu::Isa isa : test::available_isas())
        for (int threads : {1, 3}) {
            cpu::ForceIsa force(isa);
            ThreadLimit limit(threads);
            Tensor x = start.clone();
            step(x);
            CHECK_FALSE(identical(x, start));
            if (!first.defined()) first = x;
            CHECK(identical(x, first));
        }
}

Tensor random_tensor(const Shape& shape, uint32_t seed) {
    std::mt19937 random(seed);
    return Tensor::of(test::random_values<float>(shape.elements(), random), shape);
}

// Pixels of 8-bit images.
Tensor random_pixels(const Shape& shape, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<float> x;
    for (int64_t i = 0; i < shape.elements(); ++i) x.push_back(static_cast<float>(random() % 256) / 255.0f);
    return Tensor::of(x, shape);
}

}  // namespace

TEST_CASE("SGD in PyTorch's convention", "[updates]") {
    const double lr = 0.1;
    SECTION("plain, with weight decay") {
        compare([&](int step, const Tensor& g,
                    Tensor& p) { kernels::sgd_step({.lr = lr, .weight_decay = 0.01}, step, g, p, nullptr); },
                [&](int, int, double g, double& p) { p -= lr * (g + 0.01 * p); });
    }
    SECTION("momentum, dampening, weight decay") {
        Tensor v = Tensor::zeros({3}, Dtype::f64);
        std::vector<double> u(3);
        compare(
            [&](int step, const Tensor& g, Tensor& p) {
                kernels::sgd_step({.lr = lr, .momentum = 0.9, .dampening = 0.2, .weight_decay = 0.01}, step,
                                  g, p, &v);
            },
            [&](int step, int i, double g, double& p) {
                g += 0.01 * p;
                u[i] = step == 1 ? g : 0.9 * u[i] + 0.8 * g;
                p -= lr * u[i];
            });
    }
    SECTION("Nesterov") {
        Tensor v = Tensor::zeros({3}, Dtype::f64);
        std::vector<double> u(3);
        compare(
            [&](int step, const Tensor& g, Tensor& p) {
                kernels::sgd_step({.lr = lr, .momentum = 0.9, .nesterov = true}, step, g, p, &v);
            },
            [&](int, int i, double g, double& p) {
                u[i] = 0.9 * u[i] + g;
                p -= lr * (g + 0.9 * u[i]);
            });
    }
}

TEST_CASE("SGD in Keras's convention: the velocity holds the rate, weights decay on their own", "[updates]") {
    for (bool nesterov : {false, true}) {
        Tensor v = Tensor::zeros({3}, Dtype::f64);
        std::vector<double> u(3);
        auto rate = [](int step) { return step < 5 ? 0.1 : 0.01; };  // a change of rate tells the two apart
        compare(
            [&](int step, const Tensor& g, Tensor& p) {
                kernels::sgd_step({.lr = rate(step),
                                   .momentum = 0.9,
                                   .weight_decay = 0.01,
                                   .nesterov = nesterov,
                                   .convention = Convention::keras},
                                  step, g, p, &v);
            },
            [&](int step, int i, double g, double& p) {
                p -= rate(step) * 0.01 * p;
                u[i] = 0.9 * u[i] - rate(step) * g;
                p += nesterov ? 0.9 * u[i] - rate(step) * g : u[i];
            });
    }
}

TEST_CASE("Adam and AdamW in both conventions", "[updates]") {
    const double lr = 0.02, beta1 = 0.9, beta2 = 0.99, decay = 0.05;
    const double eps = 0.01;  // large, so that its place shows
    for (bool keras : {false, true})
        for (bool decoupled : {false, true}) {
            Tensor m = Tensor::zeros({3}, Dtype::f64), v = m.clone();
            std::vector<double> first(3), second(3);
            AdamOptions options{.lr = lr, .beta1 = beta1, .beta2 = beta2, .eps = eps, .weight_decay = decay};
            options.convention = keras ? Convention::keras : Convention::pytorch;
            compare(
                [&](int step, const Tensor& g, Tensor& p) {
                    if (decoupled)
                        kernels::adamw_step(options, step, g, p, m, v);
                    else
                        kernels::adam_step(options, step, g, p, m, v);
                },
                [&](int step, int i, double g, double& p) {
                    if (decoupled || keras)
                        p *= 1 - lr * decay;
                    else
                        g += decay * p;
                    first[i] = beta1 * first[i] + (1 - beta1) * g;
                    second[i] = beta2 * second[i] + (1 - beta2) * g * g;
                    double bias1 = 1 - std::pow(beta1, step), bias2 = 1 - std::pow(beta2, step);
                    p -= keras ? lr * std::sqrt(bias2) / bias1 * first[i] / (std::sqrt(second[i]) + eps)
                               : lr * (first[i] / bias1) / (std::sqrt(second[i] / bias2) + eps);
                });
        }
}

TEST_CASE("the first step of Adam is the rate in the gradient's direction", "[updates]") {
    Tensor p = Tensor::of({1.0, 1.0}, {2}), m = Tensor::zeros({2}, Dtype::f64), v = m.clone();
    kernels::adam_step({.lr = 0.5, .eps = 0}, 1, Tensor::of({1e-6, -300.0}, {2}), p, m, v);
    CHECK(p.data<double>()[0] == Approx(0.5));
    CHECK(p.data<double>()[1] == Approx(1.5));
}

TEST_CASE("a moving average of weights", "[updates]") {
    Tensor average = Tensor::of({0.0, 4.0}, {2});
    kernels::ema_step(0.75, Tensor::of({1.0, 0.0}, {2}), average);
    CHECK(identical(average, Tensor::of({0.25, 3.0}, {2})));
    CHECK_THROWS_WITH(kernels::ema_step(1.5, average.clone(), average), Catch::Contains("decay from 0 to 1"));
}

TEST_CASE("steps have the same bits on every instruction set and number of threads", "[updates]") {
    const Shape shape{3, 21323};  // blocks, a tail, and enough for threads
    Tensor g = random_tensor(shape, 1), start = random_tensor(shape, 2);
    same_bits_everywhere([&](Tensor& p) { kernels::sgd_step({.weight_decay = 0.1}, 1, g, p, nullptr); },
                         start);
    for (bool keras : {false, true}) {
        same_bits_everywhere(
            [&](Tensor& p) {
                Tensor v = random_tensor(shape, 3);
                SgdOptions options{.momentum = 0.9, .nesterov = true};
                options.convention = keras ? Convention::keras : Convention::pytorch;
                kernels::sgd_step(options, 2, g, p, &v);
            },
            start);
        same_bits_everywhere(
            [&](Tensor& p) {
                Tensor m = random_tensor(shape, 3), v = Tensor::full(shape, 0.3);
                AdamOptions options{.weight_decay = 0.1};
                options.convention = keras ? Convention::keras : Convention::pytorch;
                kernels::adam_step(options, 7, g, p, m, v);
            },
            start);
    }
    same_bits_everywhere([&](Tensor& p) { kernels::ema_step(0.99, g, p); }, start);
    ImageBounds bounds{.epsilon = 0.5, .low = -100, .high = 100};
    same_bits_everywhere([&](Tensor& x) { kernels::pgd_linf_step(0.1, bounds, g, start, x); }, start);
    same_bits_everywhere([&](Tensor& x) { kernels::project_linf(bounds, g, x); }, start);
    same_bits_everywhere([&](Tensor& x) { kernels::pgd_l2_step(0.6, bounds, g, start, x); }, start);
    same_bits_everywhere([&](Tensor& x) { kernels::project_l2(bounds, g, x); }, start);
}

TEST_CASE("PGD in the maximum norm: sign, ball and box", "[updates]") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    Tensor x0 = Tensor::of({0.5, 0.5, 0.5, 0.99, 0.01, 0.5}, {6}), x = x0.clone();
    Tensor g = Tensor::of({1e-30, -7.0, 0.0, 1.0, -1.0, nan}, {6});
    kernels::pgd_linf_step(0.0625, {.epsilon = 0.125}, g, x0, x);
    auto at = [&](int i) { return x.data<double>()[i]; };
    CHECK(at(0) == 0.5625);
    CHECK(at(1) == 0.4375);
    CHECK(at(2) == 0.5);
    CHECK(at(3) == 1.0);
    CHECK(at(4) == 0.0);
    CHECK(std::isnan(at(5)));
    for (int step = 0; step < 3; ++step) kernels::pgd_linf_step(0.0625, {.epsilon = 0.125}, g, x0, x);
    CHECK(at(0) == 0.625);  // on the ball's surface
    CHECK(at(1) == 0.375);
    kernels::pgd_linf_step(-0.5, {.epsilon = 0.125}, g, x0, x);  // downhill
    CHECK(at(0) == 0.375);
}

TEST_CASE("no pixel leaves the ball, not even by rounding", "[updates]") {
    Tensor x0 = random_pixels({1, 4999}, 4), g = random_tensor({1, 4999}, 5);
    for (double epsilon : {8.0 / 255, 0.03, 1.0 / 255, 0.3, 1e-9}) {
        Tensor x = x0.clone();
        kernels::pgd_linf_step(1, {.epsilon = epsilon}, g, x0, x);
        double most = 0, least_share = 1;
        for (int64_t i = 0; i < x.elements(); ++i) {
            double moved = std::abs(static_cast<double>(x.data<float>()[i]) - x0.data<float>()[i]);
            most = std::max(most, moved);
            if (x.data<float>()[i] > 0 && x.data<float>()[i] < 1) least_share = std::min(least_share, moved);
        }
        CHECK(most <= epsilon);  // the difference of two floats is exact in double
        if (epsilon > 1e-6) CHECK(least_share > epsilon - 1e-7);
    }
}

TEST_CASE("PGD in the Euclidean norm", "[updates]") {
    Tensor x0 = Tensor::full({3, 2}, 0.5, Dtype::f64), x = x0.clone();
    Tensor g = Tensor::of({3.0, 4.0, 0.0, 0.0, -5e-9, 12e-9}, {3, 2});
    kernels::pgd_l2_step(0.13, {.epsilon = 1}, g, x0, x);
    auto at = [&](int i) { return x.data<double>()[i]; };
    CHECK(at(0) == Approx(0.5 + 0.13 * 0.6));
    CHECK(at(1) == Approx(0.5 + 0.13 * 0.8));
    CHECK(at(2) == 0.5);  // no gradient, no step
    CHECK(at(3) == 0.5);
    CHECK(at(4) == Approx(0.45));
    CHECK(at(5) == Approx(0.62));
    kernels::pgd_l2_step(0.13, {.epsilon = 0.02}, g, x0, x);
    CHECK(std::hypot(at(0) - 0.5, at(1) - 0.5) == Approx(0.02));
    CHECK((at(1) - 0.5) / (at(0) - 0.5) == Approx(4.0 / 3));

    Tensor far = Tensor::of({1.5, 0.5, 0.51, 0.5, -3.5, 0.5}, {3, 2});
    kernels::project_l2({.epsilon = 0.75}, x0, far);
    CHECK(far.data<double>()[0] == 1.0);   // 1.25, stopped by the box
    CHECK(far.data<double>()[2] == 0.51);  // inside: untouched
    CHECK(far.data<double>()[4] == 0.0);
}

TEST_CASE("an image's Euclidean step does not depend on the images beside it", "[updates]") {
    Tensor x0 = random_pixels({5, 777}, 6), g = random_tensor({5, 777}, 7), all = x0.clone();
    kernels::pgd_l2_step(3, {.epsilon = 2.5}, g, x0, all);
    for (int n = 0; n < 5; ++n) {
        Tensor one = x0.view({1, 777}, n * 777).clone(), start = one.clone();
        kernels::pgd_l2_step(3, {.epsilon = 2.5}, g.view({1, 777}, n * 777), start, one);
        CHECK(identical(one, all.view({1, 777}, n * 777)));
    }
}

TEST_CASE("steps refuse what does not fit", "[updates]") {
    Tensor p = Tensor::zeros({3}), g = Tensor::zeros({3}), other = Tensor::zeros({4}), m = p.clone(),
           v = p.clone();
    CHECK_THROWS_WITH(kernels::sgd_step({}, 1, other, p, nullptr), Catch::Contains("one shape and type"));
    CHECK_THROWS_WITH(kernels::sgd_step({}, 1, Tensor::zeros({3}, Dtype::f64), p, nullptr),
                      Catch::Contains("one shape and type"));
    CHECK_THROWS_WITH(kernels::sgd_step({.momentum = 0.9}, 1, g, p, nullptr), Catch::Contains("velocity"));
    CHECK_THROWS_WITH(kernels::sgd_step({.nesterov = true}, 1, g, p, nullptr), Catch::Contains("nesterov"));
    CHECK_THROWS_WITH(kernels::adam_step({}, 0, g, p, m, v), Catch::Contains("step of 1"));
    CHECK_THROWS_WITH(kernels::adam_step({.beta2 = 1}, 1, g, p, m, v), Catch::Contains("beta2"));
    CHECK_THROWS_WITH(kernels::pgd_linf_step(1, {.epsilon = -1}, g, p, v), Catch::Contains("epsilon"));
    CHECK_THROWS_WITH(kernels::project_linf({.low = 1, .high = 0}, p, v), Catch::Contains("low <= high"));
    Tensor integers = Tensor::zeros({3}, Dtype::i64);
    CHECK_THROWS_AS(kernels::project_linf({}, integers.clone(), integers), DtypeError);
    Tensor nothing = Tensor::zeros({0, 4});
    CHECK_NOTHROW(kernels::pgd_l2_step(1, {}, nothing, nothing, nothing));
}

TEST_CASE("steps refuse tensors that overlap", "[updates]") {
    Tensor p = Tensor::zeros({3}), g = Tensor::zeros({3}), m = Tensor::zeros({3}), v = Tensor::zeros({3});
    const auto refused = Catch::Contains("memory of their own");
    CHECK_THROWS_WITH(kernels::sgd_step({}, 1, p, p, nullptr), refused);
    CHECK_THROWS_WITH(kernels::sgd_step({.momentum = 0.9}, 1, g, p, &p), refused);
    CHECK_THROWS_WITH(kernels::adam_step({}, 1, g, p, m, m), refused);
    CHECK_THROWS_WITH(kernels::adam_step({}, 1, g, p, p, v), refused);
    CHECK_THROWS_WITH(kernels::ema_step(0.9, p, p), refused);
    CHECK_THROWS_WITH(kernels::pgd_linf_step(1, {.epsilon = 1}, g, p, p), refused);
    CHECK_THROWS_WITH(kernels::project_linf({.epsilon = 1}, p, p), refused);
    CHECK_THROWS_WITH(kernels::pgd_l2_step(1, {.epsilon = 1}, p, g, p), refused);
    CHECK_THROWS_WITH(kernels::project_l2({.epsilon = 1}, p, p), refused);
    // Parts of one tensor overlap where they share an element, and nowhere else.
    Tensor whole = Tensor::zeros({8}), first = whole.view({4}, 0), middle = whole.view({4}, 3),
           last = whole.view({4}, 4);
    CHECK_THROWS_WITH(kernels::project_linf({.epsilon = 1}, first, middle), refused);
    CHECK_NOTHROW(kernels::project_linf({.epsilon = 1}, first, last));
}
