#include "autograd/gradcheck/oracles.hpp"

#include <cmath>

namespace microtome::gradcheck {
namespace {

constexpr double kLinear = 1e-11;            // what rounding may make of a linear function's linearity
constexpr double kAllowed = 1024 * 0x1p-53;  // relative to the sizes of all that is added up
constexpr double kSingle = 0x1p29;           // the same in f32: 2^-24 for 2^-53
constexpr int kPairs = 3;

// The op as a function of one variable, the rest staying at the sample; less its value at 0.
class OneVariable {
  public:
    OneVariable(const OpFunction& function, std::size_t variable) : function_(function) {
        for (std::size_t k = 0; k < variable; ++k) begin_ += count(k);
        size_ = count(variable);
        zero_ = function_.forward(with(Vector(size_, 0.0)));
    }

    std::size_t size() const { return size_; }
    const Vector& at_zero() const { return zero_; }
    Vector operator()(const Vector& u) const {
        Vector y = function_.forward(with(u));
        for (std::size_t i = 0; i < y.size(); ++i) y[i] -= zero_[i];
        return y;
    }
    Vector vjp(const Vector& u, View v) const {
        const Vector all = function_.vjp(with(u), v);
        const auto first = all.begin() + static_cast<std::ptrdiff_t>(begin_);
        return {first, first + static_cast<std::ptrdiff_t>(size_)};
    }

  private:
    std::size_t count(std::size_t variable) const {
        return static_cast<std::size_t>(function_.variable_specs()[variable].shape.elements());
    }
    Vector with(const Vector& u) const {
        Vector x = function_.point();
        std::copy(u.begin(), u.end(), x.begin() + static_cast<std::ptrdiff_t>(begin_));
        return x;
    }

    const OpFunction& function_;
    std::size_t begin_ = 0, size_ = 0;
    Vector zero_;
};

Vector lively(std::size_t size, Random& random) {
    Vector result(size);
    for (double& value : result) value = random.sign() * (0.5 + random.unit());
    return result;
}

// f(4 a + b) = 4 f(a) + f(b), and not all of it zero.
bool is_linear(const OneVariable& f, Random& random, double allowed) {
    const Vector a = lively(f.size(), random), b = lively(f.size(), random);
    Vector sum(a);
    for (std::size_t i = 0; i < a.size(); ++i) sum[i] = 4 * a[i] + b[i];
    const Vector of_a = f(a), of_b = f(b), of_sum = f(sum);
    double scale = 0;
    for (std::size_t i = 0; i < of_a.size(); ++i)
        scale = std::max({scale, 4 * std::abs(of_a[i]), std::abs(of_b[i]), std::abs(f.at_zero()[i])});
    for (std::size_t i = 0; i < of_a.size(); ++i)
        if (!(std::abs(of_sum[i] - (4 * of_a[i] + of_b[i])) <= allowed * scale)) return false;
    return scale > 0;
}

bool is_empty(const OpFunction& function) {
    return function.point().empty() || function.outputs() == 0;
}
double precision_of(const OpFunction& function) {
    return function.double_only() ? 1 : kSingle;
}

}  // namespace

std::string reason_without_adjoint(const OpInfo& op, const SampleSet& set) {
    Random random(41);
    for (const OpSample& sample : set.samples) {
        const OpFunction function(op, sample);
        if (is_empty(function)) continue;
        for (std::size_t k = 0; k < function.variables(); ++k) {
            const OneVariable f(function, k);
            if (f.size() > 0 && is_linear(f, random, kLinear * precision_of(function))) return "";
        }
    }
    return "linear in no input";
}

void check_adjoint(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    Random random(40 + oracle.seed());
    for (const OpSample& sample : set.samples) {
        const OpFunction function(op, sample);
        if (is_empty(function)) continue;
        const double precision = precision_of(function);
        bool counted = false;
        for (std::size_t k = 0; k < function.variables(); ++k) {
            const OneVariable f(function, k);
            if (f.size() == 0 || !is_linear(f, random, kLinear * precision)) continue;
            if (!counted) oracle.sample();
            counted = true;
            for (int pair = 0; pair < kPairs; ++pair) {
                const Vector u = lively(f.size(), random), v = lively(function.outputs(), random);
                const Vector y = f(u), g = f.vjp(u, v);
                double left = 0, right = 0, scale = 0;
                for (std::size_t i = 0; i < y.size(); ++i) {
                    left += v[i] * y[i];
                    scale += std::abs(v[i]) * (std::abs(y[i]) + std::abs(f.at_zero()[i]));
                }
                for (std::size_t j = 0; j < g.size(); ++j) {
                    right += u[j] * g[j];
                    scale += std::abs(u[j] * g[j]);
                }
                const double error = std::abs(left - right), allowed = kAllowed * precision;
                if (scale > 0) oracle.measured(error / scale, allowed);
                if (!(error <= allowed * scale)) {
                    oracle.fail(sample.name, str("linear in variable ", k, ", <v, f(u)> is ", left,
                                                 " and <vjp(v), u> is ", right));
                    break;
                }
            }
        }
    }
}

}  // namespace microtome::gradcheck
