#include "autograd/gradcheck/coverage.hpp"

#include "autograd/gradcheck/mutation.hpp"
#include "autograd/gradcheck/oracles.hpp"

#include <algorithm>

namespace microtome::gradcheck {
namespace {

// What an oracle's column is called where that is not its name, and where it stands; others come before the
// kinks.
struct Column {
    std::string_view title, oracle;
};
constexpr Column kFirst[]{{"finite differences", "finite differences"},
                          {"dual", "dual"},
                          {"adjoint", "adjoint"},
                          {"reference = CPU", "f32"},
                          {"CPU = CUDA", ""},
                          {"second order", "second order"}};
constexpr Column kLast[]{{"kink", "kink"}, {"error messages", "errors"}, {"mutation", ""}};

const OracleInfo* oracle_named(std::string_view name) {
    for (const OracleInfo& oracle : oracles())
        if (oracle.name == name) return &oracle;
    return nullptr;
}

std::vector<Column> columns() {
    auto listed = [](const auto& some, std::string_view name) {
        return std::any_of(std::begin(some), std::end(some),
                           [&](const Column& column) { return column.oracle == name; });
    };
    std::vector<Column> result;
    auto add = [&](const Column& column) {
        if (column.oracle.empty() || oracle_named(column.oracle)) result.push_back(column);
    };
    std::for_each(std::begin(kFirst), std::end(kFirst), add);
    for (const OracleInfo& oracle : oracles())
        if (oracle.judges_gradients && !listed(kFirst, oracle.name) && !listed(kLast, oracle.name))
            result.push_back({oracle.name, oracle.name});
    std::for_each(std::begin(kLast), std::end(kLast), add);
    return result;
}

}  // namespace

std::vector<std::string> coverage_columns() {
    std::vector<std::string> titles;
    for (const Column& column : columns()) titles.emplace_back(column.title);
    return titles;
}

std::vector<CoverageCell> coverage_of(const OpInfo& op) {
    const SampleSet set = op.samples();
    std::vector<CoverageCell> cells;
    for (const Column& column : columns()) {
        CoverageCell cell;
        if (column.title == "CPU = CUDA") {
            cell.hole = "the tests compare on an emulated device; no GPU has run it";
        } else if (column.title == "mutation") {
            cell.tried = static_cast<int>(mutations_of(op, set).size());
            if (op.vjp == nullptr) cell.hole = "no gradient to break";
        } else {
            cell.hole = oracle_named(column.oracle)->hole(op, set);
            const std::size_t tried = column.oracle == "kink"     ? set.kinks.size()
                                      : column.oracle == "errors" ? set.errors.size()
                                                                  : set.samples.size();
            if (cell.hole.empty()) cell.tried = static_cast<int>(tried);
        }
        cells.push_back(std::move(cell));
    }
    return cells;
}

}  // namespace microtome::gradcheck
