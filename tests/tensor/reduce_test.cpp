// Reductions against their definition: the elements of each result in row-major order, in lanes.
#include "tensor/kernels/reduce.hpp"

#include "same_bits.hpp"
#include "tensor/reference/reduce.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using namespace microtome::kernels;
using namespace microtome::testing;

namespace {

struct Case {
    Shape shape;
    std::vector<int> axes;
};
const Case kCases[] = {
    {{}, {}},
    {{1}, {0}},
    {{7}, {}},
    {{7}, {0}},
    {{0, 5}, {0}},
    {{0, 5}, {1}},
    {{16}, {0}},
    {{17}, {0}},
    {{4095}, {0}},
    {{4097}, {0}},
    {{200003}, {0}},
    {{1000, 3}, {1}},
    {{31, 33}, {1}},
    {{31, 33}, {0}},
    {{2, 1000}, {0}},
    {{5000, 3}, {0}},
    {{9001, 5}, {0}},
    {{4097, 257}, {0}},
    {{3, 20, 20, 6}, {1, 2}},
    {{3, 20, 20, 6}, {1, 2, 3}},
    {{3, 20, 20, 6}, {0, 1, 2}},
    {{3, 20, 20, 6}, {0, 2}},
    {{3, 20, 20, 6}, {0, 3}},
    {{2, 70, 70, 3}, {1, 3}},
    {{1, 5, 1, 9}, {0, 2}},
    {{2, 5000, 7}, {1}},
    {{3, 9000}, {1}},
    {{2, 2, 2, 2, 2, 2, 2, 2}, {0, 2, 4, 6}},
};

// The shape without the reduced axes, and the definition's result.
template <class T>
Tensor by_definition(Reduction reduction, const Tensor& x, AxisMask axes) {
    Shape kept = x.shape();
    for (int axis = x.rank() - 1; axis >= 0; --axis)
        if ((axes >> axis & 1u) != 0) kept = kept.without(axis);
    std::vector<std::vector<T>> elements(static_cast<std::size_t>(kept.elements()));
    for (int64_t i = 0; i < x.elements(); ++i) {
        int64_t rest = i, result = 0, step = 1;
        for (int axis = x.rank() - 1; axis >= 0; --axis) {
            int64_t coordinate = rest % x.size(axis);
            rest /= x.size(axis);
            if ((axes >> axis & 1u) != 0) continue;
            result += coordinate * step;
            step *= x.size(axis);
        }
        elements[static_cast<std::size_t>(result)].push_back(x.data<T>()[static_cast<std::size_t>(i)]);
    }
    Tensor y(Spec{kept, dtype_of<T>()});
    for (std::size_t i = 0; i < elements.size(); ++i)
        reference::visit(reduction, [&](auto rule) {
            auto& list = elements[i];
            y.mutable_data<T>()[i] =
                reference::lane_reduce<T>(rule, static_cast<int64_t>(list.size()),
                                          [&](int64_t j) { return list[static_cast<std::size_t>(j)]; });
        });
    return y;
}

}  // namespace

TEMPLATE_TEST_CASE("reductions agree with their definition, bit for bit", "[reduce]", float, double) {
    using T = TestType;
    for (const Case& c : kCases)
        for (int name = 0; name <= static_cast<int>(Reduction::sum_of_absolutes); ++name) {
            auto reduction = static_cast<Reduction>(name);
            bool extreme = reduction == Reduction::max || reduction == Reduction::min;
            AxisMask axes = axis_mask(c.shape, c.axes);
            Tensor x = extreme ? awkward_tensor<T>(c.shape, 11) : random_tensor<T>(c.shape, 11);
            if (extreme && x.elements() == 0) continue;
            Tensor expected = by_definition<T>(reduction, x, axes);
            everywhere([&](const KernelContext& context) {
                Tensor y(expected.spec());
                reduce(reduction, x, axes, y, context);
                CAPTURE(c.shape, axes, name, context.threads);
                CHECK(same_bits<T>(y, expected));
            });
        }
}

TEST_CASE("lane_sum adds in the order its comment states", "[reduce]") {
    // 17 elements: the last joins lane 0 before the tree does
    std::vector<float> x(17, 0);
    x[0] = 1e8f, x[16] = 1, x[8] = -1e8f, x[1] = 1;
    CHECK(reference::lane_sum(x.data(), 17) == (1e8f + 1.0f - 1e8f) + 1.0f);
    std::vector<float> ones(10000, 0.1f);
    CHECK(reference::lane_sum(ones.data(), 10000) == Approx(1000).epsilon(1e-5));
}

