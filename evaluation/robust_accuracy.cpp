#include "evaluation/robust_accuracy.hpp"

#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "evaluation/witnesses.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iomanip>

namespace microtome {
namespace {

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Stands between an attack and the classifier: counts what the attack asks, and with `probe` looks whether an
// image's logits depend on the batch it sits in, which those of a model in eval mode do not.
class WatchedClassifier : public Classifier {
  public:
    WatchedClassifier(Classifier& inner, bool probe) : inner_(inner), probe_(probe) {}
    int64_t classes() const override { return inner_.classes(); }
    const ImageOptions& image() const override { return inner_.image(); }
    Device device() const override { return inner_.device(); }
    int64_t suggested_batch(const Spec& images) override { return inner_.suggested_batch(images); }
    std::optional<DevicePasses> device_passes(const Spec& images) override {
        return probe_ ? std::nullopt : inner_.device_passes(images);
    }
    void count_passes(int64_t forward, int64_t backward) override {
        Classifier::count_passes(forward, backward);
        inner_.count_passes(forward, backward);
    }
    double batch_dependence() const { return batch_dependence_; }

  private:
    Tensor run(const Batch& batch, const Query& query) override {
        if (!probe_ || batch.images.size(0) < 2) return inner_.logits(batch, query);
        const Tensor alone = inner_.logits(slice(batch, 0, 1), query).to(kCpu);
        Tensor among_others = inner_.logits(batch, query);  // last: it is what vjp() goes back from
        const Tensor here = among_others.to(kCpu);
        std::span<const float> a = alone.data<float>(), b = here.data<float>();
        for (std::size_t c = 0; c < a.size(); ++c)
            batch_dependence_ = std::max(batch_dependence_, std::abs(static_cast<double>(a[c]) - b[c]));
        return among_others;
    }
    Tensor pull(const Tensor& dlogits) override { return inner_.vjp(dlogits); }

    Classifier& inner_;
    bool probe_;
    double batch_dependence_ = -1;
};

std::vector<int64_t> labels_of(const Batch& batch, int64_t classes) {
    if (!batch.targets.defined() || batch.targets.dtype() != Dtype::i64 || batch.targets.rank() != 1)
        throw ShapeError("evaluate", str("expected a class for each image, i64(N), got ", batch.targets));
    std::span<const int64_t> labels = batch.targets.data<int64_t>();
    for (int64_t label : labels)
        if (label < 0 || label >= classes)
            throw OptionsError("evaluate", str("expected labels 0 to ", classes - 1, ", got ", label),
                               "are these the classes the model was trained on?");
    return {labels.begin(), labels.end()};
}

bool same_image(const Tensor& a, const Tensor& b, int64_t i) {
    const auto bytes = a.spec().bytes() / static_cast<std::size_t>(a.size(0));
    const auto offset = bytes * static_cast<std::size_t>(i);
    return std::memcmp(a.raw() + offset, b.raw() + offset, bytes) == 0;
}

Tensor image_at(const Tensor& images, int64_t i) {
    const Shape& shape = images.shape();
    return images.view({shape[1], shape[2], shape[3]}, i * (images.elements() / shape[0]));
}

// Copies image i of one batch over that of another.
void replace(Tensor& images, const Tensor& by, int64_t i) {
    auto size = static_cast<std::size_t>(images.elements() / images.size(0));
    auto first = static_cast<std::size_t>(i) * size;
    std::span<const float> from = by.data<float>().subspan(first, size);
    std::copy(from.begin(), from.end(),
              images.mutable_data<float>().begin() + static_cast<std::ptrdiff_t>(first));
}

class Evaluator {
  public:
    Evaluator(Classifier& classifier, const std::vector<const Attack*>& attacks,
              const EvaluationOptions& options)
        : classifier_(classifier), attacks_(attacks), options_(options) {
        for (std::size_t k = 0; k < attacks.size(); ++k) {
            const Attack& attack = *attacks[k];
            AttackOutcome outcome{.name = std::string(attack.name()),
                                  .options = attack.options(),
                                  .threat = attack.threat(),
                                  .cost = attack.cost(),
                                  .images = {}};
            if (!options.witnesses.empty()) {
                outcome.witnesses = str(std::setfill('0'), std::setw(2), k + 1, '-', outcome.name);
                folders_.emplace_back(options.witnesses + '/' + outcome.witnesses);
            }
            result_.outcomes.push_back(std::move(outcome));
        }
    }

