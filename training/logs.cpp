#include "training/logs.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"
#include "training/event_file.hpp"

#include <cerrno>
#include <cmath>
#include <fstream>
#include <system_error>

namespace microtome {
namespace {

// The columns, in order; empty where an epoch has no such number.
std::vector<std::pair<std::string, std::optional<double>>> columns(const EpochRecord& record) {
    std::vector<std::pair<std::string, std::optional<double>>> result{{"loss", record.loss},
                                                                      {"accuracy", record.accuracy},
                                                                      {"val_loss", record.val_loss},
                                                                      {"val_accuracy", record.val_accuracy},
                                                                      {"lr", record.lr},
                                                                      {"seconds", record.seconds}};
    for (const auto& [name, value] : record.metrics) result.emplace_back(name, value);
    return result;
}

// A name or number as a cell: quoted where it must be (RFC 4180).
std::string cell(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string quoted = "\"";
    for (char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
}

// "val_loss" is "loss/validation" and "loss" is "loss/train", so that TensorBoard draws both together.
std::string tag(const std::string& name) {
    if (name.starts_with("val_")) return name.substr(4) + "/validation";
    return name == "loss" || name == "accuracy" ? name + "/train" : name;
}

std::string event(const EpochRecord& record) {
    std::vector<std::pair<std::string, float>> scalars;
    for (const auto& [name, value] : columns(record))
        if (value) scalars.emplace_back(tag(name), static_cast<float>(*value));
    return scalar_event(record.ended, record.epoch, scalars);
}

void append(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::app | std::ios::binary);
    file << text << std::flush;
    if (!file) throw IoError(path, str("cannot append: ", std::generic_category().message(errno)));
}

}  // namespace

std::string json_line(const EpochRecord& record) {
    JsonWriter json;
    json.object().field("epoch", record.epoch).field("step", record.step);
    for (const auto& [name, value] : columns(record)) json.field(name, value.value_or(std::nan("")));
    return json.end().text() + '\n';
}

std::string csv_header(const EpochRecord& first) {
    std::string line = "epoch,step";
    for (const auto& [name, value] : columns(first)) line += ',' + cell(name);
    return line + '\n';
}

std::string csv_line(const EpochRecord& record, const EpochRecord& first) {
    const auto own = columns(record);
    std::string line = str(record.epoch, ',', record.step);
    for (const auto& column : columns(first)) {
        line += ',';
        for (const auto& [name, value] : own)
            if (name == column.first && value && std::isfinite(*value))
                line += JsonWriter().value(*value).text();
    }
    return line + '\n';
}

void Logs::began(TrainingState& training) {
    std::string json, csv, events;
    for (const EpochRecord& record : training.history) {
        json += json_line(record);
        csv += (csv.empty() ? csv_header(record) : "") + csv_line(record, training.history.front());
        events += (events.empty() ? event_file_start(record.ended - record.seconds) : "") + event(record);
    }
    write_file(folder_ + '/' + kJsonLog, json);
    write_file(folder_ + '/' + kCsvLog, csv);
    write_file(folder_ + '/' + kEventLog, events);
}

void Logs::epoch_ended(TrainingState& training, EpochRecord& record) {
    const bool first = training.history.empty();
    append(folder_ + '/' + kJsonLog, json_line(record));
    append(folder_ + '/' + kCsvLog,
           (first ? csv_header(record) : "") + csv_line(record, first ? record : training.history.front()));
    append(folder_ + '/' + kEventLog,
           (first ? event_file_start(record.ended - record.seconds) : "") + event(record));
}

}  // namespace microtome