TEST_CASE("an image's sum does not depend on its batch", "[reduce]") {
    Shape image{30, 31, 7};
    Tensor batch = random_tensor<float>({33, 30, 31, 7}, 2);
    for (auto axes : {std::vector<int>{1, 2, 3}, std::vector<int>{1, 2}, std::vector<int>{3}}) {
        AxisMask mask = axis_mask(batch.shape(), axes);
        Shape kept = axes.size() == 3 ? Shape{} : axes.size() == 2 ? Shape{7} : Shape{30, 31};
        Shape all = axes.size() == 3 ? Shape{33} : axes.size() == 2 ? Shape{33, 7} : Shape{33, 30, 31};
        Tensor sums(Spec{all});
        reduce(Reduction::sum, batch, mask, sums);
        for (int64_t i : {0, 17, 32}) {
            Tensor alone(Spec{kept});
            reduce(Reduction::sum, batch.view({1, 30, 31, 7}, i * image.elements()), mask, alone);
            CHECK(same_bits<float>(alone, sums.view(kept, i * kept.elements())));
        }
    }
}

TEMPLATE_TEST_CASE("sum_to is the adjoint of broadcasting", "[reduce]", float, double) {
    using T = TestType;
    Tensor x = random_tensor<T>({4, 3, 5}, 3);
    for (const Shape& shape :
         {Shape{4, 3, 5}, Shape{3, 1}, Shape{5}, Shape{}, Shape{4, 1, 5}, Shape{1, 1, 1}}) {
        Tensor y(Spec{shape, dtype_of<T>()});
        sum_to(x, y);
        double total = 0, expected = 0;
        for (T value : y.data<T>()) total += static_cast<double>(value);
        for (T value : x.data<T>()) expected += static_cast<double>(value);
        CHECK(total == Approx(expected).margin(1e-4));
    }
    Tensor columns(Spec{{5}, dtype_of<T>()});
    sum_to(x, columns);
    CHECK(same_bits<T>(columns, by_definition<T>(Reduction::sum, x, 3)));
}

TEMPLATE_TEST_CASE("arg_max and arg_min find the first", "[reduce]", float, double) {
    using T = TestType;
    T nan = std::numeric_limits<T>::quiet_NaN();
    Tensor x = Tensor::of<T>({1, 3, 3, -5, -5, 2, nan, 9, nan}, {3, 3});
    Tensor values(Spec{{3}, dtype_of<T>()}), indices(Spec{{3}, Dtype::i64});
    everywhere([&](const KernelContext& context) {
        arg_max(x, 1, values, indices, context);
        CHECK(identical(indices, Tensor::of<int64_t>({1, 2, 0}, {3})));
        CHECK(values.data<T>()[0] == 3);
        CHECK(std::isnan(values.data<T>()[2]));
        arg_min(x, -1, values, indices, context);
        CHECK(identical(indices, Tensor::of<int64_t>({0, 0, 0}, {3})));
        arg_max(x, 0, values, indices, context);
        CHECK(identical(indices, Tensor::of<int64_t>({2, 2, 2}, {3})));
    });
}

TEMPLATE_TEST_CASE("squared deviations are taken about the center", "[reduce]", float, double) {
    using T = TestType;
    for (const Shape& shape : {Shape{5, 3}, Shape{5001, 3}, Shape{4100, 300}}) {
        int64_t columns = shape[1];
        Tensor x = random_tensor<T>(shape, 3), center = random_tensor<T>({columns}, 4);
        Tensor shifted = x.clone();
        for (std::size_t i = 0; i < static_cast<std::size_t>(x.elements()); ++i)
            shifted.mutable_data<T>()[i] -= center.data<T>()[i % static_cast<std::size_t>(columns)];
        Tensor expected = by_definition<T>(Reduction::sum_of_squares, shifted, 1);
        everywhere([&](const KernelContext& context) {
            Tensor y(Spec{{columns}, dtype_of<T>()});
            squared_deviations(x, center, y, context);
            CHECK(same_bits<T>(y, expected));
        });
    }
}

TEST_CASE("reductions refuse what does not fit", "[reduce]") {
    Tensor x = Tensor::zeros({2, 3}), y(Spec{{2}}), wrong(Spec{{3}}), empty = Tensor::zeros({2, 0});
    Tensor wide(Spec{{2}, Dtype::f64}), indices(Spec{{2}, Dtype::i64});
    CHECK_THROWS_AS(reduce(Reduction::sum, x, 2, wrong), ShapeError);
    CHECK_THROWS_AS(reduce(Reduction::sum, x, 2, wide), DtypeError);
    CHECK_THROWS_AS(reduce(Reduction::max, empty, 2, y), ShapeError);
    CHECK_NOTHROW(reduce(Reduction::sum, empty, 2, y));
    CHECK(identical(y, Tensor::zeros({2})));
    CHECK_THROWS_AS(axis_mask(x.shape(), {0, -2}), ShapeError);
    CHECK_THROWS_AS(axis_mask(x.shape(), {2}), ShapeError);
    CHECK_THROWS_AS(arg_max(empty, 1, y, indices), ShapeError);
    CHECK_THROWS_AS(arg_max(x, 1, wrong, indices), ShapeError);
    CHECK_THROWS_AS(sum_to(y, x), ShapeError);
}
