// Reductions, and the one order in which they are made.
//
// A sum of floats depends on its order, so the order is part of the definition: element j of each chunk of
// 4096 goes to virtual lane j % 16; the lanes of a chunk meet in a tree (i with i + 8, then i + 4, i + 2,
// i + 1); the chunks follow one another. "Element j" counts the reduced elements of one result in row-major
// order, wherever they lie in memory and whatever else is reduced beside them. So a result depends neither on
// the batch it sits in, nor on threads, nor on the width of vectors.
#pragma once

#include "tensor/cpu/reduce_table.hpp"
#include "tensor/functors.hpp"

namespace microtome::reference {

// How each reduction starts, takes in an element, and joins two partial results.
struct Sum {
    template <class T>
    MICROTOME_HD static T start() {
        return T(0);
    }
    template <class T>
    MICROTOME_HD static T take(T partial, T x) {
        return partial + x;
    }
    template <class T>
    MICROTOME_HD static T join(T a, T b) {
        return a + b;
    }
};
struct SumOfSquares : Sum {
    template <class T>
    MICROTOME_HD static T take(T partial, T x) {
        return math::fma(x, x, partial);
    }
};
// Squares of f32 or f64, summed in double. The square of a float is exact there, so multiplying and adding is
// one rounding, as a fused multiply-add is.
struct DoubleSumOfSquares : Sum {
    MICROTOME_HD static double take(double partial, float x) {
        return partial + static_cast<double>(x) * static_cast<double>(x);
    }
    MICROTOME_HD static double take(double partial, double x) { return math::fma(x, x, partial); }
};
struct SumOfAbsolutes : Sum {
    template <class T>
    MICROTOME_HD static T take(T partial, T x) {
        return partial + math::abs(x);
    }
};
// Of pairs of factors.
template <class T>
struct Product {
    T a, b;
};
struct SumOfProducts : Sum {
    template <class T>
    MICROTOME_HD static T take(T partial, Product<T> x) {
        return math::fma(x.a, x.b, partial);
    }
};
struct Max {
    template <class T>
    MICROTOME_HD static T start() {
        return -math::infinity<T>();
    }
    template <class T>
    MICROTOME_HD static T take(T partial, T x) {
        return functors::Maximum{}(partial, x);
    }
    template <class T>
    MICROTOME_HD static T join(T a, T b) {
        return functors::Maximum{}(a, b);
    }
};
struct Min {
    template <class T>
    MICROTOME_HD static T start() {
        return math::infinity<T>();
    }
    template <class T>
    MICROTOME_HD static T take(T partial, T x) {
        return functors::Minimum{}(partial, x);
    }
    template <class T>
    MICROTOME_HD static T join(T a, T b) {
        return functors::Minimum{}(a, b);
    }
};

// Calls body(rule).
template <class Body>
MICROTOME_HD void visit(kernels::Reduction reduction, Body body) {
    switch (reduction) {
        case kernels::Reduction::sum: return body(Sum{});
        case kernels::Reduction::max: return body(Max{});
        case kernels::Reduction::min: return body(Min{});
        case kernels::Reduction::sum_of_squares: return body(SumOfSquares{});
        case kernels::Reduction::sum_of_absolutes: return body(SumOfAbsolutes{});
    }
}

// One chunk: element(j) for j < n, n <= kReductionChunk.
template <class T, class Rule, class Element>
T reduce_chunk(Rule rule, int64_t n, Element element) {
    T lane[kernels::kReductionLanes];
    for (T& partial : lane) partial = rule.template start<T>();
    for (int64_t j = 0; j < n; ++j) {
        T& partial = lane[j % kernels::kReductionLanes];
        partial = rule.take(partial, element(j));
    }
    for (int half = kernels::kReductionLanes / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) lane[i] = rule.join(lane[i], lane[i + half]);
    return lane[0];
}

// Any number of elements.
template <class T, class Rule, class Element>
T lane_reduce(Rule rule, int64_t n, Element element) {
    T total = rule.template start<T>();
    for (int64_t begin = 0; begin < n; begin += kernels::kReductionChunk) {
        int64_t count = n - begin < kernels::kReductionChunk ? n - begin : kernels::kReductionChunk;
        T part = reduce_chunk<T>(rule, count, [&](int64_t j) { return element(begin + j); });
        total = begin == 0 ? part : rule.join(total, part);
    }
    return total;
}

template <class T>
T lane_sum(const T* x, int64_t n) {
    return lane_reduce<T>(Sum{}, n, [=](int64_t j) { return x[j]; });
}

// The kernels of cpu::ReduceTable.
template <class T>
void reduce_rows(kernels::Reduction reduction, const T* x, int64_t count, int64_t length, T* y) {
    visit(reduction, [=](auto rule) {
        for (int64_t i = 0; i < count; ++i)
            y[i] = reduce_chunk<T>(rule, length, [=](int64_t j) { return x[i * length + j]; });
    });
}

template <class T>
void reduce_columns(kernels::Reduction reduction, const T* x, int64_t rows, int64_t stride, int64_t columns,
                    const T* center, T* y) {
    visit(reduction, [=](auto rule) {
        for (int64_t c = 0; c < columns; ++c)
            y[c] = reduce_chunk<T>(rule, rows, [=](int64_t j) {
                return center == nullptr ? x[j * stride + c] : x[j * stride + c] - center[c];
            });
    });
}

}  // namespace microtome::reference
