#include "autograd/gradcheck/oracles.hpp"
#include "autograd/tape.hpp"

#include <cstring>
#include <map>

namespace microtome::gradcheck {
namespace {

bool all_identical(const Tensors& a, const Tensors& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), identical);
}

Tensors cotangents_of_signs(const OpFunction& function) {
    Random random(11);
    Vector v(function.outputs());
    for (double& value : v) value = random.sign() * (0.5 + random.unit());
    return function.cotangents(v);
}

Specs specs_of(const Tensors& tensors) {
    Specs specs;
    for (const Tensor& tensor : tensors) specs.push_back(tensor.spec());
    return specs;
}

// The tensors a tape kept for a record, as a set of bits: inputs, outputs, gates.
struct Kept {
    uint32_t inputs = 0, outputs = 0;
    bool gates = false;

    explicit Kept(const Recorded& run) {
        for (std::size_t i = 0; i < run.inputs.size(); ++i)
            inputs |= static_cast<uint32_t>(run.inputs[i].tensor.defined()) << i;
        for (std::size_t i = 0; i < run.outputs.size(); ++i)
            outputs |= static_cast<uint32_t>(run.outputs[i].tensor.defined()) << i;
        for (const SavedTensor& gate : run.gates) gates = gates || gate.tensor.defined();
    }
    bool within(const Kept& other) const {
        return !(inputs & ~other.inputs) && !(outputs & ~other.outputs) && (!gates || other.gates);
    }
    bool is(const Saves& saves, const Recorded& run) const {
        for (std::size_t i = 0; i < run.input_specs.size(); ++i)
            if (((inputs >> i) & 1u) != saves.has_input(static_cast<int>(i))) return false;
        for (std::size_t i = 0; i < run.output_specs.size(); ++i)
            if (((outputs >> i) & 1u) != saves.has_output(static_cast<int>(i))) return false;
        return gates == saves.has_gates();
    }
};

// Subsets of k variables as bit masks, the whole set first: all of them while they are few, else the whole,
// each alone and all but each.
std::vector<uint32_t> subsets(std::size_t k) {
    constexpr std::size_t kFew = 5;
    const uint32_t all = (1u << k) - 1;
    std::vector<uint32_t> result{all};
    for (uint32_t mask = 1; mask < all; ++mask) {
        const int count = std::popcount(mask);
        if (k <= kFew || count == 1 || count == static_cast<int>(k) - 1) result.push_back(mask);
    }
    return result;
}

Tensors chosen(const Tensors& tensors, uint32_t mask) {
    Tensors result;
    for (std::size_t i = 0; i < tensors.size(); ++i)
        if ((mask >> i) & 1u) result.push_back(tensors[i]);
    return result;
}

}  // namespace

void check_samples(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    for (std::size_t i = 0; i < set.samples.size(); ++i) oracle.sample();
    oracle.require(!op.name.empty() && !op.formula.empty(), "all", "no name or no formula");
    oracle.require(!set.samples.empty(), "all", "samples() adds none");
    if (op.vjp == nullptr) return;
    for (const OpSample& sample : set.samples)
        oracle.require(sample.checked.any(), sample.name, "differentiates by nothing");
    oracle.require(op.kinks.empty() || !set.kinks.empty(), "all",
                   str("promises at a kink (", op.kinks, ") what no kink() case tries"));
    const bool any_element = std::any_of(set.samples.begin(), set.samples.end(), [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        return !function.point().empty() && function.outputs() > 0;
    });
    oracle.require(any_element, "all", "every sample is empty");
}

void check_attributes(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    // Attributes of different fields would not agree on whether there is anything to print.
    std::map<std::string, uint64_t> hash_of;
    std::map<uint64_t, std::string> text_of;
    auto look = [&](const std::string& sample, const void* attributes) {
        oracle.sample();
        const std::string text = op.print(attributes);
        const uint64_t hash = op.hash(attributes);
        oracle.require(op.hash(attributes) == hash, sample, "its attributes have two hashes");
        auto [same_text, new_text] = hash_of.emplace(text, hash);
        if (!new_text && same_text->second != hash)
            oracle.fail(sample, str("its attributes hash unlike others that print the same: ", text));
        auto [same_hash, new_hash] = text_of.emplace(hash, text);
        if (!new_hash && same_hash->second != text)
            oracle.fail(sample, str("its attributes ", text, " hash like ", same_hash->second));
    };
    for (const OpSample& sample : set.samples) look(sample.name, sample.attributes.get());
    for (const KinkCase& kink : set.kinks) look(kink.name, kink.attributes.get());
    for (const ErrorCase& error : set.errors) look(error.name, error.attributes.get());
    oracle.require(!hash_of.contains("") || hash_of.size() == 1, "all", "some attributes print nothing");
}

