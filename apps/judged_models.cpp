#include "apps/judged_models.hpp"

#include "base/error.hpp"
#include "nn/ensemble.hpp"

#include <algorithm>

namespace microtome::apps {
namespace {

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += str(text.empty() ? "" : ", ", name);
    return text;
}

std::string line_about(const std::string& file, const ModelCard& card) {
    return str(file, ": ", card.architecture, ", ", card.classes.size(), " classes");
}

}  // namespace

JudgedModels load_judged(const std::vector<std::string>& models, const std::string& voting, bool exact,
                         Device device) {
    const Execution execution = exact ? Execution::exact_plan : Execution::plan;
    if (models.empty()) throw OptionsError("ensemble", "expected a model, got none");
    if (models.size() == 1 && !voting.empty())
        throw OptionsError("ensemble", str("expected several models to vote by ", voting, ", got one"),
                           "--model FILE --model FILE ...");
    const Voting way = voting.empty() ? Voting::mean_probability : voting_named(voting);

    JudgedModels judged;
    std::vector<std::unique_ptr<Classifier>> members;
    for (std::size_t k = 0; k < models.size(); ++k) {
        const std::string& file = models[k];
        if (std::find(models.begin(), models.begin() + static_cast<std::ptrdiff_t>(k), file) !=
            models.begin() + static_cast<std::ptrdiff_t>(k))
            throw OptionsError("ensemble", str("expected members that differ, got ", file, " twice"));
        LoadedModel loaded = load_model(file);
        loaded.model->to(device);
        judged.description += str(k == 0 ? "" : "\n", line_about(file, loaded.card));
        if (k == 0)
            judged.card = loaded.card;
        else if (loaded.card.classes != judged.card.classes)
            throw OptionsError("ensemble", str("expected members of the same classes in the same order, got ",
                                               listed(judged.card.classes), " from ", models.front(), " and ",
                                               listed(loaded.card.classes), " from ", file));
        members.push_back(std::make_unique<ModelClassifier>(std::move(loaded), execution));
    }
    if (members.size() == 1) {
        judged.name = models.front();
        judged.classifier = std::move(members.front());
        return judged;
    }
    auto ensemble = std::make_unique<Ensemble>(std::move(members), way);
    judged.card.options.image = ensemble->image();
    judged.name = str("ensemble of ", models.size(), ", ", name_of(way));
    judged.description +=
        str("\nanswering together by ", name_of(way), "; gradient for attacks: ", gradient_of(way));
    judged.facts = {{"members", listed(models)},
                    {"voting", std::string(name_of(way))},
                    {"gradient for attacks", std::string(gradient_of(way))}};
    judged.classifier = std::move(ensemble);
    return judged;
}

}  // namespace microtome::apps
