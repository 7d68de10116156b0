#include "studies/cervix.hpp"

#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "nn/safetensors.hpp"
#include "studies/cervix_notebook.hpp"
#include "tensor/random.hpp"
#include "training/checkpoint.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace microtome {
namespace {

constexpr double kTrainShare = 0.8;

// The images of the notebook's own split, drawn without a look at what is alike.
struct Pool {
    std::vector<int64_t> train, test;
};

Pool pool_of(const StudyRun& run) {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < run.data->size(); ++i)
        if (run.data->samples()[i].part != "test") all.push_back(i);
    all = limit_per_class(*run.data, all, run.preset.data.max_train, run.preset.seed);
    const auto count = static_cast<int64_t>(all.size());
    const auto train = static_cast<int64_t>(kTrainShare * static_cast<double>(count));
    Pool pool;
    for (int64_t place : random_permutation({run.preset.seed, purpose_of("cervix notebook split")}, count)) {
        std::vector<int64_t>& part = static_cast<int64_t>(pool.train.size()) < train ? pool.train : pool.test;
        part.push_back(all[place]);
    }
    if (pool.train.empty() || pool.test.empty())
        throw OptionsError("study", str("expected images for a split of 80 to 20, got ", count));
    std::sort(pool.train.begin(), pool.train.end());
    std::sort(pool.test.begin(), pool.test.end());
    return pool;
}

// How far the loops have come: the next epoch, and the counts of the last epoch of each.
struct LoopProgress {
    int64_t loop = 0, epoch = 0;
    std::vector<CervixLoopCounts> counts{};
};

void write_progress(const std::string& path, const LoopProgress& progress, const Module& model,
                    const Optimizer& optimizer) {
    TensorFile file{.tensors = optimizer.state(), .metadata = {}};
    append_under(file.tensors, "model.", model.state());
    std::string counts;
    for (const CervixLoopCounts& one : progress.counts)
        counts += str(one.images, ' ', one.correct, ' ', one.attacked, ' ');
    file.metadata = {{"progress", str(progress.loop, ' ', progress.epoch, ' ', counts)}};
    write_tensors(path, file);
}

LoopProgress read_progress(const std::string& path, Module& model, Optimizer& optimizer) {
    const TensorFile file = read_tensors(path);
    LoopProgress progress;
    const auto text = file.metadata.find("progress");
    std::istringstream numbers(text == file.metadata.end() ? "" : text->second);
    if (!(numbers >> progress.loop >> progress.epoch))
        throw FormatError(path, "expected how far the loops have come, got another file");
    for (CervixLoopCounts one; numbers >> one.images >> one.correct >> one.attacked;)
        progress.counts.push_back(one);
    if (progress.loop < 0 || progress.loop > static_cast<int64_t>(cervix_loops().size()) ||
        progress.epoch < 0 ||
        static_cast<int64_t>(progress.counts.size()) != progress.loop + (progress.epoch > 0))
        throw FormatError(path, str("expected counts for each loop, got \"", text->second, '"'));
    model.load(entries_under(file.tensors, "model."), path);
    optimizer.restore(file.tensors);
    return progress;
}

// Nothing when interrupted.
std::optional<std::vector<CervixLoopCounts>> run_loops(const StudyRun& run, Module& model, Loader& images) {
    const Recipe& recipe = run.preset.training;
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(model, recipe);
    const std::string path = run.folder("published") + "/progress.safetensors";
    LoopProgress progress;
    if (std::filesystem::exists(path)) progress = read_progress(path, model, *optimizer);
    const auto loops = static_cast<int64_t>(cervix_loops().size());
    Progress shown("the notebook's loops", loops * recipe.epochs * images.images(), "images",
                   run.options.progress);
    shown.advance((progress.loop * recipe.epochs + progress.epoch) * images.images());
    while (progress.loop < loops) {
        const CervixLoop loop = cervix_loops()[progress.loop];
        const CervixLoopCounts counts =
            run_cervix_epoch(model, *optimizer, loop, images, progress.epoch + progress.loop * recipe.epochs,
                             run.preset.seed, [&](int64_t done) {
                                 shown.advance(done);
                                 return !interrupted();
                             });
        if (interrupted()) return std::nullopt;
        progress.counts.resize(progress.loop + 1);
        progress.counts.back() = counts;
        if (++progress.epoch == recipe.epochs) {
            run.say(str("loop ", name_of(loop), ": ", counts.correct, " of ", counts.images, " right"));
            progress.epoch = 0;
            ++progress.loop;
        }
        write_progress(path, progress, model, *optimizer);
    }
    return progress.counts;
}

