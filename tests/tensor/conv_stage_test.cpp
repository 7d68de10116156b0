#include "tensor/kernels/conv_stage.hpp"

#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/pool.hpp"
#include "tensor/reference/conv2d.hpp"
#include "tests/tensor/kernel_test_support.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace microtome;
using kernels::ConvStage;
using test::random_between;

namespace {

std::string describe(const ConvStage& stage) {
    const ConvShape& s = stage.conv;
    return str("x ", s.input(), " w ", s.filters(), " stride ", s.stride_h, "x", s.stride_w, " dilation ",
               s.dilation_h, "x", s.dilation_w, " padding ", s.pad_top, ",", s.pad_bottom, ",", s.pad_left,
               ",", s.pad_right, " groups ", s.groups, stage.relu ? " relu" : "", stage.pool ? " pool" : "",
               stage.exact ? " exact" : "");
}

std::size_t count(const Shape& shape) {
    return static_cast<std::size_t>(shape.elements());
}

struct Arrays {
    std::vector<float> x, w, bias, residual, g;  // bias and residual may be empty

    const float* bias_or_null() const { return bias.empty() ? nullptr : bias.data(); }
    const float* residual_or_null() const { return residual.empty() ? nullptr : residual.data(); }
};

Arrays random_arrays(const ConvStage& stage, std::mt19937& random) {
    const ConvShape& s = stage.conv;
    Arrays a;
    a.x = test::random_values<float>(s.input().elements(), random);
    a.w = test::random_values<float>(s.filters().elements(), random);
    if (random() % 4 != 0) a.bias = test::random_values<float>(s.o, random);
    if (!stage.pool && random() % 2 != 0)
        a.residual = test::random_values<float>(s.output().elements(), random);
    a.g = test::random_values<float>(stage.output().elements(), random);
    return a;
}

struct Results {
    std::vector<float> y;
    std::vector<uint8_t> gate;
    std::vector<float> dx, gated;
};

// The ops one by one, as the tape has them.
Results step_by_step(const ConvStage& stage, const Arrays& a) {
    const ConvShape& s = stage.conv;
    std::vector<float> whole(count(s.output()));
    reference::conv2d(s, a.x.data(), a.w.data(), whole.data(),
                      Epilogue<float>{.bias = a.bias_or_null(), .residual = a.residual_or_null()});
    Tensor z = Tensor::of<float>(whole, s.output()), y = z, gate = Tensor(Spec{Shape{0}, Dtype::u8});
    Tensor g = Tensor::of<float>(a.g, stage.output());
    KernelContext context;
    if (stage.relu) {
        y = Tensor(Spec{z.shape(), Dtype::f32});
        gate = Tensor(Spec{Shape{(z.shape().elements() + 7) / 8}, Dtype::u8});
        kernels::relu_gate(z, y, gate);
        Tensor bits = gate;
        if (stage.pool && stage.output().elements() > 0) {
            const PoolShape pool = max_pool_shape("test", z.shape(), {});
            Tensor pooled(Spec{pool.output(), Dtype::f32}), winner(Spec{pool.output(), Dtype::u8});
            kernels::max_pool2d(pool, y, pooled, &winner, context);
            Tensor spread(Spec{z.shape(), Dtype::f32});
            kernels::max_unpool2d(pool, g, winner, spread, context);
            y = pooled, g = spread;
            // The winner, unless the ReLU shut it: then its bit is 0, and what it gave is not above 0.
            gate = winner;
            auto bytes = gate.mutable_data<uint8_t>();
            for (std::size_t i = 0; i < bytes.size(); ++i)
                if (!(y.data<float>()[i] > 0)) bytes[i] = 4;
        } else if (stage.pool) {
            y = Tensor(Spec{stage.output(), Dtype::f32}), gate = Tensor(Spec{stage.output(), Dtype::u8});
            g = Tensor::zeros(z.shape(), Dtype::f32);
        }
        Tensor behind(Spec{z.shape(), Dtype::f32});
        kernels::apply_gate(g, bits, behind);
        g = behind;
    }
    auto vector_of = [](const Tensor& t) {
        return std::vector<float>(t.data<float>().begin(), t.data<float>().end());
    };
    Results r;
    r.y = vector_of(y), r.gated = vector_of(g);
    r.gate.assign(gate.data<uint8_t>().begin(), gate.data<uint8_t>().end());
    r.dx.resize(a.x.size());
    reference::conv2d_input_gradient(s, r.gated.data(), a.w.data(), r.dx.data());
    return r;
}

// Memory for packed filters, aligned as a stage wants it.
class Packed {
  public:
    Packed(const ConvStage& stage, const std::vector<float>& w, bool gradient)
        : w_(w.data()),
          floats_(gradient ? kernels::conv_stage_gradient_filters(stage)
                           : kernels::conv_stage_filters(stage)),
          memory_(floats_ * sizeof(float)) {
        if (floats_ == 0) return;
        float* packed = reinterpret_cast<float*>(memory_.span().data());
        if (gradient)
            kernels::pack_conv_stage_gradient_filters(stage, w_, packed);
        else
            kernels::pack_conv_stage_filters(stage, w_, packed);
    }
    const float* data() { return floats_ == 0 ? w_ : reinterpret_cast<const float*>(memory_.span().data()); }

