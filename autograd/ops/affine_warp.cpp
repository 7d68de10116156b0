#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/image.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/index.hpp"

namespace microtome {
namespace {

// The pixel to the upper left of each point, and what of the four around it lies inside the image.
struct Corners {
    Tensor column, row;     // (N, P), of the points' type
    kernels::Corner at[4];  // upper left, upper right, lower left, lower right
};

// Points are columns and rows in pixels: 0 is the first pixel's centre.
Corners find_corners(const Tensor& columns, const Tensor& rows, int64_t h, int64_t w) {
    const bool abstract = columns.is_abstract() || rows.is_abstract();
    auto make = [=](const Spec& spec) { return abstract ? Tensor::abstract(spec) : Tensor(spec); };
    const Spec& points = columns.spec();
    Corners corners{make(points), make(points), {}};
    for (kernels::Corner& corner : corners.at)
        corner = {make({{points.shape.elements()}, Dtype::i64, points.device}), make(points)};
    if (!abstract) kernels::find_corners(columns, rows, h, w, corners.column, corners.row, corners.at);
    return corners;
}

// (1, H * W): the normalised coordinate of each pixel's centre, along rows or columns.
Tensor centres(int64_t h, int64_t w, bool of_columns, const Spec& like) {
    Tensor result(Spec{{1, h * w}, like.dtype, kCpu});
    visit_floating("affine_warp", like.dtype, [&]<class T>() {
        auto elements = result.mutable_data<T>();
        for (int64_t p = 0; p < h * w; ++p) {
            const int64_t place = of_columns ? p % w : p / w, size = of_columns ? w : h;
            elements[p] = static_cast<T>(static_cast<double>(2 * place + 1) / static_cast<double>(size) - 1);
        }
    });
    return result.to(like.device);
}

}  // namespace

Tensor affine_warp(const Tensor& x, const Tensor& theta) {
    if (x.rank() != 4) throw ShapeError("affine_warp", str("expected x (N, H, W, C), got ", x.spec()));
    const int64_t n = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3);
    if (!(theta.spec() == Spec{{n, 2, 3}, x.dtype(), x.device()}))
        throw ShapeError("affine_warp", str("expected theta ", x.dtype(), Shape{n, 2, 3}, " for x ", x.spec(),
                                            ", got ", theta.spec()));
    if (h < 1 || w < 1) throw ShapeError("affine_warp", str("expected images with pixels, got ", x.spec()));

    const Tensors t = split(reshape(theta, Shape{n, 6}), 1, {1, 1, 1, 1, 1, 1});
    const Tensor across = centres(h, w, true, x.spec()), down = centres(h, w, false, x.spec());
    auto pixels = [](const Tensor& place, int64_t size) {  // from -1 .. 1 to pixel centres
        return ((place + 1.0) * static_cast<double>(size) - 1.0) * 0.5;
    };
    const Tensor columns = pixels(t[0] * across + t[1] * down + t[2], w),
                 rows = pixels(t[3] * across + t[4] * down + t[5], h);  // (N, H * W)

    const Corners corners = find_corners(columns, rows, h, w);
    const Tensor right = columns - corners.column, below = rows - corners.row;  // 0 to below 1
    const Tensor share[2][2] = {{(1.0 - below) * (1.0 - right), (1.0 - below) * right},
                                {below * (1.0 - right), below * right}};
    const Tensor table = reshape(x, Shape{n * h * w, c});
    Tensor y;
    for (int i : {0, 1})
        for (int j : {0, 1}) {
            const kernels::Corner& corner = corners.at[2 * i + j];
            const Tensor weight = reshape(share[i][j] * corner.inside, Shape{n * h * w, 1});
            const Tensor part = weight * take(table, corner.index);
            y = y.defined() ? y + part : part;
        }
    return reshape(y, x.shape());
}

Tensor total_variation(const Tensor& x) {
    if (x.rank() != 4) throw ShapeError("total_variation", str("expected x (N, H, W, C), got ", x.spec()));
    auto differences = [&](int axis) {
        const int64_t size = x.size(axis);
        if (size < 2) return sum(x * 0.0, {1, 2, 3});
        const Tensor d = slice(x, axis, 1, size) - slice(x, axis, 0, size - 1);
        return sum(abs(d), {1, 2, 3});
    };
    return differences(1) + differences(2);
}

}  // namespace microtome
