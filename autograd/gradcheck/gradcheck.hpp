// Is this vector-Jacobian product right? A checker in one header, with nothing else of microtome behind it:
//
//     auto f   = [](std::span<const double> x) { return std::vector<double>{x[0] * x[1]}; };
//     auto vjp = [](std::span<const double> x, std::span<const double> v) {
//         return std::vector<double>{v[0] * x[1], v[0] * x[0]};
//     };
//     auto report = microtome::gradcheck::check(f, vjp, std::vector<double>{2, 3});
//     if (!report.pass()) std::cerr << microtome::gradcheck::explain(report);
//
// f may be any function of a flat vector: a CUDA kernel, a layer written with Eigen, a lambda around a
// library. vjp(x, v) is the gradient of sum(v * f(x)) by x. Code in float takes and gives floats instead, and
// is checked as far as float allows. to_json(report) is for programs.
//
// How. A set V of cotangents and a set U of directions are chosen, and v^T J u is computed for every pair in
// two ways: as vjp(x, v) * u, and by finite differences of f along u. Where the Jacobian J is small, V and U
// are all unit vectors, so each element is compared, and a random cotangent is added. Where it is large, they
// are random vectors of +1 and -1, in which a single wrong element keeps its whole weight (unit vectors would
// dilute it by the size of J), and unit vectors at the first, the last and some random places.
//
// Finite differences. Central, with steps that shrink by 8 down to cbrt(eps) * max(1, |x|), divided by the
// step that was really taken, (x + h) - (x - h), and extrapolated to step 0 (Richardson 1911; the tableau and
// its error estimate as in Ridders 1982). The tolerance is ten times the estimate's own error, plus 1e-9 of
// what was added up: no tolerance is chosen by hand. Where it comes out above 1e-6 of the Jacobian's scale
// the check is inconclusive, which is not a pass.
//
// Diagnosis. What is wrong is compared with what commonly goes wrong: a factor, a sign, axes transposed, a
// forgotten sum over what was broadcast, the tail of a vector loop, one row. Say in Options::inputs and
// outputs which tensors the vectors are made of, and it speaks of their elements and axes.
// A guard, not a pragma: this is installed in two places, which a compiler must take for one.
#ifndef MICROTOME_GRADCHECK_HPP
#define MICROTOME_GRADCHECK_HPP

#include "diagnosis.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace microtome::gradcheck {

using View = std::span<const double>;

// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double sign() { return next() >> 63 ? 1 : -1; }
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // in [0, 1)
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }

  private:
    uint64_t state_;
};

struct Options {
    std::size_t full_jacobian = 20000;  // inputs times outputs up to which every element is compared
    int projections = 6;                // beyond it: this many random vectors on either side,
    int probes = 4;                     // and this many random places besides the first and the last
    double largest_tolerance = 1e-6;    // relative; above it the check is inconclusive
    double floor = 1e-9;                // relative; what rounding inside f may add to the tolerance
    double epsilon = std::numeric_limits<double>::epsilon();  // of the arithmetic inside f
    double unit = 1;  // the size of what f adds up: where it cancels to nothing, some eps of this remain, and
                      // the error bars of a Jacobian of zeros are measured against it
    uint64_t seed = 1;
    Parts inputs{}, outputs{};     // what x and f(x) consist of, in order; empty: one vector, "x" and "y"
    std::size_t diagnosis = 3000;  // inputs up to which a large Jacobian's failure is looked into

    // For f in float: finite differences see errors above 1e-3 or so, and no smaller ones.
    static Options single() {
        Options options;
        options.epsilon = std::numeric_limits<float>::epsilon();
        options.floor = 1e-3;
        options.largest_tolerance = 2e-2;
        return options;
    }
};

enum class Verdict { pass, fail, inconclusive };

inline const char* name_of(Verdict verdict) {
    return verdict == Verdict::pass ? "pass" : verdict == Verdict::fail ? "fail" : "inconclusive";
}

// One pair (v, u). An index of -1 stands for a random vector over all outputs or inputs.
struct Comparison {
    std::ptrdiff_t input = -1, output = -1;
    double analytic = 0, numeric = 0;
    double tolerance = 0;  // absolute
};

