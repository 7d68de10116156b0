// Element-wise kernels against the textbook's loops, on every instruction set.
#include "tensor/kernels/elementwise.hpp"

#include "same_bits.hpp"
#include "tensor/reference/elementwise.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using namespace microtome::kernels;
using namespace microtome::testing;

namespace {

const int64_t kSizes[] = {0, 1, 2, 3, 7, 8, 13, 16, 17, 31, 33, 1023, 1025, 40009};

const double kInfinity = std::numeric_limits<double>::infinity();

// Element `index` (row-major in shape `to`) of x broadcast to `to`.
template <class T>
T at(const Tensor& x, const Shape& to, int64_t index) {
    int64_t offset = 0, step = 1;
    for (int axis = 1; axis <= to.rank(); ++axis) {
        int64_t coordinate = index % to[-axis];
        index /= to[-axis];
        if (axis > x.rank() || x.size(-axis) == 1) continue;
        offset += coordinate * step;
        step *= x.size(-axis);
    }
    return x.data<T>()[static_cast<std::size_t>(offset)];
}

struct Pair {
    Shape a, b;
};
const Pair kPairs[] = {
    {{}, {}},
    {{0}, {0}},
    {{0, 3}, {1, 3}},
    {{5}, {}},
    {{}, {5}},
    {{17}, {17}},
    {{301, 3}, {3}},
    {{3}, {301, 3}},
    {{1111, 3}, {3}},
    {{20, 1000}, {1000}},
    {{301, 3}, {301, 1}},
    {{64, 32}, {32}},
    {{7, 1500}, {1500}},
    {{7, 1500}, {7, 1}},
    {{1, 1500}, {7, 1}},
    {{2, 1, 5, 7}, {3, 1, 7}},
    {{4, 1, 3, 1}, {1, 5, 1, 6}},
    {{2, 3, 1025}, {1, 3, 1}},
    {{3, 2, 17, 31}, {1, 2, 1, 31}},
    {{41, 5, 211}, {41, 1, 211}},
    {{2, 200, 200}, {1, 200, 200}},
};

template <class T>
void check_binary(Binary operation, const Pair& pair) {
    Shape shape = broadcast_shape("test", pair.a, pair.b);
    Tensor a = awkward_tensor<T>(pair.a, 1), b = awkward_tensor<T>(pair.b, 5);
    Tensor expected(Spec{shape, dtype_of<T>()});
    auto to = expected.template mutable_data<T>();
    for (int64_t i = 0; i < shape.elements(); ++i) {
        T left = at<T>(a, shape, i), right = at<T>(b, shape, i);
        reference::binary<T>(operation, &left, &right, &to[static_cast<std::size_t>(i)], 1);
    }
    everywhere([&](const KernelContext& context) {
        Tensor y(Spec{shape, dtype_of<T>()});
        binary(operation, a, b, y, context);
        CAPTURE(static_cast<int>(operation), pair.a, pair.b, context.threads);
        CHECK(same_bits<T>(y, expected));
    });
}

}  // namespace

TEMPLATE_TEST_CASE("unary kernels agree with the loops, bit for bit", "[elementwise]", float, double) {
    using T = TestType;
    for (int operation = 0; operation <= static_cast<int>(Unary::gelu_tanh_derivative); ++operation)
        for (int64_t size : kSizes) {
            if (size > 5000 && operation % 4 != 0) continue;
            Tensor x = awkward_tensor<T>({size}, 3);
            Tensor expected(Spec{{size}, dtype_of<T>()});
            auto name = static_cast<Unary>(operation);
            reference::unary<T>(name, x.data<T>().data(), expected.mutable_data<T>().data(), size);
            everywhere([&](const KernelContext& context) {
                Tensor y(x.spec());
                unary(name, x, y, context);
                CAPTURE(operation, size, context.threads);
                CHECK(same_bits<T>(y, expected));
                Tensor in_place = x.clone();
                unary(name, in_place, in_place, context);
                CHECK(same_bits<T>(in_place, expected));
            });
        }
}