  private:
    const float* w_;
    std::size_t floats_;
    test::Workspace memory_;
};

Results run(const ConvStage& stage, const Arrays& a, int threads) {
    Results r;
    r.y.assign(count(stage.output()), -7.0f);
    r.gate.assign(count(stage.gate()), 77);
    test::Workspace work(kernels::conv_stage_workspace(stage, threads));
    Packed forward(stage, a.w, false), backward(stage, a.w, true);
    kernels::conv_stage(stage, a.x.data(), forward.data(), a.bias_or_null(), a.residual_or_null(), r.y.data(),
                        r.gate.data(), KernelContext{threads, work.span()});
    r.dx.assign(a.x.size(), -7.0f);
    if (!stage.pool) r.gated.assign(count(stage.conv.output()), -7.0f);
    test::Workspace gradient_work(kernels::conv_stage_gradient_workspace(stage, threads));
    kernels::conv_stage_gradient(stage, a.g.data(), r.gate.data(), backward.data(), r.dx.data(),
                                 stage.pool ? nullptr : r.gated.data(),
                                 KernelContext{threads, gradient_work.span()});
    return r;
}

bool same(const Results& a, const Results& b) {
    return test::same_bits(a.y, b.y) && test::same_bits(a.gate, b.gate) && test::same_bits(a.dx, b.dx) &&
           (a.gated.empty() || b.gated.empty() || test::same_bits(a.gated, b.gated));
}

// What is not asked for is not written, and changes nothing else.
void check_without_gates(const ConvStage& stage, const Arrays& a, const Results& r) {
    std::vector<float> y(r.y.size()), dx(r.dx.size());
    test::Workspace work(
        std::max(kernels::conv_stage_workspace(stage, 2), kernels::conv_stage_gradient_workspace(stage, 2)));
    Packed forward(stage, a.w, false), backward(stage, a.w, true);
    kernels::conv_stage(stage, a.x.data(), forward.data(), a.bias_or_null(), a.residual_or_null(), y.data(),
                        nullptr, KernelContext{2, work.span()});
    REQUIRE(test::same_bits(y, r.y));
    kernels::conv_stage_gradient(stage, a.g.data(), r.gate.data(), backward.data(), dx.data(), nullptr,
                                 KernelContext{2, work.span()});
    REQUIRE(test::same_bits(dx, r.dx));
}

// An exact stage beside the ops one by one.
void check_exact(ConvStage stage, std::mt19937& random) {
    stage.exact = true;
    const Arrays a = random_arrays(stage, random);
    const Results expected = step_by_step(stage, a);
    for (cpu::Isa isa : test::available_isas()) {
        cpu::ForceIsa force(isa);
        const int threads = static_cast<int>(random_between(random, 1, 3));
        INFO(describe(stage) << " threads " << threads << " isa " << cpu::isa_name(isa));
        const Results r = run(stage, a, threads);
        REQUIRE(test::same_bits(r.y, expected.y));
        REQUIRE(test::same_bits(r.gate, expected.gate));
        REQUIRE(test::same_bits(r.dx, expected.dx));
        if (!stage.pool) REQUIRE(test::same_bits(r.gated, expected.gated));
        check_without_gates(stage, a, r);
    }
}

ConvOptions padded(int64_t padding, int64_t stride = 1) {
    ConvOptions options;
    options.pad_top = options.pad_left = options.pad_bottom = options.pad_right = padding;
    options.stride_h = options.stride_w = stride;
    return options;
}

// A stage with ReLU and pooling, with ReLU, or with neither, in turn.
ConvStage with_steps(const ConvShape& shape, int which) {
    return {.conv = shape, .relu = which != 2, .pool = which == 0};
}

}  // namespace

