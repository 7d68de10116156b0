// Values of ops against formulas, in f64 and in f32.
#pragma once

#include "autograd/tape.hpp"
#include "tensor/kernels/elementwise.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace microtome::test {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

inline std::vector<double> values(const Tensor& x) {
    std::vector<double> result;
    visit_dtype(x.dtype(), [&]<class T>() {
        for (T element : x.data<T>())
            if constexpr (std::is_same_v<T, bfloat16>)
                result.push_back(static_cast<double>(static_cast<float>(element)));
            else
                result.push_back(static_cast<double>(element));
    });
    return result;
}

inline Tensor tensor(const std::vector<double>& x, const Shape& shape, Dtype dtype = Dtype::f64) {
    if (dtype == Dtype::f64) return Tensor::of(x, shape);
    return Tensor::of(std::vector<float>(x.begin(), x.end()), shape);
}

inline Tensor tensor(const std::vector<double>& x, Dtype dtype = Dtype::f64) {
    return tensor(x, Shape{static_cast<int64_t>(x.size())}, dtype);
}

// x in another type, on no tape.
inline Tensor as(const Tensor& x, Dtype dtype) {
    Tensor y({x.shape(), dtype, kCpu});
    kernels::convert(x, y);
    return y;
}

// Equal to within `tolerance` times max(1, |expected|); infinities and NaN where expected.
inline void require_close(const Tensor& x, const std::vector<double>& expected, double tolerance = 1e-13) {
    const std::vector<double> got = values(x);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        CAPTURE(i, got[i], expected[i]);
        if (std::isnan(expected[i]))
            CHECK(std::isnan(got[i]));
        else if (std::isinf(expected[i]))
            CHECK(got[i] == expected[i]);
        else
            CHECK(std::abs(got[i] - expected[i]) <= tolerance * std::max(1.0, std::abs(expected[i])));
    }
}

// What a tape keeps, shared storage counted once for each record.
inline std::size_t kept_bytes(const Tape& tape) {
    std::size_t bytes = 0;
    for (const Tape::Record& record : tape.records())
        for (const auto* saved : {&record.run.inputs, &record.run.outputs, &record.run.gates})
            for (const SavedTensor& one : *saved)
                if (one.tensor.defined()) bytes += one.tensor.spec().bytes();
    return bytes;
}

inline void require_equal(const Tensor& x, const std::vector<double>& expected) {
    require_close(x, expected, 0);
}

}  // namespace microtome::test
