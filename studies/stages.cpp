#include "studies/stages.hpp"

#include "attacks/pgd.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/interrupt.hpp"
#include "data/audit.hpp"
#include "data/groups.hpp"
#include "data/open.hpp"
#include "data/tissue.hpp"
#include "studies/outcome_file.hpp"
#include "tensor/kernels/context.hpp"
#include "training/best_model.hpp"
#include "training/checkpoint.hpp"
#include "training/class_weights.hpp"
#include "training/logs.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

namespace microtome {
namespace {

constexpr int64_t kUnboundedImages = 100;
constexpr int64_t kUnboundedSteps = 10;

bool exists(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

const ModelPreset& model_of(const StudyRun& run, const TrainingVariant& variant) {
    return variant.model ? *variant.model : run.preset.model;
}

// The weights that a model begins with, if it does not begin with another's or with initial ones.
std::string init_of(const StudyRun& run, const TrainingVariant& variant) {
    if (variant.start) return "";
    return !variant.model && !run.options.init.empty() ? run.options.init : model_of(run, variant).init;
}

// As the preset says, or as a file of weights says of itself.
ModelCard card_for(const StudyRun& run, const TrainingVariant& variant,
                   const std::optional<GivenWeights>& given) {
    const ModelPreset& model = model_of(run, variant);
    ModelOptions options{.classes = 0, .numbers = model.numbers};
    set_normalization(options.image, model.normalize);
    options.image.resize = true;
    const ModelCard* stated = given && given->card ? &*given->card : nullptr;
    if (variant.start) stated = &variant.start->loaded.card;
    if (stated) {
        if (stated->architecture != model.architecture)
            throw OptionsError("study", str("expected weights of ", model.architecture,
                                            ", as the preset says, "
                                            "got weights of ",
                                            stated->architecture));
        options = stated->options;
    }
    options.classes = static_cast<int64_t>(run.data->classes().size());
    for (const auto& [name, number] : variant.numbers) options.numbers[name] = number;
    if (model.size > 0) options.image.height = options.image.width = model.size;
    return {.architecture = model.architecture,
            .options = complete_options(model.architecture, options),
            .classes = run.data->classes(),
            .training = {}};
}

// Early stopping goes back to the epoch of the lowest validation loss; else the last one stays.
int64_t kept_epoch(const Recipe& recipe, const std::vector<EpochRecord>& history) {
    if (history.empty()) return 0;
    if (recipe.early_stopping == 0 || !recipe.restore_best) return history.back().epoch;
    int64_t best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (const EpochRecord& epoch : history)
        if (epoch.val_loss && *epoch.val_loss < least) least = *epoch.val_loss, best = epoch.epoch;
    return best;
}

// Adds the copies that can be seen to the groups that the set knows. What was found is kept in the folder.
bool join_copies(StudyRun& run) {
    const std::string path = run.folder("") + "groups.csv";
    std::vector<std::string> groups;
    if (exists(path)) {
        groups = read_groups(path, *run.data);
    } else {
        run.say("looking for turned and mirrored copies");
        struct Stop {};
        Progress reading("reading images", run.data->size(), "images", run.options.progress);
        std::optional<Progress> comparing;
        const auto stop_when_asked = [] {
            if (interrupted()) throw Stop{};
        };
        const AuditOptions steps{.read_step =
                                     [&](int64_t images) {
                                         reading.advance(images);
                                         stop_when_asked();
                                     },
                                 .compare_step =
                                     [&](int64_t images) {
                                         if (!comparing)
                                             comparing.emplace("comparing images", run.data->size(), "images",
                                                               run.options.progress);
                                         comparing->advance(images);
                                         stop_when_asked();
                                     }};
        try {
            groups = groups_of(*run.data, audit(*run.data, steps));
        } catch (const Stop&) {
            return false;
        }
        write_groups(path, *run.data, groups);
    }
    run.data = with_groups(std::move(run.data), std::move(groups));
    return true;
}

// Takes out of `images` those of a group that is in `judges` too.
std::vector<int64_t> leave_out(const Dataset& data, std::vector<int64_t>& images,
                               const std::vector<int64_t>& judges) {
    std::set<std::string> groups;
    for (int64_t i : judges) groups.insert(data.samples()[i].group);
    groups.erase("");
    std::vector<int64_t> kept, taken;
    for (int64_t i : images) (groups.contains(data.samples()[i].group) ? taken : kept).push_back(i);
    images = std::move(kept);
    return taken;
}

// A name for what an attack, told what it is told, does to a model of this fingerprint.
std::string label_of(const Attack& attack, uint64_t model) {
    uint64_t hash = hash_bytes(attack.name(), model);
    for (const auto& [name, value] : attack.options()) hash = hash_bytes(str(name, "=", value, ";"), hash);
    return str(attack.name(), "-", hex(hash).substr(8));
}

}  // namespace

std::string StudyRun::folder(const std::string& name) const {
    std::string path = options.out + "/" + name;
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) throw IoError(path, str("cannot make the folder: ", error.message()));
    return path;
}

std::string witnesses_of(const std::string& model) {
    return "witnesses/" + model;
}

void StudyRun::say(const std::string& line) const {
    if (options.log) *options.log << line << std::endl;
}

Loader StudyRun::images(const std::vector<int64_t>& part, int64_t batch, Device device) const {
    const int64_t side = preset.data.resize;
    return Loader(*data, part, {.batch = batch, .height = side, .width = side, .device = device});
}

bool open_data(StudyRun& run) {
    const DataPreset& preset = run.preset.data;
    if (run.options.data.empty()) {
        run.data = std::make_unique<TissueDataset>(
            TissueOptions{.per_class = preset.per_class, .size = preset.size, .seed = run.preset.seed});
    } else {
        run.data = open_dataset(run.options.data);
        if (preset.find_copies && !join_copies(run)) return false;
    }
    run.split_options = {
        .kind = preset.split == "natural" ? natural_split(*run.data) : split_kind(preset.split),
        .train = preset.train,
        .val = preset.val,
        .test = preset.test,
        .seed = run.preset.seed,
        .max_train = preset.max_train,
        .max_val = preset.max_val,
        .max_test = preset.max_test};
    run.folder("");
    const std::string path = run.options.out + "/split.json";
    if (!exists(path)) {
        run.split = make_split(*run.data, run.split_options);
        write_split(path, *run.data, run.split, run.split_options);
    } else {
        StoredSplit stored = read_split(path, *run.data);
        if (!stored.same_listing || !(stored.options == run.split_options))
            throw OptionsError("study",
                               str("expected ", run.options.out,
                                   " to hold this study, got one of other images ", "or another split"),
                               "give --out another folder, or remove that one");
        run.split = std::move(stored.split);
    }
    for (auto [from, judges] : {std::pair{&run.split.val, &run.split.test},
                                {&run.split.train, &run.split.test},
                                {&run.split.train, &run.split.val}})
        for (int64_t i : leave_out(*run.data, *from, *judges)) run.left_out.push_back(i);
    for (const auto& [part, images] :
         {std::pair{"training", &run.split.train}, {"validation", &run.split.val}, {"test", &run.split.test}})
        if (images->empty())
            throw OptionsError("study", str("expected images in the ", part, " part, got none"),
                               "change [data] in the preset");
    return true;
}

LoadedModel new_model(const StudyRun& run, const Recipe& recipe) {
    const std::string init = init_of(run, {});
    std::optional<GivenWeights> given;
    if (!init.empty()) given = read_given_weights(init);
    LoadedModel result{.model = nullptr, .card = card_for(run, {}, given)};
    result.model = make_model(result.card.architecture, result.card.options);
    result.model->initialize(recipe.seed);
    if (given) inherit(*result.model, result.card, *given);
    return result;
}

std::optional<TrainedModel> train_stage(const StudyRun& run, const std::string& name, const Recipe& recipe,
                                        const TrainingVariant& variant) {
    const std::string folder = run.folder(name), model_path = folder + "/model.safetensors",
                      checkpoint = folder + "/checkpoint.safetensors";
    std::optional<TrainedModel> result(std::in_place);
    result->name = name;
    result->recipe = description_of(recipe);
    const std::string init = init_of(run, variant);
    std::optional<GivenWeights> given;
    if (!init.empty()) given = read_given_weights(init);
    if (exists(model_path) && exists(checkpoint)) {
        result->loaded = load_model(model_path);
        result->loaded.model->to(run.options.device);
        const std::map<std::string, std::string>& record = result->loaded.card.training;
        const auto before = record.find("init_hash");
        if ((before == record.end() ? "" : before->second) != (given ? hex(given->hash) : ""))
            throw OptionsError("study",
                               str("expected ", name,
                                   " to begin with the weights it was trained from, "
                                   "got ",
                                   init.empty() ? "none" : init),
                               "give --out another folder for other weights");
        for (const char* key : {"init", "init_hash"})
            if (const auto entry = record.find(key); entry != record.end()) result->recipe.insert(*entry);
        result->history = read_checkpoint(checkpoint).history;
        result->kept_epoch = kept_epoch(recipe, result->history);
        run.say(str(name, ": trained already, ", model_path));
        return result;
    }
    ModelCard card = card_for(run, variant, given);
    std::unique_ptr<Module> model = make_model(card.architecture, card.options);
    model->initialize(recipe.seed);
    if (variant.start) model->load(variant.start->loaded.model->state());
    if (given) {
        const Inherited inherited = inherit(*model, card, *given);
        std::string text = init;
        for (const std::string& anew : inherited.anew)
            text += (anew == inherited.anew.front() ? ", but anew: " : ", ") + anew;
        for (const std::string& note : inherited.notes) text += "; " + note;
        run.say(str(name, " begins with ", text));
        result->recipe["init"] = text;
        result->recipe["init_hash"] = hex(given->hash);
    }
    freeze(*model, recipe);
    model->to(run.options.device);

    Loader train(*run.data, run.split.train,
                 {.batch = recipe.batch,
                  .shuffle = true,
                  .balanced = recipe.balanced,
                  .seed = recipe.seed,
                  .augmentation = recipe.augmentation,
                  .height = run.preset.data.resize,
                  .width = run.preset.data.resize,
                  .device = run.options.device});
    Loader validation = run.images(run.split.val, kAttackBatch, run.options.device);
    BatchSource& source = variant.source ? *variant.source : train;

    std::unique_ptr<Optimizer> optimizer = make_optimizer(*model, recipe);
    TrainerOptions options{.objective = variant.objective,
                           .validation_objective = cross_entropy_objective(),
                           .craft = variant.craft,
                           .checkpoint = checkpoint,
                           .resume = true,
                           .progress = run.options.progress,
                           .out = run.options.log};
    if (!recipe.class_weights.empty()) {
        std::vector<int64_t> counts(run.data->classes().size());
        for (int64_t i : run.split.train) ++counts[run.data->samples()[i].label];
        const std::vector<double> weights = class_weights(recipe.class_weights, counts);
        options.objective =
            class_weighted(options.objective ? options.objective : cross_entropy_objective(), weights);
        options.validation_objective = class_weighted(cross_entropy_objective(), weights);
    }
    apply(recipe, source.batches(), options);
    if (given) options.config["init"] = hex(given->hash);
    Trainer trainer(*model, *optimizer, std::move(options));
    add_callbacks(recipe, trainer);
    trainer.add<Logs>(folder);
    TrainingResult trained = trainer.run(source, &validation);
    if (trained.end == TrainingResult::End::interrupted) return std::nullopt;

    result->history = std::move(trained.history);
    result->kept_epoch = kept_epoch(recipe, result->history);
    card.training = result->recipe;
    if (!result->history.empty()) card = with_record(card, result->history.back());
    save_model(model_path, *model, card);
    result->loaded = {std::move(model), std::move(card)};
    result->loaded.model->eval();
    return result;
}

std::optional<AttackedModel> attack_stage(const StudyRun& run, const std::string& model,
                                          Classifier& classifier, const std::vector<const Attack*>& attacks) {
    const std::string folder = run.folder("attacks/" + model);
    Loader test = run.images(run.split.test, kAttackBatch);
    EvaluationOptions options{.name_of = [&](int64_t id) { return run.data->samples()[id].name; },
                              .progress = run.options.progress};
    AttackedModel result{evaluate(classifier, test, {}, options), {}};
    if (!result.evaluation.complete) return std::nullopt;
    const uint64_t fingerprint = result.evaluation.model_before.value_or(0);

    for (const Attack* attack : attacks) {
        const std::string label = label_of(*attack, fingerprint), path = str(folder, "/", label, ".json");
        std::optional<AttackOutcome> outcome = read_outcome(path);
        if (!outcome) {
            options.witnesses = str(run.options.out, "/", witnesses_of(model), "/", label);
            Evaluation one = evaluate(classifier, test, {attack}, options);
            if (!one.complete) return std::nullopt;
            result.evaluation.model_after = one.model_after;
            result.evaluation.batch_dependence =
                std::max(result.evaluation.batch_dependence, one.batch_dependence);
            outcome = std::move(one.outcomes.at(0));
            if (!outcome->witnesses.empty()) outcome->witnesses = label + "/" + outcome->witnesses;
            write_outcome(path, *outcome);
        }
        result.evaluation.outcomes.push_back(*std::move(outcome));
    }

    std::vector<int64_t> some = limit_per_class(
        *run.data, run.split.test,
        std::max<int64_t>(1, kUnboundedImages / static_cast<int64_t>(run.data->classes().size())),
        run.preset.seed);
    Loader few = run.images(some, kAttackBatch);
    Pgd unbounded({.epsilon = 1, .steps = kUnboundedSteps, .seed = run.preset.seed});
    Evaluation free = evaluate(classifier, few, {&unbounded}, {.progress = run.options.progress});
    if (!free.complete) return std::nullopt;
    result.unbounded.n = free.images();
    for (const AttackedImage& image : free.outcomes.at(0).images) result.unbounded.count += image.right();
    return result;
}

}  // namespace microtome
