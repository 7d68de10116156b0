#include "apps/model.hpp"

#include "apps/command.hpp"
#include "base/atomic_file.hpp"
#include "base/json_writer.hpp"
#include "nn/model_file.hpp"
#include "nn/summary.hpp"

#include <iostream>
#include <optional>

namespace microtome::apps {
namespace {

void print_card(std::ostream& out, const ModelCard& card) {
    const ImageOptions& image = card.options.image;
    out << "classes";
    for (const std::string& name : card.classes) out << "  " << name;
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

}  // namespace microtome::apps
