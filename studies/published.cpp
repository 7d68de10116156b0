#include "studies/published.hpp"

#include "attacks/registry.hpp"
#include "studies/notebook_attacks.hpp"

#include <algorithm>

namespace microtome {
namespace {

constexpr float kOnceMore = 255;

Tensor scaled(const Tensor& images, float factor) {
    Tensor result(images.spec());
    std::span<const float> from = images.data<float>();
    std::span<float> to = result.mutable_data<float>();
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i] * factor;
    return result;
}

Batch divided(const Batch& batch) {
    return {scaled(batch.images, 1 / kOnceMore), batch.targets, batch.ids};
}

}  // namespace

Tensor TwiceScaled::run(const Batch& batch, const Query& query) {
    return inner_.logits(divided(batch), query);
}

Tensor TwiceScaled::pull(const Tensor& dlogits) {
    return scaled(inner_.vjp(dlogits), 1 / kOnceMore);
}

std::optional<Batch> TwiceScaledBatches::next() {
    std::optional<Batch> batch = inner_.next();
    if (batch) batch = divided(*batch);
    return batch;
}

AttackOptions NotebookAttack::options() const {
    AttackOptions options = inner_.options();
    options.emplace_back("images", "divided by 255 once more than the model was trained with");
    return options;
}

Threat NotebookAttack::threat() const {
    Threat threat = inner_.threat();
    threat.epsilon /= kOnceMore;
    return threat;
}

Tensor NotebookAttack::run(Classifier& classifier, const Batch& batch) const {
    TwiceScaled twice(classifier);
    Batch before{scaled(batch.images, kOnceMore), batch.targets, batch.ids};
    // 255 (x / 255) may be an ulp above 1.
    for (float& value : before.images.mutable_data<float>()) value = std::min(value, 1.f);
    return scaled(inner_.run(twice, before), 1 / kOnceMore);
}

namespace {

// Figures as the study's report states them and as its notebooks printed them.
struct Stated {
    const char *quantity, *published, *notebook, *cause;
};
constexpr Stated kClean{"clean test images", ".97", ".9784 (814 of 832)",
                        "Fed as trained: no mistake to keep. Image numbers and split differ."};
constexpr Stated kCleanTwice{"clean images as the attacks were fed", "not measured", "not measured",
                             "Divided by 255 twice, every image gets one class before any attack."};
constexpr Stated kPgd{
    "under PGD, 0.03", ".22", ".1827 (152 of 832)",
    "Images divided by 255 twice: the accuracy is the share of one class, no effect of the attack."};
constexpr Stated kPatch{
    "under the patch", ".26", ".2012 (1,706 of 8,481)",
    "Divided twice, and fitted on a noise image; fed as trained, a blend of .05 over 100 pixels "
    "changes next to nothing."};
constexpr Stated kUniversal{
    "under the universal perturbation", ".21", ".1999 (499 of 2,496)",
    "Divided twice before the network's own division, fitted and judged on the same test "
    "images. Corrected: fed as trained, fitted on training images."};

NotebookComparison comparison(const Stated& stated, const Share& reproduced, const Share& corrected) {
    return {stated.quantity, stated.published, stated.notebook, reproduced, corrected, stated.cause};
}

Share right_in(const AttackOutcome& outcome) {
    Share share{.count = 0, .n = static_cast<int64_t>(outcome.images.size())};
    for (const AttackedImage& image : outcome.images) share.count += image.right();
    return share;
}

Share given_right_in(const AttackOutcome& outcome) {
    Share share{.count = 0, .n = static_cast<int64_t>(outcome.images.size())};
    for (const AttackedImage& image : outcome.images) share.count += image.given == image.label;
    return share;
}

void append(std::vector<Rail>& rails, Rail rail, const std::string& about) {
    rail.text = about + ": " + rail.text;
    rails.push_back(std::move(rail));
}

}  // namespace

std::optional<NotebookFindings> notebook_stage(const StudyRun& run, Classifier& classifier) {
    run.say("the attacks as the study's notebooks ran them, and the same without their mistakes");
    const ProgressOptions& progress = run.options.progress;
    Loader test = run.images(run.split.test, kAttackBatch), given = run.images(run.split.test, kAttackBatch);
    TwiceScaledBatches twice_scaled(given);
    TwiceScaled twice(classifier);
    const Shape image = [&] {
        given.start(0);
        return given.next()->images.shape().without(0);
    }();

    // The mistakes kept: all is calculated through the second division.
    std::unique_ptr<Attack> pgd = make_attack("pgd-notebook");
    NotebookPatch patch(run.preset.seed), sound_patch(run.preset.seed);
    patch.fit(twice, image);
    NotebookUniversal universal, sound_universal;
    {
        // Here the notebook had divided already: its images are in [0, 1/255] when the perturbation is added.
        Loader images = run.images(run.split.test, kAttackBatch);
        TwiceScaledBatches darkened(images);
        if (!universal.fit(twice, darkened, progress)) return std::nullopt;
    }
    const NotebookAttack kept_pgd("notebook-pgd", *pgd), kept_patch("notebook-patch", patch);
    Evaluation kept =
        evaluate(classifier, test, {&kept_pgd, &kept_patch}, {.given = &twice_scaled, .progress = progress});
    if (!kept.complete) return std::nullopt;
    // The perturbation is added to images divided once, and network and notebook divide the sum again.
    Evaluation kept_universal = evaluate(twice, twice_scaled, {&universal}, {.progress = progress});
    if (!kept_universal.complete) return std::nullopt;

    // And without them.
    sound_patch.fit(classifier, image);
    Loader train = run.images(run.split.train, kAttackBatch);
    if (!sound_universal.fit(classifier, train, progress)) return std::nullopt;
    Evaluation sound =
        evaluate(classifier, test, {pgd.get(), &sound_patch, &sound_universal}, {.progress = progress});
    if (!sound.complete) return std::nullopt;

    NotebookFindings findings;
    findings.note =
        "Reproduced: our weights and images, the published mistake kept. Corrected: the same attack "
        "without it. The checks V1 and V2 below tell the two apart by themselves.";
    const Share clean = sound.clean_accuracy();
    findings.comparisons = {
        comparison(kClean, clean, clean), comparison(kCleanTwice, given_right_in(kept.outcomes.at(0)), clean),
        comparison(kPgd, right_in(kept.outcomes.at(0)), right_in(sound.outcomes.at(0))),
        comparison(kPatch, right_in(kept.outcomes.at(1)), right_in(sound.outcomes.at(1))),
        comparison(kUniversal, right_in(kept_universal.outcomes.at(0)), right_in(sound.outcomes.at(2)))};
    const int64_t classes = classifier.classes();
    append(findings.rails, same_input(kept.outcomes), "as published");
    append(findings.rails, varied_predictions(kept.clean, kept.outcomes, classes), "as published");
    append(findings.healthy_rails, same_input(sound.outcomes), "the same weights, fed as trained");
    append(findings.healthy_rails, varied_predictions(sound.clean, sound.outcomes, classes),
           "the same weights, fed as trained");
    return findings;
}

}  // namespace microtome
