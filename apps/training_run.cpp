#include "apps/training_run.hpp"

#include "apps/command.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"
#include "base/version.hpp"

#include <filesystem>
#include <iostream>

namespace microtome::apps {

bool exists(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

void require_new_run(const std::string& folder) {
    if (exists(folder + "/config.json"))
        throw OptionsError(folder, "expected a folder without a run, got one with config.json",
                           "--resume goes on with it; otherwise choose another --out");
    if (exists(folder + "/model.safetensors"))
        throw OptionsError(folder, "expected a folder without a model, got one with model.safetensors",
                           "it would be written over: choose another --out");
}

void write_beginning(const std::string& folder, const RunSettings& settings, const ModelCard& card,
                     const Dataset& data, const Split& split, const SplitOptions& split_options) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) throw IoError(folder, str("cannot make the folder: ", error.message()));
    write_split(folder + "/split.json", data, split, split_options);
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("microtome", kVersion).field("command", settings.command());
    json.key("settings").object();
    for (const auto& [name, value] : settings.values()) json.field(name, value);
    json.end().key("model").object().field("architecture", card.architecture);
    json.field("height", card.options.image.height).field("width", card.options.image.width);
    json.field("channels", card.options.image.channels).key("numbers").object();
    for (const auto& [name, number] : card.options.numbers) json.field(name, number);
    json.end().end().key("classes").array();
    for (const std::string& name : card.classes) json.value(name);
    json.end().key("images").object().field("train", split.train.size());
    json.field("val", split.val.size()).field("test", split.test.size()).end();
    write_file(folder + "/config.json", json.end().text() + '\n');
}

StoredSplit split_of_run(const std::string& folder, const Dataset& data) {
    StoredSplit stored = read_split(folder + "/split.json", data);
    if (!stored.same_listing)
        throw OptionsError(folder, str("expected the images the run began with, got others in ", data.path()),
                           "begin anew elsewhere");
    return stored;
}

LoaderOptions judged_images(const ModelCard& card, const Recipe& recipe, Device device) {
    const ImageOptions& image = card.options.image;
    return {.batch = recipe.batch,
            .seed = recipe.seed,
            .height = image.height,
            .width = image.width,
            .channels = image.channels,
            .device = device};
}

LoaderOptions training_images(const ModelCard& card, const Recipe& recipe, Device device) {
    LoaderOptions options = judged_images(card, recipe, device);
    options.shuffle = true;
    options.augmentation = recipe.augmentation;
    options.balanced = recipe.balanced;
    return options;
}

void report_skipped(const Loader& loader) {
    if (loader.skipped().empty()) return;
    std::cout << "\nskipped " << loader.skipped().size() << " files that are no images:\n";
    for (const SkippedImage& image : loader.skipped())
        std::cout << "  " << image.name << ": " << image.reason << '\n';
}

int say_interrupted(const RunSettings& settings, const std::string& folder, const std::string& where) {
    std::cerr << "microtome: interrupted " << where << ". Go on with: microtome " << settings.command()
              << " --out " << folder << " --resume\n";
    return kMachineFailed;
}

}  // namespace microtome::apps
