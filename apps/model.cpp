#include "apps/model.hpp"

#include "apps/command.hpp"
#include "apps/run_settings.hpp"
#include "base/atomic_file.hpp"
#include "base/json_writer.hpp"
#include "nn/model_file.hpp"
#include "nn/summary.hpp"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <optional>

namespace microtome::apps {
namespace {

void print_card(std::ostream& out, const ModelCard& card) {
    const ImageOptions& image = card.options.image;
    constexpr std::size_t kShown = 20;
    out << "classes";
    for (std::size_t i = 0; i < std::min(card.classes.size(), kShown); ++i) out << "  " << card.classes[i];
    if (card.classes.size() > kShown) out << "  and " << card.classes.size() - kShown << " more";
    out << "\npixels   [0,1] in the image, [" << image.low << ',' << image.high << "] to the layers\n";
    if (!image.mean.empty()) {
        out << "then     (x - mean) / deviation:";
        for (std::size_t c = 0; c < image.mean.size(); ++c)
            out << "  (x - " << image.mean[c] << ") / " << image.deviation[c];
        out << '\n';
    }
    for (const auto& [name, text] : card.training) out << "training " << name << ": " << text << '\n';
    out << '\n';
}

std::string to_json(const std::string& architecture, const Summary& table) {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("architecture", architecture).field("parameters", table.parameters);
    json.field("trainable", table.trainable).field("multiply_adds", table.multiply_adds);
    json.key("layers").array();
    for (const LayerRow& row : table.rows) {
        json.object().field("name", row.name).field("kind", row.kind).field("options", row.options);
        json.key("output").array();
        for (int64_t size : row.output) json.value(size);
        json.end().field("parameters", row.parameters).field("multiply_adds", row.multiply_adds).end();
    }
    return json.end().end().text() + '\n';
}

std::vector<double> numbers_of(const char* what, const std::string& text) {
    std::vector<double> result;
    for (const std::string& part : split_at_commas(text)) {
        double number = 0;
        const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), number);
        if (problem != std::errc() || end != part.data() + part.size())
            throw OptionsError("model convert", str("expected numbers for --", what, ", got '", part, "'"));
        result.push_back(number);
    }
    return result;
}

// Means and deviations in [0, 1], as torchvision's and timm's documentation states them for ImageNet.
StatedModel::Normalization normalization_of(const std::string& text) {
    if (text == "none") return {};
    if (text == "imagenet") return {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
    const std::size_t slash = text.find('/');
    if (slash == std::string::npos)
        throw OptionsError("model convert",
                           str("expected --normalize imagenet, none or MEANS/DEVIATIONS, got '", text, "'"));
    return {numbers_of("normalize", text.substr(0, slash)), numbers_of("normalize", text.substr(slash + 1))};
}

// Names as they are given, or "0", "1", ... where there is only how many.
std::vector<std::string> class_names(const std::vector<std::string>& given) {
    int64_t count = 0;
    const char* const end = given[0].data() + given[0].size();
    const auto [stop, problem] = std::from_chars(given[0].data(), end, count);
    if (given.size() > 1 || problem != std::errc() || stop != end) return given;
    constexpr int64_t kMost = 1 << 16;
    if (count < 1 || count > kMost)
        throw OptionsError("model convert", str("expected from 1 to ", kMost, " classes, got ", count));
    std::vector<std::string> names;
    for (int64_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
    return names;
}

StatedModel statement_of(const ModelConvertOptions& options) {
    StatedModel stated{.height = options.size, .width = options.size, .channels = options.channels};
    if (!options.architecture.empty()) stated.architecture = options.architecture;
    if (!options.classes.empty()) stated.classes = class_names(options.classes);
    if (!options.range.empty()) {
        const std::vector<double> range = numbers_of("range", options.range);
        if (range.size() != 2)
            throw OptionsError("model convert", str("expected --range LOW,HIGH, got '", options.range, "'"));
        stated.range = {range[0], range[1]};
    }
    if (!options.normalize.empty()) stated.normalization = normalization_of(options.normalize);
    stated.resize = options.resize;
    for (const std::string& text : options.numbers)
        stated.numbers.insert(name_and_number("model convert", "numbers", text));
    return stated;
}

}  // namespace

int model_info(const ModelInfoOptions& options) {
    if (options.architecture.empty() == options.model.empty())
        throw OptionsError("model info", "expected one of --arch and --model",
                           "`microtome model info --arch cnn --classes 5`");
    LoadedModel loaded;
    if (options.model.empty()) {
        ModelOptions wanted{.classes = options.classes};
        wanted.image.height = wanted.image.width = options.size;
        loaded.card = {.architecture = options.architecture,
                       .options = complete_options(options.architecture, wanted),
                       .classes = {},
                       .training = {}};
        loaded.model = make_model(options.architecture, loaded.card.options);
    } else {
        loaded = load_model(options.model);
        print_card(std::cout, loaded.card);
    }
    const ImageOptions& image = loaded.card.options.image;
    const Summary table = summary(*loaded.model, {1, image.height, image.width, image.channels});
    std::cout << loaded.card.architecture << ", one image\n\n" << table;
    if (!options.json.empty()) write_file(options.json, to_json(loaded.card.architecture, table));
    return kDone;
}

int model_convert(const ModelConvertOptions& options) {
    LoadedModel loaded = load_model(options.from, statement_of(options));
    loaded.card.training["weights"] = options.from;
    for (const std::string& note : loaded.notes) std::cout << note << '\n';
    save_model(options.out, *loaded.model, loaded.card);
    print_card(std::cout, loaded.card);
    std::cout << loaded.card.architecture << " with " << loaded.model->trainable_count()
              << " weights: " << options.out << '\n';
    return kDone;
}

}  // namespace microtome::apps
