#include "autograd/gradcheck/oracles.hpp"
#include "autograd/tape.hpp"

namespace microtome::gradcheck {
namespace {

// Second order is checked element by element up to this many elements of its Jacobian: each costs a tape in a
// tape.
constexpr std::size_t kFullSecondOrder = 3000;
constexpr std::size_t kConditionElements = 20000;

Vector signs(std::size_t size, uint64_t seed) {
    Random random(seed);
    Vector result(size);
    for (double& value : result) value = random.sign();
    return result;
}

// Numbers of either sign, none close to zero and no two alike.
Vector lively(std::size_t size, uint64_t seed) {
    Random random(seed);
    Vector result(size);
    for (double& value : result) value = random.sign() * (0.5 + random.unit());
    return result;
}

double largest(View values) {
    double result = 0;
    for (double value : values) result = std::max(result, std::abs(value));
    return result;
}

void judge(Oracle& oracle, const std::string& sample, const Report& report) {
    if (report.compared) oracle.measured(report.worst_relative_error, report.tolerance);
    if (report.pass()) return;
    if (report.compared == 0) return oracle.fail(sample, report.text);
    std::ostringstream text;
    text.precision(10);
    text << name_of(report.verdict) << ", " << report.failed + report.inconclusive << " of "
         << report.compared << ": " << report.where << ", analytic " << report.worst.analytic << ", numeric "
         << report.worst.numeric;
    text.precision(2);
    text << " +- " << report.worst.tolerance;
    oracle.fail({sample, text.str(), report.where, report.worst.analytic, report.worst.numeric,
                 report.worst.tolerance, report.pattern, report.diagnosis, report.map});
}

Specs floating(const Specs& specs) {
    Specs result;
    for (const Spec& spec : specs)
        if (is_floating(spec.dtype)) result.push_back(spec);
    return result;
}

// The size a gradient has if nothing cancels, as it does in x / x: |v| |y| / |x|.
double natural_size(const Vector& v, const Vector& y, const Vector& x) {
    return largest(x) > 0 ? largest(v) * largest(y) / largest(x) : 0;
}

// How far rounding may move each output of a function: at least as much as the largest of them (or `size`),
// plus all that is added up to it, from a row of the Jacobian times the point.
Vector condition(const Vector& outputs, double size, View point, const std::function<Vector(View)>& row) {
    Vector result(outputs.size(), std::max(size, largest(outputs)));
    if (!row || outputs.size() * point.size() > kConditionElements) return result;
    Vector one_hot(outputs.size(), 0.0);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        one_hot[i] = 1;
        const Vector gradient = row(one_hot);
        for (std::size_t j = 0; j < point.size(); ++j) result[i] += std::abs(gradient[j] * point[j]);
        one_hot[i] = 0;
    }
    return result;
}

}  // namespace

Options options_for(const OpFunction& function, uint64_t seed) {
    // Differences of rounded numbers where f32 is involved.
    Options options = function.double_only() ? Options() : Options::single();
    options.seed = seed;
    options.inputs = parts_of(function.variable_specs(), "x");
    options.outputs = parts_of(floating(function.output_specs()), "y");
    return options;
}

Report first_order(const OpFunction& function, uint64_t seed) {
    return check([&](View x) { return function.forward(x); },
                 [&](View x, View v) { return function.vjp(x, v); }, function.point(),
                 options_for(function, seed));
}

Report second_order(const OpFunction& function, uint64_t seed) {
    Vector x_and_v = function.point();
    const Vector v = lively(function.outputs(), seed + 6);
    x_and_v.insert(x_and_v.end(), v.begin(), v.end());
    Options options = options_for(function, seed);
    options.full_jacobian = kFullSecondOrder;
    options.projections = 4;
    options.probes = 2;
    const Parts cotangents = parts_of(floating(function.output_specs()), "g");
    options.inputs.insert(options.inputs.end(), cotangents.begin(), cotangents.end());
    options.outputs = parts_of(function.variable_specs(), "gradient of x");
    return check([&](View point) { return function.gradient_of(point); },
                 [&](View point, View w) { return function.second(point, w); }, x_and_v, options);
}

void check_first_order(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(set.samples, [&](const OpSample& sample) {
        judge(oracle, sample.name, first_order(OpFunction(op, sample), oracle.seed()));
    });
}

void check_second_order(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(set.samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        if (op.second_order != SecondOrder::none)
            return judge(oracle, sample.name, second_order(function, oracle.seed()));
        oracle.require(!op.second_order_reason.empty(), sample.name, "no reason for having none");
        if (function.point().empty() || function.outputs() == 0) return;
        Vector x_and_v = function.point();
        const Vector v = lively(function.outputs(), 7);
        x_and_v.insert(x_and_v.end(), v.begin(), v.end());
        try {
            function.second(x_and_v, signs(function.point().size(), 8), true);
        } catch (const TapeError&) {
            return;
        }
        oracle.fail(sample.name, "has no second order, yet asking for it is no TapeError");
    });
}