void check_forward(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(set.samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        const OpFunction::Inputs inputs = function.at(function.point());
        Tensors before;
        std::vector<uint64_t> versions;
        for (const Tensor& input : inputs.all) {
            before.push_back(input.clone());
            versions.push_back(input.version());
        }
        const Tensors v = cotangents_of_signs(function);

        auto run = [&](int threads) {
            ThreadLimit limit(threads);
            Tape tape;
            tape.watch(inputs.variables);
            Tensors results = apply(op, sample.attributes, inputs.all);
            oracle.require(specs_of(results) == function.output_specs(), sample.name,
                           "an output is not what the shape rule says");
            if (op.vjp == nullptr || inputs.variables.empty()) return results;
            const Tensors ys = function.floating(results);
            const Tensors first = tape.vjp(ys, v, inputs.variables);
            const Tensors again = tape.vjp(ys, v, inputs.variables);
            oracle.require(all_identical(first, again), sample.name,
                           "two backward passes on one tape give different bits");
            results.insert(results.end(), first.begin(), first.end());
            return results;
        };
        const Tensors first = run(1);
        oracle.require(all_identical(first, run(1)), sample.name, "two runs give different bits");
        oracle.require(all_identical(first, run(2)), sample.name, "1 and 2 threads give different bits");
        {
            // Nobody listens: the path without gates.
            PauseTapes pause;
            const Tensors alone = apply(op, sample.attributes, inputs.all);
            oracle.require(std::equal(alone.begin(), alone.end(), first.begin(), identical), sample.name,
                           "the outputs depend on whether a tape listens");
        }
        for (std::size_t i = 0; i < before.size(); ++i) {
            oracle.require(identical(before[i], inputs.all[i]), sample.name,
                           str("input ", i, " has other elements afterwards"));
            oracle.require(versions[i] == inputs.all[i].version(), sample.name,
                           str("input ", i, " was written to"));
        }
    });
}

void check_needs(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(set.samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        const OpFunction::Inputs inputs = function.at(function.point());
        const Tensors v = cotangents_of_signs(function);
        Tensors full;
        std::vector<Kept> widest;
        for (uint32_t mask : subsets(function.variables())) {
            const Tensors watched = chosen(inputs.variables, mask);
            Tape tape;
            tape.watch(watched);
            const Tensors ys = function.floating(apply(op, sample.attributes, inputs.all));
            if (tape.records().size() != 1)
                return oracle.fail(sample.name, str("leaves ", tape.records().size(), " records, not one"));
            const Recorded& run = tape.records()[0].run;
            const Kept kept(run);
            const std::string subset = str("with needs ", run.wanted.bits(), ", ");
            oracle.require(kept.is(op.saves(sample.attributes.get(), run.wanted), run), sample.name,
                           subset + "the tape keeps something else than saves() names");
            if (widest.empty()) widest.push_back(kept);
            oracle.require(kept.within(widest[0]), sample.name,
                           subset + "more is saved than for the gradients of all inputs");
            const Tensors gradients = tape.vjp(ys, v, watched);
            if (full.empty()) full = gradients;
            oracle.require(all_identical(gradients, chosen(full, mask)), sample.name,
                           subset + "the gradient has other bits than with all needs");
        }
        // The same wish on a tape that could do more.
        Tape tape;
        tape.watch(inputs.variables);
        const Tensors ys = function.floating(apply(op, sample.attributes, inputs.all));
        for (uint32_t mask : subsets(function.variables()))
            oracle.require(all_identical(tape.vjp(ys, v, chosen(inputs.variables, mask)), chosen(full, mask)),
                           sample.name, "a gradient asked for alone has other bits than among others");
    });
}

void check_errors(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(set.errors, [&](const ErrorCase& wrong) {
        Tensors inputs;
        for (const Spec& spec : wrong.inputs) inputs.push_back(Tensor::abstract(spec));
        try {
            apply(op, wrong.attributes, inputs);
        } catch (const Error& error) {
            const std::string text = error.what();
            const std::size_t close = text.find("] ");
            oracle.require(text.starts_with('[') && close != std::string::npos && close > 1, wrong.name,
                           str("its error does not begin with [name]: ", text));
            oracle.require(text.find(wrong.message) != std::string::npos, wrong.name,
                           str("expected an error that says \"", wrong.message, "\", got ", text));
            return;
        }
        oracle.fail(wrong.name, "is accepted");
    });
}

void check_abstract(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(set.samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        const OpFunction::Inputs inputs = function.abstract();
        auto is_abstract = [](const Tensor& tensor) { return tensor.is_abstract(); };
        Tape tape;
        tape.watch(inputs.variables);
        const Tensors outputs = apply(op, sample.attributes, inputs.all);
        oracle.require(specs_of(outputs) == function.output_specs(), sample.name,
                       "an abstract output is not what the shape rule says");
        oracle.require(std::all_of(outputs.begin(), outputs.end(), is_abstract), sample.name,
                       "an output of abstract inputs has elements");
        if (op.vjp == nullptr || inputs.variables.empty()) return;
        Tensors v;
        for (const Tensor& y : function.floating(outputs)) v.push_back(Tensor::abstract(y.spec()));
        const Tensors gradients = tape.vjp(function.floating(outputs), v, inputs.variables);
        oracle.require(specs_of(gradients) == function.variable_specs(), sample.name,
                       "an abstract gradient has not its input's shape and type");
    });
}

void check_not_followed(Oracle& oracle, const OpInfo& op, const SampleSet& set) {
    oracle.each(set.samples, [&](const OpSample& sample) {
        const OpFunction function(op, sample);
        const OpFunction::Inputs inputs = function.at(function.point());
        Tape tape;
        tape.watch(inputs.variables);
        const Tensors outputs = apply(op, sample.attributes, inputs.all);
        oracle.require(tape.records().empty(), sample.name, "a tape recorded it");
        for (const Tensor& output : outputs)
            oracle.require(!tape.follows(output), sample.name, "a tape follows an output");
    });
}

}  // namespace microtome::gradcheck
