#include "autograd/gradcheck/oracles.hpp"

#include <cmath>
#include <functional>

namespace microtome::gradcheck {
namespace {

// Both sides round, each some ten times on its way; more is a mistake.
constexpr double kAllowed = 1024 * 0x1p-53;
constexpr std::size_t kFullJacobian = 20000;
constexpr std::size_t kFullSecondOrder = 3000;
constexpr int kProjections = 6;
// Where a derivative cancels to nothing, as that of x / x, some units in the last place of what cancelled are
// left.
constexpr double kCancelled = 1.0 / 32;

// A linear map in two ways: push(u) = J u, by dual numbers, and pull(v) = J^T v, what is being checked.
struct LinearMap {
    std::size_t inputs, outputs;
    std::function<Vector(View u)> push;
    std::function<Vector(View v)> pull;
    double unit = 0;  // the size of an element of J in which nothing cancels
    Specs input_specs, output_specs;
    const char *input_letter, *output_letter;
};

Vector one_hot(std::size_t size, std::size_t at) {
    Vector result(size, 0.0);
    result[at] = 1;
    return result;
}

Vector signs(std::size_t size, Random& random) {
    Vector result(size);
    for (double& value : result) value = random.sign();
    return result;
}

// A sum of products, and the sum of their sizes.
struct Sum {
    double value = 0, size = 0;
    Sum(View a, View b) {
        for (std::size_t i = 0; i < a.size(); ++i) {
            value += a[i] * b[i];
            size += std::abs(a[i] * b[i]);
        }
    }
};

double largest(View values) {
    double result = 0;
    for (double value : values) result = std::max(result, std::abs(value));
    return result;
}

class Judge {
  public:
    Judge(Oracle& oracle, const std::string& sample, const LinearMap& map)
        : oracle_(oracle), sample_(sample), map_(map) {}

    // An index of -1 stands for random signs. `scale` is what rounding is measured against.
    void compare(std::ptrdiff_t output, std::ptrdiff_t input, double analytic, double exact, double scale) {
        const double error = analytic == exact ? 0 : std::abs(analytic - exact);  // infinities, too
        if (scale > 0) oracle_.measured(error / scale, kAllowed);
        ++compared_;
        if (error <= kAllowed * scale || analytic == exact) return;
        ++wrong_;
        if (wrong_ > 1 && !(error / scale > worst_)) return;
        worst_ = error / scale;
        worst_failure_ = {sample_,
                          "",
                          str("d ", element_name(output, map_.output_letter, map_.output_specs), " / d ",
                              element_name(input, map_.input_letter, map_.input_specs)),
                          analytic,
                          exact,
                          kAllowed * scale};
    }

    void finish() {
        if (wrong_ == 0) return;
        std::ostringstream text;
        text.precision(17);
        text << wrong_ << " of " << compared_ << ": " << worst_failure_.where << ", analytic "
             << worst_failure_.analytic << ", exact " << worst_failure_.numeric;
        worst_failure_.text = text.str();
        oracle_.fail(worst_failure_);
    }

