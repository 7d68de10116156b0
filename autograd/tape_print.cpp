// A tape made visible: as text for people, as DOT for Graphviz, as JSON for programs.
#include "autograd/tape.hpp"
#include "base/json_writer.hpp"

#include <cmath>
#include <cstdio>
#include <map>
#include <ostream>
#include <set>

namespace microtome {
namespace {

struct Saved {
    const char* what;  // input, output or gate
    std::size_t index;
    const Tensor* tensor;
};

std::vector<Saved> saved_of(const Recorded& run) {
    std::vector<Saved> result;
    auto collect = [&](const char* what, const std::vector<SavedTensor>& saved) {
        for (std::size_t i = 0; i < saved.size(); ++i)
            if (saved[i].tensor.defined()) result.push_back({what, i, &saved[i].tensor});
    };
    collect("input", run.inputs);
    collect("output", run.outputs);
    collect("gate", run.gates);
    return result;
}

std::string listed(const Specs& specs) {
    std::string text;
    for (const Spec& spec : specs) text += str(text.empty() ? "" : " ", spec);
    return text;
}

std::string readable_bytes(std::size_t bytes) {
    if (bytes < 1024) return str(bytes, " B");
    constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes) / 1024;
    int unit = 0;
    for (; value >= 1024 && unit < 3; ++unit) value /= 1024;
    char text[32];
    std::snprintf(text, sizeof text, "%.1f %s", value, units[unit]);
    return text;
}

std::string saved_text(const Recorded& run) {
    std::string text;
    for (const Saved& saved : saved_of(run))
        text += str(text.empty() ? "" : ", ", saved.what, " ", saved.index, " ",
                    readable_bytes(saved.tensor->spec().bytes()));
    return text.empty() ? "-" : text;
}

std::string gradient_text(const GradientStatistics& gradient) {
    if (!gradient.reached) return "";
    char text[120];
    std::snprintf(text, sizeof text, "norm %.3g, largest %.3g, zero %.1f %%", gradient.norm, gradient.largest,
                  100 * gradient.zero_share);
    return gradient.not_finite ? str(text, ", NOT FINITE ", gradient.not_finite) : text;
}

// Which record made each variable; what no record made was watched.
std::vector<int> producers(std::span<const Tape::Record> records) {
    std::vector<int> result;
    for (std::size_t r = 0; r < records.size(); ++r) {
        const std::size_t end =
            static_cast<std::size_t>(records[r].first_output) + records[r].run.output_specs.size();
        if (result.size() < end) result.resize(end, -1);
        for (std::size_t v = static_cast<std::size_t>(records[r].first_output); v < end; ++v)
            result[v] = static_cast<int>(r);
    }
    return result;
}

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        if (c == '\n')
            result += "\\n";
        else
            result += c;
    }
    return result + '"';
}

}  // namespace

std::size_t Tape::saved_bytes() const {
    std::set<const Storage*> seen;
    std::size_t bytes = 0;
    for (const Record& record : records_)
        for (const Saved& saved : saved_of(record.run)) {
            const Storage* storage = saved.tensor->storage();
            if (storage != nullptr && seen.insert(storage).second) bytes += storage->bytes();
        }
    return bytes;
}

void Tape::print(std::ostream& out) const {
    std::vector<std::vector<std::string>> rows{
        {"#", "op", "attributes", "inputs -> outputs", "saved", "gradient"}};
    for (std::size_t i = 0; i < records_.size(); ++i) {
        const Recorded& run = records_[i].run;
        rows.push_back({std::to_string(i), std::string(run.op->name), run.op->print(run.attributes.get()),
                        str(listed(run.input_specs), " -> ", listed(run.output_specs)), saved_text(run),
                        gradient_text(records_[i].gradient)});
    }
    std::vector<std::size_t> widths(rows[0].size(), 0);
    for (const auto& row : rows)
        for (std::size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], row[column].size());
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t column = 0; column < row.size(); ++column) {
            const std::string padding(widths[column] - row[column].size(), ' ');
            line += column == 0 ? padding + row[column] : "  " + row[column] + padding;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out << line << '\n';
    }
    out << records_.size() << (records_.size() == 1 ? " record, " : " records, ")
        << readable_bytes(saved_bytes()) << " saved\n";
}

void Tape::print_dot(std::ostream& out) const {
    const std::vector<int> producer = producers(records_);
    std::map<int, Spec> watched;
    out << "digraph tape {\n    rankdir=TB;\n    node [shape=box, fontname=\"monospace\"];\n";
    for (std::size_t i = 0; i < records_.size(); ++i) {
        const Record& record = records_[i];
        const std::string attributes = record.run.op->print(record.run.attributes.get());
        std::string label = str(record.run.op->name, "\n", listed(record.run.output_specs));
        if (!attributes.empty()) label += str("\n", attributes);
        if (!saved_of(record.run).empty()) label += str("\nsaves ", saved_text(record.run));
        if (record.gradient.reached) label += str("\ngradient ", gradient_text(record.gradient));
        out << "    r" << i << " [label=" << quoted(label) << "];\n";
        for (std::size_t k = 0; k < record.inputs.size(); ++k) {
            const int v = record.inputs[k];
            if (v < 0) continue;  // a constant to this tape
            const bool made = v < static_cast<int>(producer.size()) && producer[v] >= 0;
            if (!made) watched.emplace(v, record.run.input_specs[k]);
            out << "    " << (made ? str("r", producer[v]) : str("x", v)) << " -> r" << i << ";\n";
        }
    }
    for (const auto& [v, spec] : watched)
        out << "    x" << v << " [shape=ellipse, label=" << quoted(str("watched\n", spec)) << "];\n";
    out << "}\n";
}

void Tape::print_json(std::ostream& out) const {
    JsonWriter json(JsonWriter::Layout::pretty);
    auto spec = [&](const Spec& s) {
        json.object().field("dtype", name_of(s.dtype)).key("shape").array();
        for (int64_t size : s.shape) json.value(size);
        json.end().field("device", str(s.device));
    };
    json.object().field("saved_bytes", saved_bytes()).key("records").array();
    for (std::size_t i = 0; i < records_.size(); ++i) {
        const Record& record = records_[i];
        json.object().field("index", i).field("op", record.run.op->name);
        json.field("formula", record.run.op->formula);
        json.field("attributes", record.run.op->print(record.run.attributes.get()));
        json.key("inputs").array();
        for (std::size_t k = 0; k < record.inputs.size(); ++k) {
            spec(record.run.input_specs[k]);
            json.key("variable");
            record.inputs[k] >= 0 ? json.value(record.inputs[k]) : json.value(nullptr);
            json.end();
        }
        json.end().key("outputs").array();
        for (std::size_t k = 0; k < record.run.output_specs.size(); ++k) {
            spec(record.run.output_specs[k]);
            json.field("variable", record.first_output + static_cast<int>(k)).end();
        }
        json.end().key("saved").array();
        for (const Saved& saved : saved_of(record.run))
            json.object()
                .field("what", saved.what)
                .field("index", saved.index)
                .field("bytes", saved.tensor->spec().bytes())
                .end();
        json.end().key("gradient");
        if (record.gradient.reached)
            json.object()
                .field("norm", record.gradient.norm)
                .field("largest", record.gradient.largest)
                .field("zero_share", record.gradient.zero_share)
                .field("not_finite", record.gradient.not_finite)
                .end();
        else
            json.value(nullptr);
        json.end();
    }
    json.end().end();
    out << json.text() << '\n';
}

}  // namespace microtome
