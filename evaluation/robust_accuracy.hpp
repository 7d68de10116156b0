// Attacks, run and judged. An attack hands back images and nothing else; whether one is fooled is what the
// classifier says when asked again, about the image as it came back and about the same in 8 bits.
//
//     Evaluation evaluation = evaluate(classifier, test_images, {&fgsm, &pgd}, {.witnesses =
//     "run/witnesses"}); std::vector<ResultRow> rows = rows_of(evaluation, "model.safetensors"); RailReport
//     rails = rails_of(evaluation, rows);                             // evaluation/rails.hpp
//
// An attack that throws ends the evaluation: a crash is never counted as robustness. An image that comes back
// outside its threat model counts as not attacked, one that comes back unchanged is counted as such, and
// the rails V3 and V4 look at both.
#pragma once

#include "base/progress.hpp"
#include "evaluation/results.hpp"
#include "evaluation/rounding.hpp"

#include <functional>
#include <optional>

namespace microtome {

// What became of one image under one attack. Predictions are classes.
struct AttackedImage {
    int64_t id = 0, label = 0;
    int64_t clean = 0;        // for the image
    int64_t given = 0;        // for what the attack was given, asked after it ran: the same, one would think
    int64_t adversarial = 0;  // for what it returned
    int64_t rounded = 0;      // for that in 8 bits
    double given_loss = 0, adversarial_loss = 0;  // cross-entropy with the label
    Distance distance{};                          // of what it returned from what it was given
    bool unchanged = false;                       // both have the same bits

    bool clean_right() const { return clean == label; }
    bool right() const { return adversarial == label; }
    bool success() const { return clean_right() && !right(); }
    bool in_bounds() const { return distance.excess <= kBoundTolerance; }
};

struct AttackOutcome {
    std::string name;
    AttackOptions options;
    Threat threat;
    Passes cost;  // at most, for one image
    std::vector<AttackedImage> images;
    int64_t forward_passes = 0, backward_passes = 0;  // the attack's own
    double seconds = 0;                               // likewise
    std::string witnesses{};                          // folder in EvaluationOptions::witnesses

    // Whether each image has a perturbation of its own, made by gradients to fool. Noise, shuffled
    // perturbations, patches and universal perturbations are not.
    bool crafted() const;
};

// Whether an attack is one of those that show what no attack can do, by its name: noise, shuffled.
bool is_control(std::string_view attack);

struct EvaluationOptions {
    std::string witnesses{};  // folder for a folder of witnesses each attack; empty: none are kept
    bool keep_all = false;    // what was not fooled, too: a set of attacked images that stands for itself
    std::function<std::string(int64_t id)> name_of{};  // of an image, for the witnesses
    // Where the attacks' images come from, if from elsewhere than the evaluator's: in the same order and
    // batches. This is how somebody's own preprocessing is put under test.
    BatchSource* given = nullptr;
    ProgressOptions progress{.quiet = true};
};

struct Evaluation {
    std::vector<int64_t> ids, labels, clean;  // clean: predictions
    Tensor logits;                            // of the clean images, (N, classes)
    int64_t forward_passes = 0;               // for the clean images
    double seconds = 0;
    std::vector<AttackOutcome> outcomes;
    std::string mode = "tape";  // Classifier::mode()
    bool complete = true;       // false: interrupted after as many images as there are
    // For V14: what the classifier's answers depend on, before and after; and by how much the logits of one
    // image differed alone and among others while attacks were at work, negative when nobody looked.
    std::optional<uint64_t> model_before, model_after;
    double batch_dependence = -1;

    int64_t images() const { return static_cast<int64_t>(labels.size()); }
    Share clean_accuracy() const;
};

// Stops after the batch at hand when interrupted. Throws OptionsError for labels that the classifier has no
// class for and for no images at all, FormatError for logits that are not finite, ShapeError and DtypeError
// for an attack that returns something else than images, and what attacks and sources throw.
Evaluation evaluate(Classifier& classifier, BatchSource& source, const std::vector<const Attack*>& attacks,
                    const EvaluationOptions& options = {});

// The clean row, one for each attack, and where several attacks share a ball one, "worst-case", in which an
// image is right only if it was so at first and after every one of them.
// malignant: a flag a class, or empty. `witnesses`: what the folders of witnesses are called from where the
// rows will be.
std::vector<ResultRow> rows_of(const Evaluation& evaluation, const std::string& model,
                               std::span<const uint8_t> malignant = {},
                               const std::string& witnesses = "witnesses");

// Passes that evaluate() will make, at most: the attacks' own, and those to ask again about the outcome.
Passes cost_of(const std::vector<const Attack*>& attacks, int64_t images);

// Of the images that were right at first, those an attack made wrong. Towards a target: of those that were
// right and are not of the target's class, the ones that now have it.
Share success_rate(std::span<const AttackedImage> images, std::optional<int64_t> target = {});

}  // namespace microtome
