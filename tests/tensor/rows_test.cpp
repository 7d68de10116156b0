// Row kernels against the textbook's loops on every instruction set, and those against finite differences.
#include "tensor/kernels/rows.hpp"

#include "same_bits.hpp"
#include "tensor/reference/rows.hpp"

#include <catch2/catch.hpp>
#include <functional>

using namespace microtome;
using namespace microtome::kernels;
using namespace microtome::testing;

namespace {

const Shape kShapes[] = {{0, 3},     {1, 1},    {5},        {7, 5},    {3, 16},  {33, 17},
                         {2, 3, 31}, {11, 197}, {300, 100}, {3, 4097}, {2, 9000}};

template <class T>
const T* pointer(const Tensor& x) {
    return x.defined() ? x.data<T>().data() : nullptr;
}

// Derivative of sum_j g_j f(x)_j along each x_i, by central differences.
std::vector<double> numeric_gradient(
    std::vector<double> x, const std::vector<double>& g,
    const std::function<std::vector<double>(const std::vector<double>&)>& f) {
    std::vector<double> result;
    for (std::size_t i = 0; i < x.size(); ++i) {
        auto moved = [&](double h) {
            std::vector<double> other = x;
            other[i] += h;
            std::vector<double> y = f(other);
            double total = 0;
            for (std::size_t j = 0; j < y.size(); ++j) total += g[j] * y[j];
            return total;
        };
        result.push_back((moved(1e-5) - moved(-1e-5)) / 2e-5);
    }
    return result;
}

}  // namespace

TEMPLATE_TEST_CASE("softmax and its relatives agree with the loops, bit for bit", "[rows]", float, double) {
    using T = TestType;
    Dtype dtype = dtype_of<T>();
    for (const Shape& shape : kShapes) {
        int64_t n = shape[-1], rows = shape.elements() / n;
        Tensor x = random_tensor<T>(shape, 1, 30), g = random_tensor<T>(shape, 2);
        Tensor soft(Spec{shape, dtype}), log_soft(Spec{shape, dtype}), sums(Spec{{rows}, dtype});
        Tensor soft_dx(Spec{shape, dtype}), log_soft_dx(Spec{shape, dtype});
        const T *from = pointer<T>(x), *back = pointer<T>(g);
        reference::softmax(from, soft.mutable_data<T>().data(), rows, n);
        reference::log_softmax(from, log_soft.mutable_data<T>().data(), rows, n);
        reference::logsumexp(from, sums.mutable_data<T>().data(), rows, n);
        reference::softmax_gradient(back, pointer<T>(soft), soft_dx.mutable_data<T>().data(), rows, n);
        reference::log_softmax_gradient(back, pointer<T>(log_soft), log_soft_dx.mutable_data<T>().data(),
                                        rows, n);
        everywhere([&](const KernelContext& context) {
            CAPTURE(shape, context.threads);
            Tensor y(x.spec()), one_per_row(sums.spec());
            softmax(x, y, context);
            CHECK(same_bits<T>(y, soft));
            log_softmax(x, y, context);
            CHECK(same_bits<T>(y, log_soft));
            logsumexp(x, one_per_row, context);
            CHECK(same_bits<T>(one_per_row, sums));
            softmax_input_gradient(g, soft, y, context);
            CHECK(same_bits<T>(y, soft_dx));
            log_softmax_input_gradient(g, log_soft, y, context);
            CHECK(same_bits<T>(y, log_soft_dx));
            Tensor in_place = x.clone();
            log_softmax(in_place, in_place, context);
            CHECK(same_bits<T>(in_place, log_soft));
            in_place = x.clone();
            softmax(in_place, in_place, context);
            CHECK(same_bits<T>(in_place, soft));
            in_place = g.clone();
            softmax_input_gradient(in_place, soft, in_place, context);
            CHECK(same_bits<T>(in_place, soft_dx));
        });
    }
}

