#include "apps/train.hpp"

#include "apps/command.hpp"
#include "apps/precision.hpp"
#include "apps/train_settings.hpp"
#include "apps/training_run.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/interrupt.hpp"
#include "base/json_writer.hpp"
#include "base/version.hpp"
#include "data/loader.hpp"
#include "data/open.hpp"
#include "data/split.hpp"
#include "data/tissue.hpp"
#include "evaluation/metrics.hpp"
#include "nn/transfer.hpp"
#include "training/best_model.hpp"
#include "training/checkpoint.hpp"
#include "training/class_weights.hpp"
#include "training/logs.hpp"

#include <algorithm>
#include <iostream>

namespace microtome::apps {
namespace {

// Everything there is between settings and the loop.
struct Run {
    const TrainOptions& options;
    RunSettings settings;
    Recipe recipe{};
    std::unique_ptr<Dataset> data{};
    Split split{};
    SplitOptions split_options{};
    ModelCard card{};
    std::unique_ptr<Module> model{};
    std::string begun_with{};  // what --init gave, in words
    std::string given_hash{};  // of the file that --init names; empty: none

    std::string file(const char* name) const { return options.out + '/' + name; }
    const std::string& data_path() const { return settings.text("data"); }
    std::string data_text() const { return data_path().empty() ? "the built-in tissue" : data_path(); }
};

void open_data(Run& run) {
    const RunSettings& settings = run.settings;
    if (run.data_path().empty())
        run.data = std::make_unique<TissueDataset>(
            TissueOptions{.per_class = settings.whole("per-class"), .seed = run.recipe.seed});
    else
        run.data = open_dataset(run.data_path());

    const std::vector<std::string> shares = settings.list("shares");
    if (shares.size() != 3)
        throw OptionsError("train",
                           str("expected three shares for --shares, got '", settings.text("shares"), "'"));
    SplitOptions wanted{.seed = run.recipe.seed};
    wanted.kind =
        settings.text("split") == "natural" ? natural_split(*run.data) : split_kind(settings.text("split"));
    double* parts[] = {&wanted.train, &wanted.val, &wanted.test};
    for (std::size_t i = 0; i < 3; ++i) {
        RunSettings one = settings;
        one.set("shares", shares[i]);
        *parts[i] = one.real("shares");
    }
    run.split_options = wanted;
    if (run.options.resume) {
        run.split = split_of_run(run.options.out, *run.data).split;
    } else {
        run.split = make_split(*run.data, wanted);
    }
}

// 1 or 3, as the first image that can be read has.
int64_t channels_of(const Dataset& data, const std::vector<int64_t>& images) {
    for (int64_t i : images) try {
            return data.read(i).size(2);
        } catch (const FormatError&) {
        } catch (const IoError&) {
        }
    throw FormatError(data.path(), "expected an image that can be read, got none");
}

// What black and white become, and what follows: as said, or as a model file says of itself.
void set_pixels(const Run& run, const std::optional<GivenWeights>& given, ImageOptions& image) {
    const std::string &init = run.settings.text("init"), &range = run.settings.text("range"),
                      &normalize = run.settings.text("normalize");
    if (given && given->card) {
        if (!range.empty() || !normalize.empty())
            throw OptionsError("train", str("expected no --range and --normalize, since ", init,
                                            " says what its weights were trained on"));
        return;
    }
    if (given && (range.empty() || normalize.empty()))
        throw OptionsError("train", str("expected --range and --normalize: ", init, " does not say them"),
                           "torchvision's weights were trained with --range 0,1 --normalize imagenet");
    if (!range.empty()) {
        std::vector<double> ends;
        for (const std::string& end : run.settings.list("range")) {
            RunSettings one = run.settings;
            one.set("range", end);
            ends.push_back(one.real("range"));
        }
        if (ends.size() != 2)
            throw OptionsError("train", str("expected --range LOW,HIGH, got '", range, "'"));
        image.low = ends[0];
        image.high = ends[1];
    }
    if (!normalize.empty()) set_normalization(image, normalize);
}

void make_model_of(Run& run) {
    const RunSettings& settings = run.settings;
    const std::string& init = settings.text("init");
    std::optional<GivenWeights> given;
    if (!init.empty()) given = read_given_weights(init);
    run.card.architecture = settings.text("arch");
    run.card.classes = run.data->classes();
    ModelOptions& options = run.card.options;
    if (given && given->card) {
        const ModelCard& card = *given->card;
        if (run.options.given.contains("arch") && card.architecture != run.card.architecture)
            throw OptionsError("train", str("expected --arch ", card.architecture, ", as ", init,
                                            " has, got ", run.card.architecture));
        run.card.architecture = card.architecture;
        run.settings.set("arch", card.architecture);
        options = card.options;
    } else {
        options.image.resize = true;
        options.image.channels = given ? 3 : channels_of(*run.data, run.split.train);
        // Few images mean few steps: running statistics must follow within them (Keras's 0.99 does not).
        if (run.card.architecture == "cnn") options.numbers["bn_momentum"] = 0.9;
    }
    set_pixels(run, given, options.image);
    options.classes = static_cast<int64_t>(run.card.classes.size());
    if (settings.whole("size") != 0) options.image.height = options.image.width = settings.whole("size");
    for (const auto& [name, number] : settings.numbers("numbers")) options.numbers[name] = number;
    options = complete_options(run.card.architecture, options);
    run.card.training = description_of(run.recipe);
    run.card.training["microtome"] = kVersion;
    if (product_mode().precision != Precision::f32)
        run.card.training["precision"] = str(product_mode().precision);
    run.card.training["data"] = run.data_text();
    run.card.training["training_images"] = std::to_string(run.split.train.size());
    run.model = make_model(run.card.architecture, options);
    run.model->initialize(run.recipe.seed);
    if (given) {
        const Inherited inherited = inherit(*run.model, run.card, *given);
        run.begun_with = init;
        for (const std::string& name : inherited.anew)
            run.begun_with += (name == inherited.anew.front() ? ", but anew: " : ", ") + name;
        for (const std::string& note : inherited.notes) run.begun_with += "; " + note;
        run.card.training["init"] = run.begun_with;
        run.given_hash = hex(given->hash);
    }
    freeze(*run.model, run.recipe);
    run.model->to(run.options.device);
}

// Training images of each class.
std::vector<int64_t> counts_of(const Run& run) {
    std::vector<int64_t> counts(run.card.classes.size());
    for (int64_t i : run.split.train) ++counts[static_cast<std::size_t>(run.data->samples()[i].label)];
    return counts;
}

// How well the finished model does on a part it did not learn from.
struct Judged {
    std::string part;
    Share accuracy;
    double loss = 0;
    Share largest_class;  // what the answer "always the commonest class" would give
};

Judged judge(const Run& run, Module& model, const std::string& name, const std::vector<int64_t>& part) {
    Loader images(*run.data, part, judged_images(run.card, run.recipe, run.options.device));
    Progress progress("judging", images.images(), "images", ProgressOptions::detect(run.options.quiet));
    std::vector<int64_t> counts(run.card.classes.size());
    const Scores scores =
        score(model, images, cross_entropy_objective(), [&](const Batch& batch, const Tensor&) {
            for (int64_t label : batch.targets.data<int64_t>()) ++counts[static_cast<std::size_t>(label)];
            progress.advance(batch.images.size(0));
            return !interrupted();
        });
    return {name,
            {scores.correct, scores.images},
            scores.loss,
            {*std::max_element(counts.begin(), counts.end()), scores.images}};
}

void write_result(const Run& run, const TrainingResult& result, int64_t kept,
                  const std::vector<Judged>& parts) {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("model", run.file("model.safetensors")).field("epochs", result.history.size());
    json.field("kept_epoch", kept).field("steps", result.steps).key("accuracy").object();
    for (const Judged& judged : parts) {
        const Interval interval = judged.accuracy.interval();
        json.key(judged.part)
            .object()
            .field("n", judged.accuracy.n)
            .field("n_correct", judged.accuracy.count);
        json.field("accuracy", judged.accuracy.value())
            .key("wilson")
            .array()
            .value(interval.low)
            .value(interval.high);
        json.end().field("loss", judged.loss).field("largest_class", judged.largest_class.value()).end();
    }
    write_file(run.options.json, json.end().end().text() + '\n');
}

int finish(const Run& run, const TrainingResult& result, const Loader& train, int64_t kept) {
    const std::string path = run.file("model.safetensors");
    if (kept == 0) {
        kept = result.history.back().epoch;
        save_model(path, *run.model, with_record(run.card, result.history.back()));
    }
    LoadedModel model = load_model(path);
    model.model->to(run.options.device);
    std::vector<Judged> parts;
    if (!run.split.val.empty()) parts.push_back(judge(run, *model.model, "val", run.split.val));
    if (!run.split.test.empty()) parts.push_back(judge(run, *model.model, "test", run.split.test));
    if (interrupted()) {
        std::cerr << "microtome: interrupted while judging; the model is in " << path << '\n';
        return kMachineFailed;
    }
    if (!run.split.test.empty()) model.card.training["test_accuracy"] = share_text(parts.back().accuracy);
    save_model(path, *model.model, model.card);
    double seconds = 0;
    for (const EpochRecord& record : result.history) seconds += record.seconds;
    std::cout << "\ntrained " << run.card.architecture << " on " << run.data_text() << ": "
              << run.split.train.size() << " images, " << result.history.size() << " epochs, " << result.steps
              << " steps, " << duration_text(seconds) << '\n';
    if (result.end == TrainingResult::End::stopped) std::cout << "stopped: " << result.why << '\n';
    if (!run.begun_with.empty()) std::cout << "began with " << run.begun_with << '\n';
    report_skipped(train);
    std::cout << "\nkept the model of epoch " << kept
              << (run.split.val.empty() ? ", the last" : ", the one of the lowest validation loss") << '\n';
    for (const Judged& judged : parts)
        std::cout << "  " << (judged.part == "val" ? "validation" : "test      ") << "  accuracy "
                  << share_text(judged.accuracy)
                  << "; always the commonest class: " << share_text(judged.largest_class) << '\n';
    std::cout << "\n  " << path << "\n  " << run.file(kCsvLog) << ", " << kJsonLog
              << ", TensorBoard events\n  " << run.file("config.json") << ", split.json\n";
    if (!run.options.json.empty()) write_result(run, result, kept, parts);
    if (!run.options.quiet) {
        const bool drawn = run.data_path().empty();
        const std::string tissue = run.file("tissue");
        if (drawn)
            std::cout << "\nnext: microtome data synth --per-class " << run.settings.text("per-class")
                      << " --seed " << run.recipe.seed << " --out " << tissue << "\n      ";
        std::cout << (drawn ? "" : "\nnext: ") << "microtome evaluate --model " << path << " --data "
                  << (drawn ? tissue : run.data_path()) << " --out " << run.file("evaluation") << '\n';
    }
    return kDone;
}

}  // namespace

int train(const TrainOptions& options) {
    if (!options.resume) require_new_run(options.out);
    Run run{.options = options,
            .settings =
                RunSettings::resolve("train", train_settings(), options.given, options.out, options.resume)};
    const ProductModeScope products(
        products_on(options.device, run.settings.text("precision"), product_mode().libraries));
    run.recipe = train_recipe(run.settings);
    open_data(run);
    make_model_of(run);

    Loader images(*run.data, run.split.train, training_images(run.card, run.recipe, options.device));
    std::unique_ptr<Loader> validation;
    if (!run.split.val.empty())
        validation = std::make_unique<Loader>(*run.data, run.split.val,
                                              judged_images(run.card, run.recipe, options.device));
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(*run.model, run.recipe);
    TrainerOptions wanted{.checkpoint = run.file("checkpoint.safetensors"),
                          .resume = options.resume,
                          .progress = ProgressOptions::detect(options.quiet),
                          .out = options.quiet ? nullptr : &std::cout};
    apply(run.recipe, images.batches(), wanted);
    wanted.config["images"] = hex(listing_hash(*run.data));
    if (!run.given_hash.empty()) wanted.config["init"] = run.given_hash;
    if (!run.recipe.class_weights.empty())
        wanted.objective = class_weighted(cross_entropy_objective(),
                                          class_weights(run.recipe.class_weights, counts_of(run)));
    Trainer trainer(*run.model, *optimizer, wanted);
    add_callbacks(run.recipe, trainer);
    BestModel* best = nullptr;
    if (validation)
        best = &trainer.add<BestModel>(
            BestModelOptions{.path = run.file("model.safetensors"), .card = run.card});
    trainer.add<Logs>(options.out);

    // Only now that nothing is refused any more.
    if (!options.resume)
        write_beginning(options.out, run.settings, run.card, *run.data, run.split, run.split_options);

    const InterruptGuard guard;
    try {
        const TrainingResult result = trainer.run(images, validation.get());
        if (result.end == TrainingResult::End::interrupted)
            return say_interrupted(run.settings, options.out, str("after step ", result.steps, "; saved"));
        return finish(run, result, images, best ? best->best_epoch() : 0);
    } catch (const NonFiniteError& error) {
        std::cerr << "microtome: " << error.what() << '\n';
        return kCheckFailed;
    }
}

}  // namespace microtome::apps
