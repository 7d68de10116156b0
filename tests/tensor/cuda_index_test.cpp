// What moves elements about on the emulated device: the CPU's bits, and errors for indices that lead outside.
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/index.hpp"
#include "tensor/kernels/layout.hpp"
#include "tensor/kernels/pool.hpp"
#include "tensor/kernels/resample.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

using namespace microtome;
using namespace microtome::kernels;
using namespace microtome::testing;

TEST_CASE("what only moves elements moves them as on the CPU", "[cuda][kernels]") {
    EmulatedDevice device;
    for (Dtype dtype : {Dtype::u8, Dtype::bf16, Dtype::f32, Dtype::f64, Dtype::i64}) {
        Tensor x(Spec{{3, 4, 5}, dtype, kCpu}), whole(Spec{{5, 5, 8}, dtype, kCpu});
        std::vector<double> numbers;
        for (int i = 0; i < 200; ++i) numbers.push_back(i);
        convert(Tensor::of(numbers, {200}).view({3, 4, 5}), x);
        convert(Tensor::of(numbers, {200}).view({5, 5, 8}), whole);
        for (const std::vector<int>& order :
             {std::vector{0, 1, 2}, std::vector{2, 0, 1}, std::vector{1, 0, 2}, std::vector{2, 1, 0}}) {
            const Shape y{x.size(order[0]), x.size(order[1]), x.size(order[2])};
            CHECK(same_on_both({x}, {unwritten(y, dtype)},
                               [&](const Tensors& in, Tensors& out, KernelContext& context) {
                                   permute(in[0], order, out[0], context);
                               }));
        }
        const int64_t begin[] = {1, 0, 2};
        CHECK(same_on_both({x}, {whole}, [&](const Tensors& in, Tensors& out, KernelContext& context) {
            copy_into_box(in[0], begin, out[0], context);
        }));
        CHECK(same_on_both({whole}, {unwritten({3, 4, 5}, dtype)},
                           [&](const Tensors& in, Tensors& out, KernelContext& context) {
                               copy_from_box(in[0], begin, out[0], context);
                           }));
        for (int axis : {0, 1, 2})
            CHECK(same_on_both({x}, {unwritten({3, 4, 5}, dtype)},
                               [&](const Tensors& in, Tensors& out, KernelContext& context) {
                                   flip(in[0], axis, out[0], context);
                               }));
        CHECK(same_on_both({}, {x}, [](const Tensors&, Tensors& out, KernelContext&) { clear(out[0]); }));
    }
}

TEMPLATE_TEST_CASE("gathering, scattering and sorting give the CPU's bits", "[cuda][kernels]", float,
                   double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    auto places = [](const Shape& shape, int64_t below, uint64_t seed) {
        std::mt19937_64 random(seed);
        std::vector<int64_t> index(static_cast<std::size_t>(shape.elements()));
        for (int64_t& i : index) i = static_cast<int64_t>(random() % static_cast<uint64_t>(below));
        return Tensor::of(index, shape);
    };
    for (int axis : {0, 1, 2}) {
        const Shape x{3, 4, 5}, y = x.with(axis, 7);
        const Tensor index = places(y, x[axis], 60);
        CHECK(same_on_both({random_tensor<TestType>(x, 61), index}, {unwritten(y, dtype)},
                           [=](const Tensors& in, Tensors& out, KernelContext& context) {
                               gather(in[0], in[1], axis, out[0], context);
                           }));
        CHECK(same_on_both({random_tensor<TestType>(y, 62), index}, {unwritten(x, dtype)},
                           [=](const Tensors& in, Tensors& out, KernelContext& context) {
                               scatter_add(in[0], in[1], axis, out[0], context);
                           }));
    }
    for (int64_t rows : {1, 5, 300, 1100}) {
        for (int64_t count : {0, 1, 40, 700}) {
            const Tensor index = places({count}, rows, 63);
            CHECK(same_on_both({random_tensor<TestType>({rows, 3}, 64), index},
                               {unwritten({count, 3}, dtype)},
                               [](const Tensors& in, Tensors& out, KernelContext& context) {
                                   take_rows(in[0], in[1], out[0], context);
                               }));
            CHECK(same_on_both({random_tensor<TestType>({count, 3}, 65), index},
                               {unwritten({rows, 3}, dtype)},
                               [](const Tensors& in, Tensors& out, KernelContext& context) {
                                   add_rows(in[0], in[1], out[0], context);
                               }));
        }
    }
    for (const Shape& shape : {Shape{3, 7}, Shape{1, 1}, Shape{2, 33}, Shape{2, 1024}, Shape{2, 1025},
                               Shape{1, 2500}, Shape{0, 4}})
        for (bool descending : {false, true})
            for (bool odd : {false, true}) {
                Tensor x = odd ? awkward_tensor<TestType>(shape, 66) : random_tensor<TestType>(shape, 66);
                if (!odd) unary(Unary::round, x, x);
                for (int64_t count : {shape[-1], std::min<int64_t>(shape[-1], 3)}) {
                    const Shape y = shape.with(-1, count);
                    CHECK(same_on_both(
                        {x}, {unwritten(y, dtype), unwritten(y, Dtype::i64)},
                        [=](const Tensors& in, Tensors& out, KernelContext& context) {
                            sort_rows(in[0], descending, out[0], out[1], context);
                        },
                        sort_workspace(shape)));
                }
            }
    CHECK(same_on_both({places({9}, 4, 67)}, {unwritten({9, 4}, dtype)},
                       [](const Tensors& in, Tensors& out, KernelContext&) { one_hot(in[0], out[0]); }));
    const Shape points{2, 30};
    const Tensor columns = random_tensor<TestType>(points, 68, 6),
                 rows = awkward_tensor<TestType>(points, 69);
    CHECK(same_on_both({columns, rows},
                       {unwritten(points, dtype), unwritten(points, dtype), unwritten({60}, Dtype::i64),
                        unwritten({60}, Dtype::i64), unwritten({60}, Dtype::i64), unwritten({60}, Dtype::i64),
                        unwritten(points, dtype), unwritten(points, dtype), unwritten(points, dtype),
                        unwritten(points, dtype)},
                       [](const Tensors& in, Tensors& out, KernelContext&) {
                           Corner corners[4];
                           for (std::size_t i = 0; i < 4; ++i) corners[i] = {out[2 + i], out[6 + i]};
                           find_corners(in[0], in[1], 4, 5, out[0], out[1], corners);
                       }));
}