struct Report {
    Verdict verdict = Verdict::pass;
    Comparison worst;                 // the largest error in units of its tolerance
    double worst_relative_error = 0;  // its error and tolerance as shares of the Jacobian's scale
    double tolerance = 0;
    double scale = 0;  // the largest element of J, or its like in random projections
    std::size_t inputs = 0, outputs = 0;
    std::size_t compared = 0, failed = 0, inconclusive = 0;
    bool full = false;     // every element of J was compared
    std::size_t runs = 0;  // of f
    std::string text;      // one line for people
    std::string where;     // the worst comparison: "d y(3,4) / d w(0,2)"
    // Of a failure. A word for programs: "factor", "sign", "zero", "not finite", "last element", "vector
    // tail", "transposed", "reduction", "shifted", "mirrored", "border" or "scattered"; and a sentence.
    std::string pattern, diagnosis;
    std::string map;  // lines of '.' (right) and '#' (wrong) for the elements, where some are right

    bool pass() const { return verdict == Verdict::pass; }
};

namespace detail {

// A vector that is one-hot at `index`, or +1 and -1 everywhere.
struct Probe {
    std::ptrdiff_t index = -1;
    Vector values;

    double norm() const {
        return index >= 0 ? 1 : std::sqrt(static_cast<double>(std::max<std::size_t>(values.size(), 1)));
    }
};

inline std::vector<Probe> probes(std::size_t size, bool all, const Options& options, Random& random) {
    std::vector<Probe> result;
    auto add = [&](std::size_t index) {
        for (const Probe& probe : result)
            if (probe.index == static_cast<std::ptrdiff_t>(index)) return;
        Probe probe{static_cast<std::ptrdiff_t>(index), Vector(size, 0.0)};
        probe.values[index] = 1;
        result.push_back(std::move(probe));
    };
    if (all) {
        for (std::size_t i = 0; i < size; ++i) {
            result.push_back({static_cast<std::ptrdiff_t>(i), Vector(size, 0.0)});
            result.back().values[i] = 1;
        }
    } else if (size > 0) {
        add(0), add(size - 1);
        for (int i = 0; i < options.probes; ++i) add(random.below(size));
    }
    for (int i = 0; i < (all ? 1 : options.projections); ++i) {
        Probe probe{-1, Vector(size)};
        for (double& value : probe.values) value = random.sign();
        result.push_back(std::move(probe));
    }
    return result;
}

inline double dot(View a, View b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

// The Euclidean length of the terms of a dot product: how large the sum would be if the signs were random.
inline double length_of_terms(View a, View b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i] * a[i] * b[i];
    return std::sqrt(sum);
}

constexpr int kLevels = 3;
constexpr double kRatio = 8;  // between the steps of neighbouring levels

struct Estimate {
    double value = 0, error = 0;
};

// The limit of central differences for step 0, given the quotients of shrinking steps.
inline Estimate extrapolate(const std::array<double, kLevels>& quotients) {
    std::array<std::array<double, kLevels>, kLevels> table{};
    Estimate best{quotients[kLevels - 1], std::numeric_limits<double>::infinity()};
    for (int k = 0; k < kLevels; ++k) {
        table[k][0] = quotients[k];
        double factor = 1;
        for (int j = 1; j <= k; ++j) {
            factor *= kRatio * kRatio;  // the error is a series in h^2
            table[k][j] = (factor * table[k][j - 1] - table[k - 1][j - 1]) / (factor - 1);
            const double error = std::max(std::abs(table[k][j] - table[k][j - 1]),
                                          std::abs(table[k][j] - table[k - 1][j - 1]));
            if (error < best.error) best = {table[k][j], error};
        }
    }
    return best;
}

// f(x + h u) - f(x - h u) over twice the step, for each level, all outputs.
template <class F>
std::array<Vector, kLevels> quotients(F& f, View x, const Probe& direction, View scale, double smallest) {
    std::array<Vector, kLevels> result;
    Vector plus(x.size()), minus(x.size());
    double step = smallest;
    for (int level = kLevels - 1; level >= 0; --level, step *= kRatio) {
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double move = step * scale[i] * direction.values[i];
            plus[i] = x[i] + move;
            minus[i] = x[i] - move;
        }
        // The scales are powers of two, so only x + move is rounded: by nothing that matters, except
        // relative to a single element's step.
        double taken = 2 * step;
        if (direction.index >= 0) {
            const auto i = static_cast<std::size_t>(direction.index);
            taken = (plus[i] - minus[i]) / scale[i];
        }
        Vector up = f(View(plus));
        const Vector down = f(View(minus));
        if (down.size() != up.size()) up.assign(up.size(), std::numeric_limits<double>::quiet_NaN());
        for (std::size_t i = 0; i < up.size() && i < down.size(); ++i) up[i] = (up[i] - down[i]) / taken;
        result[level] = std::move(up);
    }
    return result;
}

