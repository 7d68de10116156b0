// Rails: what must hold for an accuracy under attack to mean anything. Each looks at one number and says pass
// or fail with it; docs/rails.md says which mistakes they caught. A rail that cannot be run is listed as
// such, never as passed.
//
//     RailReport report = rails_of(evaluation, rows, {.unbounded = share});
#pragma once

#include "data/dataset.hpp"
#include "evaluation/robust_accuracy.hpp"

namespace microtome {

// V1: the predictions for what the attack was given, asked after it ran, are the evaluator's own for the same
// images. Value: the share that differs; must be 0. Fires on images scaled twice, on an attack that writes
// into its input, on a model that changed meanwhile.
Rail same_input(const std::vector<AttackOutcome>& outcomes);

// V2: no class makes up more than 95 % of the predictions. Value: the largest share of one class, for the
// evaluator's images or the attack's.
Rail varied_predictions(const std::vector<int64_t>& clean, const std::vector<AttackOutcome>& outcomes,
                        int64_t classes);

// V3: what attacks returned lies in [0,1] and in the ball. Value: the largest excess; at most 1e-6.
Rail within_threat(const std::vector<AttackOutcome>& outcomes);

// V4: the loss rose for 95 % of the images that were right at first, under every attack that is made of
// gradients, image by image, in several steps and towards no target; for half of them where it has a single
// step, which may overshoot. Value: the smallest share. An image that comes back as it was has not risen.
Rail rising_loss(const std::vector<AttackOutcome>& outcomes);

// V5: an attack that may change pixels to anything leaves an accuracy of chance, 1 / classes, at most.
// Value: the accuracy.
Rail unbounded_attack(const Share& accuracy, int64_t classes);

// V6 and V8: in the same ball, the attack with the most steps fools no fewer images than V6 attacks with
// fewer, V8 controls (noise, shuffled perturbations). Value: the largest number of images by which another
// was ahead. Fails when that is more than chance explains: among the images that only one of the two fooled,
// a one-sided sign test at 2.5 %.
Rail stronger_attack(const std::vector<AttackOutcome>& outcomes);
Rail beats_controls(const std::vector<AttackOutcome>& outcomes);

// What V9 compares images by.
struct ImageIdentity {
    uint64_t content = 0;  // hash of size and pixels
    std::string group{};   // empty: none
    std::string name{};
};
// Of these images of a set; damaged files are left out. Reads every one.
std::vector<ImageIdentity> identities_of(const Dataset& dataset, const std::vector<int64_t>& images,
                                         const ProgressOptions& progress = {.quiet = true});

// V9: no test image has its like in training, by content or by group. Value: how many do.
Rail disjoint(const std::vector<ImageIdentity>& training, const std::vector<ImageIdentity>& test);

// A row's numbers as they were stated, by us or by a publication.
struct StatedNumbers {
    std::string name;
    double accuracy = 0;
    int64_t n = 0, n_correct = 0, n_clean_correct = 0, n_success = 0;
    std::optional<Interval> interval{};
    AttackOptions options{};
    bool attacked = false;  // else clean images
};
StatedNumbers stated(const ResultRow& row);

// V10: an accuracy is the share of the images that were looked at. Value: how many rows state another n than
// `images`, an accuracy that is not n_correct / n, or counts that cannot be.
Rail denominators(const std::vector<StatedNumbers>& rows, int64_t images);

// V11: no attack raises the accuracy, crafted ones by no image at all, others by no more than chance explains
// (as V6). Value: the largest gain.
Rail no_gain(const std::vector<AttackOutcome>& outcomes);

// V12: of the images fooled in real numbers, most are fooled as 8-bit pictures too; for attacks with an
// epsilon of one grey level or more. Value: the smallest share. Fails where the whole 95 % interval lies
// under one half.
Rail survives_rounding(const std::vector<AttackOutcome>& outcomes);

// V13: the success rate is over the images that were right at first. Value: how many rows state other
// counts than the images themselves give. rows: the attacks', in the order of outcomes.
Rail success_of_right(const std::vector<StatedNumbers>& rows, const std::vector<AttackOutcome>& outcomes);

// V14: attacks were made in eval mode and left the model as it was. Value: by how much an image's logits
// depended on its batch; at most 1e-3. Fails, too, when the fingerprints differ.
Rail unaltered_model(const std::optional<uint64_t>& before, const std::optional<uint64_t>& after,
                     double batch_dependence);

// V15: every accuracy has its Wilson interval, every attack its options, and every random draw its seed.
// Value: how many rows lack something.
Rail recorded(const std::vector<StatedNumbers>& rows);

struct RailReport {
    std::vector<Rail> rails;
    std::vector<std::pair<std::string, std::string>> not_run;  // id, why
};

// What rails_of cannot know from the evaluation.
struct RailInputs {
    std::optional<Share> unbounded{};  // accuracy under an attack without bounds: V5
    std::optional<Rail> disjoint{};    // V9
    std::string why_not_disjoint = "it is not known which images the model was trained on";
};

// All rails for one evaluation; rows are rows_of() it.
RailReport rails_of(const Evaluation& evaluation, const std::vector<ResultRow>& rows,
                    const RailInputs& inputs = {});

}  // namespace microtome