TEMPLATE_TEST_CASE("binary kernels agree with the loops on every kind of broadcast", "[elementwise]", float,
                   double) {
    for (const Pair& pair : kPairs) check_binary<TestType>(Binary::subtract, pair);
    for (int operation = 0; operation <= static_cast<int>(Binary::greater_equal); ++operation) {
        check_binary<TestType>(static_cast<Binary>(operation), {{23, 5}, {5}});
        check_binary<TestType>(static_cast<Binary>(operation), {{9, 8, 3}, {9, 8, 3}});
    }
}

TEMPLATE_TEST_CASE("ternary kernels agree with the loops", "[elementwise]", float, double) {
    using T = TestType;
    Shape shape{31, 7, 5};
    Tensor a = awkward_tensor<T>({31, 1, 5}, 1), b = awkward_tensor<T>({7, 5}, 2),
           c = awkward_tensor<T>({}, 5);
    for (Ternary operation : {Ternary::where, Ternary::clamp, Ternary::multiply_add}) {
        Tensor expected(Spec{shape, dtype_of<T>()});
        auto to = expected.mutable_data<T>();
        for (int64_t i = 0; i < shape.elements(); ++i) {
            T x = at<T>(a, shape, i), y = at<T>(b, shape, i), z = at<T>(c, shape, i);
            reference::ternary<T>(operation, &x, &y, &z, &to[static_cast<std::size_t>(i)], 1);
        }
        everywhere([&](const KernelContext& context) {
            Tensor y(expected.spec());
            ternary(operation, a, b, c, y, context);
            CHECK(same_bits<T>(y, expected));
        });
    }
}

TEST_CASE("formulas have the values their papers give", "[elementwise]") {
    auto value = [](Unary operation, double x) {
        double y;
        reference::unary(operation, &x, &y, 1);
        return y;
    };
    CHECK(value(Unary::gelu, 1) == Approx(0.8413447460685429).epsilon(1e-14));
    CHECK(value(Unary::gelu_tanh, 1) == Approx(0.8411919906082768).epsilon(1e-14));
    CHECK(value(Unary::softplus, 1) == Approx(std::log1p(std::exp(1.0))).epsilon(1e-14));
    CHECK(value(Unary::softplus, 1000) == 1000);
    CHECK(value(Unary::softplus, -800) == 0);
    CHECK(value(Unary::sign, 0) == 0);
    CHECK(value(Unary::sign, -3) == -1);
    CHECK(value(Unary::round, 2.5) == 2);
    CHECK(value(Unary::round, -3.5) == -4);
    CHECK(value(Unary::floor, -0.5) == -1);
    CHECK(value(Unary::relu6, 7) == 6);
    CHECK(std::isnan(value(Unary::relu, std::nan(""))));
    CHECK(std::isnan(value(Unary::sign, std::nan(""))));
    for (double x : {-3.0, -0.7, 0.0, 0.4, 2.5})
        for (auto [f, derivative] : {std::pair{Unary::gelu, Unary::gelu_derivative},
                                     std::pair{Unary::gelu_tanh, Unary::gelu_tanh_derivative}}) {
            double h = 1e-5;
            CHECK(value(derivative, x) == Approx((value(f, x + h) - value(f, x - h)) / (2 * h)).margin(1e-9));
        }
}

TEST_CASE("broadcast_shape follows NumPy", "[elementwise]") {
    CHECK(broadcast_shape("t", {4, 1, 3}, {5, 1}) == Shape{4, 5, 3});
    CHECK(broadcast_shape("t", {}, {2, 0}) == Shape{2, 0});
    CHECK(broadcast_shape("t", {1}, {0}) == Shape{0});
    CHECK_THROWS_AS(broadcast_shape("t", {2, 3}, {2}), ShapeError);
    CHECK_THROWS_AS(broadcast_shape("t", {2}, {0}), ShapeError);
}

TEST_CASE("broadcast_to repeats any type", "[elementwise]") {
    Tensor x = Tensor::of<uint8_t>({1, 2, 3}, {3, 1});
    Tensor y(Spec{{2, 3, 2}, Dtype::u8});
    broadcast_to(x, y);
    CHECK(identical(y, Tensor::of<uint8_t>({1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3}, {2, 3, 2})));
}

