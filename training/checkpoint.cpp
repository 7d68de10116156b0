#include "training/checkpoint.hpp"

#include "base/error.hpp"
#include "base/json_writer.hpp"
#include "nn/safetensors.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace microtome {
namespace {

constexpr const char* kKey = "microtome.training";
constexpr int64_t kFormat = 1;

void write_record(JsonWriter& json, const EpochRecord& record) {
    json.object().field("epoch", record.epoch).field("step", record.step).field("loss", record.loss);
    if (record.accuracy) json.field("accuracy", *record.accuracy);
    if (record.val_loss) json.field("val_loss", *record.val_loss);
    if (record.val_accuracy) json.field("val_accuracy", *record.val_accuracy);
    json.field("lr", record.lr).field("seconds", record.seconds).field("ended", record.ended);
    json.key("metrics").object();
    for (const auto& [name, value] : record.metrics) json.field(name, value);
    json.end().end();
}

std::string to_json(const Checkpoint& checkpoint) {
    const EpochProgress& progress = checkpoint.progress;
    JsonWriter json;
    json.object().field("format", kFormat);
    json.field("epoch", progress.epoch).field("batch", progress.batch).field("step", progress.step);
    json.field("images", progress.images).field("labelled", progress.labelled);
    json.field("correct", progress.correct).field("loss", progress.loss).field("seconds", progress.seconds);
    json.field("finished", checkpoint.finished).field("why", checkpoint.why);
    json.key("history").array();
    for (const EpochRecord& record : checkpoint.history) write_record(json, record);
    json.end().key("config").object();
    for (const auto& [name, value] : checkpoint.config) json.field(name, value);
    return json.end().end().text();
}

double number(const nlohmann::json& value) {
    return value.is_null() ? std::nan("") : value.get<double>();
}

std::optional<double> number_if_any(const nlohmann::json& json, const char* name) {
    return json.contains(name) ? std::optional(number(json.at(name))) : std::nullopt;
}

// A count that a hostile file could have made negative.
int64_t count(const nlohmann::json& json, const char* name) {
    const int64_t value = json.at(name).get<int64_t>();
    if (value < 0) throw FormatError("checkpoint", str("expected 0 or more for ", name, ", got ", value));
    return value;
}

EpochRecord read_record(const nlohmann::json& json) {
    EpochRecord record{.epoch = count(json, "epoch"),
                       .step = count(json, "step"),
                       .loss = number(json.at("loss")),
                       .accuracy = number_if_any(json, "accuracy"),
                       .val_loss = number_if_any(json, "val_loss"),
                       .val_accuracy = number_if_any(json, "val_accuracy"),
                       .lr = number(json.at("lr")),
                       .seconds = number(json.at("seconds")),
                       .ended = number(json.at("ended"))};
    for (const auto& [name, value] : json.at("metrics").items()) record.metrics[name] = number(value);
    return record;
}

}  // namespace

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
    write_tensors(path, {checkpoint.tensors, {{kKey, to_json(checkpoint)}}});
}

Checkpoint read_checkpoint(const std::string& path) {
    TensorFile file = read_tensors(path);
    auto description = file.metadata.find(kKey);
    if (description == file.metadata.end())
        throw FormatError(path, "expected a checkpoint of a training, got other tensors");
    Checkpoint result;
    result.tensors = std::move(file.tensors);
    try {
        const nlohmann::json json = nlohmann::json::parse(description->second);
        if (json.at("format").get<int64_t>() != kFormat)
            throw FormatError(
                path, str("expected a checkpoint of format ", kFormat, ", got ", json.at("format").dump()),
                "a newer microtome wrote this file");
        result.progress = {.epoch = count(json, "epoch"),
                           .batch = count(json, "batch"),
                           .step = count(json, "step"),
                           .images = count(json, "images"),
                           .labelled = count(json, "labelled"),
                           .correct = count(json, "correct"),
                           .loss = number(json.at("loss")),
                           .seconds = number(json.at("seconds"))};
        result.finished = json.at("finished").get<bool>();
        result.why = json.at("why").get<std::string>();
        for (const nlohmann::json& record : json.at("history")) result.history.push_back(read_record(record));
        result.config = json.at("config").get<std::map<std::string, std::string>>();
    } catch (const nlohmann::json::exception& error) {
        throw FormatError(path, str("expected the state of a training, got ", error.what()));
    }
    if (static_cast<int64_t>(result.history.size()) != result.progress.epoch)
        throw FormatError(path, str("expected a record for each of ", result.progress.epoch, " epochs, got ",
                                    result.history.size()));
    return result;
}

NamedTensors entries_under(const NamedTensors& all, const std::string& prefix) {
    NamedTensors result;
    for (const NamedTensor& entry : all)
        if (entry.name.starts_with(prefix))
            result.push_back({entry.name.substr(prefix.size()), entry.tensor});
    return result;
}

void append_under(NamedTensors& all, const std::string& prefix, const NamedTensors& entries) {
    for (const NamedTensor& entry : entries) all.push_back({prefix + entry.name, entry.tensor});
}

}  // namespace microtome