TEMPLATE_TEST_CASE("layer norm agrees with the loops, bit for bit", "[rows]", float, double) {
    using T = TestType;
    Dtype dtype = dtype_of<T>();
    for (const Shape& shape : kShapes)
        for (int given = 0; given < 4; ++given) {
            int64_t n = shape[-1], rows = shape.elements() / n;
            Tensor x = random_tensor<T>(shape, 1), g = random_tensor<T>(shape, 2), scale, shift;
            if ((given & 1) != 0) scale = random_tensor<T>({n}, 3);
            if ((given & 2) != 0) shift = random_tensor<T>({n}, 4);
            Tensor y(Spec{shape, dtype}), mean(Spec{{rows}, dtype}), rstd(Spec{{rows}, dtype}),
                dx(Spec{shape, dtype});
            reference::layer_norm(pointer<T>(x), pointer<T>(scale), pointer<T>(shift), T(1e-5),
                                  y.mutable_data<T>().data(), mean.mutable_data<T>().data(),
                                  rstd.mutable_data<T>().data(), rows, n);
            reference::layer_norm_gradient(pointer<T>(g), pointer<T>(x), pointer<T>(mean), pointer<T>(rstd),
                                           pointer<T>(scale), dx.mutable_data<T>().data(), rows, n);
            everywhere([&](const KernelContext& context) {
                CAPTURE(shape, given, context.threads);
                Tensor ours(y.spec()), m(mean.spec()), r(rstd.spec());
                layer_norm(x, scale, shift, 1e-5, ours, m, r, context);
                CHECK(same_bits<T>(ours, y));
                CHECK(same_bits<T>(m, mean));
                CHECK(same_bits<T>(r, rstd));
                layer_norm_input_gradient(g, x, mean, rstd, scale, ours, context);
                CHECK(same_bits<T>(ours, dx));
            });
        }
}

TEST_CASE("row gradients are the derivatives", "[rows]") {
    std::vector<double> x = {0.3, -1.2, 2.1, 0.7, -0.4}, g = {1, -2, 0.5, 0.25, 3},
                        scale = {1, 2, -1, 0.5, 3};
    int64_t n = 5;
    std::vector<double> dx(5), y(5);
    auto check = [&](const std::function<std::vector<double>(const std::vector<double>&)>& f) {
        std::vector<double> expected = numeric_gradient(x, g, f);
        for (std::size_t i = 0; i < 5; ++i) CHECK(dx[i] == Approx(expected[i]).margin(1e-8));
    };
    auto soft = [&](const std::vector<double>& at) {
        std::vector<double> result(5);
        reference::softmax(at.data(), result.data(), 1, n);
        return result;
    };
    y = soft(x);
    CHECK(y[0] + y[1] + y[2] + y[3] + y[4] == Approx(1).epsilon(1e-15));
    CHECK(y[0] / y[1] == Approx(std::exp(1.5)));
    reference::softmax_gradient(g.data(), y.data(), dx.data(), 1, n);
    check(soft);
    auto log_soft = [&](const std::vector<double>& at) {
        std::vector<double> result(5);
        reference::log_softmax(at.data(), result.data(), 1, n);
        return result;
    };
    for (std::size_t i = 0; i < 5; ++i) CHECK(log_soft(x)[i] == Approx(std::log(y[i])).epsilon(1e-14));
    reference::log_softmax_gradient(g.data(), log_soft(x).data(), dx.data(), 1, n);
    check(log_soft);
    double mean, rstd;
    auto norm = [&](const std::vector<double>& at) {
        std::vector<double> result(5);
        reference::layer_norm<double>(at.data(), scale.data(), nullptr, 1e-5, result.data(), &mean, &rstd, 1,
                                      n);
        return result;
    };
    norm(x);
    CHECK(mean == Approx(0.3));
    reference::layer_norm_gradient(g.data(), x.data(), &mean, &rstd, scale.data(), dx.data(), 1, n);
    check(norm);
}

