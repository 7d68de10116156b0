#include "apps/harden.hpp"

#include "apps/command.hpp"
#include "apps/evaluation_run.hpp"
#include "apps/precision.hpp"
#include "apps/train_settings.hpp"
#include "apps/training_run.hpp"
#include "attacks/registry.hpp"
#include "attacks/universal.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/interrupt.hpp"
#include "base/version.hpp"
#include "data/open.hpp"
#include "defenses/adversarial_fine_tuning.hpp"
#include "evaluation/rails.hpp"
#include "nn/safetensors.hpp"
#include "studies/transferred.hpp"
#include "training/best_model.hpp"
#include "training/checkpoint.hpp"
#include "training/logs.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <tuple>

namespace microtome::apps {
namespace {

// What is taken where nothing is said. A profile has its own.
constexpr const char* kEpsilon = "3/255";
constexpr const char* kSteps = "5";

using Attacks = std::vector<std::unique_ptr<Attack>>;

std::vector<const Attack*> pointers(const Attacks& attacks) {
    std::vector<const Attack*> result;
    for (const std::unique_ptr<Attack>& attack : attacks) result.push_back(attack.get());
    return result;
}

bool is_profile(const std::string& name) {
    return std::any_of(attack_profiles().begin(), attack_profiles().end(),
                       [&](const AttackProfile& profile) { return profile.name == name; });
}

// Unfitted, where they are to be fitted: models differ in what fools them.
Attacks make_attacks(const RunSettings& settings) {
    Attacks attacks;
    for (const std::string& name : settings.list("attack")) {
        if (name.starts_with("shuffled"))
            throw OptionsError("harden", str("expected an attack to learn from, got the control ", name));
        AttackSettings wanted{{"seed", str(settings.seed())}};
        for (const auto& [setting, option, standard] :
             {std::tuple{"epsilon", "eps", kEpsilon}, {"steps", "steps", kSteps}}) {
            const std::string& said = settings.text(option);
            if (!said.empty() || !is_profile(name))
                wanted.emplace_back(setting, said.empty() ? standard : said);
        }
        attacks.push_back(make_listed_attack(name, wanted));
    }
    if (attacks.empty()) throw OptionsError("harden", "expected an attack, got none", "--attack pgd, say");
    return attacks;
}

std::string text_of(const Attack& attack) {
    std::string text(attack.name());
    for (const auto& [name, value] : attack.options())
        text += str(text == attack.name() ? ": " : ", ", name, " = ", value);
    return text;
}

Recipe recipe_of(const RunSettings& settings, bool fresh) {
    Recipe recipe{.epochs = settings.whole("epochs"),
                  .batch = settings.whole("batch"),
                  .lr = settings.real("lr"),
                  .seed = settings.seed()};
    // Images that were attacked once stay as they were attacked.
    if (fresh) recipe.augmentation = augmentation_of("harden", settings.text("augment"));
    return recipe;
}

// "finetune" or "finetune-static"; whether the first.
bool is_fresh(const RunSettings& settings) {
    const std::string& recipe = settings.text("recipe");
    if (recipe != "finetune" && recipe != "finetune-static")
        throw OptionsError("harden", str("expected a recipe, got '", recipe, "'"),
                           "there is finetune (images attacked anew in every step) and finetune-static "
                           "(attacked once, at the model as it was)");
    return recipe == "finetune";
}

const std::string& required(const RunSettings& settings, const std::string& name) {
    if (settings.text(name).empty())
        throw OptionsError("harden", str("expected --", name, ", got none"),
                           "`microtome harden --help` says what it takes");
    return settings.text(name);
}

std::string share_of(const AttackOutcome& outcome) {
    const auto right = std::count_if(outcome.images.begin(), outcome.images.end(),
                                     [](const AttackedImage& image) { return image.right(); });
    return share_text({right, static_cast<int64_t>(outcome.images.size())});
}

void print_table(const Evaluation& before, const Evaluation& after) {
    std::vector<std::array<std::string, 3>> rows{
        {str("accuracy on ", before.images(), " test images"), "before", "after"},
        {"clean", share_text(before.clean_accuracy()), share_text(after.clean_accuracy())}};
    // The hardened model met the attacks made against it, and then those made against the original.
    const std::size_t attacks = before.outcomes.size();
    for (std::size_t k = 0; k < attacks; ++k) {
        const AttackOutcome &original = before.outcomes.at(k), &fresh = after.outcomes.at(k),
                            &stale = after.outcomes.at(attacks + k);
        rows.push_back(
            {original.name + ", made anew against each model", share_of(original), share_of(fresh)});
        rows.push_back(
            {original.name + ", made against the model before", share_of(original), share_of(stale)});
    }
    std::size_t name = 0, first = 0;
    for (const auto& row : rows) name = std::max(name, row[0].size()), first = std::max(first, row[1].size());
    std::cout << '\n';
    for (const auto& row : rows)
        std::cout << std::left << std::setw(static_cast<int>(name + 2)) << row[0]
                  << std::setw(static_cast<int>(first + 2)) << row[1] << row[2] << '\n';
    std::cout << "\nAn accuracy under attack is an upper bound: another attack, or more steps, may find what "
                 "these did not.\nOnly images made anew against the hardened model say how robust it is.\n";
}

class Hardening {
  public:
    explicit Hardening(const HardenOptions& options)
        : options_(options),
          settings_(
              RunSettings::resolve("harden", harden_settings(), options.given, options.out, options.resume)),
          products_(products_on(options.device, settings_.text("precision"), product_mode().libraries)),
          fresh_(is_fresh(settings_)),
          recipe_(recipe_of(settings_, fresh_)),
          weights_{settings_.real("clean-weight"), settings_.real("adversarial-weight")},
          attacks_(make_attacks(settings_)) {
        const auto augment = options.given.find("augment");
        if (!fresh_ && augment != options.given.end() && augment->second != "none")
            throw OptionsError("harden",
                               "expected --augment none with finetune-static, got " + augment->second,
                               "its images stay as they were attacked");
        open();
    }

