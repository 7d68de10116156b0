#include "nn/model_file.hpp"

#include "base/json_writer.hpp"
#include "nn/safetensors.hpp"
#include "nn/weights.hpp"

#include <nlohmann/json.hpp>

namespace microtome {
namespace {

constexpr const char* kKey = "microtome";
constexpr int kFormat = 1;

void write_numbers(JsonWriter& json, const char* key, const std::vector<double>& numbers) {
    json.key(key).array();
    for (double number : numbers) json.value(number);
    json.end();
}

std::string card_to_json(const ModelCard& card) {
    const ImageOptions& image = card.options.image;
    JsonWriter json;
    json.object().field("format", kFormat).field("architecture", card.architecture);
    json.key("numbers").object();
    for (const auto& [name, number] : card.options.numbers) json.field(name, number);
    json.end().key("classes").array();
    for (const std::string& name : card.classes) json.value(name);
    json.end().key("image").object();
    json.field("height", image.height).field("width", image.width).field("channels", image.channels);
    json.field("resize", image.resize);
    write_numbers(json, "range", {image.low, image.high});
    write_numbers(json, "mean", image.mean);
    write_numbers(json, "deviation", image.deviation);
    json.end().key("training").object();
    for (const auto& [name, text] : card.training) json.field(name, text);
    return json.end().end().text();
}

ModelCard card_from_json(const std::string& text, const std::string& where) {
    try {
        const nlohmann::json json = nlohmann::json::parse(text);
        if (json.at("format").get<int64_t>() != kFormat)
            throw FormatError(
                where,
                str("expected a description of format ", kFormat, ", got ", json.at("format").get<int64_t>()),
                "a newer microtome wrote this file");
        ModelCard card;
        json.at("architecture").get_to(card.architecture);
        json.at("numbers").get_to(card.options.numbers);
        json.at("classes").get_to(card.classes);
        card.options.classes = static_cast<int64_t>(card.classes.size());
        const nlohmann::json& image = json.at("image");
        image.at("height").get_to(card.options.image.height);
        image.at("width").get_to(card.options.image.width);
        image.at("channels").get_to(card.options.image.channels);
        image.at("resize").get_to(card.options.image.resize);
        const auto range = image.at("range").get<std::vector<double>>();
        if (range.size() != 2)
            throw FormatError(where, str("expected a pixel range of two numbers, got ", range.size()));
        card.options.image.low = range[0];
        card.options.image.high = range[1];
        image.at("mean").get_to(card.options.image.mean);
        image.at("deviation").get_to(card.options.image.deviation);
        json.at("training").get_to(card.training);
        return card;
    } catch (const nlohmann::json::exception& error) {
        throw FormatError(where, str("expected a description of the model, got ", error.what()));
    }
}

ModelCard card_from_statement(const StatedModel& stated, const std::string& where) {
    std::string missing;
    auto need = [&](bool given, const char* what) {
        if (!given) missing += str(missing.empty() ? "" : ", ", what);
    };
    need(stated.architecture.has_value(), "architecture");
    need(stated.classes.has_value(), "classes");
    need(stated.range.has_value(), "pixel range");
    need(stated.normalization.has_value(), "normalization");
    if (!missing.empty())
        throw OptionsError(where,
                           str("expected a file that describes its model, got none; not stated: ", missing),
                           "state what the weights were trained on; a wrong guess gives a wrong model");
    ModelCard card;
    card.architecture = *stated.architecture;
    card.classes = *stated.classes;
    card.options = {.classes = static_cast<int64_t>(card.classes.size()),
                    .image = {.height = stated.height,
                              .width = stated.width,
                              .channels = stated.channels,
                              .resize = stated.resize,
                              .low = stated.range->first,
                              .high = stated.range->second,
                              .mean = stated.normalization->mean,
                              .deviation = stated.normalization->deviation},
                    .numbers = stated.numbers};
    return card;
}

// The specs of all that the model holds, by name, as one text.
std::string outline(const Module& model) {
    std::string text;
    for (const NamedParameter& named : model.named_parameters())
        text += str(named.name, named.parameter->value.shape(), '\n');
    return text;
}

}  // namespace

void save_model(const std::string& path, const Module& model, const ModelCard& card) {
    ModelCard complete = card;
    complete.options = complete_options(card.architecture, card.options);
    if (static_cast<int64_t>(card.classes.size()) != complete.options.classes)
        throw OptionsError("save_model", str("expected names for ", complete.options.classes,
                                             " classes, got ", card.classes.size()));
    if (outline(*make_model(card.architecture, complete.options)) != outline(model))
        throw OptionsError("save_model",
                           str("expected a card that fits the model, got one of another ", card.architecture),
                           "pass the options the model was made with");
    write_tensors(path, {model.state(), {{"format", "pt"}, {kKey, card_to_json(complete)}}});
}

LoadedModel load_model(const std::string& path, const std::optional<StatedModel>& stated) {
    WeightsFile file = read_weights(path);
    auto description = file.metadata.find(kKey);
    const bool described = description != file.metadata.end();
    if (described && stated)
        throw OptionsError(path, "expected no statement about a file that describes its own model, got one");

    LoadedModel result;
    result.card = described ? card_from_json(description->second, path)
                            : card_from_statement(stated.value_or(StatedModel{}), path);
    try {
        result.card.options = complete_options(result.card.architecture, result.card.options);
        result.model = make_model(result.card.architecture, result.card.options);
    } catch (const Error& error) {
        if (!described) throw;
        throw FormatError(path, str("expected a model that can be built, got: ", error.what()));
    }
    if (!described) adapt_weights(file, *result.model, result.card.options.image);
    result.notes = std::move(file.notes);
    result.model->load(file.tensors, path);
    return result;
}

}  // namespace microtome