  private:
    Oracle& oracle_;
    const std::string& sample_;
    const LinearMap& map_;
    std::size_t compared_ = 0, wrong_ = 0;
    double worst_ = 0;
    Failure worst_failure_;
};

// Element by element. An element that cancels, as those of a softmax do, has the rounding of its larger
// neighbours, so it is measured against the smaller of the largest in its row and the largest in its column.
void compare_elements(const LinearMap& map, Judge& judge) {
    std::vector<Vector> rows, columns;
    Vector row_largest, column_largest;
    for (std::size_t i = 0; i < map.outputs; ++i) rows.push_back(map.pull(one_hot(map.outputs, i)));
    for (std::size_t j = 0; j < map.inputs; ++j) {
        columns.push_back(map.push(one_hot(map.inputs, j)));
        column_largest.push_back(largest(columns.back()));
    }
    for (std::size_t i = 0; i < map.outputs; ++i) {
        double most = 0;
        for (std::size_t j = 0; j < map.inputs; ++j) most = std::max(most, std::abs(columns[j][i]));
        row_largest.push_back(most);
    }
    for (std::size_t i = 0; i < map.outputs; ++i)
        for (std::size_t j = 0; j < map.inputs; ++j)
            judge.compare(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(j), rows[i][j],
                          columns[j][i],
                          std::max({std::abs(columns[j][i]), std::min(row_largest[i], column_largest[j]),
                                    kCancelled * map.unit}));
}

// v^T J u for vectors of random signs, in which every element counts, and rows and columns at the edges.
void compare_projections(const LinearMap& map, Judge& judge, int projections, uint64_t seed) {
    Random random(20 + seed);
    const double least = kCancelled * map.unit;
    const auto inputs = static_cast<double>(map.inputs), outputs = static_cast<double>(map.outputs);
    for (int k = 0; k < projections; ++k) {
        const Vector u = signs(map.inputs, random), v = signs(map.outputs, random);
        const Vector pushed = map.push(u), pulled = map.pull(v);
        const Sum exact(v, pushed), analytic(pulled, u);
        judge.compare(-1, -1, analytic.value, exact.value,
                      std::max({exact.size, analytic.size, least * std::max(inputs, outputs)}));
        if (projections == 1) return;
        auto place = [&](std::size_t size) { return k == 0 ? 0 : (k == 1 ? size - 1 : random.below(size)); };
        const std::size_t i = place(map.outputs), j = place(map.inputs);
        const Sum row(map.pull(one_hot(map.outputs, i)), u), column(map.push(one_hot(map.inputs, j)), v);
        judge.compare(static_cast<std::ptrdiff_t>(i), -1, row.value, pushed[i],
                      std::max({row.size, std::abs(pushed[i]), least * inputs}));
        judge.compare(-1, static_cast<std::ptrdiff_t>(j), pulled[j], column.value,
                      std::max({column.size, std::abs(pulled[j]), least * outputs}));
    }
}

void compare(Oracle& oracle, const std::string& sample, const LinearMap& map, std::size_t full) {
    if (map.inputs == 0 || map.outputs == 0) return;
    Judge judge(oracle, sample, map);
    if (map.inputs * map.outputs <= full) {
        compare_elements(map, judge);
        compare_projections(map, judge, 1, oracle.seed());
    } else {
        compare_projections(map, judge, kProjections, oracle.seed());
    }
    judge.finish();
}

// The samples that can be run on dual numbers.
SampleSet on_duals(const OpInfo& op, const SampleSet& set) {
    SampleSet result;
    for (const auto* samples : {&set.samples, &set.extremes})
        for (const OpSample& sample : *samples)
            if (OpFunction(op, sample).keeps_duals()) result.samples.push_back(sample);
    return result;
}

// Exactly at a kink a run on dual numbers takes one branch, and a gradient promises one: it must be the same.
// Else a model with a tie in it would seem to have a wrong gradient.
void add_kinks(const OpInfo& op, const SampleSet& set, SampleSet& to) {
    if (op.kinks.empty()) return;  // replace_gradient's is no kink: its gradient is not its own on purpose
    for (const KinkCase& kink : set.kinks) {
        OpSample sample{kink.name, kink.attributes, kink.inputs, {}};
        bool finite = true;  // an infinite derivative has no products
        for (std::size_t i = 0; i < kink.expected.size(); ++i) {
            if (!kink.expected[i].defined()) continue;
            sample.checked.set(static_cast<int>(i));
            for (double value : to_doubles(kink.expected[i])) finite = finite && std::isfinite(value);
        }
        if (finite && OpFunction(op, sample).keeps_duals()) to.samples.push_back(sample);
    }
}

Specs floating(const Specs& specs) {
    Specs result;
    for (const Spec& spec : specs)
        if (is_floating(spec.dtype)) result.push_back(spec);
    return result;
}

// Sizes that y = f(x), its Jacobian, and the derivative of <v, J> have if nothing cancels; 0 where sizes
// differ too much for one number to say anything.
struct Units {
    double first = 0, second = 0;
    Units(const OpFunction& function, const OpSample& sample, const SampleSet& set, double v = 1) {
        for (const OpSample& extreme : set.extremes)
            if (extreme.name == sample.name) return;
        const double x = largest(function.point());
        if (!(x > 0)) return;
        first = largest(function.forward(function.point())) / x;
        second = std::max(first, v * first / x);
    }
};

Vector joined(Vector a, View b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace

std::string reason_without_dual(const OpInfo& op, const SampleSet& set) {
    const SampleSet samples = on_duals(op, set);
    if (samples.samples.empty()) return "its output is of another type, which has no tangent";
    for (const OpSample& sample : samples.samples) {
        const OpFunction function(op, sample);
        if (function.point().empty()) continue;
        try {
            function.forward({function.point(), Vector(function.point().size(), 0.0)});
        } catch (const DtypeError&) {
            return "its kernel does not take dual numbers";
        } catch (const std::exception&) {
            // for the oracles to tell
        }
        break;
    }
    return "";
}

void check_dual(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    SampleSet places = on_duals(op, set);
    add_kinks(op, set, places);
    oracle.each(places.samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        const Vector& x = function.point();
        const Vector y = function.forward(x);
        const OpFunction::Moving standing = function.forward({x, Vector(x.size(), 0.0)});
        for (std::size_t i = 0; i < y.size(); ++i) {
            const auto at = static_cast<std::ptrdiff_t>(i);
            const std::string place = element_name(at, "y", floating(function.output_specs()));
            if (function.double_only() && standing.values[i] != y[i] &&
                !(std::isnan(y[i]) && std::isnan(standing.values[i])))
                return oracle.fail(sample.name, str(place, " is ", y[i], " in f64 and ", standing.values[i],
                                                    " on dual numbers"));
            if (standing.tangents[i] != 0)
                return oracle.fail(
                    sample.name, str(place, " moves by ", standing.tangents[i], " while nothing else does"));
        }
        compare(oracle, sample.name,
                {x.size(), y.size(),
                 [&](View u) {
                     return function.forward({x, Vector(u.begin(), u.end())}).tangents;
                 },
                 [&](View v) { return function.vjp(x, v); }, Units(function, sample, set).first,
                 function.variable_specs(), floating(function.output_specs()), "x", "y"},
                kFullJacobian);
    });
}

void check_dual_second_order(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(on_duals(op, set).samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        Random random(6 + oracle.seed());
        Vector v(function.outputs());
        for (double& value : v) value = random.sign() * (0.5 + random.unit());
        const Vector x_and_v = joined(function.point(), v);
        Specs inputs = function.variable_specs();
        for (const Spec& spec : floating(function.output_specs())) inputs.push_back(spec);
        compare(oracle, sample.name,
                {x_and_v.size(), function.point().size(),
                 [&](View u) {
                     return function.gradient_of(OpFunction::Moving{x_and_v, Vector(u.begin(), u.end())})
                         .tangents;
                 },
                 [&](View w) { return function.second(x_and_v, w); },
                 Units(function, sample, set, largest(v)).second, inputs, function.variable_specs(), "(x,g)",
                 "gradient of x"},
                kFullSecondOrder);
    });
}

void check_symmetry(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    constexpr int kPairs = 3;
    oracle.each(on_duals(op, set).samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        Random random(30 + oracle.seed());
        auto lively = [&](std::size_t size) {
            Vector result(size);
            for (double& value : result) value = random.sign() * (0.5 + random.unit());
            return result;
        };
        const Vector x_and_v = joined(function.point(), lively(function.outputs()));
        const Vector still(function.outputs(), 0.0);
        const double unit = Units(function, sample, set).second;
        auto hessian_times = [&](const Vector& u) {
            return function.gradient_of(OpFunction::Moving{x_and_v, joined(u, still)}).tangents;
        };
        for (int pair = 0; pair < kPairs; ++pair) {
            const Vector u = lively(function.point().size()), w = lively(function.point().size());
            const Sum a(u, hessian_times(w)), b(w, hessian_times(u));
            const double scale =
                std::max({a.size, b.size, kCancelled * unit * static_cast<double>(u.size())});
            const double error = std::abs(a.value - b.value);
            if (scale > 0) oracle.measured(error / scale, kAllowed);
            if (!(error <= kAllowed * scale))
                return oracle.fail(sample.name, str("u^T H w is ", a.value, " and w^T H u is ", b.value,
                                                    ": no function has this vjp"));
        }
    });
}

}  // namespace microtome::gradcheck