TEMPLATE_TEST_CASE("gates keep one bit per element", "[elementwise]", float, double) {
    using T = TestType;
    for (bool relu : {true, false})
        for (int64_t size : kSizes) {
            double low = relu ? 0 : -0.5, high = relu ? kInfinity : 2;
            Tensor x = awkward_tensor<T>({size}, 3), g = random_tensor<T>({size}, 4);
            everywhere([&](const KernelContext& context) {
                Tensor y(x.spec()), dx(x.spec()), gate(Spec{{(size + 7) / 8}, Dtype::u8});
                if (relu)
                    relu_gate(x, y, gate, context);
                else
                    range_gate(x, low, high, y, gate, context);
                apply_gate(g, gate, dx, context);
                bool right = true;
                for (std::size_t i = 0; i < static_cast<std::size_t>(size); ++i) {
                    T value = x.data<T>()[i];
                    bool inside = value > static_cast<T>(low) && (relu || value < static_cast<T>(high));
                    right &= (gate.data<uint8_t>()[i / 8] >> (i % 8) & 1) == inside;
                    right &= dx.data<T>()[i] == (inside ? g.data<T>()[i] : T(0));
                    T clamped = functors::Clamp{}(value, static_cast<T>(low), static_cast<T>(high));
                    right &= std::isnan(clamped) ? std::isnan(y.data<T>()[i])
                                                 : y.data<T>()[i] == clamped &&
                                                       std::signbit(y.data<T>()[i]) == std::signbit(clamped);
                }
                if (size % 8 != 0) right &= gate.data<uint8_t>()[size / 8] >> (size % 8) == 0;
                CAPTURE(size, relu, context.threads);
                CHECK(right);
            });
        }
}

TEST_CASE("convert truncates and saturates", "[elementwise]") {
    Tensor x = Tensor::of<float>({-1.5f, -0.5f, 0, 1.9f, 255.5f, 300, 1e30f, -1e30f, std::nanf("")}, {9});
    Tensor bytes(Spec{{9}, Dtype::u8}), longs(Spec{{9}, Dtype::i64}), doubles(Spec{{9}, Dtype::f64});
    convert(x, bytes);
    CHECK(identical(bytes, Tensor::of<uint8_t>({0, 0, 0, 1, 255, 255, 255, 0, 0}, {9})));
    convert(x, longs);
    CHECK(identical(longs, Tensor::of<int64_t>({-1, 0, 0, 1, 255, 300, INT64_MAX, INT64_MIN, 0}, {9})));
    convert(x, doubles);
    CHECK(doubles.data<double>()[4] == 255.5);
    Tensor halves(Spec{{2}, Dtype::bf16}), back(Spec{{2}, Dtype::f32});
    convert(Tensor::of<double>({1.00390625, -3}, {2}), halves);
    convert(halves, back);
    CHECK(identical(back, Tensor::of<float>({1, -3}, {2})));
    Tensor narrow(Spec{{3}, Dtype::u8});
    convert(Tensor::of<int64_t>({-4, 7, 4000}, {3}), narrow);
    CHECK(identical(narrow, Tensor::of<uint8_t>({0, 7, 255}, {3})));
}

TEST_CASE("element-wise kernels refuse what does not fit", "[elementwise]") {
    Tensor x = Tensor::zeros({2, 3}), y(Spec{{2, 3}}), small(Spec{{3}}), longs(Spec{{2, 3}, Dtype::i64});
    Tensor wide(Spec{{2, 3}, Dtype::f64}), gate(Spec{{1}, Dtype::u8}), long_gate(Spec{{2}, Dtype::u8});
    CHECK_THROWS_AS(unary(Unary::exp, x, small), ShapeError);
    CHECK_THROWS_AS(unary(Unary::exp, x, wide), DtypeError);
    CHECK_THROWS_AS(unary(Unary::exp, longs, longs), DtypeError);
    CHECK_THROWS_AS(binary(Binary::add, x, x, small), ShapeError);
    CHECK_THROWS_AS(binary(Binary::add, x, wide, y), DtypeError);
    CHECK_THROWS_AS(binary(Binary::add, Tensor(), x, y), ShapeError);
    CHECK_THROWS_AS(ternary(Ternary::where, x, x, Tensor::zeros({2}), y), ShapeError);
    CHECK_THROWS_AS(broadcast_to(x, small), ShapeError);
    CHECK_THROWS_AS(relu_gate(x, y, long_gate), ShapeError);
    CHECK_THROWS_AS(apply_gate(x, gate, small), ShapeError);
    CHECK_THROWS_AS(convert(x, small), ShapeError);
}
