// Linear maps along one axis of an array, a few inputs to each output: resizing and blurring.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <cstdint>
#include <vector>

namespace microtome {

// A sparse matrix, row by row: row i holds weight[k] in column[k] for start[i] <= k < start[i + 1], columns
// rising.
struct SparseMatrix {
    int64_t columns = 0;
    std::vector<int64_t> start{0};
    std::vector<int64_t> column;
    std::vector<double> weight;

    int64_t rows() const { return static_cast<int64_t>(start.size()) - 1; }
    SparseMatrix transposed() const;
};

enum class Interpolation : uint8_t { bilinear, bicubic };

// From `from` pixels to `to`. Pixel i of the result lies at (i + 1/2) from / to - 1/2 in the source
// (half-pixel centres), and beyond the edge lies the edge's pixel again. Bilinear: the two pixels around.
// Bicubic: four, weighted by cubic convolution (Keys 1981, equation 4) with a = -3/4. With antialias the
// filter is stretched by from / to where the image shrinks, cut at the edge and normalised, and bicubic has
// a = -1/2: as in Pillow. Throws ShapeError unless both sizes are at least 1.
SparseMatrix resize_matrix(int64_t from, int64_t to, Interpolation interpolation, bool antialias);

// Weights exp(-d^2 / (2 sigma^2)) for |d| <= radius, normalised; beyond the edge the axis is mirrored at the
// edge's pixel, which comes once (c b | a b c | b a). Throws as require_blur() does.
inline constexpr int64_t kMostBlurRadius = 16384;  // pixels
SparseMatrix blur_matrix(int64_t size, double sigma, int64_t radius);
// Throws OptionsError unless sigma > 0 and 0 <= radius <= kMostBlurRadius.
void require_blur(double sigma, int64_t radius);

namespace kernels {

// A matrix in a GPU's memory, in the type of what it is applied to.
struct DeviceMatrix {
    int64_t rows = 0, columns = 0;
    Tensor start, column, weight;
};
DeviceMatrix matrix_on(Device device, const SparseMatrix& matrix, Dtype dtype);

// y = A x along `axis`: f32 or f64, products in order of the columns. On a GPU by a matrix that is there.
void apply_along_axis(const DeviceMatrix& matrix, const Tensor& x, int axis, Tensor& y);
void apply_along_axis(const SparseMatrix& matrix, const Tensor& x, int axis, Tensor& y,
                      KernelContext& context);

}  // namespace kernels
}  // namespace microtome
