// Row kernels in f32. Sums go through lanes; all else is plain loops, which the compiler vectorises.
#include "tensor/reference/rows.hpp"

#include "tensor/cpu/isa/lanes.hpp"
#include "tensor/cpu/rows_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

namespace rules = microtome::reference;

MICROTOME_INLINE float maximum_of(const float* x, int64_t n) {
    return reduce_row(rules::Max{}, n, [=](auto at) { return at(x); });
}
MICROTOME_INLINE float sum_of(const float* x, int64_t n) {
    return reduce_row(rules::Sum{}, n, [=](auto at) { return at(x); });
}

template <class T>
MICROTOME_INLINE rules::Product<T> product(const T& a, const T& b) {
    return {a, b};
}

// The exponentials are written to a buffer, a chunk at a time, and summed from there.
float sum_of_exponentials(const float* x, float shift, int64_t n) {
    float buffer[kernels::kReductionChunk];
    float total = 0;
    for (int64_t begin = 0; begin < n; begin += kernels::kReductionChunk) {
        int64_t count = n - begin < kernels::kReductionChunk ? n - begin : kernels::kReductionChunk;
        for (int64_t j = 0; j < count; ++j) buffer[j] = math::exp(x[begin + j] - shift);
        float part = sum_of(buffer, count);
        total = begin == 0 ? part : total + part;
    }
    return total;
}

void softmax(const float* x, float* y, int64_t rows, int64_t n) {
    for (; rows > 0; --rows, x += n, y += n) {
        float maximum = maximum_of(x, n);
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) y[j] = math::exp(x[j] - maximum);
        float factor = 1.0f / sum_of(y, n);
        for (int64_t j = 0; j < n; ++j) y[j] *= factor;
    }
}

void logsumexp(const float* x, float* y, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; ++i, x += n) {
        float shift = rules::exponent_shift(maximum_of(x, n));
        y[i] = shift + math::log(sum_of_exponentials(x, shift, n));
    }
}

void log_softmax(const float* x, float* y, int64_t rows, int64_t n) {
    for (; rows > 0; --rows, x += n, y += n) {
        float shift = rules::exponent_shift(maximum_of(x, n));
        float log_sum = math::log(sum_of_exponentials(x, shift, n));
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) y[j] = (x[j] - shift) - log_sum;
    }
}

void softmax_gradient(const float* g, const float* y, float* dx, int64_t rows, int64_t n) {
    for (; rows > 0; --rows, g += n, y += n, dx += n) {
        float dot = reduce_row(rules::SumOfProducts{}, n, [=](auto at) { return product(at(g), at(y)); });
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) dx[j] = y[j] * (g[j] - dot);
    }
}

void log_softmax_gradient(const float* g, const float* y, float* dx, int64_t rows, int64_t n) {
    for (; rows > 0; --rows, g += n, y += n, dx += n) {
        float sum = sum_of(g, n);
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) dx[j] = math::fma(-sum, math::exp(y[j]), g[j]);
    }
}

void layer_norm(const float* x, const float* scale, const float* shift, float epsilon, float* y, float* mean,
                float* rstd, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; ++i, x += n, y += n) {
        float m = sum_of(x, n) / static_cast<float>(n);
        float squares = reduce_row(rules::SumOfSquares{}, n, [=](auto at) { return at(x) - m; });
        float r = 1.0f / math::sqrt(squares / static_cast<float>(n) + epsilon);
        mean[i] = m;
        rstd[i] = r;
        if (scale != nullptr && shift != nullptr) {
#pragma GCC ivdep
            for (int64_t j = 0; j < n; ++j) y[j] = math::fma((x[j] - m) * r, scale[j], shift[j]);
            continue;
        }
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) y[j] = (x[j] - m) * r;
        if (scale != nullptr)
            for (int64_t j = 0; j < n; ++j) y[j] *= scale[j];
        if (shift != nullptr)
            for (int64_t j = 0; j < n; ++j) y[j] += shift[j];
    }
}

void layer_norm_gradient(const float* g, const float* x, const float* mean, const float* rstd,
                         const float* scale, float* dx, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; ++i, g += n, x += n, dx += n) {
        float m = mean[i], r = rstd[i];
        auto z = [=](auto at) { return (at(x) - m) * r; };
        auto with = [=](auto u) {  // u(at) is g, times scale where there is one
            float mean_u = reduce_row(rules::Sum{}, n, u) / static_cast<float>(n);
            float mean_uz =
                reduce_row(rules::SumOfProducts{}, n, [=](auto at) { return product(u(at), z(at)); }) /
                static_cast<float>(n);
#pragma GCC ivdep
            for (int64_t j = 0; j < n; ++j)
                dx[j] = r * math::fma(-z(OneElement{j}), mean_uz, u(OneElement{j}) - mean_u);
        };
        if (scale == nullptr)
            with([=](auto at) { return at(g); });
        else
            with([=](auto at) { return at(g) * at(scale); });
    }
}

}  // namespace

extern const RowsTable<float> rows_table{
    softmax, log_softmax, logsumexp, softmax_gradient, log_softmax_gradient, layer_norm, layer_norm_gradient};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