TEST_CASE("an exact convolution stage has the bits of its steps", "[conv_stage]") {
    std::mt19937 random(31);
    const int64_t channels[] = {1, 3, 5, 16, 17, 32, 64};
    const int64_t sizes[] = {1, 2, 3, 5, 6, 7, 12, 13, 17, 23};
    for (int trial = 0; trial < 90; ++trial) {
        const int64_t kernel = std::vector<int64_t>{1, 3, 3, 5}[random() % 4];
        int64_t c = channels[random() % std::size(channels)], o = channels[random() % std::size(channels)];
        if (kernel == 5) c = std::min<int64_t>(c, 17), o = std::min<int64_t>(o, 17);
        const int64_t h = sizes[random() % std::size(sizes)], w = sizes[random() % std::size(sizes)];
        ConvOptions options = padded(kernel / 2);
        if (trial % 3 == 0) {
            options.pad_top = random_between(random, 0, 2), options.pad_bottom = random_between(random, 0, 3);
            options.pad_left = random_between(random, 0, 3), options.pad_right = random_between(random, 0, 2);
        }
        if (trial % 5 == 0)
            options.stride_h = random_between(random, 1, 2), options.stride_w = random_between(random, 1, 3);
        if (trial % 11 == 0) options.dilation_h = 2, options.dilation_w = random_between(random, 1, 2);
        if (h + options.pad_top + options.pad_bottom < (kernel - 1) * options.dilation_h + 1 ||
            w + options.pad_left + options.pad_right < (kernel - 1) * options.dilation_w + 1)
            continue;
        const ConvShape shape =
            conv_shape({trial % 7 == 0 ? 3 : 1, h, w, c}, {o, kernel, kernel, c}, options);
        check_exact(with_steps(shape, trial % 3), random);
    }
}

TEST_CASE("exact convolution stages at the edges", "[conv_stage]") {
    std::mt19937 random(32);
    ConvOptions groups = padded(1), depthwise = padded(1);
    groups.groups = 3, depthwise.groups = 19;
    ConvOptions uneven;
    uneven.pad_top = 2, uneven.pad_right = 1, uneven.stride_w = 2;
    const ConvShape shapes[] = {
        conv_shape({0, 6, 6, 3}, {4, 3, 3, 3}, padded(1)),        // no image
        conv_shape({2, 6, 6, 0}, {4, 3, 3, 0}, padded(1)),        // no channel: y is the bias
        conv_shape({2, 6, 6, 3}, {0, 3, 3, 3}, padded(1)),        // no filter
        conv_shape({1, 1, 1, 1}, {1, 1, 1, 1}),                   //
        conv_shape({1, 1, 9, 3}, {5, 1, 3, 3}),                   // one line: nothing to pool
        conv_shape({1, 0, 0, 3}, {4, 1, 1, 3}, padded(1)),        // padding only
        conv_shape({1, 2, 3, 5}, {7, 5, 5, 5}, padded(2)),        // a filter larger than the image
        conv_shape({1, 14, 15, 3}, {16, 7, 7, 3}, padded(3, 2)),  // ResNet's first layer
        conv_shape({2, 7, 7, 33}, {65, 1, 1, 33}),                // 1x1
        conv_shape({2, 9, 7, 33}, {34, 1, 1, 33}, padded(0, 2)),  // 1x1 with a stride
        conv_shape({1, 9, 11, 12}, {15, 3, 3, 4}, groups),        //
        conv_shape({2, 9, 11, 19}, {19, 3, 3, 1}, depthwise),     //
        conv_shape({1, 8, 13, 6}, {9, 3, 4, 6}, uneven),          //
        conv_shape({1, 5, 5, 70}, {33, 3, 3, 70}, padded(1)),     // three blocks of the sum
        conv_shape({1, 3, 3, 470}, {9, 3, 3, 470}, padded(1)),    // two slices
        conv_shape({3, 3, 5, 3}, {3, 3, 3, 3}, padded(1)),        // an image's gate begins within a byte
    };
    for (const ConvShape& shape : shapes)
        for (int which = 0; which < 3; ++which) check_exact(with_steps(shape, which), random);
}

// --- stages that need not be exact

