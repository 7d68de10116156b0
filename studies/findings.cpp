#include "studies/findings.hpp"

#include "attacks/epsilon.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/version.hpp"
#include "data/image.hpp"
#include "evaluation/witnesses.hpp"
#include "studies/attention_pictures.hpp"
#include "studies/model_comparison.hpp"
#include "tensor/math.hpp"
#include "tensor/precision.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace microtome {
namespace {

using report::share_text;

constexpr int64_t kSamples = 15;
constexpr int64_t kStrips = 4;

report::Share shown(const Share& share) {
    const Interval interval = share.interval();
    return {.value = share.value(), .low = interval.low, .high = interval.high, .n = share.n};
}

// ".38 [.34, .42] of 500 images"
std::string words(const Share& share) {
    return str(report::interval_text(shown(share)), " of ", report::count_text(share.n), " images");
}

Share share_of(const ResultRow& row) {
    return {.count = row.n_correct, .n = row.n};
}

// The row of an outcome: rows_of() puts the clean images first.
const ResultRow& row_of(const ModelFindings& model, std::size_t outcome) {
    return model.rows.at(outcome + 1);
}

report::DataReport data_of(const StudyRun& run, const StudyFindings& findings) {
    report::DataReport data{.name = run.preset.data.name,
                            .description = run.preset.data.description,
                            .parts = {"train", "val", "test"},
                            .classes = run.data->classes()};
    data.counts.assign(data.classes.size(), std::vector<int64_t>(3, 0));
    const std::vector<int64_t>* parts[] = {&run.split.train, &run.split.val, &run.split.test};
    for (std::size_t part = 0; part < 3; ++part)
        for (int64_t i : *parts[part]) ++data.counts[run.data->samples()[i].label][part];
    if (findings.leak)
        data.audits.push_back({findings.leak->pass ? report::Verdict::passed : report::Verdict::failed,
                               findings.leak->pass ? "No test image has its like in training"
                                                   : "Test images have their like in training",
                               findings.leak->text});
    if (!run.left_out.empty()) {
        std::string names;
        for (int64_t i : run.left_out) names += (names.empty() ? "" : ", ") + run.data->samples()[i].name;
        data.audits.push_back(
            {report::Verdict::caution,
             str(run.left_out.size(), " images are left out of training and validation"),
             "Copies of them, turned or mirrored, are in the part that judges: " + names + "."});
    }
    for (const SkippedImage& image : findings.skipped)
        data.damaged.push_back(image.name + ": " + image.reason);
    return data;
}

// Pairs (true, predicted) of a malignant class taken for a benign one.
std::vector<std::pair<std::size_t, std::size_t>> grave_mistakes(const std::vector<uint8_t>& malignant) {
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (std::size_t i = 0; i < malignant.size(); ++i)
        for (std::size_t j = 0; j < malignant.size(); ++j)
            if (malignant[i] && !malignant[j]) pairs.emplace_back(i, j);
    return pairs;
}

// Accuracy over confidence, in the calibration error's own bins.
std::vector<report::ReliabilityPlot::Bin> reliability_of(const Evaluation& evaluation) {
    const int64_t classes = evaluation.logits.size(1);
    const std::vector<double> probabilities = probabilities_of(evaluation.logits);
    struct Sum {
        double confidence = 0;
        Share right{};
    };
    std::vector<Sum> sums(kCalibrationBins);
    for (int64_t i = 0; i < evaluation.images(); ++i) {
        const double most =
            *std::max_element(probabilities.begin() + i * classes, probabilities.begin() + (i + 1) * classes);
        const int bin =
            std::clamp(static_cast<int>(std::ceil(most * kCalibrationBins)) - 1, 0, kCalibrationBins - 1);
        sums[bin].confidence += most;
        sums[bin].right.count += evaluation.clean[i] == evaluation.labels[i];
        ++sums[bin].right.n;
    }
    std::vector<report::ReliabilityPlot::Bin> bins;
    for (const Sum& sum : sums)
        if (sum.right.n > 0)
            bins.push_back({sum.confidence / static_cast<double>(sum.right.n), shown(sum.right)});
    return bins;
}

report::ModelReport model_of(const ModelFindings& model) {
    report::ModelReport result{.name = model.title};
    if (const auto& network = model.trained.loaded.model)
        result.facts = {{"architecture", model.trained.loaded.card.architecture},
                        {"parameters", report::count_text(network->parameter_count())}};
    if (model.kind == ModelFindings::Kind::baseline && !model.trained.recipe.contains("init"))
        result.facts.emplace_back("init", "none: trained from the beginning");
    for (const auto& [name, value] : model.trained.recipe) result.facts.emplace_back(name, value);
    for (const EpochRecord& epoch : model.trained.history) {
        report::Epoch shown{.number = epoch.epoch, .train_loss = epoch.loss};
        if (epoch.accuracy) shown.train_accuracy = *epoch.accuracy;
        if (epoch.val_loss) shown.val_loss = *epoch.val_loss;
        if (epoch.val_accuracy) shown.val_accuracy = *epoch.val_accuracy;
        result.epochs.push_back(shown);
    }
    // The page marks it where it was chosen, rather than the last.
    if (!model.trained.history.empty() && model.trained.kept_epoch != model.trained.history.back().epoch)
        result.best_epoch = model.trained.kept_epoch;
    const Metrics& metrics = model.metrics;
    result.classes = metrics.classes;
    const int64_t classes = metrics.confusion.classes();
    for (int64_t i = 0; i < classes; ++i) {
        result.confusion.emplace_back();
        for (int64_t j = 0; j < classes; ++j) result.confusion.back().push_back(metrics.confusion.at(i, j));
    }
    result.grave = grave_mistakes(metrics.malignant);
    const ClassificationReport scores = classification_report(metrics.confusion);
    for (int64_t i = 0; i < classes; ++i)
        result.class_rows.push_back({metrics.classes[i], scores.classes[i].precision,
                                     scores.classes[i].recall, scores.classes[i].f1,
                                     scores.classes[i].support});
    result.class_rows.push_back({"macro average", scores.macro.precision, scores.macro.recall,
                                 scores.macro.f1, scores.macro.support});
    result.class_rows.push_back({"weighted average", scores.weighted.precision, scores.weighted.recall,
                                 scores.weighted.f1, scores.weighted.support});
    const MajorityBaseline majority = majority_baseline(metrics.confusion);
    result.measures = {
        {"accuracy", words(metrics.confusion.accuracy())},
        {"always the most frequent class", words(majority.accuracy)},
        {"Cohen's kappa", report::number_text(scores.kappa)},
        {"area under the ROC curve, mean over classes", report::number_text(metrics.area_under_curve)},
        {"log-loss", report::number_text(metrics.log_loss)},
        {"expected calibration error", report::number_text(metrics.calibration_error)}};
    if (metrics.malignant_called_benign.n > 0)
        result.measures.emplace_back("malignant called benign", words(metrics.malignant_called_benign));
    if (model.attacked) result.reliability = reliability_of(model.attacked->evaluation);
    result.reliability_note =
        "Expected calibration error: " + report::number_text(metrics.calibration_error) + '.';
    return result;
}

// One curve a model and attack, where there are several epsilons; clean images are epsilon 0.
std::vector<report::EpsilonCurve> curves_of(const StudyFindings& findings) {
    std::vector<report::EpsilonCurve> curves;
    for (const ModelFindings& model : findings.models) {
        if (!model.attacked) continue;
        std::map<std::string, std::vector<report::EpsilonCurve::Point>> by_attack;
        for (std::size_t k = 0; k < model.titles.size(); ++k)
            by_attack[model.titles[k]].push_back(
                {row_of(model, k).epsilon, shown(share_of(row_of(model, k)))});
        for (auto& [title, points] : by_attack) {
            if (points.size() < 2) continue;
            points.push_back({0, shown(share_of(model.rows.at(0)))});
            std::sort(points.begin(), points.end(),
                      [](const auto& a, const auto& b) { return a.epsilon < b.epsilon; });
            curves.push_back({.group = title, .model = model.title, .points = points});
        }
    }
    return curves;
}

report::BeforeAfter before_after_of(const StudyFindings& findings) {
    report::BeforeAfter table{.attacks = {"Clean"}};
    for (const ModelFindings& model : findings.models)
        for (const std::string& column : model.columns) {
            std::string attack = column.substr(0, column.find('|'));
            if (!attack.empty() &&
                std::find(table.attacks.begin(), table.attacks.end(), attack) == table.attacks.end())
                table.attacks.push_back(attack);
        }
    if (table.attacks.size() == 1) return {};
    for (const ModelFindings& model : findings.models) {
        if (!model.attacked) continue;
        // "PGD" or "PGD|static": what follows the bar gets a row of its own.
        for (const std::string variant : {"", "static"}) {
            report::BeforeAfter::Row row{.name = model.title};
            row.accuracies.assign(table.attacks.size(), std::nullopt);
            bool any = false;
            for (std::size_t k = 0; k < model.columns.size(); ++k) {
                const std::string& column = model.columns[k];
                const std::size_t bar = column.find('|');
                if (column.empty() || (bar == std::string::npos ? "" : column.substr(bar + 1)) != variant)
                    continue;
                for (std::size_t a = 1; a < table.attacks.size(); ++a)
                    if (column.substr(0, bar) == table.attacks[a])
                        row.accuracies[a] = shown(share_of(row_of(model, k))), any = true;
            }
            if (!any) continue;
            row.accuracies[0] = shown(share_of(model.rows.at(0)));
            if (model.kind == ModelFindings::Kind::hardened)
                row.name += variant.empty() ? ", attacked itself" : ", images made against the baseline";
            table.rows.push_back(std::move(row));
        }
    }
    table.note =
        "All on the same test images. Images made against the baseline show what a hardened model has "
        "learned of "
        "one attack on another model; only attacks on itself show its robustness.";
    return table;
}

report::Table results_table(const StudyFindings& findings) {
    report::Table table;
    table.caption = "All that was measured";
    table.columns = {{"model", false}, {"attack", false},   {"epsilon", false},
                     {"right", true},  {"in 8 bits", true}, {"fooled, of those right before", true},
                     {"passes", true}, {"seconds", true}};
    for (const ModelFindings& model : findings.models)
        for (const ResultRow& row : model.rows) {
            const Share rounded{.count = row.n_correct_8bit, .n = row.n};
            table.add({model.title, row.attack == "none" ? "clean images" : row.attack,
                       row.attack == "none" ? "" : epsilon_text(row.epsilon),
                       report::Cell(shown(share_of(row))),
                       row.attack == "none" ? "" : share_text(rounded.value()),
                       row.attack == "none" ? report::Cell("") : report::Cell(shown(row.success_rate())),
                       report::count_text(row.forward_passes + row.backward_passes),
                       report::fixed_text(row.seconds, 1)});
        }
    return table;
}

report::Guess guess_of(const Evaluation& evaluation, int64_t i, const std::vector<std::string>& classes) {
    const int64_t n = evaluation.logits.size(1);
    const std::vector<double> probabilities = probabilities_of(evaluation.logits);
    return {classes.at(evaluation.clean[i]), probabilities.at(i * n + evaluation.clean[i])};
}

// Evenly over the test part, so that each class is there.
std::vector<report::SamplePicture> samples_of(const StudyRun& run, const ModelFindings& baseline) {
    std::vector<report::SamplePicture> samples;
    const Evaluation& evaluation = baseline.attacked->evaluation;
    const int64_t n = evaluation.images(), count = std::min(kSamples, n);
    for (int64_t k = 0; k < count; ++k) {
        const int64_t i = (2 * k + 1) * n / (2 * count);
        samples.push_back({run.data->read(evaluation.ids[i]), run.data->classes().at(evaluation.labels[i]),
                           guess_of(evaluation, i, run.data->classes())});
    }
    return samples;
}

// Witnesses of a model's attacks: the first that were right before, one a class, from the weakest attack that
// has any.
std::vector<report::PerturbationStrip> strips_of(const StudyRun& run, const ModelFindings& model) {
    const Evaluation& evaluation = model.attacked->evaluation;
    const AttackOutcome* weakest = nullptr;
    for (const AttackOutcome& outcome : evaluation.outcomes)
        if (outcome.crafted() && !outcome.witnesses.empty() &&
            std::any_of(outcome.images.begin(), outcome.images.end(),
                        [](const AttackedImage& i) { return i.success(); }) &&
            (!weakest || outcome.threat.epsilon < weakest->threat.epsilon) &&
            outcome.threat.epsilon >= 0.99 / 255)
            weakest = &outcome;
    std::vector<report::PerturbationStrip> strips;
    if (!weakest) return strips;
    const std::string folder =
        str(run.options.out, "/", witnesses_of(model.trained.name), "/", weakest->witnesses);
    std::vector<int64_t> classes_shown;
    for (const Witness& witness : read_witnesses(folder)) {
        if (static_cast<int64_t>(strips.size()) == kStrips) break;
        if (witness.label != witness.predicted_clean || witness.predicted_8bit == witness.label) continue;
        if (std::find(classes_shown.begin(), classes_shown.end(), witness.label) != classes_shown.end())
            continue;
        const auto place = std::find(evaluation.ids.begin(), evaluation.ids.end(), witness.id);
        if (place == evaluation.ids.end()) continue;
        Loader one = run.images({witness.id}, 1);
        one.start(0);
        const Tensor original = one.next()->images;
        classes_shown.push_back(witness.label);
        strips.push_back({.original = original.view(original.shape().without(0)),
                          .adversarial = read_image(folder + "/" + witness.file),
                          .truth = run.data->classes().at(witness.label),
                          .before = guess_of(evaluation, place - evaluation.ids.begin(), run.data->classes()),
                          .after = {.name = run.data->classes().at(witness.predicted_8bit)},
                          .attack = str(weakest->name, ", ε = ", epsilon_text(weakest->threat.epsilon))});
    }
    return strips;
}

std::vector<report::ComputeRow> compute_of(const StudyFindings& findings) {
    std::vector<report::ComputeRow> rows;
    for (const ModelFindings& model : findings.models) {
        double training = 0;
        for (const EpochRecord& epoch : model.trained.history) training += epoch.seconds;
        if (!model.trained.history.empty())
            rows.push_back({.task = "training, " + model.title, .seconds = training});
        if (!model.attacked) continue;
        report::ComputeRow attacks{.task = "attacks, " + model.title};
        for (const ResultRow& row : model.rows) {
            attacks.forward_passes += row.forward_passes;
            attacks.backward_passes += row.backward_passes;
            attacks.seconds += row.seconds;
        }
        rows.push_back(attacks);
    }
    return rows;
}

std::string capitalised(std::string text) {
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

// How far the attack may go, as a relative clause.
std::string reach(const Threat& threat) {
    switch (threat.kind) {
        case Threat::Kind::ball:
            return str(", which may change a value by ", epsilon_text(threat.epsilon), " at most,");
        case Threat::Kind::patch: return ", which may change every pixel where it lies,";
        case Threat::Kind::noise: break;
    }
    return str(" of standard deviation ", epsilon_text(threat.epsilon));
}

// Whether several architectures are compared, so that "the model" is not one of them.
bool has_rivals(const StudyFindings& findings) {
    return std::any_of(findings.models.begin(), findings.models.end(),
                       [](const ModelFindings& model) { return model.kind == ModelFindings::Kind::rival; });
}

// What a reader should take away, in sentences made of the numbers alone.
std::vector<std::string> sentences(const StudyFindings& findings) {
    std::vector<std::string> found;
    const ModelFindings& baseline = findings.models.front();
    const bool rivals = has_rivals(findings);
    found.push_back(str("On test images that it had never seen, ", rivals ? baseline.title : "the model",
                        " was right in ", words(share_of(baseline.rows.at(0))), "."));
    if (baseline.metrics.malignant_called_benign.n > 0)
        found.push_back(str("Of malignant tissue ", rivals ? baseline.title : "it", " called benign ",
                            words(baseline.metrics.malignant_called_benign), "."));
    for (std::size_t k = 0; k < baseline.titles.size(); ++k) {
        if (baseline.columns[k].empty()) continue;
        const ResultRow& row = row_of(baseline, k);
        const AttackOutcome& outcome = baseline.attacked->evaluation.outcomes.at(k);
        found.push_back(str("Under ", baseline.titles[k], reach(outcome.threat), " it was right in ",
                            words(share_of(row)),
                            is_control(outcome.name) ? " (a control: no attack)." : "."));
    }
    for (std::size_t m = 1; m < findings.models.size(); ++m) {
        const ModelFindings& model = findings.models[m];
        if (model.kind == ModelFindings::Kind::rival || model.kind == ModelFindings::Kind::ensemble) continue;
        if (!model.attacked) {
            found.push_back(
                str(capitalised(model.title), ": right in ", words(model.metrics.confusion.accuracy()), "."));
            continue;
        }
        for (std::size_t k = 0; k < model.titles.size(); ++k) {
            const std::string& column = model.columns[k];
            if (column.empty() || column.find('|') != std::string::npos ||
                !model.attacked->evaluation.outcomes.at(k).crafted())
                continue;
            for (std::size_t b = 0; b < baseline.columns.size(); ++b) {
                if (baseline.columns[b] != column) continue;
                const Share before = share_of(row_of(baseline, b)), after = share_of(row_of(model, k));
                const bool apart = after.interval().low > before.interval().high;
                found.push_back(str(capitalised(model.title), ", attacked itself by ", model.titles[k],
                                    ": right in ", words(after), " against ",
                                    report::interval_text(shown(before)), " before, and in ",
                                    report::interval_text(shown(share_of(model.rows.at(0)))),
                                    " of clean images. The intervals ",
                                    apart ? "do not overlap." : "overlap or are the other way round."));
            }
        }
    }
    for (const ModelFindings::Kind kind : {ModelFindings::Kind::rival, ModelFindings::Kind::ensemble})
        for (std::string& sentence : comparisons_with(findings.models, kind))
            found.push_back(std::move(sentence));
    for (const NotebookComparison& comparison : findings.comparisons)
        found.push_back(str(capitalised(comparison.quantity),
                            comparison.published.empty() ? ": the notebook printed " : ": published ",
                            comparison.published.empty() ? comparison.notebook : comparison.published,
                            "; with the published mistake kept ",
                            report::interval_text(shown(comparison.reproduced)), ", without it ",
                            report::interval_text(shown(comparison.corrected)), "."));
    return found;
}

std::vector<report::KeyFigure> key_figures(const StudyFindings& findings) {
    std::vector<report::KeyFigure> figures;
    auto add = [&](const std::string& label, const Share& share, const std::string& note) {
        const report::Share s = shown(share);
        figures.push_back({label, share_text(s.value),
                           str("[", share_text(s.low), ", ", share_text(s.high), "], n = ", share.n), note});
    };
    const ModelFindings& baseline = findings.models.front();
    const std::string unseen = "test images, never trained on";
    if (!has_rivals(findings)) add("clean accuracy", share_of(baseline.rows.at(0)), unseen);
    for (const ModelFindings& model : findings.models)
        if (has_rivals(findings) && (&model == &baseline || model.kind == ModelFindings::Kind::rival))
            add("clean accuracy", share_of(model.rows.at(0)), str(model.title, ": ", unseen));
    std::string column;
    for (std::size_t k = 0; k < baseline.columns.size() && column.empty(); ++k)
        if (!baseline.columns[k].empty() && baseline.attacked->evaluation.outcomes.at(k).crafted()) {
            column = baseline.columns[k];
            add("under attack", share_of(row_of(baseline, k)),
                str(baseline.titles[k], ", ε = ", epsilon_text(row_of(baseline, k).epsilon)));
        }
    for (std::size_t m = 1; m < findings.models.size(); ++m)
        for (std::size_t k = 0; k < findings.models[m].columns.size(); ++k)
            if (!column.empty() && findings.models[m].columns[k] == column)
                add(findings.models[m].kind == ModelFindings::Kind::hardened ? "hardened, under attack"
                                                                             : "under attack",
                    share_of(row_of(findings.models[m], k)), findings.models[m].title);
    return figures;
}

}  // namespace

Results results_of(const StudyRun& run, const StudyFindings& findings) {
    Results results{.run = {{"study", run.preset.title},
                            {"preset", run.preset.file},
                            {"data", run.options.data.empty() ? "built-in tissue" : run.data->path()},
                            {"images", hex(listing_hash(*run.data))},
                            {"split", std::string(name_of(run.split_options.kind))},
                            {"version", kVersion}},
                    .seed = run.preset.seed};
    if (run.options.device != kCpu) {
        results.run.emplace_back("device", str(run.options.device));
        results.run.emplace_back("products", str(product_mode()));
    }
    for (const ModelFindings& model : findings.models) {
        results.metrics.push_back(model.metrics);
        results.rows.insert(results.rows.end(), model.rows.begin(), model.rows.end());
        for (Rail rail : model.rails.rails) {
            rail.text = model.title + ": " + rail.text;
            results.rails.push_back(std::move(rail));
        }
        for (const auto& [id, why] : model.rails.not_run)
            results.rails_not_run.emplace_back(id, model.title + ": " + why);
    }
    // The attacks as published are part of the verdict: their figures are not to be trusted.
    results.rails.insert(results.rails.end(), findings.notebook_rails.begin(), findings.notebook_rails.end());
    return results;
}

report::StudyReport report_of(const StudyRun& run, const StudyFindings& findings, const Results& results) {
    report::StudyReport page{.title = run.preset.title, .lead = run.preset.lead};
    page.asked = run.preset.asked;
    page.found = sentences(findings);
    page.not_shown = run.preset.limits;
    page.key_figures = key_figures(findings);
    page.data = data_of(run, findings);
    const ModelFindings& baseline = findings.models.front();
    page.samples = samples_of(run, baseline);
    for (const ModelFindings& model : findings.models) page.models.push_back(model_of(model));
    page.epsilon_curves = curves_of(findings);
    page.chance = {1.0 / static_cast<double>(run.data->classes().size()), "chance"};
    page.results = results_table(findings);
    page.strips = strips_of(run, baseline);
    page.attention_note = kAttentionNote;
    page.strips_note =
        "Each strip was checked again as an 8-bit picture; the picture is in the study's witnesses.";
    for (const ModelFindings& model : findings.models)
        if (model.attacked && model.trained.loaded.model)
            for (report::Picture& picture :
                 attention_pictures(*model.trained.loaded.model, model.trained.loaded.card.options.image,
                                    model.title, strips_of(run, model)))
                page.attention.push_back(std::move(picture));
    for (const FittedPattern& pattern : findings.patterns) {
        if (pattern.is_patch)
            page.patches.push_back({pattern.pattern, pattern.title});
        else
            page.universal.push_back(report::perturbation_picture(pattern.pattern, pattern.title));
    }
    page.before_after = before_after_of(findings);
    for (const NotebookComparison& c : findings.comparisons)
        page.comparisons.push_back({c.quantity, c.published, c.notebook,
                                    report::interval_text(shown(c.reproduced)),
                                    report::interval_text(shown(c.corrected)), c.cause});
    page.comparisons_note = findings.comparisons_note;
    for (const Rail& rail : results.rails)
        page.rails.push_back({rail.id, rail.pass, report::number_text(rail.value), rail.text});
    page.compute = compute_of(findings);
    page.foot = {.version = kVersion, .command = run.options.command};
    page.foot.facts = {{"seed", str(run.preset.seed)}, {"images", hex(listing_hash(*run.data))}};
    for (const ModelFindings& model : findings.models)
        if (model.attacked && model.attacked->evaluation.model_before)
            page.foot.facts.emplace_back(model.title, hex(*model.attacked->evaluation.model_before));
    return page;
}

}  // namespace microtome
