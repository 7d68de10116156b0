#include "apps/evaluation_run.hpp"

#include "apps/judged_models.hpp"
#include "attacks/registry.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "tensor/precision.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <utility>

namespace microtome::apps {
namespace {

// V5: so many steps, on so many of the images.
constexpr int64_t kUnboundedImages = 32;
constexpr const char* kUnboundedSteps = "20";

// "pgd" of "shuffled-pgd", and of "pgd".
std::string original_of(const std::string& name) {
    constexpr std::string_view kShuffled = "shuffled-";
    return name.starts_with(kShuffled) ? name.substr(kShuffled.size()) : name;
}

std::string thousands(int64_t number) {
    std::string text = str(number);
    for (auto at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
        text.insert(static_cast<std::size_t>(at), 1, ',');
    return text;
}

std::string fixed(double value) {
    return std::isnan(value) ? "-" : str(std::fixed, std::setprecision(4), value);
}

void print_metrics(const Metrics& metrics) {
    const ClassificationReport report = classification_report(metrics.confusion);
    const MajorityBaseline baseline = majority_baseline(metrics.confusion);
    std::size_t width = 18;
    for (const std::string& name : metrics.classes) width = std::max(width, name.size() + 2);
    auto line = [width](const std::string& name, const ClassScores& scores) {
        std::cout << std::left << std::setw(static_cast<int>(width)) << name << "precision "
                  << fixed(scores.precision) << "  recall " << fixed(scores.recall) << "  F1 "
                  << fixed(scores.f1) << "  of " << scores.support << '\n';
    };
    std::cout << "\nclean images\n";
    for (std::size_t c = 0; c < metrics.classes.size(); ++c) line(metrics.classes[c], report.classes[c]);
    line("mean of classes", report.macro);
    line("weighted mean", report.weighted);
    std::cout << "accuracy          " << share_text(report.accuracy) << "\nalways "
              << metrics.classes[static_cast<std::size_t>(baseline.label)] << " would be "
              << share_text(baseline.accuracy) << "\nkappa " << fixed(report.kappa)
              << "  area under the ROC curve " << fixed(metrics.area_under_curve) << "  log-loss "
              << fixed(metrics.log_loss) << "  calibration error " << fixed(metrics.calibration_error) << " ("
              << kCalibrationBins << " bins)\n";
    if (metrics.malignant_called_benign.n > 0)
        std::cout << "malignant called benign  " << share_text(metrics.malignant_called_benign) << '\n';
    for (const std::string& note : report.notes) std::cout << "note: " << note << '\n';
}

// Lines after the first under the first.
std::string indented(const std::string& text) {
    std::string result;
    for (char letter : text) result += letter == '\n' ? std::string("\n        ") : std::string(1, letter);
    return result;
}

// What is left of the accuracy when the attack may do anything, on the first images.
std::optional<Share> attack_without_bounds(Classifier& classifier, const EvaluationImages& chosen,
                                           const ModelCard& card, const std::string& name,
                                           const EvaluationRun& run) {
    std::vector<int64_t> some = chosen.images;
    // Spread over the list, which is in the order of the classes.
    if (static_cast<int64_t>(some.size()) > kUnboundedImages) {
        const auto all = static_cast<int64_t>(some.size());
        for (int64_t k = 0; k < kUnboundedImages; ++k)
            some[static_cast<std::size_t>(k)] =
                chosen.images[static_cast<std::size_t>(k * all / kUnboundedImages)];
        some.resize(static_cast<std::size_t>(kUnboundedImages));
    }
    const std::unique_ptr<Loader> loader = load_images(chosen, some, card, run.batch);
    const std::unique_ptr<Attack> attack =
        make_attack("pgd", {{"epsilon", "1"}, {"steps", kUnboundedSteps}, {"seed", str(run.seed)}});
    const Evaluation evaluation =
        evaluate(classifier, *loader, {attack.get()}, {.progress = ProgressOptions::detect(run.quiet)});
    if (!evaluation.complete) return std::nullopt;
    return rows_of(evaluation, name)[1].accuracy();
}

// Fits what has to be fitted, on training images: a pattern that was made for the images it is judged on says
// nothing about others. The passes and losses go into `facts`. False when interrupted.
bool fit_universal(Classifier& classifier, const EvaluationImages& chosen, const ModelCard& card,
                   const EvaluationRun& run, const std::vector<std::unique_ptr<Attack>>& attacks,
                   std::vector<std::pair<std::string, std::string>>& facts) {
    for (const std::unique_ptr<Attack>& attack : attacks) {
        auto* universal = dynamic_cast<UniversalAttack*>(attack.get());
        if (!universal) continue;
        const std::string name(attack->name());
        if (chosen.training.empty())
            throw OptionsError(
                name, str("expected training images to fit it on, got none: ", chosen.why_no_training),
                "data with a train part, or a split.json beside the model");
        const std::unique_ptr<Loader> training = load_images(chosen, chosen.training, card, run.batch);
        const FitReport fit = fit_showing(*universal, classifier, *training, run.quiet);
        if (fit.interrupted) return false;
        facts.emplace_back("fit of " + name,
                           str(chosen.training.size(), " training images, ", fit.passes.forward,
                               " forward and ", fit.passes.backward, " backward passes, mean loss ",
                               fixed(fit.loss.front()), " to ", fixed(fit.loss.back())));
        std::cout << facts.back().first << "  " << facts.back().second << '\n';
    }
    return true;
}

}  // namespace

std::string cost_text(const Passes& cost) {
    return str("at most ", thousands(cost.forward), " forward and ", thousands(cost.backward),
               " backward passes of one image");
}

FitReport fit_showing(UniversalAttack& attack, Classifier& classifier, BatchSource& training, bool quiet) {
    std::optional<Progress> progress;
    int64_t shown = 0;
    return attack.fit(classifier, training, [&](const FitProgress& at) {
        if (!progress)
            progress.emplace(str("fitting ", attack.name()), at.epochs * at.images_per_epoch, "images",
                             ProgressOptions::detect(quiet));
        const int64_t done = at.epoch * at.images_per_epoch + at.images;
        progress->note(str("loss ", std::setprecision(3), at.loss));
        progress->advance(done - std::exchange(shown, done));
    });
}

bool listed_attack_has(const std::string& name, std::string_view setting) {
    const std::vector<std::string> known = attack_settings(original_of(name));
    return std::find(known.begin(), known.end(), setting) != known.end();
}

std::unique_ptr<Attack> make_listed_attack(const std::string& name,
                                           const std::vector<std::pair<std::string, std::string>>& settings) {
    const std::string original = original_of(name);
    AttackSettings taken;
    for (const auto& setting : settings)
        if (listed_attack_has(name, setting.first)) taken.push_back(setting);
    if (original == name) return make_attack(name, taken);
    taken.emplace_back("of", original);
    return make_attack("shuffled", taken);
}

EvaluationReport run_evaluation(const EvaluationRun& run,
                                const std::vector<std::unique_ptr<Attack>>& attacks) {
    const JudgedModels judged = load_judged(run.models, run.voting, run.exact, run.device);
    Classifier& classifier = *judged.classifier;
    const ModelCard& card = judged.card;
    const EvaluationImages chosen = choose_images(run.data, run.models, card, run.n, run.seed);

    std::vector<const Attack*> list;
    for (const std::unique_ptr<Attack>& attack : attacks) list.push_back(attack.get());
    const auto count = static_cast<int64_t>(chosen.images.size());
    const Passes cost = cost_of(list, count);
    std::cout << "model   " << indented(judged.description) << "\nimages  " << run.data << ", "
              << chosen.which << "\ncost    " << cost_text(cost) << std::endl;

    InterruptGuard guard;
    std::vector<std::pair<std::string, std::string>> fits;
    if (!fit_universal(classifier, chosen, card, run, attacks, fits))
        throw Error("evaluate", "interrupted while an attack was fitted; nothing was judged yet");
    const std::unique_ptr<Loader> loader = load_images(chosen, chosen.images, card, run.batch);
    const std::vector<uint8_t> malignant = malignant_classes(card.classes, run.malignant);
    const Dataset& dataset = *chosen.dataset;
    const Evaluation evaluation = evaluate(
        classifier, *loader, list,
        {.witnesses = run.witnesses,
         .keep_all = run.keep_all,
         .name_of = [&](int64_t id) { return dataset.samples().at(static_cast<std::size_t>(id)).name; },
         .progress = ProgressOptions::detect(run.quiet)});

    EvaluationReport report;
    Results& results = report.results;
    results.rows = rows_of(evaluation, judged.name, malignant, run.witnesses_seen);
    results.metrics.push_back(
        measure(judged.name, card.classes, malignant, evaluation.logits, evaluation.labels));
    print_metrics(results.metrics.back());
    std::cout << '\n' << table_of(results.rows);
    for (const ResultRow& row : results.rows)
        if (row.malignant_turned.count > 0)
            std::cout << row.attack << " at " << std::setprecision(3) << row.epsilon * 255
                      << "/255 turned malignant images benign: " << share_text(row.malignant_turned) << '\n';
    std::cout << std::endl;
    for (const SkippedImage& skipped : loader->skipped())
        std::cout << "skipped  " << skipped.name << ": " << skipped.reason << '\n';

    RailInputs inputs{.unbounded = {}, .disjoint = {}, .why_not_disjoint = chosen.why_no_training};
    report.complete = evaluation.complete;
    if (report.complete && !list.empty()) {
        inputs.unbounded = attack_without_bounds(classifier, chosen, card, judged.name, run);
        report.complete = inputs.unbounded.has_value();
    }
    if (report.complete) inputs.disjoint = compare_with_training(chosen, run.quiet);
    RailReport rails = rails_of(evaluation, results.rows, inputs);
    results.rails = std::move(rails.rails);
    results.rails_not_run = std::move(rails.not_run);
    std::cout << table_of(results.rails, results.rails_not_run);

    results.seed = run.seed;
    results.run = {{"data", run.data}, {"images", chosen.which}, {"device", str(run.device)}};
    if (run.device != kCpu) results.run.emplace_back("products", str(product_mode()));
    results.run.insert(results.run.end(), judged.facts.begin(), judged.facts.end());
    results.run.insert(results.run.end(), fits.begin(), fits.end());
    if (loader->skipped().size() > 0) results.run.emplace_back("skipped", str(loader->skipped().size()));
    if (!report.complete) {
        const std::string where = str("after ", evaluation.images(), " of ", count, " images");
        results.run.emplace_back("interrupted", where);
        std::cout << "interrupted " << where << ": all figures are for these\n";
    }
    return report;
}

}  // namespace microtome::apps
