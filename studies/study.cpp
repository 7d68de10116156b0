#include "studies/study.hpp"

#include "attacks/epsilon.hpp"
#include "attacks/universal.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "defenses/adversarial_fine_tuning.hpp"
#include "nn/ensemble.hpp"
#include "studies/cervix.hpp"
#include "studies/findings.hpp"
#include "studies/transferred.hpp"
#include "tensor/precision.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace microtome {
namespace {

// Attacks as one model meets them, and how tables call them.
struct AttackList {
    std::vector<std::unique_ptr<Attack>> own;
    std::vector<const Attack*> attacks;
    std::vector<std::string> titles, columns;

    void add(const Attack* attack, const std::string& title, const std::string& column) {
        attacks.push_back(attack);
        titles.push_back(title);
        columns.push_back(column);
    }
    void add(std::unique_ptr<Attack> attack, const std::string& title, const std::string& column) {
        own.push_back(std::move(attack));
        add(own.back().get(), title, column);
    }
};

// The study's seed, where the preset gives the attack none of its own.
AttackSettings with_seed(AttackSettings settings, uint64_t seed) {
    if (std::none_of(settings.begin(), settings.end(), [](const auto& s) { return s.first == "seed"; }))
        settings.emplace_back("seed", str(seed));
    return settings;
}

std::vector<std::unique_ptr<Attack>> attacks_of(const AttackPreset& preset, uint64_t seed) {
    std::vector<std::unique_ptr<Attack>> attacks;
    const AttackSettings settings = with_seed(preset.settings, seed);
    if (preset.epsilons.empty()) attacks.push_back(make_attack(preset.attack, settings));
    for (double epsilon : preset.epsilons) {
        AttackSettings one = settings;
        one.emplace_back("epsilon", epsilon_setting(epsilon));
        attacks.push_back(make_attack(preset.attack, one));
    }
    return attacks;
}

bool is_for(const AttackPreset& preset, const std::string& model) {
    return preset.models.empty() ||
           std::find(preset.models.begin(), preset.models.end(), model) != preset.models.end();
}

// Whether an attack at this epsilon is the one for the before/after table.
bool in_table(const AttackPreset& preset, double epsilon) {
    return !preset.column.empty() &&
           (preset.column_epsilon < 0 || std::abs(epsilon - preset.column_epsilon) < 1e-9);
}

class Study {
  public:
    Study(const Preset& preset, const StudyOptions& options) : run_{preset, options} {}

    StudyOutcome run();

  private:
    bool train_baseline();
    bool train_rivals();
    bool combine();
    bool fit_universal();
    bool harden(const HardeningPreset& hardening);
    bool attack(ModelFindings& model);
    bool attack(ModelFindings& model, Classifier& classifier);
    AttackList attacks_for(const ModelFindings& model);
    void audit();