    Evaluation run(BatchSource& source) {
        source.start(0);
        if (options_.given) options_.given->start(0);
        Progress progress("evaluating", source.images() * static_cast<int64_t>(attacks_.size() + 1), "images",
                          options_.progress);
        while (std::optional<Batch> batch = source.next()) {
            if (interrupted() || !take(*batch, progress)) {
                result_.complete = false;
                break;
            }
        }
        if (result_.labels.empty()) {
            if (!result_.complete) throw Error("evaluate", "interrupted before the first images were done");
            throw OptionsError("evaluate", "expected images, got none");
        }
        for (WitnessFolder& folder : folders_) folder.finish();
        result_.model_after = classifier_.fingerprint();
        result_.mode = classifier_.mode();
        result_.logits = Tensor::of(logits_, {result_.images(), classifier_.classes()});
        return std::move(result_);
    }

  private:
    // One batch under every attack. False when interrupted before the last, and then nothing of it counts.
    bool take(Batch& batch, Progress& progress) {
        const std::vector<int64_t> labels = labels_of(batch, classifier_.classes());
        if (batch.ids.empty())
            for (std::size_t i = 0; i < labels.size(); ++i)
                batch.ids.push_back(result_.images() + static_cast<int64_t>(i));
        const double began = now();
        // On the classifier's device, so that they go up once.
        const Tensor clean_there = batch.images.to(classifier_.device());
        const Tensor logits = logits_alone(classifier_, {.images = clean_there, .ids = batch.ids}).to(kCpu);
        const double clean_seconds = now() - began;
        // Asked once, a model is in eval mode; from here on nothing about it may change.
        if (result_.labels.empty()) result_.model_before = classifier_.fingerprint();
        const std::vector<int64_t> clean = predictions_of(logits);
        progress.advance(batch.images.size(0));

        Tensor originals = batch.images;
        if (options_.given) {
            std::optional<Batch> given = options_.given->next();
            if (!given || !(given->images.shape() == batch.images.shape()))
                throw ShapeError("evaluate", str("expected the attacks' images to come as the evaluator's, ",
                                                 batch.images.shape()));
            originals = given->images;
        }
        const Originals both{originals, options_.given ? originals.to(classifier_.device()) : clean_there};
        std::vector<Pending> pending;
        for (std::size_t k = 0; k < attacks_.size(); ++k) {
            if (interrupted()) return false;
            try {
                pending.push_back(run_attack(k, both, batch, labels, clean));
            } catch (const Interrupted&) {
                return false;
            }
            progress.advance(batch.images.size(0));
        }

        for (std::size_t k = 0; k < attacks_.size(); ++k) keep(k, pending[k], originals);
        result_.ids.insert(result_.ids.end(), batch.ids.begin(), batch.ids.end());
        result_.labels.insert(result_.labels.end(), labels.begin(), labels.end());
        result_.clean.insert(result_.clean.end(), clean.begin(), clean.end());
        std::span<const float> values = logits.data<float>();
        logits_.insert(logits_.end(), values.begin(), values.end());
        result_.forward_passes += batch.images.size(0);
        result_.seconds += clean_seconds;
        return true;
    }

    // What an attack made of a batch, until it is known that the batch counts.
    struct Pending {
        std::vector<AttackedImage> images;
        Tensor pictures;  // in 8 bits
        int64_t forward_passes = 0, backward_passes = 0;
        double seconds = 0;
    };

    // The images before an attack, on the CPU and on the classifier's device.
    struct Originals {
        Tensor here, there;
    };