namespace {

// For each element of a convolution's result what its error is measured by: the taps times the sum over
// channels of the largest |x| nearby (in any tile of 4x4 results that the element may lie in) times the
// largest |w|.
std::vector<double> condition(const ConvShape& s, const std::vector<float>& x, const std::vector<float>& w) {
    std::vector<double> largest_w(static_cast<std::size_t>(s.o * s.c), 0.0), scale;
    for (int64_t o = 0; o < s.o; ++o)
        for (int64_t tap = 0; tap < s.kh * s.kw; ++tap)
            for (int64_t c = 0; c < s.c; ++c) {
                double& most = largest_w[static_cast<std::size_t>(o * s.c + c)];
                most = std::max(
                    most, std::abs(double{w[static_cast<std::size_t>((o * s.kh * s.kw + tap) * s.c + c)]}));
            }
    for (int64_t n = 0; n < s.n; ++n)
        for (int64_t i = 0; i < s.oh; ++i)
            for (int64_t j = 0; j < s.ow; ++j) {
                std::vector<double> nearby(static_cast<std::size_t>(s.c), 0.0);
                const int64_t tile_i = i / 4 * 4 - s.pad_top, tile_j = j / 4 * 4 - s.pad_left;
                for (int64_t h = std::max<int64_t>(tile_i, 0); h < std::min(tile_i + 3 + s.kh, s.h); ++h)
                    for (int64_t v = std::max<int64_t>(tile_j, 0); v < std::min(tile_j + 3 + s.kw, s.w); ++v)
                        for (int64_t c = 0; c < s.c; ++c) {
                            double& most = nearby[static_cast<std::size_t>(c)];
                            most = std::max(
                                most, std::abs(double{
                                          x[static_cast<std::size_t>(((n * s.h + h) * s.w + v) * s.c + c)]}));
                        }
                for (int64_t o = 0; o < s.o; ++o) {
                    double sum = 0;
                    for (int64_t c = 0; c < s.c; ++c)
                        sum += nearby[static_cast<std::size_t>(c)] *
                               largest_w[static_cast<std::size_t>(o * s.c + c)];
                    scale.push_back(static_cast<double>(s.kh * s.kw) * sum);
                }
            }
    return scale;
}

struct Errors {
    double y = 0, dx = 0;  // largest error over scale
};

// A stage beside the same in f64. The gradient is that behind the gate which the stage itself gave.
Errors errors_of(const ConvStage& stage, const Arrays& a, const Results& r) {
    const ConvShape& s = stage.conv;
    auto wide = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
    const auto x = wide(a.x), w = wide(a.w), bias = wide(a.bias), residual = wide(a.residual);
    std::vector<double> z(count(s.output())), scale = condition(s, a.x, a.w);
    reference::conv2d(s, x.data(), w.data(), z.data(),
                      Epilogue<double>{.bias = bias.empty() ? nullptr : bias.data(),
                                       .residual = residual.empty() ? nullptr : residual.data()});
    for (std::size_t i = 0; i < scale.size(); ++i) {
        if (!bias.empty()) scale[i] += std::abs(bias[i % bias.size()]);
        if (!residual.empty()) scale[i] += std::abs(residual[i]);
    }
    Errors errors;
    auto compare = [](double& worst, double got, double wanted, double by) {
        if (got != wanted) worst = std::max(worst, std::abs(got - wanted) / by);
    };
    std::vector<float> g(z.size(), 0.0f);  // behind the gate
    const Shape out = stage.output();
    for (int64_t i = 0; i < out.elements(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (!stage.pool) {
            const bool open = !stage.relu || (r.gate[at / 8] >> (at % 8) & 1) != 0;
            g[at] = open ? a.g[at] : 0.0f;
            if (stage.relu) REQUIRE(open == (r.y[at] > 0));
            compare(errors.y, double{r.y[at]}, stage.relu ? std::max(z[at], 0.0) : z[at], scale[at]);
            continue;
        }
        const int64_t o = i % out[3], j = i / out[3] % out[2], line = i / out[3] / out[2] % out[1],
                      n = i / out[3] / out[2] / out[1];
        double most = 0, by = 0;
        REQUIRE(r.gate[at] <= 4);
        REQUIRE((r.gate[at] < 4) == (r.y[at] > 0));
        for (int64_t pixel = 0; pixel < 4; ++pixel) {
            const auto p = static_cast<std::size_t>(
                ((n * s.oh + 2 * line + pixel / 2) * s.ow + 2 * j + pixel % 2) * s.o + o);
            most = std::max(most, z[p]), by = std::max(by, scale[p]);
            if (r.gate[at] != pixel) continue;
            g[p] = a.g[at];
            compare(errors.y, double{r.y[at]}, z[p], scale[p]);  // the winner is the largest, or nearly
        }
        compare(errors.y, double{r.y[at]}, most, by);
    }
    std::vector<double> dx(x.size());
    reference::conv2d_input_gradient(s, wide(g).data(), w.data(), dx.data());
    // The gradient is a convolution of g with the filters turned round.
    ConvShape back = s;
    back.h = s.oh, back.w = s.ow, back.c = s.o, back.oh = s.h, back.ow = s.w, back.o = s.c;
    back.pad_top = s.kh - 1 - s.pad_top, back.pad_left = s.kw - 1 - s.pad_left;
    std::vector<float> turned(a.w.size());
    for (int64_t o = 0; o < s.o; ++o)
        for (int64_t tap = 0; tap < s.kh * s.kw; ++tap)
            for (int64_t c = 0; c < s.c; ++c)
                turned[static_cast<std::size_t>((c * s.kh * s.kw + s.kh * s.kw - 1 - tap) * s.o + o)] =
                    a.w[static_cast<std::size_t>((o * s.kh * s.kw + tap) * s.c + c)];
    const auto dx_scale = condition(back, g, turned);
    for (std::size_t i = 0; i < dx.size(); ++i) compare(errors.dx, double{r.dx[i]}, dx[i], dx_scale[i]);
    return errors;
}

}  // namespace

TEST_CASE("stages that need not be exact are within their bound", "[conv_stage]") {
    std::mt19937 random(35);
    double worst_y = 0, worst_dx = 0;
    for (int trial = 0; trial < 36; ++trial) {
        const int64_t channels[] = {16, 32, 48, 64, 3, 5};
        const int64_t c = channels[random() % 6], o = channels[random() % 5];
        ConvOptions options = padded(trial % 4 == 0 ? 0 : 1);
        if (trial % 5 == 0) options.pad_top = 2, options.pad_right = 0;
        const int64_t kernel = trial % 6 == 5 ? 2 : 3;
        ConvStage stage =
            with_steps(conv_shape({1, random_between(random, 4, 19), random_between(random, 4, 21), c},
                                  {o, kernel, kernel, c}, options),
                       trial % 3);
        INFO(describe(stage));
        Arrays a = random_arrays(stage, random);
        // Badly scaled: channels, results and places whose sizes differ by orders of magnitude.
        if (trial % 2 == 1) {
            for (std::size_t i = 0; i < a.x.size(); ++i)
                a.x[i] *= std::ldexp(1.0f, static_cast<int>(i % static_cast<std::size_t>(c) % 5) * 5 - 12);
            for (std::size_t i = 0; i < a.w.size(); ++i)
                a.w[i] *= std::ldexp(1.0f, static_cast<int>(random() % 12));
            for (float& g : a.g) g *= std::ldexp(1.0f, static_cast<int>(random() % 20) - 10);
        }
        const Results r = run(stage, a, 1);
        const Errors errors = errors_of(stage, a, r);
        worst_y = std::max(worst_y, errors.y), worst_dx = std::max(worst_dx, errors.dx);
        REQUIRE(errors.y < kernels::kConvStageError);
        REQUIRE(errors.dx < kernels::kConvStageError);
        for (cpu::Isa isa : test::available_isas()) {
            cpu::ForceIsa force(isa);
            REQUIRE(same(run(stage, a, static_cast<int>(random_between(random, 1, 4))), r));
        }
        check_without_gates(stage, a, r);
    }
    CAPTURE(worst_y, worst_dx);
    CHECK(std::min(worst_y, worst_dx) > 1e-7);  // direct sums would be more exact than that
}

TEST_CASE("a stage's image does not depend on its batch, threads or instruction set", "[conv_stage]") {
    std::mt19937 random(33);
    for (auto [c, o, which] : {std::tuple{3, 32, 0}, {32, 40, 0}, {40, 24, 1}, {64, 64, 2}}) {
        ConvStage five = with_steps(conv_shape({5, 18, 15, c}, {o, 3, 3, c}, padded(1)), which), one = five;
        one.conv.n = 1;
        INFO(describe(five));
        Arrays a = random_arrays(five, random);
        a.residual.clear();
        const Results whole = run(five, a, 2);
        for (cpu::Isa isa : test::available_isas()) {
            cpu::ForceIsa force(isa);
            for (int threads = 1; threads <= 4; threads += 3) REQUIRE(same(run(five, a, threads), whole));
        }
        for (std::size_t n = 0; n < 5; ++n) {
            auto part = [n](const auto& all) {
                const auto size = static_cast<std::ptrdiff_t>(all.size() / 5),
                           at = static_cast<std::ptrdiff_t>(n) * size;
                return std::vector(all.begin() + at, all.begin() + at + size);
            };
            Arrays alone = a;
            alone.x = part(a.x), alone.g = part(a.g);
            const Results expected{part(whole.y), part(whole.gate), part(whole.dx), part(whole.gated)};
            REQUIRE(same(run(one, alone, 1), expected));
        }
    }
}

TEST_CASE("a stage's gate for equal pixels and NaN is that of its steps", "[conv_stage]") {
    std::mt19937 random(34);
    for (int64_t c : {3, 17, 32})
        for (int which = 0; which < 2; ++which)
            for (bool exact : {true, false}) {
                ConvStage stage = with_steps(conv_shape({1, 10, 14, c}, {19, 1, 1, c}), which);
                stage.exact = exact;
                INFO(describe(stage));
                Arrays a = random_arrays(stage, random);
                // Few different values: windows have equals, and zeros of both signs.
                for (float& x : a.x) x = static_cast<float>(random_between(random, -1, 1));
                for (float& w : a.w) w = static_cast<float>(random_between(random, -1, 1));
                for (float& b : a.bias) b = random() % 2 ? 0.0f : -0.0f;
                a.residual.clear();
                for (std::size_t i = 0; i < a.x.size(); i += 37)
                    a.x[i] = std::numeric_limits<float>::quiet_NaN();
                const Results expected = step_by_step(stage, a);
                for (cpu::Isa isa : test::available_isas()) {
                    cpu::ForceIsa force(isa);
                    const Results r = run(stage, a, 2);
                    REQUIRE(r.gate == expected.gate);
                    for (std::size_t i = 0; i < r.y.size(); ++i) {
                        if (std::isnan(expected.y[i]))
                            REQUIRE(std::isnan(r.y[i]));
                        else
                            REQUIRE((r.y[i] == expected.y[i] &&
                                     std::signbit(r.y[i]) == std::signbit(expected.y[i])));
                    }
                }
            }
}

TEST_CASE("stages say what they are told wrong", "[conv_stage]") {
    const ConvShape shape = conv_shape({1, 6, 6, 3}, {4, 3, 3, 3}, padded(1));
    std::vector<float> x(count(shape.input())), w(count(shape.filters())), y(count(shape.output())),
        residual = y;
    std::vector<uint8_t> gate(y.size());
    const ConvStage pooled{.conv = shape, .relu = true, .pool = true};
    test::Workspace work(kernels::conv_stage_workspace(pooled, 1) +
                         kernels::conv_stage_gradient_workspace(pooled, 1));
    const KernelContext context{1, work.span()};
    auto forward = [&](const ConvStage& stage, const float* added, const KernelContext& given) {
        Packed packed(stage, w, false);
        kernels::conv_stage(stage, x.data(), packed.data(), nullptr, added, y.data(), gate.data(), given);
    };
    forward(pooled, nullptr, context);
    REQUIRE_THROWS_AS(forward(pooled, residual.data(), context), OptionsError);
    REQUIRE_THROWS_AS(forward({.conv = shape, .pool = true}, nullptr, context), OptionsError);
    REQUIRE_THROWS_AS(forward(pooled, nullptr, KernelContext{1, {}}), OptionsError);
    auto backward = [&](float* gated, const KernelContext& given) {
        Packed packed(pooled, w, true);
        kernels::conv_stage_gradient(pooled, y.data(), gate.data(), packed.data(), x.data(), gated, given);
    };
    backward(nullptr, context);
    REQUIRE_THROWS_AS(backward(residual.data(), context), OptionsError);
    REQUIRE_THROWS_AS(backward(nullptr, KernelContext{1, {}}), OptionsError);
    CHECK(pooled.output() == Shape{1, 3, 3, 4});
    CHECK(pooled.gate() == Shape{1, 3, 3, 4});
    CHECK(ConvStage{.conv = shape, .relu = true}.gate() == Shape{18});
    CHECK(ConvStage{.conv = shape}.gate() == Shape{0});
}
