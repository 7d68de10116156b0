#include "autograd/gradcheck/mutation.hpp"

#include "autograd/gradcheck/oracles.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/shaping.hpp"
#include "base/suggest.hpp"

#include <algorithm>
#include <chrono>

namespace microtome::gradcheck {
namespace {

using Kind = Mutation::Kind;

// saves() is told attributes and needs and not which op it is of.
thread_local const MutantOp* alive = nullptr;

// 1, and 0 where `dropped` says so.
template <class Dropped>
Tensor mask(const Spec& spec, const Dropped& dropped) {
    Vector values(static_cast<std::size_t>(spec.shape.elements()), 1.0);
    for (std::size_t i = 0; i < values.size(); ++i)
        if (dropped(static_cast<int64_t>(i))) values[i] = 0;
    return from_doubles(values, spec);
}

// The axes of `out` along which `in` was stretched, as flags; empty where `in` does not broadcast to `out`.
std::vector<bool> stretched_axes(const Shape& in, const Shape& out) {
    if (in.rank() > out.rank() || in == out) return {};
    std::vector<bool> stretched;
    for (int axis = 0; axis < out.rank(); ++axis) {
        const int own = axis - (out.rank() - in.rank());
        stretched.push_back(own < 0 || (in[own] == 1 && out[axis] > 1));
        if (!stretched.back() && in[own] != out[axis]) return {};
    }
    return stretched;
}

// g where every stretched axis is at 0, and 0 elsewhere.
Tensor first_of_stretched(const Tensor& g, const std::vector<bool>& stretched) {
    return g * mask(g.spec(), [&](int64_t index) {
               for (int axis = g.shape().rank(); axis-- > 0; index /= g.shape()[axis])
                   if (stretched[static_cast<std::size_t>(axis)] && index % g.shape()[axis] != 0) return true;
               return false;
           });
}

Tensor broken(const Mutation& mutation, const Tensor& d) {
    const Shape& shape = d.shape();
    const int64_t n = shape.elements();
    const int axis = mutation.where;
    switch (mutation.kind) {
        case Kind::scale: return d * 1.01;
        case Kind::scale_little: return d * (1 + 1e-5);
        case Kind::sign: return -d;
        case Kind::zero: return d * 0.0;
        case Kind::last_element: return d * mask(d.spec(), [&](int64_t i) { return i == n - 1; });
        case Kind::vector_tail:
            return n <= axis ? d : d * mask(d.spec(), [&](int64_t i) { return i >= n - n % axis; });
        case Kind::transposed: {
            if (shape.rank() < axis + 2) return d;
            std::vector<int> order;
            for (int i = 0; i < shape.rank(); ++i) order.push_back(i);
            std::swap(order[static_cast<std::size_t>(axis)], order[static_cast<std::size_t>(axis) + 1]);
            return reshape(permute(d, order), shape);
        }
        case Kind::shifted:
            if (shape.rank() <= axis || shape[axis] < 2) return d;
            return concat({slice(d, axis, shape[axis] - 1, shape[axis]), slice(d, axis, 0, shape[axis] - 1)},
                          axis);
        case Kind::second_scale: return d + 0.01 * (d - stop_gradient(d));
        default: return d;
    }
}

SavedTensor& tensor_numbered(Recorded& run, int number) {
    return number >= 0 ? run.inputs[static_cast<std::size_t>(number)]
                       : run.outputs[static_cast<std::size_t>(output_number(number))];
}

bool has(const Specs& inputs, const Specs& outputs, int number) {
    return number >= 0 ? number < static_cast<int>(inputs.size())
                       : output_number(number) < static_cast<int>(outputs.size());
}

const Spec& spec_numbered(const Specs& inputs, const Specs& outputs, int number) {
    return number >= 0 ? inputs[static_cast<std::size_t>(number)]
                       : outputs[static_cast<std::size_t>(output_number(number))];
}

bool has_saved(const Saves& saves, int number) {
    return number >= 0 ? saves.has_input(number) : saves.has_output(output_number(number));
}

Tensors mutated_vjp(const void* attributes, const Recorded& record, const Tensors& g) {
    const auto& mutant = static_cast<const MutantOp&>(*record.op);
    const OpInfo& op = mutant.original();
    const Mutation& mutation = mutant.mutation();
    Recorded run = record;
    run.op = &op;
    const auto target = static_cast<std::size_t>(std::max(mutation.target, 0));

    if (mutation.kind == Kind::saved) {
        const Specs &in = run.input_specs, &out = run.output_specs;
        if (has(in, out, mutation.target) && has(in, out, mutation.where) &&
            spec_numbered(in, out, mutation.target) == spec_numbered(in, out, mutation.where) &&
            tensor_numbered(run, mutation.target).tensor.defined())
            tensor_numbered(run, mutation.target) = tensor_numbered(run, mutation.where);
        return op.vjp(attributes, run, g);
    }
    if (mutation.kind == Kind::second_zero) {
        for (auto* saved : {&run.inputs, &run.outputs})
            for (SavedTensor& kept : *saved)
                if (kept.tensor.defined() && is_floating(kept.tensor.dtype())) {
                    kept.tensor = stop_gradient(kept.tensor);
                    kept.version = kept.tensor.version();
                }
        return op.vjp(attributes, run, g);
    }
    Tensors gradients = op.vjp(attributes, run, g);
    if (target >= gradients.size() || !gradients[target].defined()) return gradients;
    if (mutation.kind == Kind::reduction) {
        if (!g[0].defined()) return gradients;
        const auto stretched = stretched_axes(run.input_specs[target].shape, g[0].shape());
        if (stretched.empty()) return gradients;
        Tensors first = g;
        first[0] = first_of_stretched(g[0], stretched);
        gradients[target] = op.vjp(attributes, run, first)[target];
        return gradients;
    }
    if (gradients[target].elements() > 0) gradients[target] = broken(mutation, gradients[target]);
    return gradients;
}

Saves widened_saves(const void* attributes, Needs needs) {
    const MutantOp* mutant = alive;
    const OpInfo& op = mutant->original();
    const Mutation& mutation = mutant->mutation();
    // A mutant of a mutant asks the one below.
    alive = as_mutant(op);
    Saves saves = op.saves(attributes, needs);
    alive = mutant;
    if (has_saved(saves, mutation.target))
        mutation.where >= 0 ? saves.input(mutation.where) : saves.output(output_number(mutation.where));
    return saves;
}

std::string tensor_name(int number) {
    return number >= 0 ? str("input ", number) : str("output ", output_number(number));
}

Vector lively(std::size_t size, uint64_t seed) {
    Random random(seed);
    Vector result(size);
    for (double& value : result) value = random.sign() * (0.5 + random.unit());
    return result;
}

// A sample, and what is compared to see whether a mutant changes anything.
struct Subject {
    const OpSample* sample;
    std::size_t cost;
    Vector first{}, second{};  // of the healthy op, once they were asked for
};

bool is_second_order(const Mutation& mutation) {
    return mutation.kind == Kind::second_zero || mutation.kind == Kind::second_scale;
}

Vector gradient(const OpInfo& op, const OpSample& sample, bool second_order) {
    const OpFunction function(op, sample);
    const Vector v = lively(function.outputs(), 21);
    if (!second_order) return function.vjp(function.point(), v);
    Vector x_and_v = function.point();
    x_and_v.insert(x_and_v.end(), v.begin(), v.end());
    return function.second(x_and_v, lively(function.point().size(), 22));
}

// The largest difference in one tensor, as a share of the largest element there.
double change_of(const OpFunction& function, const Vector& healthy, const Vector& mutated) {
    double change = 0;
    std::size_t begin = 0;
    std::vector<std::size_t> sizes;
    for (const Spec& spec : function.variable_specs())
        sizes.push_back(static_cast<std::size_t>(spec.shape.elements()));
    if (healthy.size() > function.point().size()) sizes.push_back(healthy.size() - function.point().size());
    for (std::size_t size : sizes) {
        double scale = 0, difference = 0;
        for (std::size_t i = begin; i < begin + size; ++i) {
            scale = std::max(scale, std::abs(healthy[i]));
            difference = std::max(difference, std::abs(healthy[i] - mutated[i]));
        }
        if (difference > 0) change = std::max(change, difference / scale);
        begin += size;
    }
    return change;
}

// The oracles that mutants are shown to, the likeliest first.
std::vector<const OracleInfo*> judges(bool second_order, std::string_view only) {
    std::vector<const OracleInfo*> result;
    for (const OracleInfo& oracle : oracles())
        if (only.empty() ? oracle.judges_gradients : oracle.name == only) result.push_back(&oracle);
    std::stable_partition(result.begin(), result.end(), [&](const OracleInfo* oracle) {
        return second_order == (oracle->name.find("second") != std::string_view::npos);
    });
    return result;
}

constexpr double kExempt = 1e-6;

Mutant tried(const OpInfo& op, const Mutation& mutation, std::vector<Subject>& subjects, const SampleSet& set,
             std::string_view only) {
    Mutant result{mutation};
    const MutantOp mutant(op, mutation);
    const bool second = is_second_order(mutation);
    auto shown = [&](const OracleInfo& oracle, const SampleSet& some, const std::string& name) {
        if (run_oracle(oracle, mutant, some).pass) return false;
        result.fate = Mutant::Fate::caught;
        result.caught_by = oracle.name;
        result.sample = name;
        return true;
    };
    for (Subject& subject : subjects) {
        Vector& healthy = second ? subject.second : subject.first;
        if (healthy.empty()) healthy = gradient(op, *subject.sample, second);
        const double change =
            change_of(OpFunction(op, *subject.sample), healthy, gradient(mutant, *subject.sample, second));
        result.change = std::max(result.change, change);
        if (!(change > kExempt)) continue;
        result.fate = Mutant::Fate::survived;
        const SampleSet one{{*subject.sample}, {}, {}};
        for (const OracleInfo* oracle : judges(second, only))
            if (oracle->hole(op, one).empty() && shown(*oracle, one, subject.sample->name)) return result;
    }
    if (result.fate == Mutant::Fate::survived && !set.kinks.empty())
        for (const OracleInfo* oracle : judges(second, only))
            if (oracle->hole(op, {{}, set.kinks, {}}).empty() &&
                shown(*oracle, {{}, set.kinks, {}}, "the kinks"))
                break;
    return result;
}

}  // namespace

std::string describe(const Mutation& mutation) {
    const std::string gradient = str("gradient of input ", mutation.target);
    switch (mutation.kind) {
        case Kind::scale: return gradient + " times 1.01";
        case Kind::scale_little: return gradient + " times 1 + 1e-5";
        case Kind::sign: return gradient + " with the wrong sign";
        case Kind::zero: return gradient + " zero";
        case Kind::last_element: return gradient + " without its last element";
        case Kind::transposed:
            return str(gradient, " with axes ", mutation.where, ",", mutation.where + 1, " transposed");
        case Kind::reduction: return gradient + " without the sum over what was broadcast";
        case Kind::shifted: return str(gradient, " off by one along axis ", mutation.where);
        case Kind::vector_tail: return str(gradient, " without the tail of a loop over ", mutation.where);
        case Kind::saved:
            return str(tensor_name(mutation.where), " saved in place of ", tensor_name(mutation.target));
        case Kind::second_zero: return "second order: what was saved taken for constant";
        case Kind::second_scale: return gradient + " right, its derivative times 1.01";
    }
    return "";
}

Mutation mutation_named(const OpInfo& op, const std::string& description) {
    std::vector<std::string> known;
    for (const Mutation& mutation : mutations_of(op, op.samples())) {
        known.push_back(describe(mutation));
        if (known.back() == description) return mutation;
    }
    const std::string meant = closest_name(description, known);
    throw OptionsError(
        "gradcheck", str("expected a mutation of ", op.name, ", got '", description, "'"),
        known.empty() ? "it has no gradient" : str("'", meant.empty() ? known[0] : meant, "' is one"));
}

const MutantOp* as_mutant(const OpInfo& op) {
    return op.vjp == mutated_vjp ? static_cast<const MutantOp*>(&op) : nullptr;
}

MutantOp::MutantOp(const OpInfo& original, const Mutation& mutation)
    : OpInfo(original), original_(&original), mutation_(mutation), before_(alive) {
    alive = this;
    vjp = mutated_vjp;
    if (mutation.kind == Kind::saved) saves = widened_saves;
}

MutantOp::~MutantOp() {
    alive = before_;
}

std::vector<Mutation> mutations_of(const OpInfo& op, const SampleSet& set) {
    std::vector<Mutation> result;
    if (op.vjp == nullptr) return result;
    auto add = [&](Mutation mutation) {
        if (std::find(result.begin(), result.end(), mutation) == result.end()) result.push_back(mutation);
    };
    constexpr int kInputs = 8;  // of an op that takes any number, the first
    for (const OpSample& sample : set.samples) {
        Specs in;
        for (const Tensor& input : sample.inputs) in.push_back(input.spec());
        const Specs out = op.shape_rule(sample.attributes.get(), in);
        for (int i = 0; i < std::min(kInputs, static_cast<int>(in.size())); ++i) {
            const Shape& shape = in[static_cast<std::size_t>(i)].shape;
            if (!sample.checked[i] || shape.elements() == 0) continue;
            for (Kind kind : {Kind::scale, Kind::scale_little, Kind::sign, Kind::zero}) add({kind, i});
            if (op.second_order != SecondOrder::none) add({Kind::second_scale, i});
            if (shape.elements() > 1) add({Kind::last_element, i});
            for (int axis = 0; axis + 1 < shape.rank(); ++axis)
                if (shape[axis] > 1 && shape[axis + 1] > 1) add({Kind::transposed, i, axis});
            for (int axis = 0; axis < shape.rank(); ++axis)
                if (shape[axis] > 1) add({Kind::shifted, i, axis});
            for (int width : {4, 8, 16})
                if (shape.elements() > width && shape.elements() % width > 0)
                    add({Kind::vector_tail, i, width});
            if (!out.empty() && !stretched_axes(shape, out[0].shape).empty()) add({Kind::reduction, i});
        }
        const Saves saves = op.saves(sample.attributes.get(), sample.checked);
        std::vector<int> numbers;
        for (int i = 0; i < std::min(kInputs, static_cast<int>(in.size())); ++i) numbers.push_back(i);
        for (int i = 0; i < static_cast<int>(out.size()); ++i) numbers.push_back(output_number(i));
        bool any = false;
        for (int meant : numbers) {
            if (!has_saved(saves, meant)) continue;
            any = any || is_floating(spec_numbered(in, out, meant).dtype);
            for (int read : numbers)
                if (read != meant && spec_numbered(in, out, read) == spec_numbered(in, out, meant))
                    add({Kind::saved, meant, read});
        }
        if (any && op.second_order != SecondOrder::none) add({Kind::second_zero});
    }
    return result;
}

MutationScore mutate_op(const OpInfo& op, const std::function<bool(const Mutant&)>& seen,
                        std::string_view oracle) {
    const auto begin = std::chrono::steady_clock::now();
    MutationScore score{std::string(op.name)};
    const SampleSet set = op.samples();
    std::vector<Subject> subjects;
    for (const OpSample& sample : set.samples) {
        const OpFunction function(op, sample);
        if (!function.point().empty() && function.outputs() > 0)
            subjects.push_back({&sample, function.point().size() * function.outputs()});
    }
    std::stable_sort(subjects.begin(), subjects.end(),
                     [](const Subject& a, const Subject& b) { return a.cost < b.cost; });
    for (const Mutation& mutation : mutations_of(op, set)) {
        score.mutated.push_back(tried(op, mutation, subjects, set, oracle));
        const Mutant& mutant = score.mutated.back();
        ++score.mutants;
        score.caught += mutant.fate == Mutant::Fate::caught;
        score.exempt += mutant.fate == Mutant::Fate::exempt;
        if (seen && !seen(mutant)) break;
    }
    score.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return score;
}

}  // namespace microtome::gradcheck