struct AttackSet {
    std::vector<CervixNotebookAttack> attacks;
    std::vector<const Attack*> list;

    AttackSet(bool sound, bool with_clamp, uint64_t seed) {
        using enum CervixAttack;
        attacks.reserve(5);
        for (CervixAttack attack : {fgsm, rpa, gna, bim}) attacks.emplace_back(attack, sound, seed);
        if (with_clamp) attacks.emplace_back(CervixAttack::clamp, sound, seed);
        for (const CervixNotebookAttack& attack : attacks) list.push_back(&attack);
    }
};

Share share_right(const Evaluation& evaluation, std::size_t outcome) {
    Share share{.count = 0, .n = evaluation.images()};
    for (const AttackedImage& image : evaluation.outcomes.at(outcome).images) share.count += image.right();
    return share;
}

// V14 by the notebook's own way to attack: train mode.
Rail crafted_in_train_mode(Module& model, Loader& images, uint64_t seed) {
    model.train();
    const uint64_t before = fingerprint_of(model);
    images.start(0);
    const std::optional<Batch> batch = images.next();
    model(batch->images, {.seed = seed, .step = 0, .ids = batch->ids});  // an attack's forward pass
    return unaltered_model(before, fingerprint_of(model), 0);
}

}  // namespace

std::optional<NotebookFindings> cervix_stage(const StudyRun& run, Classifier& baseline) {
    run.say("the study as its notebook ran it: five trainings, one after the other, of one network");
    const ProgressOptions& progress = run.options.progress;
    const uint64_t seed = run.preset.seed;
    const Pool pool = pool_of(run);
    Recipe recipe = run.preset.training;
    recipe.seed = seed;
    LoadedModel network = new_model(run, recipe);
    const int64_t side = run.preset.data.resize;
    Loader train(*run.data, pool.train,
                 {.batch = recipe.batch, .shuffle = true, .seed = seed, .height = side, .width = side});
    std::optional<std::vector<CervixLoopCounts>> loops = run_loops(run, *network.model, train);
    if (!loops) return std::nullopt;

    // Its test, in eval mode as the notebook's is.
    Loader rest = run.images(pool.test, kAttackBatch), test = run.images(run.split.test, kAttackBatch);
    const AttackSet published(false, true, seed), sound(true, false, seed);
    const std::vector<const Attack*> four(published.list.begin(), published.list.begin() + 4);
    ModelClassifier classifier(*network.model, network.card.options);
    const Evaluation kept = evaluate(classifier, rest, four, {.progress = progress});
    if (!kept.complete) return std::nullopt;
    // The same attacks on the baseline, with the clamp where it was and where it belongs.
    const Evaluation clamped = evaluate(baseline, test, published.list, {.progress = progress});
    if (!clamped.complete) return std::nullopt;
    const Evaluation corrected = evaluate(baseline, test, sound.list, {.progress = progress});
    if (!corrected.complete) return std::nullopt;

    // len(dataset) in the notebook: what can be read, of which 80 % are iterated over.
    const int64_t all = loops->front().images + kept.images();
    auto printed = [&](int64_t count) { return Share{.count = count, .n = all}; };
    auto of_seen = [&](std::size_t loop, int64_t count) {
        return Share{.count = count, .n = loops->at(loop).images};
    };
    const std::vector<CervixLoopCounts>& counts = *loops;
    const Share clean = corrected.clean_accuracy();
    constexpr const char* kDenominator = "Divided by all images, of which 80 % were looked at. ";
    constexpr const char* kClamp =
        "Clamped to [0, 1] after normalization, which blackens all below ImageNet's mean whatever the "
        "attack. ";
    constexpr const char* kCarried =
        "The network of five trainings on end, the last of which added the attack's gradients to its steps. ";
    NotebookFindings findings;
    findings.comparisons = {
        {"right in training, first loop", "", ".7855", printed(counts[0].correct),
         of_seen(0, counts[0].correct), str(kDenominator, ".7855 stands for .982, of training images.")},
        {"under FGSM in training, first loop", "", ".4081", printed(counts[0].attacked),
         share_right(corrected, 0), str(kDenominator, "Made in train mode. ", kClamp)},
        {"FGSM's images in training on them", "", ".7787", printed(counts[1].correct),
         of_seen(1, counts[1].correct), str(kDenominator, "Begun with the weights of the first loop.")},
        {"under uniform noise (RPA) in its training", "", ".6640", printed(counts[2].attacked),
         share_right(corrected, 1),
         str(kDenominator, "No noisy image enters the loss: training on clean ones went on. ", kClamp)},
        {"under Gaussian noise (GNA) in its training", "", ".6610", printed(counts[3].attacked),
         share_right(corrected, 2), str(kDenominator, "As before, no noisy image is learned from. ", kClamp)},
        {"right in training, BIM's loop", "", ".4254", printed(counts[4].correct),
         of_seen(4, counts[4].correct),
         str(kDenominator,
             "BIM's ten backward passes leave gradients of the weights, which the step takes "
             "for those of the loss: the network collapses.")},
        {"clean test images", "", ".4994", kept.clean_accuracy(), clean,
         str(kCarried, "About as many as the most frequent class has (.53).")},
        {"test images under FGSM", "", ".5177", share_right(kept, 0), share_right(corrected, 0),
         str(kCarried, kClamp)},
        {"test images under uniform noise (RPA)", "", ".5365", share_right(kept, 1),
         share_right(corrected, 1), str(kCarried, kClamp)},
        {"test images under Gaussian noise (GNA)", "accuracy about 9 % above that of the model", ".5414",
         share_right(kept, 2), share_right(corrected, 2),
         str(kCarried, "More right under attack than without (V11): no defence, but a broken measurement.")},
        {"test images under BIM", "", ".5067", share_right(kept, 3), share_right(corrected, 3),
         str(kCarried, "Ten steps of .01 reach .1, not .3. ", kClamp)},
        {"one sound network, clamped, without any attack", "", "not measured", share_right(clamped, 4), clean,
         "The clamp alone, at epsilon 0: what every attack above does besides attacking."},
        {"one sound network under uniform noise (RPA)", "", "not measured", share_right(clamped, 1),
         share_right(corrected, 1), "The same weights, images and noise: only the clamp differs."},
        {"one sound network under FGSM", "", "not measured", share_right(clamped, 0),
         share_right(corrected, 0), "The same weights, images and sign: only the clamp differs."}};
    findings.note =
        "Notebook: what it printed. Reproduced: the same calculation on our images, mistakes kept; in its "
        "training loops the notebook divides by all images, and so do we. Corrected: the same counts over "
        "what "
        "was looked at, where that alone is wrong; else the baseline, trained once, on images of which the "
        "test "
        "has no copy, attacked in eval mode by .3 deviations (.069 at most) within the range of images.";

    auto add = [](std::vector<Rail>& rails, Rail rail, const char* about) {
        rail.text = str(about, ": ", rail.text);
        rails.push_back(std::move(rail));
    };
    constexpr const char *kAs = "as published", *kSound = "corrected";
    std::vector<StatedNumbers> stated;
    for (std::size_t k = 0; k < counts.size(); ++k)
        stated.push_back({.name = str("loop ", name_of(cervix_loops()[k])),
                          .accuracy = printed(counts[k].correct).value(),
                          .n = all,
                          .n_correct = counts[k].correct,
                          .n_clean_correct = counts[k].correct});
    add(findings.rails, denominators(stated, counts.front().images), kAs);
    add(findings.rails, within_threat(clamped.outcomes), kAs);
    add(findings.rails, no_gain(kept.outcomes), kAs);
    add(findings.rails, varied_predictions(kept.clean, kept.outcomes, classifier.classes()), kAs);
    add(findings.rails,
        disjoint(identities_of(*run.data, pool.train, progress),
                 identities_of(*run.data, pool.test, progress)),
        kAs);
    add(findings.rails, crafted_in_train_mode(*network.model, train, seed), kAs);
    add(findings.healthy_rails, within_threat(corrected.outcomes), kSound);
    return findings;
}

}  // namespace microtome
