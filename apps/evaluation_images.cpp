#include "apps/evaluation_images.hpp"

#include "base/error.hpp"
#include "data/open.hpp"
#include "data/split.hpp"
#include "tensor/random.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

namespace microtome::apps {
namespace {

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += str(text.empty() ? "" : ", ", name);
    return text;
}

std::vector<int64_t> part_of(const Dataset& dataset, const std::string& part) {
    std::vector<int64_t> result;
    for (int64_t i = 0; i < dataset.size(); ++i)
        if (dataset.samples()[static_cast<std::size_t>(i)].part == part) result.push_back(i);
    return result;
}

// The split with which the model was trained, if it is one of this set; else why not.
std::optional<StoredSplit> split_beside(const std::string& model, const Dataset& dataset,
                                        std::string& why_not) {
    const std::string path = (std::filesystem::path(model).parent_path() / "split.json").string();
    try {
        return read_split(path, dataset);
    } catch (const MissingFileError&) {
        why_not = "there is no split.json beside the model";
    } catch (const FormatError& error) {
        why_not = error.what();  // of another set, say: the model is judged on images from elsewhere
    }
    return std::nullopt;
}

void choose(EvaluationImages& chosen, const std::string& model, const Dataset& dataset) {
    // What the model was trained on counts first: a set's own test part may be among it.
    std::string why_not = "the split beside the model has no test images";
    if (const std::optional<StoredSplit> stored = split_beside(model, dataset, why_not);
        stored && !stored->split.test.empty()) {
        chosen.images = stored->split.test;
        chosen.training = stored->split.train;
        chosen.which = "the test part of split.json beside the model";
        if (!stored->same_listing) chosen.which += " (the set has changed since)";
        return;
    }
    chosen.images = part_of(dataset, "test");
    chosen.training = part_of(dataset, "train");
    if (!chosen.images.empty()) {
        chosen.which = "the set's own test part";
        chosen.why_no_training = "the set has no train part";
        return;
    }
    chosen.images.resize(static_cast<std::size_t>(dataset.size()));
    for (std::size_t i = 0; i < chosen.images.size(); ++i) chosen.images[i] = static_cast<int64_t>(i);
    chosen.training.clear();
    chosen.which = "all images of the set";
    chosen.why_no_training =
        str("which images the model was trained on is not known, and some may be among these: ", why_not);
}

// For several models: the images that all would be judged on and that none learned from. Where one does not
// say what it learned from, nothing is known of all.
void choose_for_all(EvaluationImages& chosen, const std::vector<std::string>& models) {
    choose(chosen, models.front(), *chosen.dataset);
    if (models.size() == 1) return;
    const std::size_t before = chosen.images.size();
    std::set<int64_t> training(chosen.training.begin(), chosen.training.end());
    bool known = !chosen.training.empty();
    for (std::size_t k = 1; k < models.size(); ++k) {
        EvaluationImages other{
            .dataset = nullptr, .images = {}, .training = {}, .which = {}, .why_no_training = {}};
        choose(other, models[k], *chosen.dataset);
        const std::set<int64_t> judged(other.images.begin(), other.images.end());
        std::erase_if(chosen.images, [&](int64_t image) { return !judged.contains(image); });
        training.insert(other.training.begin(), other.training.end());
        if (other.training.empty() && known)
            chosen.why_no_training = str(models[k], ": ", other.why_no_training);
        known &= !other.training.empty();
    }
    std::erase_if(chosen.images, [&](int64_t image) { return training.contains(image); });
    if (chosen.images.empty())
        throw OptionsError(chosen.dataset->path(),
                           "expected images that none of the members learned from, got none",
                           "train the members of an ensemble on one split");
    chosen.training.clear();
    if (known) chosen.training.assign(training.begin(), training.end());
    if (chosen.images.size() < before)
        chosen.which +=
            str(", less ", before - chosen.images.size(), " that are no test images of all members");
}

}  // namespace

void require_classes(const Dataset& dataset, const ModelCard& card) {
    if (dataset.classes() != card.classes)
        throw FormatError(dataset.path(), str("expected the model's classes (", listed(card.classes),
                                              "), got ", listed(dataset.classes())));
}

ModelParts parts_for_model(const Dataset& dataset, const std::string& model) {
    std::string why_not = "the split beside the model has no training images";
    if (const std::optional<StoredSplit> stored = split_beside(model, dataset, why_not);
        stored && !stored->split.train.empty())
        return {
            stored->split, stored->options,
            str("split.json beside the model", stored->same_listing ? "" : " (the set has changed since)")};
    ModelParts own{{.train = part_of(dataset, "train"),
                    .val = part_of(dataset, "val"),
                    .test = part_of(dataset, "test")},
                   {.kind = SplitKind::own},
                   "the set's own parts"};
    if (own.split.train.empty())
        throw OptionsError(
            dataset.path(),
            str("expected to know which images the model was trained on, but the set has no train part, and ",
                why_not),
            "keep split.json of the training beside the model file: the rest may be test images");
    return own;
}

EvaluationImages choose_images(const std::string& data, const std::string& model, const ModelCard& card,
                               int64_t n, uint64_t seed) {
    return choose_images(data, std::vector<std::string>{model}, card, n, seed);
}

EvaluationImages choose_images(const std::string& data, const std::vector<std::string>& models,
                               const ModelCard& card, int64_t n, uint64_t seed) {
    EvaluationImages chosen{
        .dataset = open_dataset(data), .images = {}, .training = {}, .which = {}, .why_no_training = {}};
    require_classes(*chosen.dataset, card);
    choose_for_all(chosen, models);
    const auto found = static_cast<int64_t>(chosen.images.size());
    if (n > 0 && n < found) {
        const std::vector<int64_t> order =
            random_permutation({.seed = seed, .purpose = purpose_of("evaluation images")}, found);
        std::vector<int64_t> drawn;
        for (int64_t k = 0; k < n; ++k)
            drawn.push_back(chosen.images[static_cast<std::size_t>(order[static_cast<std::size_t>(k)])]);
        std::sort(drawn.begin(), drawn.end());
        chosen.images = std::move(drawn);
        chosen.which += str(": ", n, " of ", found, " images, drawn at random");
    } else {
        chosen.which += str(": ", found, found == 1 ? " image" : " images");
    }
    return chosen;
}

std::unique_ptr<Loader> load_images(const EvaluationImages& chosen, const std::vector<int64_t>& images,
                                    const ModelCard& card, int64_t batch) {
    const ImageOptions& image = card.options.image;
    LoaderOptions options{.batch = batch, .channels = image.channels};
    if (!image.resize) {
        options.height = image.height;
        options.width = image.width;
    }
    return std::make_unique<Loader>(*chosen.dataset, images, options);
}

std::optional<Rail> compare_with_training(const EvaluationImages& chosen, bool quiet) {
    if (chosen.training.empty()) return std::nullopt;
    const ProgressOptions progress = ProgressOptions::detect(quiet);
    return disjoint(identities_of(*chosen.dataset, chosen.training, progress),
                    identities_of(*chosen.dataset, chosen.images, progress));
}

}  // namespace microtome::apps
