#include "autograd/gradcheck/check_op.hpp"

#include "autograd/gradcheck/oracles.hpp"
#include "base/suggest.hpp"

#include <chrono>
#include <ostream>

namespace microtome::gradcheck {
namespace {

constexpr int kTextsKept = 3;

}  // namespace

std::ostream& operator<<(std::ostream& out, const Row& row) {
    out << row.op << " [" << row.oracle << "] " << (row.pass ? "pass" : "FAIL") << ", " << row.samples
        << (row.samples == 1 ? " sample" : " samples");
    if (row.tolerance > 0)
        out << ", relative error " << row.worst_relative_error << " of " << row.tolerance << " allowed";
    return row.text.empty() ? out : out << ": " << row.text;
}

void Oracle::fail(std::string_view sample, std::string_view what) {
    row_.pass = false;
    if (++failures_ <= kTextsKept)
        row_.text += str(row_.text.empty() ? "" : "; ", "sample \"", sample, "\": ", what);
    else if (failures_ == kTextsKept + 1)
        row_.text += "; and more";
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
    auto rest = static_cast<int64_t>(index);
    for (std::size_t tensor = 0; tensor < specs.size(); ++tensor) {
        const Shape& shape = specs[tensor].shape;
        if (rest >= shape.elements()) {
            rest -= shape.elements();
            continue;
        }
        std::vector<int64_t> place(static_cast<std::size_t>(shape.rank()));
        for (int axis = shape.rank() - 1; axis >= 0; --axis) {
            place[static_cast<std::size_t>(axis)] = rest % shape[axis];
            rest /= shape[axis];
        }
        return str(letter, tensor, Shape(std::span<const int64_t>(place)));
    }
    return str(letter, "[", index, "]");
}

std::vector<Row> check_op(const OpInfo& op) {
    std::vector<Row> rows;
    const SampleSet set = op.samples();
    auto run = [&](const char* name, void (*oracle)(Oracle&, const OpInfo&, const SampleSet&)) {
        const auto begin = std::chrono::steady_clock::now();
        Oracle result(op.name, name);
        try {
            oracle(result, op, set);
        } catch (const std::exception& error) {
            result.fail("all", error.what());
        }
        Row row = std::move(result).row();
        row.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        rows.push_back(std::move(row));
    };
    const bool differentiable = op.vjp != nullptr;
    run("samples", check_samples);
    run("attributes", check_attributes);
    run("forward", check_forward);
    if (differentiable) {
        run("finite differences", check_first_order);
        run("second order", check_second_order);
        run("needs", check_needs);
        run("cotangents", check_cotangents);
        if (!set.kinks.empty()) run("kink", check_kinks);
    }
    if (!set.errors.empty()) run("errors", check_errors);
    run("f32", check_f32);
    run("abstract", check_abstract);
    if (!differentiable) run("not followed", check_not_followed);
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
