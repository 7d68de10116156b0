#include "studies/model_comparison.hpp"

#include "attacks/epsilon.hpp"

#include <cmath>

namespace microtome {
namespace {

std::string interval_text(const Share& share) {
    const Interval interval = share.interval();
    return report::interval_text(
        {.value = share.value(), .low = interval.low, .high = interval.high, .n = share.n});
}

// The row of the same attack, told the same, as another model's outcome `k`; null where it has not met it.
const ResultRow* row_like(const ModelFindings& model, const ModelFindings& first, std::size_t k) {
    const ResultRow& wanted = first.rows.at(k + 1);
    for (std::size_t j = 0; j < model.titles.size(); ++j)
        if (model.titles[j] == first.titles[k] && model.rows.at(j + 1).attack == wanted.attack &&
            std::abs(model.rows[j + 1].epsilon - wanted.epsilon) < 1e-9)
            return &model.rows[j + 1];
    return nullptr;
}

}  // namespace

std::string comparison_sentence(const std::string& condition, const std::vector<Contender>& contenders) {
    std::string text = condition + ": ", apart;
    for (const Contender& one : contenders) {
        const bool first = &one == &contenders.front();
        text += str(first ? "" : ", ", one.name, first ? " right in " : " in ", interval_text(one.accuracy));
        for (const Contender& other : contenders)
            if (one.accuracy.interval().low > other.accuracy.interval().high)
                apart += str(apart.empty() ? "" : "; ", one.name, " above ", other.name);
    }
    text += str(", of ", report::count_text(contenders.front().accuracy.n), " images. ");
    if (apart.empty()) return text + "All intervals overlap: no difference is shown.";
    return text + apart + ": their intervals do not overlap.";
}

std::vector<std::string> comparisons_with(const std::vector<ModelFindings>& models,
                                          ModelFindings::Kind kind) {
    std::vector<const ModelFindings*> all{&models.front()};
    for (const ModelFindings& model : models)
        if (model.kind == kind && model.attacked) all.push_back(&model);
    std::vector<std::string> sentences;
    if (all.size() < 2) return sentences;
    auto add = [&](const std::string& condition, const auto& row_of) {
        std::vector<Contender> contenders;
        for (const ModelFindings* model : all)
            if (const ResultRow* row = row_of(*model)) contenders.push_back({model->title, row->accuracy()});
        if (contenders.size() > 1) sentences.push_back(comparison_sentence(condition, contenders));
    };
    add("Clean images", [](const ModelFindings& model) { return &model.rows.front(); });
    const ModelFindings& first = *all.front();
    for (std::size_t k = 0; k < first.titles.size(); ++k)
        add(str("Under ", first.titles[k], " at ", epsilon_text(first.rows.at(k + 1).epsilon)),
            [&](const ModelFindings& model) { return row_like(model, first, k); });
    return sentences;
}

}  // namespace microtome