// The steps of finite differences: directions are scaled element by element, so that x = 1000 is moved
// further than x = 1.
struct Steps {
    Vector scale;
    double smallest;

    Steps(View x, const Options& options)
        : scale(x.size()), smallest(std::exp2(std::round(std::log2(std::cbrt(options.epsilon))))) {
        for (std::size_t i = 0; i < x.size(); ++i)
            scale[i] = std::exp2(std::floor(std::log2(std::max(1.0, std::abs(x[i])))));
    }
};

inline std::string describe(const Report& r) {
    std::ostringstream out;
    out << name_of(r.verdict) << ": " << r.inputs << " inputs, " << r.outputs << " outputs, " << r.compared
        << (r.full ? " elements" : " projections and probes") << " compared";
    if (r.failed) out << ", " << r.failed << " wrong";
    if (r.inconclusive) out << ", " << r.inconclusive << " inconclusive";
    if (r.compared)
        out << "; worst: " << r.where << ", analytic " << number(r.worst.analytic, 10) << ", numeric "
            << number(r.worst.numeric, 10) << " +- " << number(r.worst.tolerance, 2);
    if (!r.diagnosis.empty()) out << "; " << r.diagnosis;
    return out.str();
}

inline Report refused(Report report, const std::string& why) {
    report.verdict = Verdict::fail;
    report.failed = 1;
    report.diagnosis = why;
    report.text = "fail: " + why;
    return report;
}

}  // namespace detail

// The gradient of sum(v * f(x)) by finite differences, element by element, and how far each may be off.
struct Gradient {
    Vector value, tolerance;
};
template <class F>
Gradient numeric_gradient(F&& f, View x, View v, const Options& options = {}) {
    using namespace detail;
    const Steps steps(x, options);
    const Vector y = f(x);
    Gradient result{Vector(x.size()), Vector(x.size())};
    for (std::size_t i = 0; i < x.size(); ++i) {
        Probe direction{static_cast<std::ptrdiff_t>(i), Vector(x.size(), 0.0)};
        direction.values[i] = 1;
        const auto differences = quotients(f, x, direction, steps.scale, steps.smallest);
        std::array<double, kLevels> projected{};
        for (int level = 0; level < kLevels; ++level) projected[level] = dot(differences[level], v);
        const Estimate estimate = extrapolate(projected);
        result.value[i] = estimate.value / steps.scale[i];
        result.tolerance[i] = (10 * estimate.error +
                               options.floor * std::max(length_of_terms(y, v), std::abs(estimate.value))) /
                              steps.scale[i];
    }
    return result;
}