    int run();

  private:
    std::string file(const char* name) const { return options_.out + '/' + name; }
    std::string when_made() const;
    Loader images(const std::vector<int64_t>& part) const {
        return Loader(*data_, part, judged_images(original_.card, recipe_));
    }

    void open();
    void announce() const;
    bool fit(Attacks& attacks, ModelClassifier& classifier) const;
    bool make_pairs();
    bool finished() const;
    int stopped(const std::string& where) const { return say_interrupted(settings_, options_.out, where); }
    ModelCard card_of_result() const;
    int judge(const std::string& path, LoadedModel hardened);

    const HardenOptions& options_;
    RunSettings settings_;
    ProductModeScope products_;
    bool fresh_;
    Recipe recipe_;
    PairWeights weights_;
    Attacks attacks_;  // those to learn from

    LoadedModel original_;
    std::string hash_;  // of its file
    std::unique_ptr<ModelClassifier> before_;
    std::unique_ptr<Dataset> data_;
    ModelParts parts_;
    std::optional<StaticPairs> pairs_;
    std::optional<AtomicFile> json_;  // opened first, so that a wrong path is found out before the work
};

void Hardening::open() {
    const std::string &model = required(settings_, "model"), &data = required(settings_, "data");
    original_ = load_model(model);
    original_.model->to(options_.device);
    hash_ = hex(hash_bytes(read_file(model, kMaxTensorFileBytes)));
    before_ = std::make_unique<ModelClassifier>(*original_.model, original_.card.options);
    data_ = open_dataset(data);
    require_classes(*data_, original_.card);
    if (!options_.resume) {
        parts_ = parts_for_model(*data_, model);
        return;
    }
    StoredSplit stored = split_of_run(options_.out, *data_);
    parts_ = {std::move(stored.split), stored.options, "split.json of this run"};
}

void Hardening::announce() const {
    const int64_t epochs = recipe_.epochs;
    const auto images = static_cast<int64_t>(parts_.split.train.size());
    const auto kinds = static_cast<int64_t>(attacks_.size());
    Passes all, cost{2 * epochs * images, 2 * epochs * images};
    for (const std::unique_ptr<Attack>& attack : attacks_) {
        all.forward += attack->cost().forward;
        all.backward += attack->cost().backward;
    }
    cost.forward += fresh_ ? epochs * images * all.forward / kinds : images * all.forward;
    cost.backward += fresh_ ? epochs * images * all.backward / kinds : images * all.backward;
    std::cout << "model   " << settings_.text("model") << ": " << original_.card.architecture << ", "
              << original_.card.classes.size() << " classes\nimages  " << settings_.text("data") << ", "
              << parts_.which << ": learns from the " << images << " that it was trained on, is judged on "
              << parts_.split.test.size() << " test images, which it never learns from\n";
    for (const std::unique_ptr<Attack>& attack : attacks_)
        std::cout << "attack  " << text_of(*attack) << '\n';
    std::cout << "        " << when_made() << "\ncost    " << cost_text(cost) << ", to learn" << std::endl;
}

// On training images, for this model; a pattern that was fitted for it before is read. False when
// interrupted.
bool Hardening::fit(Attacks& attacks, ModelClassifier& classifier) const {
    for (std::unique_ptr<Attack>& attack : attacks) {
        auto* universal = dynamic_cast<UniversalAttack*>(attack.get());
        if (!universal) continue;
        const std::string folder = file("universal"),
                          path = str(folder, '/', attack->name(), '-',
                                     hex(fingerprint_of(classifier.model())), ".safetensors");
        if (exists(path)) {
            universal->load(path);
            continue;
        }
        Loader training = images(parts_.split.train);
        if (fit_showing(*universal, classifier, training, options_.quiet).interrupted) return false;
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        if (error) throw IoError(folder, str("cannot make the folder: ", error.message()));
        universal->save(path);
    }
    return true;
}

// False when interrupted.
bool Hardening::make_pairs() {
    Loader clean = images(parts_.split.train);
    Progress progress("attacking training images",
                      static_cast<int64_t>(parts_.split.train.size() * attacks_.size()), "images",
                      ProgressOptions::detect(options_.quiet));
    int64_t done = 0;
    try {
        pairs_.emplace(*before_, clean, pointers(attacks_), recipe_.batch, recipe_.seed, [&](int64_t made) {
            progress.advance(made - done);
            done = made;
            return !interrupted();
        });
    } catch (const Interrupted&) {  // before the first batch was whole
        return false;
    }
    return !interrupted();
}

std::string Hardening::when_made() const {
    if (!fresh_) return "made once, against the model as it was";
    const bool patterns = std::any_of(attacks_.begin(), attacks_.end(), [](const auto& attack) {
        return dynamic_cast<const UniversalAttack*>(attack.get()) != nullptr;
    });
    return str("made anew in every step", patterns ? "; patterns fitted once, to the model as it was" : "");
}

// Whether the training is over, and wants no images any more.
bool Hardening::finished() const {
    const std::string checkpoint = file("checkpoint.safetensors");
    return options_.resume && exists(checkpoint) && read_checkpoint(checkpoint).finished;
}

ModelCard Hardening::card_of_result() const {
    ModelCard card = original_.card;
    card.training = description_of(recipe_);
    card.training["microtome"] = kVersion;
    if (product_mode().precision != Precision::f32)
        card.training["precision"] = str(product_mode().precision);
    card.training["data"] = settings_.text("data");
    card.training["training_images"] = str(parts_.split.train.size());
    card.training["hardened_from"] = settings_.text("model");
    card.training["hardened_from_hash"] = hash_;
    card.training["recipe"] = settings_.text("recipe");
    card.training["objective"] = str(weights_.clean, " CE(clean) + ", weights_.adversarial, " CE(attacked)");
    card.training["attacked_images"] = when_made();
    for (std::size_t k = 0; k < attacks_.size(); ++k)
        card.training[str("attack_", k + 1)] = text_of(*attacks_[k]);
    // How the model came to be that was hardened.
    for (const auto& [name, value] : original_.card.training) card.training["original." + name] = value;
    return card;
}

// The model in its file, judged beside the one it was made from.
int Hardening::judge(const std::string& path, LoadedModel hardened) {
    hardened.model->to(options_.device);
    ModelClassifier now(*hardened.model, hardened.card.options);
    const ProgressOptions progress = ProgressOptions::detect(options_.quiet);
    Attacks anew = make_attacks(settings_);
    Loader test = images(parts_.split.test);
    const Evaluation before = evaluate(*before_, test, pointers(attacks_), {.progress = progress});
    if (!before.complete || !fit(anew, now)) return stopped("while judging; the model is in " + path);
    std::vector<const Attack*> list = pointers(anew);
    Attacks stale;
    for (std::unique_ptr<Attack>& attack : attacks_) {
        stale.push_back(std::make_unique<Transferred>(std::move(attack), *before_, settings_.text("model")));
        list.push_back(stale.back().get());
    }
    attacks_.clear();
    const Evaluation after = evaluate(now, test, list, {.progress = progress});
    if (!after.complete) return stopped("while judging; the model is in " + path);
    print_table(before, after);

    Results results;
    results.seed = recipe_.seed;
    results.run = {{"command", "harden, recipe " + settings_.text("recipe")},
                   {"data", settings_.text("data")},
                   {"images", "the test part of " + parts_.which},
                   {"hardened from", str(settings_.text("model"), ", hash ", hash_)}};
    if (options_.device != kCpu) results.run.emplace_back("products", str(product_mode()));
    results.rows = rows_of(before, settings_.text("model"));
    const std::vector<ResultRow> rows = rows_of(after, path);
    results.rows.insert(results.rows.end(), rows.begin(), rows.end());
    RailReport rails = rails_of(after, rows,
                                {.unbounded = {},
                                 .disjoint = disjoint(identities_of(*data_, parts_.split.train, progress),
                                                      identities_of(*data_, parts_.split.test, progress))});
    results.rails = std::move(rails.rails);
    results.rails_not_run = std::move(rails.not_run);
    for (const Rail& rail : results.rails)
        if (!rail.pass) std::cout << table_of({rail});
    if (json_) {
        json_->write(to_json(results));
        json_->commit();
    }
    hardened.card.training["test_accuracy"] = share_text(after.clean_accuracy());
    for (std::size_t k = 0; k < anew.size(); ++k)
        hardened.card.training[str("test_accuracy_under_attack_", k + 1)] = share_of(after.outcomes[k]);
    save_model(path, *hardened.model, hardened.card);
    return results.pass() ? kDone : kCheckFailed;
}

int Hardening::run() {
    std::unique_ptr<Module> model = load_model(settings_.text("model")).model;
    model->to(options_.device);
    Loader training(*data_, parts_.split.train, training_images(original_.card, recipe_, options_.device));
    std::optional<Loader> validation;
    if (!parts_.split.val.empty())
        validation.emplace(*data_, parts_.split.val, judged_images(original_.card, recipe_, options_.device));
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(*model, recipe_);
    const ModelCard card = card_of_result();
    TrainerOptions wanted{.objective = paired_objective(weights_),
                          .validation_objective = cross_entropy_objective(),
                          .checkpoint = file("checkpoint.safetensors"),
                          .resume = options_.resume,
                          .config = card.training,
                          .progress = ProgressOptions::detect(options_.quiet),
                          .out = options_.quiet ? nullptr : &std::cout};
    if (fresh_) wanted.craft = fresh_pairs(pointers(attacks_), original_.card.options);
    apply(recipe_, training.batches(), wanted);
    wanted.config.erase("microtome");
    wanted.config["images"] = hex(listing_hash(*data_));
    Trainer trainer(*model, *optimizer, wanted);
    trainer.add<Logs>(options_.out);
    if (!options_.json.empty()) json_.emplace(options_.json);

    // Only now that nothing is refused any more.
    announce();
    if (!options_.resume)
        write_beginning(options_.out, settings_, original_.card, *data_, parts_.split, parts_.options);

    const InterruptGuard guard;
    if (!fit(attacks_, *before_)) return stopped("while an attack was fitted, which begins anew");
    if (!fresh_ && !finished() && !make_pairs())
        return stopped("while training images were attacked, which begins anew");
    BatchSource& source = pairs_ ? static_cast<BatchSource&>(*pairs_) : training;
    TrainingResult result;
    try {
        result = trainer.run(source, validation ? &*validation : nullptr);
    } catch (const NonFiniteError& error) {
        std::cerr << "microtome: " << error.what() << '\n';
        return kCheckFailed;
    }
    if (result.end == TrainingResult::End::interrupted)
        return stopped(str("after step ", result.steps, "; saved"));
    pairs_.reset();

    const std::string path = file("model.safetensors");
    save_model(path, *model, with_record(card, result.history.back()));
    std::cout << "\nhardened on " << parts_.split.train.size() << " images, " << result.history.size()
              << " epochs, " << result.steps << " steps; kept the last epoch's model\n";
    report_skipped(training);
    int status = kDone;
    if (parts_.split.test.empty())
        std::cout << "\nthere are no test images, so nobody knows how good it is\n";
    else
        status = judge(path, load_model(path));
    if (status == kMachineFailed) return status;
    std::cout << "\n  " << path << "\n  " << file(kCsvLog) << ", " << kJsonLog << ", TensorBoard events\n  "
              << file("config.json") << ", split.json\n";
    if (!options_.quiet)
        std::cout << "\nnext: microtome evaluate --model " << path << " --data " << settings_.text("data")
                  << " --suite standard --out " << file("evaluation") << '\n';
    return status;
}

}  // namespace

const std::vector<Setting>& harden_settings() {
    static const std::vector<Setting> settings{
        {"model", "", "the model file to begin with; it stays as it is"},
        {"data", "", "the images that it was trained on: the set, with its test images"},
        {"recipe", "finetune",
         "finetune: every image meets an attack anew in every step; finetune-static: attacked once, at the "
         "model as it was"},
        {"attack", "pgd", "which attacks, in turn: pgd, fgsm, universal, patch, ..., apart by commas"},
        {"eps", "",
         "how far they may go: 8/255 or 0.03, for images in [0,1]; 3/255 if not said, and a profile's own"},
        {"steps", "", "of attacks that have steps; 5 if not said, and a profile's own"},
        {"clean-weight", "0.5", "of the loss on the images as they are"},
        {"adversarial-weight", "0.5", "of the loss on the attacked ones"},
        {"epochs", "8", "times that every training image is seen"},
        {"batch", "32", "images in a step, each with its attacked version"},
        {"lr", "0.0001", "learning rate at its highest: Adam, falling along a cosine"},
        {"augment", kUsualAugmentation,
         "what may happen to an image before it is attacked, as `microtome train` has it; finetune-static: "
         "nothing"},
        {"precision", "f32", kPrecisionAbout},
        {"seed", "0", "of order, augmentation, dropout and the attacks' draws"}};
    return settings;
}

int harden(const HardenOptions& options) {
    if (!options.resume) require_new_run(options.out);
    return Hardening(options).run();
}

}  // namespace microtome::apps
