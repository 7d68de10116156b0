#include "tensor/kernels/resample.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/resample_table.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/parallel.hpp"
#include "tensor/math.hpp"
#include "tensor/reference/resample.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

// Appends a row of weights for columns first, first + 1, ..., which lie beyond the edges where `at` says so:
// column j of the row means column at(j) of the matrix. What meets in one column is added up.
template <class At>
void append_row(SparseMatrix& matrix, int64_t first, const std::vector<double>& weights, const At& at) {
    const auto begin = static_cast<std::ptrdiff_t>(matrix.column.size());
    for (std::size_t k = 0; k < weights.size(); ++k) {
        const int64_t column = at(first + static_cast<int64_t>(k));
        const auto row = matrix.column.begin() + begin;
        const auto place = std::lower_bound(row, matrix.column.end(), column);
        const auto offset = place - matrix.column.begin();
        if (place != matrix.column.end() && *place == column) {
            matrix.weight[offset] += weights[k];
        } else {
            matrix.column.insert(place, column);
            matrix.weight.insert(matrix.weight.begin() + offset, weights[k]);
        }
    }
    matrix.start.push_back(static_cast<int64_t>(matrix.column.size()));
}

double triangle(double d) {
    return std::max(1 - std::abs(d), 0.0);
}

// Cubic convolution, Keys (1981), equation 4 with the free parameter a.
double cubic(double d, double a) {
    d = std::abs(d);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
    return 0;
}

void divide_by_sum(std::vector<double>& weights) {
    double total = 0;
    for (double weight : weights) total += weight;
    for (double& weight : weights) weight /= total;
}

}  // namespace

SparseMatrix SparseMatrix::transposed() const {
    SparseMatrix result;
    result.columns = rows();
    result.start.assign(static_cast<std::size_t>(columns) + 1, 0);
    for (int64_t j : column) ++result.start[j + 1];
    for (int64_t j = 0; j < columns; ++j) result.start[j + 1] += result.start[j];
    result.column.resize(column.size());
    result.weight.resize(weight.size());
    std::vector<int64_t> next(result.start.begin(), result.start.end() - 1);
    for (int64_t i = 0; i < rows(); ++i)
        for (int64_t k = start[i]; k < start[i + 1]; ++k) {
            const int64_t place = next[column[k]]++;
            result.column[place] = i;
            result.weight[place] = weight[k];
        }
    return result;
}

SparseMatrix resize_matrix(int64_t from, int64_t to, Interpolation interpolation, bool antialias) {
    if (from < 1 || to < 1)
        throw ShapeError("resize",
                         str("expected at least one pixel before and after, got ", from, " and ", to));
    const bool linear = interpolation == Interpolation::bilinear;
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    auto edge = [from](int64_t j) { return std::clamp<int64_t>(j, 0, from - 1); };
    SparseMatrix matrix;
    matrix.columns = from;
    for (int64_t i = 0; i < to; ++i) {
        const double centre = (static_cast<double>(i) + 0.5) * scale;  // pixel j covers j to j + 1
        std::vector<double> weights;
        int64_t first = 0;
        if (antialias) {
            const double stretch = std::max(scale, 1.0), support = (linear ? 1 : 2) * stretch;
            first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
            const int64_t last = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), from);
            for (int64_t j = first; j < last; ++j) {
                const double d = (static_cast<double>(j) - centre + 0.5) / stretch;
                weights.push_back(linear ? triangle(d) : cubic(d, -0.5));
            }
            divide_by_sum(weights);
        } else {
            const double floor = std::floor(centre - 0.5), t = centre - 0.5 - floor;
            if (linear) {
                first = static_cast<int64_t>(floor);
                weights = {1 - t, t};
            } else {
                first = static_cast<int64_t>(floor) - 1;
                weights = {cubic(t + 1, -0.75), cubic(t, -0.75), cubic(1 - t, -0.75), cubic(2 - t, -0.75)};
            }
        }
        append_row(matrix, first, weights, edge);
    }
    return matrix;
}