// Compares vjp(x, v) with finite differences of f at x. f(View) and vjp(View, View) return Vectors;
// exceptions they throw pass through. Fails on results of a wrong size and on a vjp that is not finite.
template <class F, class Vjp>
Report check(F&& f, Vjp&& vjp, View x, const Options& options = {}) {
    using namespace detail;
    Report report;
    const Vector y = f(x);
    report.inputs = x.size();
    report.outputs = y.size();
    report.full = x.size() * y.size() <= options.full_jacobian;
    report.runs = 1;

    const Parts inputs = parts_or(options.inputs, "x", x.size()),
                outputs = parts_or(options.outputs, "y", y.size());
    const Steps steps(x, options);
    const Vector& scale = steps.scale;

    Random random(options.seed);
    const std::vector<Probe> cotangents = probes(y.size(), report.full, options, random);
    std::vector<Probe> directions = probes(x.size(), report.full, options, random);
    if (report.full) directions.pop_back();  // the unit vectors say it all
    std::vector<Vector> rows;                // J^T v, in units of the scale
    for (const Probe& v : cotangents) {
        rows.push_back(vjp(x, View(v.values)));
        if (rows.back().size() != x.size())
            return refused(report, "the vjp has " + std::to_string(rows.back().size()) + " elements for " +
                                       std::to_string(x.size()) + " inputs");
        for (std::size_t i = 0; i < x.size(); ++i) rows.back()[i] *= scale[i];
    }

    struct Pair {
        Comparison at;  // in units of the scale
        double weight;  // of a random pair beside a single element
    };
    std::vector<Pair> pairs;
    double largest = 0;
    bool all_zero = true;
    for (const Probe& u : directions) {
        const auto differences = quotients(f, x, u, scale, steps.smallest);
        report.runs += 2 * kLevels;
        for (const Vector& difference : differences)
            if (difference.size() != y.size())
                return refused(report, "f has " + std::to_string(y.size()) + " outputs at x and " +
                                           std::to_string(difference.size()) + " close to it");
        for (std::size_t k = 0; k < cotangents.size(); ++k) {
            const Probe& v = cotangents[k];
            std::array<double, kLevels> projected{};
            for (int level = 0; level < kLevels; ++level)
                projected[level] = v.index >= 0 ? differences[level][static_cast<std::size_t>(v.index)]
                                                : dot(differences[level], v.values);
            const Estimate numeric = extrapolate(projected);
            Pair pair{{u.index, v.index}, u.norm() * v.norm()};
            double terms;  // the size of what is added up on either side
            if (u.index >= 0) {
                pair.at.analytic = rows[k][static_cast<std::size_t>(u.index)];
                terms = std::abs(pair.at.analytic);
            } else {
                pair.at.analytic = dot(rows[k], u.values);
                terms = length_of_terms(rows[k], u.values);
            }
            const double value =
                v.index >= 0 ? std::abs(y[static_cast<std::size_t>(v.index)]) : length_of_terms(y, v.values);
            pair.at.numeric = numeric.value;
            pair.at.tolerance =
                10 * numeric.error + options.floor * std::max({value, std::abs(numeric.value),
                                                               std::isfinite(terms) ? terms : 0.0});
            const double noise = 64 * options.epsilon * options.unit * pair.weight;
            if (std::abs(pair.at.analytic) <= noise &&
                std::abs(numeric.value) <= std::max(noise, pair.at.tolerance))
                pair.at.tolerance = std::max(noise, pair.at.tolerance);
            largest = std::max(largest, std::abs(numeric.value) / pair.weight);
            all_zero = all_zero && std::abs(numeric.value) <= pair.at.tolerance &&
                       std::abs(pair.at.analytic) <= pair.at.tolerance;
            pairs.push_back(pair);
        }
    }
    report.scale = largest;
    if (all_zero) report.scale = options.unit;

    double worst = -1;
    for (const Pair& pair : pairs) {
        const Comparison& at = pair.at;
        const double error = std::abs(at.analytic - at.numeric);
        const bool wrong = !std::isfinite(at.analytic) || error > at.tolerance;
        // Written so that a NaN, from an f that is not defined around x, is inconclusive.
        const bool vague = !(at.tolerance <= options.largest_tolerance * pair.weight * report.scale) ||
                           !std::isfinite(at.numeric);
        report.failed += wrong;
        report.inconclusive += !wrong && vague;
        double rank = error > 0 ? error / at.tolerance : 0;
        if (wrong)
            rank = 1e300 + (std::isfinite(error) ? std::min(error / pair.weight, 1e299) : 1e300);
        else if (vague)
            rank = 1e200;
        if (rank > worst) {
            worst = rank;
            const double unit = at.input >= 0 ? scale[static_cast<std::size_t>(at.input)] : 1;
            report.worst = {at.input, at.output, at.analytic / unit, at.numeric / unit, at.tolerance / unit};
            report.worst_relative_error = error / (pair.weight * report.scale);
            report.tolerance = at.tolerance / (pair.weight * report.scale);
        }
    }
    report.compared = pairs.size();
    if (report.compared)
        report.where = "d " + element_of(outputs, report.worst.output) + " / d " +
                       element_of(inputs, report.worst.input);
    report.verdict = report.failed         ? Verdict::fail
                     : report.inconclusive ? Verdict::inconclusive
                                           : Verdict::pass;
    if (report.failed && (report.full || x.size() <= options.diagnosis)) {
        Block all{{"x", {x.size()}}, {"y", {y.size()}}, report.full ? y.size() : 1};
        if (report.full) {
            for (Vector* values : {&all.analytic, &all.numeric, &all.tolerance})
                values->resize(y.size() * x.size());
            for (const Pair& pair : pairs) {
                if (pair.at.input < 0 || pair.at.output < 0) continue;
                const auto input = static_cast<std::size_t>(pair.at.input);
                const std::size_t k = all.at(static_cast<std::size_t>(pair.at.output), input);
                all.analytic[k] = pair.at.analytic / scale[input];
                all.numeric[k] = pair.at.numeric / scale[input];
                all.tolerance[k] = pair.at.tolerance / scale[input];
            }
        } else {
            Vector v(y.size());
            for (double& value : v) value = random.sign() * (0.5 + random.unit());
            Gradient numeric = numeric_gradient(f, x, v, options);
            report.runs += 2 * kLevels * x.size();
            all.analytic = vjp(x, View(v));
            all.numeric = std::move(numeric.value);
            all.tolerance = std::move(numeric.tolerance);
        }
        Finding finding = diagnose(inputs, outputs, all);
        report.pattern = std::move(finding.pattern);
        report.diagnosis = std::move(finding.words);
        report.map = std::move(finding.map);
    }
    report.text = describe(report);
    return report;
}