    Pending run_attack(std::size_t k, const Originals& both, const Batch& batch,
                       const std::vector<int64_t>& labels, const std::vector<int64_t>& clean) {
        const Attack& attack = *attacks_[k];
        const Threat threat = attack.threat();
        const Tensor& originals = both.here;
        const bool there = attack.takes_images_on(classifier_.device());
        // A copy: what the attack does to its input is for V1 to see, and for nobody else to suffer from.
        const Batch given{
            .images = (there ? both.there : originals).clone(), .targets = batch.targets, .ids = batch.ids};
        WatchedClassifier watched(classifier_, result_.labels.empty());
        const double began = now();
        const Tensor made = attack.run(watched, given), returned = made.to(kCpu);
        Pending pending{.images = {}, .pictures = {}, .seconds = now() - began};
        pending.forward_passes = watched.forward_passes();
        pending.backward_passes = watched.backward_passes();
        result_.batch_dependence = std::max(result_.batch_dependence, watched.batch_dependence());
        if (!returned.defined() || !(returned.spec() == originals.spec()))
            throw ShapeError(str("attack ", attack.name()),
                             str("expected images ", originals.spec(), " back, got ", returned));

        std::vector<Distance> distances;
        Tensor adversarial = returned.clone();
        bool replaced = false;
        for (int64_t i = 0; i < originals.size(0); ++i) {
            distances.push_back(distance_of(returned, originals, i, threat));
            if (distances.back().excess <= kBoundTolerance) continue;
            replace(adversarial, originals, i);
            replaced = true;
        }
        pending.pictures = round_to_8_bits(adversarial, originals, threat);

        const auto logits_of = [&](const Tensor& images) {
            return logits_alone(classifier_, {.images = images, .ids = batch.ids}).to(kCpu);
        };
        const Tensor given_logits = logits_of(given.images),
                     logits = logits_of(replaced ? adversarial : made);
        const std::vector<int64_t> given_classes = predictions_of(given_logits);
        const std::vector<int64_t> classes = predictions_of(logits);
        const std::vector<int64_t> rounded =
            predictions_of(logits_of(from_8_bits(pending.pictures, classifier_.device())));
        const std::vector<double> given_losses = losses_of(given_logits, labels);
        const std::vector<double> losses = losses_of(logits, labels);
        for (std::size_t i = 0; i < labels.size(); ++i)
            pending.images.push_back({.id = batch.ids[i],
                                      .label = labels[i],
                                      .clean = clean[i],
                                      .given = given_classes[i],
                                      .adversarial = classes[i],
                                      .rounded = rounded[i],
                                      .given_loss = given_losses[i],
                                      .adversarial_loss = losses[i],
                                      .distance = distances[i],
                                      .unchanged = same_image(returned, originals, static_cast<int64_t>(i))});
        return pending;
    }

    void keep(std::size_t k, const Pending& pending, const Tensor& originals) {
        AttackOutcome& outcome = result_.outcomes[k];
        outcome.images.insert(outcome.images.end(), pending.images.begin(), pending.images.end());
        outcome.forward_passes += pending.forward_passes;
        outcome.backward_passes += pending.backward_passes;
        outcome.seconds += pending.seconds;
        if (folders_.empty()) return;
        const Tensor rounded = from_8_bits(pending.pictures);
        for (std::size_t i = 0; i < pending.images.size(); ++i) {
            const AttackedImage& image = pending.images[i];
            if (!options_.keep_all && image.right() && image.rounded == image.label) continue;
            const auto place = static_cast<int64_t>(i);
            const Distance distance = distance_of(rounded, originals, place, outcome.threat);
            Witness witness{.id = image.id,
                            .name = options_.name_of ? options_.name_of(image.id) : "",
                            .label = image.label,
                            .predicted_clean = image.clean,
                            .predicted_adversarial = image.adversarial,
                            .predicted_8bit = image.rounded,
                            .linf = distance.linf,
                            .l2 = distance.l2};
            if (!image.right() && image.rounded == image.label) witness.note = "right again in 8 bits";
            if (image.right() && image.rounded != image.label) witness.note = "wrong in 8 bits only";
            if (!image.in_bounds()) witness.note = "the attack left its bounds: the image as it was given";
            if (distance.excess > kBoundTolerance)
                witness.note += str(witness.note.empty() ? "" : "; ", "outside by ", distance.excess,
                                    ": the original is not on the 8-bit grid");
            folders_[k].add(std::move(witness), image_at(pending.pictures, place));
        }
    }