    StudyRun run_;
    StudyFindings findings_;
    std::vector<std::unique_ptr<UniversalAttack>> universal_;
    std::unique_ptr<ModelClassifier> baseline_;  // looks at the model in findings_
    std::vector<TrainedModel> members_;          // of the ensemble, besides the baseline
};

const std::string kEnsemble = "ensemble";
constexpr uint64_t kMemberSeed = 1000;  // apart from the seeds of hardenings

// Refuses a folder with another study; leaves the preset in it.
void claim_folder(const StudyRun& run) {
    const std::string path = run.folder("") + "preset.toml";
    // What was made in one precision is not gone on with in another.
    std::string text = run.preset.text;
    if (const Precision precision = product_mode().precision; precision != Precision::f32)
        text += str("\n# run with --precision ", precision, '\n');
    try {
        if (read_file(path, text.size() + (1 << 20)) == text) return;
        throw OptionsError("study",
                           str("expected ", run.options.out,
                               " to be new or to hold this study, got one of another preset or precision"),
                           "give --out another folder");
    } catch (const MissingFileError&) {
        write_file(path, text);
    }
}

void Study::audit() {
    run_.say("reading all images, and looking for test images in training");
    std::vector<int64_t> all = run_.split.train;
    all.insert(all.end(), run_.split.val.begin(), run_.split.val.end());
    all.insert(all.end(), run_.split.test.begin(), run_.split.test.end());
    // What is damaged, or of another size, is better known before the training than after it.
    Loader images = run_.images(all, kAttackBatch);
    images.start(0);
    while (images.next() && !interrupted()) {
    }
    findings_.skipped = images.skipped();
    for (const SkippedImage& image : findings_.skipped)
        run_.say("skipped " + image.name + ": " + image.reason);
    findings_.leak = disjoint(identities_of(*run_.data, run_.split.train, run_.options.progress),
                              identities_of(*run_.data, run_.split.test, run_.options.progress));
}

bool Study::train_baseline() {
    const Preset& preset = run_.preset;
    run_.say(str("training the baseline on ", run_.split.train.size(), " images"));
    Recipe recipe = preset.training;
    recipe.seed = preset.seed;
    std::optional<TrainedModel> trained = train_stage(run_, "baseline", recipe);
    if (!trained) return false;
    findings_.models.push_back({.title = preset.model.title.empty() ? "baseline" : preset.model.title,
                                .trained = *std::move(trained)});
    const LoadedModel& loaded = findings_.models.back().trained.loaded;
    baseline_ = std::make_unique<ModelClassifier>(*loaded.model, loaded.card.options);
    return true;
}

bool Study::train_rivals() {
    for (const RivalPreset& rival : run_.preset.rivals) {
        run_.say(str("training ", rival.model.title, " on ", run_.split.train.size(), " images"));
        Recipe recipe = rival.training;
        recipe.seed = run_.preset.seed;
        std::optional<TrainedModel> trained = train_stage(run_, rival.name, recipe, {.model = &rival.model});
        if (!trained) return false;
        findings_.models.push_back(
            {.title = rival.model.title, .trained = *std::move(trained), .kind = ModelFindings::Kind::rival});
        if (!attack(findings_.models.back())) return false;
    }
    return true;
}

// Trains the ensemble's other members, and attacks all together, voting in each of the ways.
bool Study::combine() {
    const EnsemblePreset& preset = run_.preset.ensemble;
    for (int64_t k = 2; k <= preset.members; ++k) {
        run_.say(str("training member ", k, " of the ensemble"));
        Recipe recipe = run_.preset.training;
        recipe.seed = run_.preset.seed + kMemberSeed * static_cast<uint64_t>(k - 1);
        std::optional<TrainedModel> trained = train_stage(run_, str("member-", k), recipe);
        if (!trained) return false;
        members_.push_back(*std::move(trained));
    }
    for (const std::string& name : preset.voting) {
        const Voting voting = voting_named(name);
        std::vector<std::unique_ptr<Classifier>> members;
        const LoadedModel& first = findings_.models.front().trained.loaded;
        members.push_back(std::make_unique<ModelClassifier>(*first.model, first.card.options));
        for (const TrainedModel& member : members_)
            members.push_back(
                std::make_unique<ModelClassifier>(*member.loaded.model, member.loaded.card.options));
        Ensemble ensemble(std::move(members), voting);
        ModelFindings model;
        model.title = str("ensemble of ", preset.members, ", ", name);
        model.kind = ModelFindings::Kind::ensemble;
        model.trained.name = str(kEnsemble, "-", name);
        model.trained.recipe = {{"members", str(preset.members, ", trained alike from other seeds")},
                                {"voting", name},
                                {"gradient for attacks", std::string(gradient_of(voting))}};
        if (!attack(model, ensemble)) return false;
        findings_.models.push_back(std::move(model));
    }
    return true;
}

bool Study::fit_universal() {
    for (const UniversalPreset& preset : run_.preset.universal) {
        std::unique_ptr<UniversalAttack> attack =
            make_universal_attack(preset.attack, with_seed(preset.settings, run_.preset.seed));
        const std::string path =
            str(run_.folder("universal"), "/", universal_.size() + 1, "-", preset.attack, ".safetensors");
        if (std::filesystem::exists(path)) {
            attack->load(path);
        } else {
            run_.say(str("fitting ", preset.title, " on training images"));
            Loader train = run_.images(run_.split.train, kAttackBatch);
            Progress progress(preset.title, 0, "images", run_.options.progress);
            FitReport report = attack->fit(*baseline_, train, [&](const FitProgress& now) {
                progress.advance(kAttackBatch);
                progress.note(str("epoch ", now.epoch + 1, "/", now.epochs, "  loss ", now.loss));
            });
            if (report.interrupted) return false;
            attack->save(path);
        }
        findings_.patterns.push_back(
            {preset.title, attack->pattern(), attack->threat().kind == Threat::Kind::patch});
        universal_.push_back(std::move(attack));
    }
    return true;
}

AttackList Study::attacks_for(const ModelFindings& model) {
    using Kind = ModelFindings::Kind;
    const bool hardened = model.kind == Kind::hardened;
    const std::string& name = model.kind == Kind::ensemble ? kEnsemble : model.trained.name;
    AttackList list;
    for (const AttackPreset& preset : run_.preset.attacks) {
        if (!is_for(preset, name)) continue;
        for (std::unique_ptr<Attack>& attack : attacks_of(preset, run_.preset.seed)) {
            const double epsilon = attack->threat().epsilon;
            list.add(std::move(attack), preset.title, in_table(preset, epsilon) ? preset.column : "");
        }
    }
    // Patterns were fitted to the baseline.
    const bool patterns = hardened || model.kind == Kind::baseline;
    for (std::size_t u = 0; u < universal_.size() && patterns; ++u)
        list.add(universal_[u].get(), run_.preset.universal[u].title,
                 run_.preset.universal[u].column +
                     (hardened && !run_.preset.universal[u].column.empty() ? "|static" : ""));
    if (!hardened) return list;
    // What was made against the baseline, shown to the hardened model.
    for (const AttackPreset& preset : run_.preset.attacks) {
        if (!preset.also_static) continue;
        for (std::unique_ptr<Attack>& attack : attacks_of(preset, run_.preset.seed))
            if (in_table(preset, attack->threat().epsilon))
                list.add(std::make_unique<Transferred>(std::move(attack), *baseline_, "baseline"),
                         preset.title + ", made against the baseline", preset.column + "|static");
    }
    return list;
}

bool Study::attack(ModelFindings& model) {
    ModelClassifier classifier(*model.trained.loaded.model, model.trained.loaded.card.options);
    return attack(model, classifier);
}

bool Study::attack(ModelFindings& model, Classifier& classifier) {
    const std::string& name = model.trained.name;
    AttackList list = attacks_for(model);
    run_.say(str("attacking ", model.title, " on ", run_.split.test.size(), " test images, ",
                 list.attacks.size(), " attacks"));
    model.attacked = attack_stage(run_, name, classifier, list.attacks);
    if (!model.attacked) return false;
    const Evaluation& evaluation = model.attacked->evaluation;
    model.titles = list.titles;
    model.columns = list.columns;
    const std::vector<uint8_t> malignant =
        malignant_classes(run_.data->classes(), run_.preset.data.malignant);
    model.rows = rows_of(evaluation, name, malignant, witnesses_of(name));
    model.metrics = measure(name, run_.data->classes(), malignant, evaluation.logits, evaluation.labels);
    model.rails = rails_of(evaluation, model.rows,
                           {.unbounded = model.attacked->unbounded, .disjoint = findings_.leak});
    return true;
}

bool Study::harden(const HardeningPreset& hardening) {
    const TrainedModel& baseline = findings_.models.front().trained;
    run_.say(str("hardening: ", hardening.title));
    std::vector<std::unique_ptr<Attack>> own;
    for (const AttackPreset& preset : hardening.attacks)
        for (std::unique_ptr<Attack>& attack : attacks_of(preset, run_.preset.seed))
            own.push_back(std::move(attack));
    std::vector<const Attack*> attacks;
    for (const std::unique_ptr<Attack>& attack : own) attacks.push_back(attack.get());
    if (hardening.universal)
        for (const std::unique_ptr<UniversalAttack>& attack : universal_) attacks.push_back(attack.get());

    Recipe recipe = hardening.training;
    recipe.seed = run_.preset.seed + 1;
    TrainingVariant variant{
        .objective = paired_objective({hardening.clean_weight, hardening.adversarial_weight}),
        .start = &baseline};
    std::optional<StaticPairs> pairs;
    const bool trained_already =
        std::filesystem::exists(run_.options.out + "/" + hardening.name + "/model.safetensors");
    if (hardening.fresh) {
        variant.craft = fresh_pairs(attacks, baseline.loaded.card.options);
    } else if (!trained_already) {
        Loader clean = run_.images(run_.split.train, kAttackBatch);
        Progress progress("attacking training images",
                          static_cast<int64_t>(run_.split.train.size() * attacks.size()), "images",
                          run_.options.progress);
        int64_t done = 0;
        pairs.emplace(*baseline_, clean, attacks, recipe.batch, recipe.seed, [&](int64_t made) {
            progress.advance(made - done);
            done = made;
            return !interrupted();
        });
        if (interrupted()) return false;
        variant.source = &*pairs;
    }
    std::optional<TrainedModel> trained = train_stage(run_, hardening.name, recipe, variant);
    if (!trained) return false;
    trained->recipe["loss"] =
        str(hardening.clean_weight, " CE(clean) + ", hardening.adversarial_weight, " CE(attacked)");
    trained->recipe["attacked images"] =
        hardening.fresh ? "fresh in every step" : "made once, against the baseline";
    findings_.models.push_back(
        {.title = hardening.title, .trained = *std::move(trained), .kind = ModelFindings::Kind::hardened});
    return attack(findings_.models.back());
}

StudyOutcome Study::run() {
    const StudyOutcome stopped{.results = {}, .report = {}, .interrupted = true};
    claim_folder(run_);
    if (!open_data(run_)) return stopped;
    audit();
    // What refers to a model in findings_ must stay valid when more are added.
    findings_.models.reserve(2 + run_.preset.hardening.size() + run_.preset.rivals.size() +
                             run_.preset.ensemble.voting.size());
    if (!train_baseline() || !fit_universal() || !attack(findings_.models.front()) || !train_rivals() ||
        !combine())
        return stopped;
    for (const HardeningPreset& hardening : run_.preset.hardening)
        if (!harden(hardening)) return stopped;
    if (run_.preset.contrast) {
        run_.say(str("for comparison: ", run_.preset.contrast_title));
        Recipe recipe = *run_.preset.contrast;
        recipe.seed = run_.preset.seed;
        std::optional<TrainedModel> trained =
            train_stage(run_, "contrast", recipe, {.numbers = run_.preset.contrast_numbers});
        if (!trained) return stopped;
        findings_.models.push_back({.title = run_.preset.contrast_title,
                                    .trained = *std::move(trained),
                                    .kind = ModelFindings::Kind::contrast});
        ModelFindings& model = findings_.models.back();
        ModelClassifier classifier(*model.trained.loaded.model, model.trained.loaded.card.options);
        Loader test = run_.images(run_.split.test, kAttackBatch);
        const Evaluation evaluation = evaluate(classifier, test, {});
        model.rows = rows_of(evaluation, "contrast");
        model.metrics = measure("contrast", run_.data->classes(),
                                malignant_classes(run_.data->classes(), run_.preset.data.malignant),
                                evaluation.logits, evaluation.labels);
    }
    // The rest looks at models layer by layer, or is code of others.
    for (ModelFindings& model : findings_.models)
        if (model.trained.loaded.model) model.trained.loaded.model->to(kCpu);
    if (!run_.preset.published.empty()) {
        std::optional<NotebookFindings> notebook = run_.preset.published == "cervix"
                                                       ? cervix_stage(run_, *baseline_)
                                                       : notebook_stage(run_, *baseline_);
        if (!notebook) return stopped;
        findings_.comparisons = std::move(notebook->comparisons);
        findings_.comparisons_note = notebook->note;
        findings_.notebook_rails = std::move(notebook->rails);
        findings_.notebook_rails.insert(findings_.notebook_rails.end(), notebook->healthy_rails.begin(),
                                        notebook->healthy_rails.end());
    }
    StudyOutcome outcome{.results = results_of(run_, findings_), .report = run_.options.out + "/report.html"};
    write_results(run_.options.out + "/results.json", outcome.results);
    write_file(outcome.report, report::study_page(report_of(run_, findings_, outcome.results)));
    return outcome;
}

}  // namespace

StudyOutcome run_study(const Preset& preset, const StudyOptions& options) {
    try {
        return Study(preset, options).run();
    } catch (const Error&) {
        // What has nothing to hand back when it is interrupted throws.
        if (!interrupted()) throw;
        return {.results = {}, .report = {}, .interrupted = true};
    }
}

}  // namespace microtome