TEMPLATE_TEST_CASE("sparse matrices have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    for (int axis : {0, 1, 2})
        for (const SparseMatrix& matrix :
             {resize_matrix(6, 11, Interpolation::bicubic, false),
              resize_matrix(6, 4, Interpolation::bilinear, true), blur_matrix(6, 1.5, 4),
              resize_matrix(6, 11, Interpolation::bilinear, false).transposed()}) {
            const Shape x = Shape{3, 2, 5}.with(axis, matrix.columns), y = x.with(axis, matrix.rows());
            CHECK(same_on_both({random_tensor<TestType>(x, 70)}, {unwritten(y, dtype)},
                               [&](const Tensors& in, Tensors& out, KernelContext& context) {
                                   apply_along_axis(matrix, in[0], axis, out[0], context);
                               }));
        }
}

TEST_CASE("an index outside its range is an error, and no access", "[cuda][kernels]") {
    EmulatedDevice device;
    KernelContext context;
    const Tensor x = random_tensor<float>({3, 4}, 71).to(kCuda);
    const Tensor far = Tensor::of<int64_t>({0, 3}, {2}).to(kCuda),
                 negative = Tensor::of<int64_t>({-1}, {1}).to(kCuda);
    Tensor rows = Tensor::zeros({2, 4}, Dtype::f32, kCuda), row = Tensor::zeros({1, 4}, Dtype::f32, kCuda);
    take_rows(x, far, rows, context);
    CHECK_THROWS_WITH(rows.to(kCpu), Catch::Contains("expected indices from 0 to 2, got 3"));
    CHECK_NOTHROW(rows.to(kCpu));  // said once
    take_rows(x, negative, row, context);
    CHECK_THROWS_AS(row.to(kCpu), ShapeError);
    Tensor sums = Tensor::zeros({3, 4}, Dtype::f32, kCuda);
    add_rows(rows, far, sums, context);
    CHECK_THROWS_AS(sums.to(kCpu), ShapeError);
    Tensor labels = Tensor::zeros({2, 3}, Dtype::f32, kCuda);
    one_hot(far, labels);
    CHECK_THROWS_WITH(labels.to(kCpu), Catch::Contains("0 to 2, got 3"));
    const Tensor index = Tensor::of<int64_t>({4, 0, 0}, {3, 1}).to(kCuda);
    Tensor column = Tensor::zeros({3, 1}, Dtype::f32, kCuda), back = Tensor::zeros({3, 4}, Dtype::f32, kCuda);
    gather(x, index, 1, column, context);
    CHECK_THROWS_AS(column.to(kCpu), ShapeError);
    scatter_add(column, index, 1, back, context);
    CHECK_THROWS_AS(back.to(kCpu), ShapeError);
    const PoolShape s = max_pool_shape("test", {1, 2, 2, 1}, {});
    Tensor y = Tensor::zeros({1, 1, 1, 1}, Dtype::f32, kCuda);
    max_pool2d_gather(s, Tensor::zeros({1, 2, 2, 1}, Dtype::f32, kCuda),
                      Tensor::full({1, 1, 1, 1}, 4, Dtype::u8, kCuda), y, context);
    CHECK_THROWS_AS(y.to(kCpu), ShapeError);
}