void check_cotangents(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    constexpr double kLinear = 1e-11;
    oracle.each(set.samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        const Vector& x = function.point();
        for (double value : function.vjp(x, Vector(function.outputs(), 0.0)))
            if (value != 0)
                return oracle.fail(sample.name, str("a cotangent of zeros gives a gradient of ", value));

        // A power of two, so that scaling by it rounds nothing.
        const Vector a = lively(function.outputs(), 3), b = lively(function.outputs(), 4);
        Vector sum(a);
        for (std::size_t i = 0; i < a.size(); ++i) sum[i] = 4 * a[i] + b[i];
        const Vector of_a = function.vjp(x, a), of_b = function.vjp(x, b), of_sum = function.vjp(x, sum);
        const double limit = function.double_only() ? kLinear : 1e-2;
        const double scale = 4 * largest(of_a) + largest(of_b) + natural_size(sum, function.forward(x), x);
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double error = std::abs(of_sum[i] - (4 * of_a[i] + of_b[i]));
            if (scale > 0) oracle.measured(error / scale, limit);
            if (!(error <= limit * scale))
                return oracle.fail(sample.name, str("vjp(4 a + b) is ", of_sum[i], " at ",
                                                    element_name(static_cast<std::ptrdiff_t>(i), "x",
                                                                 function.variable_specs()),
                                                    " and 4 vjp(a) + vjp(b) is ", 4 * of_a[i] + of_b[i]));
        }

        // Where there are several outputs, each alone: the other cotangents are undefined then.
        const Specs outputs = floating(function.output_specs());
        if (outputs.size() < 2) return;
        const OpFunction::Inputs inputs = function.at(x);
        Tape tape;
        tape.watch(inputs.variables);
        const Tensors ys = function.floating(apply(op, sample.attributes, inputs.all));
        const Tensors parts = function.cotangents(a);
        Vector total(x.size(), 0.0);
        for (std::size_t k = 0; k < ys.size(); ++k) {
            const Vector part = OpFunction::flat(tape.vjp({ys[k]}, {parts[k]}, inputs.variables));
            for (std::size_t i = 0; i < x.size(); ++i) total[i] += part[i];
        }
        for (std::size_t i = 0; i < x.size(); ++i)
            if (!(std::abs(total[i] - of_a[i]) <= limit * scale))
                return oracle.fail(sample.name,
                                   str("outputs one by one give ", total[i], ", together ", of_a[i]));
    });
}

void check_kinks(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(set.kinks, [&](const KinkCase& kink) {
        Tape tape;
        for (const Tensor& input : kink.inputs)
            if (is_floating(input.dtype())) tape.watch(input);
        Tensors outputs = apply(op, kink.attributes, kink.inputs);
        if (outputs.size() != kink.cotangents.size())
            return oracle.fail(kink.name, str("has ", kink.cotangents.size(), " cotangents for ",
                                              outputs.size(), " outputs"));
        Tensors wanted, expected;
        for (std::size_t i = 0; i < kink.expected.size(); ++i)
            if (kink.expected[i].defined()) {
                wanted.push_back(kink.inputs[i]);
                expected.push_back(kink.expected[i]);
            }
        if (wanted.empty()) return oracle.fail(kink.name, "expects nothing");
        const Tensors gradients = tape.vjp(outputs, kink.cotangents, wanted);
        for (std::size_t k = 0; k < wanted.size(); ++k) {
            if (!(gradients[k].spec() == expected[k].spec()))
                return oracle.fail(kink.name,
                                   str("expected ", expected[k].spec(), ", got ", gradients[k].spec()));
            const Vector got = to_doubles(gradients[k]), want = to_doubles(expected[k]);
            for (std::size_t i = 0; i < got.size(); ++i)
                if (!(got[i] == want[i]))
                    return oracle.fail(
                        kink.name, str("promised is ", want[i], " at ",
                                       element_name(static_cast<std::ptrdiff_t>(i), "", {expected[k].spec()}),
                                       " of gradient ", k, ", got ", got[i]));
        }
    });
}

void check_f32(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    constexpr double kAllowed = 64 * 0x1p-24;
    oracle.each(set.samples, [&](const OpSample& sample) {
        const OpSample single = converted(sample, Dtype::f64, Dtype::f32);
        const OpFunction narrow(op, single), wide(op, converted(single, Dtype::f32, Dtype::f64));
        const Vector& x = wide.point();  // the same numbers in either precision
        auto compare = [&](const Vector& in_f32, const Vector& in_f64, const Vector& scale,
                           const char* letter, const Specs& specs) {
            if (in_f32.size() != in_f64.size())
                return oracle.fail(sample.name,
                                   str("f32 gives ", in_f32.size(), " elements, f64 gives ", in_f64.size()));
            for (std::size_t i = 0; i < in_f64.size(); ++i) {
                const double error = std::abs(in_f32[i] - in_f64[i]);
                if (scale[i] > 0) oracle.measured(error / scale[i], kAllowed);
                if (!(error <= kAllowed * scale[i]) && in_f32[i] != in_f64[i])
                    return oracle.fail(
                        sample.name, str(element_name(static_cast<std::ptrdiff_t>(i), letter, specs), " is ",
                                         in_f32[i], " in f32 and ", in_f64[i], " in f64"));
            }
        };
        const Vector y = wide.forward(x);
        std::function<Vector(View)> row, gradient_row;
        if (op.vjp) row = [&](View v) { return wide.vjp(x, v); };
        compare(narrow.forward(x), y, condition(y, 0, x, row), "y", floating(wide.output_specs()));
        if (!op.vjp) return;

        const Vector v = signs(y.size(), 5);
        Vector x_and_v = x;
        x_and_v.insert(x_and_v.end(), v.begin(), v.end());
        if (op.second_order != SecondOrder::none)
            gradient_row = [&](View w) { return wide.second(x_and_v, w); };
        const Vector g = wide.vjp(x, v);
        compare(narrow.vjp(x, v), g, condition(g, natural_size(v, y, x), x_and_v, gradient_row),
                "gradient of x", wide.variable_specs());
    });
}

}  // namespace microtome::gradcheck
