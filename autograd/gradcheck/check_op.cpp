#include "autograd/gradcheck/check_op.hpp"

#include "autograd/gradcheck/oracles.hpp"
#include "base/suggest.hpp"
#include "tensor/precision.hpp"

#include <algorithm>
#include <chrono>
#include <ostream>

namespace microtome::gradcheck {
namespace {

constexpr int kFailuresKept = 3;

// The samples that are wanted, cut to the shapes that are wanted.
SampleSet selected(const OpInfo& op, const Selection& selection) {
    SampleSet set = op.samples();
    if (!selection.sample.empty()) {
        std::vector<std::string> names;
        auto keep = [&](auto& items) {
            for (const auto& item : items) names.push_back(item.name);
            std::erase_if(items, [&](const auto& item) { return item.name != selection.sample; });
        };
        keep(set.samples), keep(set.kinks), keep(set.errors), keep(set.extremes);
        if (set.samples.empty() && set.kinks.empty() && set.errors.empty() && set.extremes.empty()) {
            const std::string meant = closest_name(selection.sample, names);
            throw OptionsError("gradcheck",
                               str("expected a sample of ", op.name, ", got '", selection.sample, "'"),
                               meant.empty() ? "" : str("did you mean '", meant, "'?"));
        }
    }
    if (selection.shapes.empty()) return set;
    const std::vector<Shape> shapes = parse_shapes(selection.shapes);
    std::vector<OpSample> fitting;
    for (const OpSample& sample : set.samples) {
        try {
            fitting.push_back(cut_to(sample, shapes));
        } catch (const ShapeError&) {  // another sample may fit
        }
    }
    if (fitting.empty())
        throw OptionsError("gradcheck", str("expected shapes that a sample of ", op.name,
                                            " can be cut to, got ", selection.shapes));
    return {fitting, {}, {}};
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Row& row) {
    out << row.op << " [" << row.oracle << "] " << (row.pass ? "pass" : "FAIL") << ", " << row.samples
        << (row.samples == 1 ? " sample" : " samples");
    if (row.tolerance > 0)
        out << ", relative error " << row.worst_relative_error << " of " << row.tolerance << " allowed";
    return row.text.empty() ? out : out << ": " << row.text;
}

std::string explain(const Row& row) {
    if (row.pass) return "";
    std::ostringstream out;
    out << "FAIL " << row.op << ", " << row.oracle << '\n';
    const Failure* first = nullptr;
    for (const Failure& failure : row.failures) {
        const std::string sample =
            failure.sample + (failure.inputs.empty() ? "" : ", inputs " + failure.inputs);
        if (first && !failure.pattern.empty() && failure.pattern == first->pattern) {
            out << "  also       " << sample << '\n';
            continue;
        }
        if (first == nullptr) first = &failure;
        out << "  sample     " << sample << '\n';
        if (failure.where.empty()) {
            out << "  found      " << failure.text << '\n';
        } else {
            out.precision(12);
            out << "  worst      " << failure.where << "\n  the vjp    " << failure.analytic
                << "\n  should be  " << failure.numeric;
            out.precision(2);
            out << " +- " << failure.tolerance << '\n';
        }
        if (!failure.diagnosis.empty()) out << "  diagnosis  " << failure.diagnosis << '\n';
        out << detail::labelled("  elements   ", failure.map);
        if (!failure.smallest.empty())
            out << "  smallest   fails with inputs " << failure.smallest << " still\n";
        if (!failure.again.empty()) out << "  again      " << failure.again << '\n';
    }
    return out.str();
}

void Oracle::fail(Failure failure) {
    row_.pass = false;
    if (++failures_ <= kFailuresKept) {
        row_.text += str(row_.text.empty() ? "" : "; ", "sample \"", failure.sample, "\": ", failure.text);
        row_.failures.push_back(std::move(failure));
    } else if (failures_ == kFailuresKept + 1) {
        row_.text += "; and more";
    }
}

void Oracle::measured(double relative_error, double tolerance) {
    // What is close to its limit counts, not what is large: the limits of two samples may differ.
    auto closeness = [](double error, double limit) { return limit > 0 ? error / limit : error; };
    if (row_.tolerance == 0 ||
        !(closeness(relative_error, tolerance) <= closeness(row_.worst_relative_error, row_.tolerance))) {
        row_.worst_relative_error = relative_error;
        row_.tolerance = tolerance;
    }
}

std::string element_name(std::ptrdiff_t index, const char* letter, const Specs& specs) {
    if (index < 0) return str("random ", letter);
    return detail::element_of(parts_of(specs, letter), index);
}

Parts parts_of(const Specs& specs, const std::string& letter) {
    Parts parts;
    for (const Spec& spec : specs)
        parts.push_back({letter + std::to_string(parts.size()),
                         std::vector<std::size_t>(spec.shape.begin(), spec.shape.end())});
    return parts;
}

Row run_oracle(const OracleInfo& oracle, const OpInfo& op, const SampleSet& set, uint64_t seed) {
    const auto begin = std::chrono::steady_clock::now();
    Oracle result(op.name, oracle.name, seed);
    try {
        oracle.run(result, op, set);
    } catch (const std::exception& error) {
        result.fail("all", error.what());
    }
    Row row = std::move(result).row();
    row.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return row;
}

std::vector<Row> check_op(const OpInfo& op, const Selection& selection) {
    require_unrounded_products("gradcheck");
    const SampleSet set = on_device(op, selected(op, selection), selection.device);
    std::vector<std::string> names;
    std::vector<Row> rows;
    for (const OracleInfo& oracle : oracles()) {
        names.emplace_back(oracle.name);
        if (!selection.oracle.empty() && oracle.name != selection.oracle) continue;
        if (oracle.on_duals && !(selection.device == kCpu)) continue;
        if (!oracle.hole(op, set).empty()) continue;
        rows.push_back(run_oracle(oracle, op, set, selection.seed));
        if (!rows.back().pass && selection.explain)
            explain_failures(rows.back(), oracle, op, set, selection.seed);
    }
    if (!selection.oracle.empty() && std::find(names.begin(), names.end(), selection.oracle) == names.end()) {
        const std::string meant = closest_name(selection.oracle, names);
        throw OptionsError("gradcheck", str("expected the name of an oracle, got '", selection.oracle, "'"),
                           meant.empty() ? "" : str("did you mean '", meant, "'?"));
    }
    return rows;
}

std::vector<const OpInfo*> ops_named(std::string_view name) {
    std::vector<const OpInfo*> found;
    std::vector<std::string> names;
    for (const OpInfo* op : all_ops()) {
        names.emplace_back(op->name);
        if (name.empty() || op->name == name) found.push_back(op);
    }
    if (found.empty()) {
        const std::string meant = closest_name(std::string(name), names);
        throw OptionsError(
            "gradcheck", str("expected the name of an op, got '", name, "'"),
            meant.empty() ? "without a name all ops are checked" : str("did you mean ", meant, "?"));
    }
    return found;
}

std::vector<Row> check_all(std::string_view name) {
    std::vector<Row> rows;
    for (const OpInfo* op : ops_named(name))
        for (Row& row : check_op(*op)) rows.push_back(std::move(row));
    return rows;
}

}  // namespace microtome::gradcheck