void require_blur(double sigma, int64_t radius) {
    if (!(sigma > 0) || radius < 0 || radius > kMostBlurRadius)
        throw OptionsError("gaussian_blur", str("expected sigma above 0 and a radius from 0 to ",
                                                kMostBlurRadius, ", got ", sigma, " and ", radius));
}

SparseMatrix blur_matrix(int64_t size, double sigma, int64_t radius) {
    require_blur(sigma, radius);
    std::vector<double> weights;
    for (int64_t d = -radius; d <= radius; ++d) {
        const double x = static_cast<double>(d) / sigma;
        weights.push_back(math::exp(-0.5 * x * x));
    }
    divide_by_sum(weights);
    const int64_t period = std::max<int64_t>(2 * (size - 1), 1);
    auto mirrored = [=](int64_t j) {
        const int64_t place = ((j % period) + period) % period;
        return std::min(place, period - place);
    };
    SparseMatrix matrix;
    matrix.columns = size;
    for (int64_t i = 0; i < size; ++i) append_row(matrix, i - radius, weights, mirrored);
    return matrix;
}

namespace kernels {
namespace {

template <class T>
const cpu::ResampleTable<T>& table();
template <>
const cpu::ResampleTable<float>& table() {
    return cpu::pick(cpu::reference::resample_table, cpu::avx2::resample_table, cpu::avx512::resample_table);
}
template <class T>
constexpr cpu::ResampleTable<T> kTextbook{reference::resample_rows<T>};
template <>
const cpu::ResampleTable<double>& table() {
    return kTextbook<double>;
}
template <>
const cpu::ResampleTable<Dual>& table() {
    return kTextbook<Dual>;
}

}  // namespace

DeviceMatrix matrix_on(Device device, const SparseMatrix& matrix, Dtype dtype) {
    const auto count = static_cast<int64_t>(matrix.column.size());
    Tensor weight(Spec{{count}, dtype, kCpu});
    convert(Tensor::of(matrix.weight, {count}), weight);
    return {matrix.rows(), matrix.columns, Tensor::of(matrix.start, {matrix.rows() + 1}).to(device),
            Tensor::of(matrix.column, {count}).to(device), weight.to(device)};
}

void apply_along_axis(const DeviceMatrix& matrix, const Tensor& x, int axis, Tensor& y) {
    const cuda::AxisShape shape = cuda::axis_shape(y.shape(), axis);
    cuda::run("resample", y, {&x, &matrix.weight}, [&](auto gpu) {
        gpu->resample(gpu.stream, shape, matrix.columns, cuda::in<int64_t>(matrix.start),
                      cuda::in<int64_t>(matrix.column), gpu.in(matrix.weight), gpu.in(x), gpu.out(y));
    });
}

void apply_along_axis(const SparseMatrix& matrix, const Tensor& x, int axis, Tensor& y,
                      KernelContext& context) {
    if (y.elements() == 0) return;
    if (cuda::on_cuda(y)) return apply_along_axis(matrix_on(y.device(), matrix, y.dtype()), x, axis, y);
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < axis; ++i) outer *= x.size(i);
    for (int i = axis + 1; i < x.rank(); ++i) inner *= x.size(i);
    const int64_t rows = matrix.rows();
    visit_floating("resample", x.dtype(), [&]<class T>() {
        const std::vector<T> weights(matrix.weight.begin(), matrix.weight.end());
        const T* source = x.data<T>().data();
        T* destination = y.mutable_data<T>().data();
        // Short rows are handed out several at a time.
        const int64_t at_once = std::clamp<int64_t>(1024 / inner, 1, rows);
        const int64_t blocks = (rows + at_once - 1) / at_once;
        parallel_rows(outer * blocks, at_once * inner, context, [&](int64_t block) {
            const int64_t image = block / blocks, begin = block % blocks * at_once;
            table<T>().rows(std::min(at_once, rows - begin), matrix.start.data() + begin,
                            matrix.column.data(), weights.data(), source + image * matrix.columns * inner,
                            inner, destination + (image * rows + begin) * inner);
        });
    });
}

}  // namespace kernels
}  // namespace microtome