    Classifier& classifier_;
    const std::vector<const Attack*>& attacks_;
    const EvaluationOptions& options_;
    std::vector<WitnessFolder> folders_;
    std::vector<float> logits_;
    Evaluation result_;
};

// The attacks that searched one and the same ball.
bool same_ball(const Threat& a, const Threat& b) {
    return a.kind == Threat::Kind::ball && b.kind == a.kind && a.norm == b.norm && a.epsilon == b.epsilon;
}

ResultRow worst_case(const std::vector<const AttackOutcome*>& outcomes, const std::string& model) {
    ResultRow row{.model = model, .attack = "worst-case", .epsilon = outcomes[0]->threat.epsilon};
    std::string names;
    for (const AttackOutcome* outcome : outcomes) {
        names += str(names.empty() ? "" : ", ", outcome->name);
        row.forward_passes += outcome->forward_passes;
        row.backward_passes += outcome->backward_passes;
        row.seconds += outcome->seconds;
    }
    row.options = {{"attacks", names}, {"right", "at first and after every attack"}};
    for (std::size_t i = 0; i < outcomes[0]->images.size(); ++i) {
        const AttackedImage& first = outcomes[0]->images[i];
        bool right = first.clean_right(), right_8bit = right, unchanged = right;
        for (const AttackOutcome* outcome : outcomes) {
            const AttackedImage& image = outcome->images[i];
            right = right && image.right();
            right_8bit = right_8bit && image.rounded == image.label;
            unchanged = unchanged && image.unchanged;
        }
        ++row.n;
        row.n_correct += right;
        row.n_clean_correct += first.clean_right();
        row.n_success += first.clean_right() && !right;
        row.n_correct_8bit += right_8bit;
        row.n_unchanged += unchanged && right;
    }
    return row;
}

}  // namespace

bool is_control(std::string_view attack) {
    for (std::string_view name : {"noise", "shuffled", "rpa", "gna"})
        if (attack.find(name) != std::string_view::npos) return true;
    return false;
}

bool AttackOutcome::crafted() const {
    return threat.kind == Threat::Kind::ball && cost.backward > 0 && !is_control(name);
}

Share Evaluation::clean_accuracy() const {
    Share share{.count = 0, .n = images()};
    for (std::size_t i = 0; i < labels.size(); ++i) share.count += clean[i] == labels[i];
    return share;
}

Evaluation evaluate(Classifier& classifier, BatchSource& source, const std::vector<const Attack*>& attacks,
                    const EvaluationOptions& options) {
    return Evaluator(classifier, attacks, options).run(source);
}

std::vector<ResultRow> rows_of(const Evaluation& evaluation, const std::string& model,
                               std::span<const uint8_t> malignant, const std::string& witnesses) {
    const Share clean = evaluation.clean_accuracy();
    std::vector<ResultRow> rows{{.model = model,
                                 .n = clean.n,
                                 .n_correct = clean.count,
                                 .n_clean_correct = clean.count,
                                 .n_correct_8bit = clean.count,
                                 .n_unchanged = clean.count,
                                 .forward_passes = evaluation.forward_passes,
                                 .seconds = evaluation.seconds,
                                 .mode = evaluation.mode}};
    for (const AttackOutcome& outcome : evaluation.outcomes) {
        ResultRow row{.model = model,
                      .attack = outcome.name,
                      .options = outcome.options,
                      .epsilon = outcome.threat.epsilon,
                      .n = static_cast<int64_t>(outcome.images.size()),
                      .forward_passes = outcome.forward_passes,
                      .backward_passes = outcome.backward_passes,
                      .seconds = outcome.seconds,
                      .mode = evaluation.mode};
        if (!outcome.witnesses.empty()) row.witnesses = witnesses + '/' + outcome.witnesses;
        std::vector<int64_t> after;
        for (const AttackedImage& image : outcome.images) {
            row.n_correct += image.right();
            row.n_clean_correct += image.clean_right();
            row.n_success += image.success();
            row.n_correct_8bit += image.rounded == image.label;
            row.n_unchanged += image.unchanged && image.right();
            after.push_back(image.adversarial);
        }
        if (!malignant.empty())
            row.malignant_turned =
                malignant_called_benign(malignant, evaluation.labels, after, evaluation.clean).turned;
        rows.push_back(std::move(row));
    }
    std::vector<const AttackOutcome*> left;
    for (const AttackOutcome& outcome : evaluation.outcomes) left.push_back(&outcome);
    while (!left.empty()) {
        const Threat threat = left[0]->threat;
        std::vector<const AttackOutcome*> together{left[0]};
        std::vector<const AttackOutcome*> others;
        for (std::size_t k = 1; k < left.size(); ++k)
            (same_ball(threat, left[k]->threat) ? together : others).push_back(left[k]);
        if (together.size() > 1) {
            rows.push_back(worst_case(together, model));
            rows.back().mode = evaluation.mode;
        }
        left = std::move(others);
    }
    return rows;
}

Passes cost_of(const std::vector<const Attack*>& attacks, int64_t images) {
    Passes sum{.forward = images, .backward = 0};
    for (const Attack* attack : attacks) {
        const Passes each = attack->cost();
        sum.forward += (each.forward + 3) * images;  // given, returned, rounded
        sum.backward += each.backward * images;
    }
    return sum;
}

Share success_rate(std::span<const AttackedImage> images, std::optional<int64_t> target) {
    Share share;
    for (const AttackedImage& image : images) {
        if (!image.clean_right() || image.label == target) continue;
        ++share.n;
        share.count += target ? image.adversarial == *target : !image.right();
    }
    return share;
}

}  // namespace microtome
