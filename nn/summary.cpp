#include "nn/summary.hpp"

#include "autograd/tape.hpp"

#include <algorithm>
#include <array>
#include <iomanip>
#include <map>
#include <ostream>
#include <set>

namespace microtome {
namespace {

// What an op of a forward pass multiplies and adds; element-wise work is left out, as usual.
int64_t multiply_adds(const Recorded& run) {
    const Shape& y = run.output_specs[0].shape;
    if (run.op->name == "conv2d")  // each output element: one filter
        return run.input_specs[1].shape[0] == 0
                   ? 0
                   : y.elements() * (run.input_specs[1].shape.elements() / run.input_specs[1].shape[0]);
    if (run.op->name == "matmul") {  // (..., M, N): M K products for each of N columns
        const Shape& a = run.input_specs[0].shape;
        const int64_t rows = y[-2];
        return rows == 0 ? 0 : y.elements() * (a[-1] * a[-2] / rows);
    }
    if (run.op->name == "attention") {  // qkv (N, T, 3 D): T x T scores and T x T weights of D in all heads
        const Shape& qkv = run.input_specs[0].shape;
        return 2 * qkv.elements() / 3 * qkv[1];
    }
    return 0;
}

std::string with_commas(int64_t number) {
    const std::string digits = std::to_string(number);
    std::string result;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % 3 == 0) result += ',';
        result += digits[i];
    }
    return result;
}

}  // namespace

Summary summary(Module& model, const Shape& input) {
    Summary result;
    std::map<const Module*, std::string> paths;
    std::map<const Module*, int64_t> own;  // parameters that lie in the module itself
    std::set<const Module*> with_children;
    const std::vector<std::pair<std::string, Module*>> modules = model.named_modules();
    for (const auto& [path, module] : modules) {
        paths.emplace(module, path);
        if (module->named_modules().size() > 1) with_children.insert(module);
    }
    Dtype dtype = Dtype::f32;
    for (const NamedParameter& named : model.named_parameters()) {
        std::size_t dot = named.name.rfind('.');
        const std::string_view path =
            std::string_view(named.name).substr(0, dot == std::string::npos ? 0 : dot);
        for (const auto& [candidate, module] : modules)
            if (candidate == path) own[module] += named.parameter->value.elements();
        dtype = named.parameter->value.dtype();
    }

    // On a tape, so that each op recorded counts as work of the innermost module that was running.
    Tape tape;
    std::size_t counted = 0;
    std::vector<int64_t> work;  // of the modules running now
    auto count = [&] {
        for (; counted < tape.records().size(); ++counted)
            work.back() += multiply_adds(tape.records()[counted].run);
    };
    Pass pass;
    pass.step = 0;
    pass.before = [&](const Module&, const Tensor&) {
        if (!work.empty()) count();
        work.push_back(0);
    };
    pass.after = [&](const Module& module, const Tensor&, const Tensor& y) {
        count();
        LayerRow row{paths.at(&module), std::string(module.kind()),     module.options(),
                     y.shape(),         std::exchange(own[&module], 0), work.back()};
        work.pop_back();
        result.multiply_adds += row.multiply_adds;
        if (!with_children.contains(&module) || row.parameters || row.multiply_adds)
            result.rows.push_back(std::move(row));
    };
    model(tape.watch(Tensor::abstract({input, dtype, kCpu})), pass);
    result.parameters = model.parameter_count();
    result.trainable = model.trainable_count();
    return result;
}

std::ostream& operator<<(std::ostream& out, const Summary& summary) {
    std::vector<std::array<std::string, 6>> table{
        {"layer", "kind", "options", "output", "parameters", "multiply-adds"}};
    for (const LayerRow& row : summary.rows)
        table.push_back({row.name, row.kind, row.options, str(row.output), with_commas(row.parameters),
                         with_commas(row.multiply_adds)});
    table.push_back({"", "", "", "", with_commas(summary.parameters), with_commas(summary.multiply_adds)});
    std::array<std::size_t, 6> widths{};
    for (const auto& line : table)
        for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
    for (const auto& line : table) {
        for (std::size_t i = 0; i < widths.size(); ++i)
            out << (i ? "  " : "") << (i < 4 ? std::left : std::right)
                << std::setw(static_cast<int>(widths[i])) << line[i];
        out << '\n';
    }
    return out << with_commas(summary.trainable) << " of " << with_commas(summary.parameters)
               << " parameters are trainable\n";
}

}  // namespace microtome