TEST_CASE("exponentials do not overflow, and masked rows behave", "[rows]") {
    const float inf = std::numeric_limits<float>::infinity();
    Tensor x = Tensor::of<float>({1000, 1000, -inf, -inf, -inf, 5}, {3, 2}), sums(Spec{{3}}), y(Spec{{3, 2}});
    logsumexp(x, sums);
    CHECK(sums.data<float>()[0] == Approx(1000 + std::log(2.0)));
    CHECK(sums.data<float>()[1] == -inf);
    CHECK(sums.data<float>()[2] == 5);
    softmax(x, y);
    CHECK(y.data<float>()[0] == 0.5f);
    CHECK(std::isnan(y.data<float>()[2]));
    CHECK(y.data<float>()[4] == 0);
    CHECK(y.data<float>()[5] == 1);
}

TEMPLATE_TEST_CASE("channel statistics and scale_shift", "[rows]", float, double) {
    using T = TestType;
    Dtype dtype = dtype_of<T>();
    for (const Shape& shape : {Shape{1, 3}, Shape{3, 20, 20, 5}, Shape{5000, 3}, Shape{4100, 300}}) {
        int64_t channels = shape[-1], rows = shape.elements() / channels;
        Tensor x = random_tensor<T>(shape, 1), scale = random_tensor<T>({channels}, 2),
               shift = random_tensor<T>({channels}, 3);
        std::vector<double> sums(static_cast<std::size_t>(channels)), squares(sums);
        auto values = x.data<T>();
        for (std::size_t i = 0; i < values.size(); ++i)
            sums[i % sums.size()] += static_cast<double>(values[i]);
        for (std::size_t i = 0; i < values.size(); ++i) {
            double d = static_cast<double>(values[i]) - sums[i % sums.size()] / static_cast<double>(rows);
            squares[i % sums.size()] += d * d;
        }
        Tensor first_mean, first_variance;
        everywhere([&](const KernelContext& context) {
            Tensor mean(Spec{{channels}, dtype}), variance(Spec{{channels}, dtype}), y(x.spec());
            channel_statistics(x, mean, variance, context);
            if (!first_mean.defined()) {
                first_mean = mean, first_variance = variance;
                for (std::size_t c = 0; c < sums.size(); ++c) {
                    CHECK(mean.data<T>()[c] == Approx(sums[c] / static_cast<double>(rows)).margin(1e-5));
                    CHECK(variance.data<T>()[c] ==
                          Approx(squares[c] / static_cast<double>(rows)).epsilon(1e-5));
                }
            }
            CHECK(same_bits<T>(mean, first_mean));
            CHECK(same_bits<T>(variance, first_variance));
            scale_shift(x, scale, shift, y, context);
            bool right = true;
            for (std::size_t i = 0; i < values.size(); ++i)
                right &= y.data<T>()[i] == std::fma(values[i], scale.data<T>()[i % sums.size()],
                                                    shift.data<T>()[i % sums.size()]);
            CHECK(right);
        });
    }
}

TEST_CASE("row kernels refuse what does not fit", "[rows]") {
    Tensor x = Tensor::zeros({2, 3}), y(Spec{{2, 3}}), two(Spec{{2}}), three(Spec{{3}}), none;
    Tensor wide(Spec{{2, 3}, Dtype::f64}), empty = Tensor::zeros({2, 0}), scalar = Tensor::zeros({});
    CHECK_THROWS_AS(softmax(x, two), ShapeError);
    CHECK_THROWS_AS(softmax(x, wide), DtypeError);
    CHECK_THROWS_AS(softmax(scalar, scalar), ShapeError);
    CHECK_THROWS_AS(softmax(empty, empty), ShapeError);
    CHECK_THROWS_AS(logsumexp(x, three), ShapeError);
    CHECK_THROWS_AS(layer_norm(x, two, none, 1e-5, y, two, two), ShapeError);
    CHECK_THROWS_AS(layer_norm(x, none, none, 1e-5, y, three, two), ShapeError);
    CHECK_THROWS_AS(layer_norm_input_gradient(x, x, two, three, none, y), ShapeError);
    Tensor nothing = Tensor::zeros({0, 3}), three_more(Spec{{3}});
    CHECK_THROWS_AS(channel_statistics(nothing, three, three_more), ShapeError);
    CHECK_THROWS_AS(channel_statistics(x, two, three), ShapeError);
    CHECK_THROWS_AS(scale_shift(x, three, two, y), ShapeError);
}