// The same for float: f(std::span<const float>) and vjp(std::span<const float>, std::span<const float>)
// return std::vector<float>. An epsilon below float's stands for Options::single(), beside whose tolerance it
// is nothing that the points of the differences are rounded, too.
template <class F, class Vjp>
Report check(F&& f, Vjp&& vjp, std::span<const float> x, Options options = Options::single()) {
    const Options least = Options::single();
    if (options.epsilon < least.epsilon) {
        options.epsilon = least.epsilon;
        options.floor = std::max(options.floor, least.floor);
        options.largest_tolerance = std::max(options.largest_tolerance, least.largest_tolerance);
    }
    const Vector point(x.begin(), x.end());
    auto narrow = [](View values) {
        std::vector<float> result(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) result[i] = static_cast<float>(values[i]);
        return result;
    };
    auto wide = [](const std::vector<float>& values) { return Vector(values.begin(), values.end()); };
    return check([&](View at) { return wide(f(std::span<const float>(narrow(at)))); },
                 [&](View at, View v) {
                     return wide(vjp(std::span<const float>(narrow(at)), std::span<const float>(narrow(v))));
                 },
                 View(point), options);
}

// Several lines for people: what is wrong, where, by how much, and what it looks like.
inline std::string explain(const Report& r) {
    using detail::number;
    std::string text = std::string(name_of(r.verdict)) + ": " + std::to_string(r.failed + r.inconclusive) +
                       " of " + std::to_string(r.compared) +
                       (r.full ? " elements of the Jacobian" : " projections and probes") +
                       (r.failed         ? " wrong"
                        : r.inconclusive ? " cannot be told"
                                         : "") +
                       '\n';
    if (r.pass()) text = r.text + '\n';
    if (r.compared && !r.pass()) {
        const double error = std::abs(r.worst.analytic - r.worst.numeric);
        text += "  worst      " + r.where + '\n';
        text += "  the vjp    " + number(r.worst.analytic, 12) + '\n';
        text += "  f itself   " + number(r.worst.numeric, 12) + " +- " + number(r.worst.tolerance, 2) +
                "  (finite differences, extrapolated to step 0)\n";
        text += "  error      " + number(error, 3) + ", " + number(error / std::abs(r.worst.numeric), 3) +
                " relative\n";
    }
    if (r.verdict == Verdict::inconclusive)
        text +=
            "  the error bar is too wide for a verdict: a kink, a jump or noise close to x, or a sum in f "
            "that\n"
            "  swallows what changes; try another x\n";
    if (!r.diagnosis.empty()) text += "  diagnosis  " + r.diagnosis + '\n';
    return text + detail::labelled("  elements   ", r.map);
}

// One object; NaN and infinity, which JSON lacks, as null.
inline std::string to_json(const Report& r) {
    auto number = [](double value) { return std::isfinite(value) ? detail::number(value, 17) : "null"; };
    auto count = [](std::size_t value) { return std::to_string(value); };
    const std::string truth[]{"false", "true"};
    return "{\"verdict\": " + detail::quoted(name_of(r.verdict)) + ", \"pass\": " + truth[r.pass()] +
           ", \"inputs\": " + count(r.inputs) + ", \"outputs\": " + count(r.outputs) +
           ", \"compared\": " + count(r.compared) + ", \"failed\": " + count(r.failed) +
           ", \"inconclusive\": " + count(r.inconclusive) + ", \"full\": " + truth[r.full] +
           ", \"runs\": " + count(r.runs) + ", \"worst\": {\"where\": " + detail::quoted(r.where) +
           ", \"analytic\": " + number(r.worst.analytic) + ", \"numeric\": " + number(r.worst.numeric) +
           ", \"tolerance\": " + number(r.worst.tolerance) + "}" +
           ", \"worst_relative_error\": " + number(r.worst_relative_error) +
           ", \"tolerance\": " + number(r.tolerance) + ", \"pattern\": " + detail::quoted(r.pattern) +
           ", \"diagnosis\": " + detail::quoted(r.diagnosis) + ", \"map\": " + detail::quoted(r.map) + "}";
}

}  // namespace microtome::gradcheck

#endif
