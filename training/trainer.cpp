#include "training/trainer.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/tape.hpp"
#include "base/interrupt.hpp"
#include "tensor/out_of_memory.hpp"
#include "tensor/precision.hpp"
#include "training/checkpoint.hpp"
#include "training/outcome.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <limits>
#include <ostream>

namespace microtome {
namespace {

double system_seconds() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string ids_of(const Batch& batch, const Tensor& bad) {
    std::string text;
    int64_t images = batch.images.size(0), listed = 0;
    for (int64_t i = 0; i < images && listed < 3; ++i) {
        const int64_t row = bad.elements() / images;
        if (count_non_finite(bad.view({row}, i * row)) == 0) continue;
        text += str(listed++ ? ", " : "", batch.ids.empty() ? i : batch.ids[static_cast<std::size_t>(i)]);
    }
    return text;
}

std::string number(double value) {
    return str(std::setprecision(17), value);
}

}  // namespace

// One call of run().
class Trainer::Run {
  public:
    Run(Trainer& trainer, BatchSource& train, BatchSource* validation)
        : model_(trainer.model_),
          optimizer_(trainer.optimizer_),
          options_(trainer.options_),
          callbacks_(trainer.callbacks_),
          train_(train),
          validation_(validation),
          state_{.model = model_, .optimizer = optimizer_, .history = history_, .epochs = options_.epochs} {
        if (model_.trainable().empty())
            throw OptionsError("training",
                               "expected a weight that may change, got a model frozen as a whole");
        if (options_.average_decay > 0) average_.emplace(model_, options_.average_decay);
        if (!options_.objective) options_.objective = cross_entropy_objective();
        if (!options_.validation_objective) options_.validation_objective = options_.objective;
        if (!options_.clock) options_.clock = system_seconds;
        describe();
    }

    TrainingResult operator()() {
        if (!options_.checkpoint.empty() && std::filesystem::exists(options_.checkpoint)) restore();
        model_.eval();
        for (const auto& callback : callbacks_) callback->began(state_);
        const int64_t epoch_images = train_.images() + (validation_ ? validation_->images() : 0);
        Progress progress("training", finished_ ? 0 : (options_.epochs - progress_.epoch) * epoch_images,
                          "images", options_.progress);
        shown_ = &progress;
        while (!finished_ && progress_.epoch < options_.epochs)
            if (!run_epoch()) {
                save();
                model_.eval();
                return {TrainingResult::End::interrupted, "", history_, progress_.step};
            }
        if (average_) average_->swap();
        model_.eval();
        for (const auto& callback : callbacks_) callback->ended(state_);
        return {state_.stop ? TrainingResult::End::stopped : TrainingResult::End::completed, state_.why,
                history_, progress_.step};
    }

  private:
    // What the training was told, as far as it can be written down.
    void describe() {
        auto& config = options_.config;
        config["trainer.epochs"] = std::to_string(options_.epochs);
        config["trainer.seed"] = std::to_string(options_.seed);
        config["trainer.clip_norm"] = number(options_.clip_norm);
        config["trainer.average_decay"] = number(options_.average_decay);
        config["trainer.schedule"] = !options_.schedule           ? "none"
                                     : options_.schedule_by_epoch ? "by epoch"
                                                                  : "by step";
        config["trainer.crafts"] = options_.craft ? "yes" : "no";
        config["trainer.images"] = std::to_string(train_.images());
        config["trainer.batches"] = std::to_string(train_.batches());
        config["trainer.validation_images"] = std::to_string(validation_ ? validation_->images() : 0);
        std::string frozen;
        for (const NamedParameter& named : model_.named_parameters())
            if (named.parameter->frozen) frozen += (frozen.empty() ? "" : " ") + named.name;
        config["trainer.frozen"] = frozen;
        std::string names;
        for (const auto& callback : callbacks_) names += (names.empty() ? "" : " ") + callback->name();
        config["trainer.callbacks"] = names;
        if (const Precision precision = product_mode().precision; precision != Precision::f32)
            config["trainer.precision"] = str(precision);
    }

    void restore() {
        if (!options_.resume)
            throw OptionsError(options_.checkpoint, "expected no checkpoint of an earlier training, got one",
                               "resume it, or write elsewhere");
        const Checkpoint checkpoint = read_checkpoint(options_.checkpoint);
        for (const auto& [name, value] : options_.config) {
            auto before = checkpoint.config.find(name);
            const std::string& was =
                before == checkpoint.config.end() ? std::string("nothing") : before->second;
            if (was != value)
                throw OptionsError(
                    options_.checkpoint,
                    str("expected ", name, " as the training began with, '", was, "', got '", value, "'"),
                    "go on with the same settings, or begin anew elsewhere");
        }
        for (const auto& [name, value] : checkpoint.config)
            if (!options_.config.contains(name))
                throw OptionsError(
                    options_.checkpoint,
                    str("expected ", name, " as the training began with, '", value, "', got nothing"),
                    "go on with the same settings, or begin anew elsewhere");
        try {
            model_.load(entries_under(checkpoint.tensors, "model."));
            optimizer_.restore(checkpoint.tensors);
            if (average_) average_->restore(checkpoint.tensors);
            for (const auto& callback : callbacks_)
                callback->restore(entries_under(checkpoint.tensors, "callback." + callback->name() + '.'));
        } catch (const Error& error) {
            throw FormatError(options_.checkpoint,
                              str("expected the state of this training, got: ", error.what()));
        }
        progress_ = checkpoint.progress;
        finished_ = checkpoint.finished;
        history_ = checkpoint.history;
        state_.stop = finished_ && !checkpoint.why.empty();
        state_.why = checkpoint.why;
    }

    void save() const {
        if (options_.checkpoint.empty()) return;
        Checkpoint checkpoint{.progress = progress_,
                              .finished = finished_,
                              .why = state_.why,
                              .history = history_,
                              .config = options_.config,
                              .tensors = optimizer_.state()};
        append_under(checkpoint.tensors, "model.", model_.state());
        if (average_) append_under(checkpoint.tensors, "", average_->state());
        for (const auto& callback : callbacks_)
            append_under(checkpoint.tensors, "callback." + callback->name() + '.', callback->state());
        try {
            write_checkpoint(options_.checkpoint, checkpoint);
        } catch (const IoError& error) {
            const bool any = std::filesystem::exists(options_.checkpoint);
            throw IoError(
                "training",
                str("epoch ", std::max<int64_t>(progress_.epoch, 1), " could not be saved: ", error.what()),
                any ? "nothing before it is lost: make room, then resume from the last checkpoint"
                    : "make room, then begin again");
        }
    }

    // False when it was interrupted.
    bool run_epoch() {
        double began = options_.clock();
        auto pause_clock = [&] {
            const double moment = options_.clock();
            progress_.seconds += moment - began;
            began = moment;
        };
        train_.start(progress_.epoch);
        for (int64_t i = 0; i < progress_.batch; ++i) train_.next();  // used up before an interruption
        while (std::optional<Batch> batch = train_.next()) {
            const bool done = step_in_memory(*batch);
            if (!done || interrupted()) {
                look();
                pause_clock();
                return false;
            }
        }
        look();
        if (progress_.images == 0) throw OptionsError("training", "expected images to learn from, got none");

        EpochRecord record{.epoch = progress_.epoch + 1,
                           .step = progress_.step,
                           .loss = progress_.loss / static_cast<double>(progress_.images),
                           .lr = optimizer_.learning_rate()};
        if (progress_.labelled > 0)
            record.accuracy =
                static_cast<double>(progress_.correct) / static_cast<double>(progress_.labelled);
        if (average_) average_->swap();
        const bool validated = !validation_ || validate(record);
        if (!validated) {
            if (average_) average_->swap();
            pause_clock();
            return false;
        }
        pause_clock();
        record.seconds = progress_.seconds;
        record.ended = options_.clock();
        for (const auto& callback : callbacks_) callback->epoch_ended(state_, record);
        if (average_) average_->swap();
        history_.push_back(record);
        print(record);
        progress_ = {.epoch = record.epoch, .step = progress_.step};
        finished_ = state_.stop || progress_.epoch == options_.epochs;
        save();
        return !interrupted() || finished_;
    }

    // The same step. Where memory runs out, weights may have moved, and the checkpoint is what stays.
    bool step_in_memory(const Batch& batch) {
        try {
            return step(batch);
        } catch (const Interrupted&) {
            return false;
        } catch (const OutOfMemoryError& error) {
            const int64_t images = batch.images.size(0);
            const bool saved = !options_.checkpoint.empty() && std::filesystem::exists(options_.checkpoint);
            throw OutOfMemoryError(
                "training",
                str("epoch ", progress_.epoch + 1, ", step ", progress_.step, ", a batch of ", images,
                    images == 1 ? " image: " : " images: ", error.what()),
                str(images > 1 ? str("begin anew with a batch of ", images / 2)
                               : "a smaller model needs less",
                    saved ? str("; or, where there is more memory, resume: the checkpoint of epoch ",
                                history_.size(), " is as it was")
                          : ""));
        }
    }

    // A step that the device was asked for, and of which the host has not seen how it went.
    struct Unseen {
        Batch batch;
        int64_t step, images;  // as they were given
        double lr;
        Outcome outcome;  // and then the mean loss, and the norm of the gradients
    };

    // False when it was interrupted before the weights moved.
    bool step(const Batch& given) {
        const int64_t step = progress_.step;
        if (options_.schedule)
            optimizer_.set_learning_rate(
                options_.schedule(options_.schedule_by_epoch ? progress_.epoch : step));
        const Batch batch = to(options_.craft ? craft(given, step) : given, model_.device());
        // An attack that was interrupted may have returned early, and then the step would be another one.
        if (options_.craft && interrupted()) return false;

        model_.train();
        WatchedPass watched(model_, options_.seed, step, batch.ids);
        std::optional<Unseen> now;
        {
            Tape tape;
            const Tensors weights = model_.parameters();
            tape.watch(weights);
            const Tensor losses = losses_of(options_.objective, model_, batch, watched.pass);
            const Tensor loss = mean(losses);
            Tensors gradients = tape.gradient(loss, weights, Tape::After::release);
            const Tensor norm = norm_of(gradients);
            note_trouble(loss, norm);
            now = Unseen{batch, step, given.images.size(0), optimizer_.learning_rate(),
                         Outcome(batch, losses, watched.logits, {loss, norm})};
            if (model_.device() == kCpu) require_finite(*now, losses, gradients);
            if (options_.clip_norm > 0) clip(gradients, norm);
            optimizer_.step(gradients, trouble_);
        }
        model_.eval();
        if (average_) average_->update();
        look();  // at the step before, now that a GPU has the whole of this one before it
        unseen_ = std::move(now);
        ++progress_.batch;
        ++progress_.step;
        if (model_.device() == kCpu) look();
        return true;
    }

    // A number on the device that is 0 as long as every loss and every gradient was finite, and then NaN for
    // good: no weight moves any more, so that who looks later finds everything as it was.
    void note_trouble(const Tensor& loss, const Tensor& norm) {
        PauseTapes pause;
        const Tensor sum = cast(loss, Dtype::f64) + norm;  // finite if both are, but for 1e308
        const Tensor now = sum - sum;
        trouble_ = trouble_.defined() ? trouble_ + now : now;
    }

    void clip(Tensors& gradients, const Tensor& norm) const {
        if (model_.device() == kCpu && !(norm.item() > options_.clip_norm)) return;
        gradients = clip_by_norm(gradients, norm, options_.clip_norm);
    }

    // Throws what explain() says, unless loss and gradients of a step are finite. `gradients` may be gone:
    // then they are made again.
    void require_finite(Unseen& unseen, Tensor losses, Tensors gradients) {
        const double loss = unseen.outcome.further(0).item(), norm = unseen.outcome.further(1).item();
        if (std::isfinite(loss) && std::isfinite(norm)) return;
        progress_.step = unseen.step;
        if (!losses.defined()) {
            model_.train();
            const Tensors weights = model_.parameters();
            Tape tape;
            tape.watch(weights);
            losses = losses_of(options_.objective, model_, unseen.batch,
                               {.seed = options_.seed, .step = unseen.step, .ids = unseen.batch.ids});
            gradients = tape.gradient(mean(losses), weights, Tape::After::release);
            model_.eval();
        }
        explain(unseen.batch, losses, std::isfinite(loss) ? gradients : Tensors());
    }

    // At the last step, if nobody has yet: counts it and tells who watches.
    void look() {
        if (!unseen_) return;
        Unseen unseen = std::move(*unseen_);
        unseen_.reset();
        if (!(model_.device() == kCpu)) require_finite(unseen, {}, {});
        unseen.outcome.count(progress_);
        for (const auto& callback : callbacks_)
            callback->step_ended(state_, {.epoch = progress_.epoch + 1,
                                          .step = unseen.step,
                                          .loss = unseen.outcome.further(0).item(),
                                          .gradient_norm = unseen.outcome.further(1).item(),
                                          .lr = unseen.lr});
        show(unseen.images);
    }

    Batch craft(const Batch& given, int64_t step) {
        const std::vector<NamedParameter> all = model_.named_parameters();
        std::vector<std::pair<uint64_t, uint64_t>> before;
        for (const NamedParameter& named : all)
            before.emplace_back(named.parameter->value.id(), named.parameter->value.version());
        model_.eval();
        Batch crafted = options_.craft(model_, given, step);
        for (std::size_t i = 0; i < all.size(); ++i) {
            const Tensor& value = all[i].parameter->value;
            if (value.id() != before[i].first || value.version() != before[i].second)
                throw Error(
                    "training",
                    str("expected a craft that leaves the model alone, got one that wrote to ", all[i].name));
        }
        if (!crafted.images.defined() || crafted.images.rank() == 0 || !crafted.targets.defined() ||
            crafted.targets.rank() == 0 || crafted.targets.size(0) != crafted.images.size(0))
            throw ShapeError("training", str("expected crafted images with a target each, got ",
                                             crafted.images, " and ", crafted.targets));
        return crafted;
    }

    bool validate(EpochRecord& record) {
        Tensors logits, targets;
        bool whole = true;
        const Scores scores = score(model_, *validation_, options_.validation_objective,
                                    [&](const Batch& batch, const Tensor& y) {
                                        if (!options_.metrics.empty()) {
                                            logits.push_back(y);
                                            targets.push_back(batch.targets);
                                        }
                                        shown_->advance(batch.images.size(0));
                                        return whole = !interrupted();
                                    });
        if (!whole) return false;
        if (scores.images == 0) throw OptionsError("training", "expected images to validate with, got none");
        if (!std::isfinite(scores.loss))
            throw NonFiniteError("training",
                                 str("the validation loss of epoch ", record.epoch, " is ", scores.loss));
        record.val_loss = scores.loss;
        record.val_accuracy = scores.accuracy();
        if (!options_.metrics.empty()) {
            PauseTapes pause;
            const Tensor all_logits = concat(logits, 0), all_targets = concat(targets, 0);
            for (const auto& [name, metric] : options_.metrics)
                record.metrics[name] = metric(all_logits, all_targets);
        }
        return true;
    }

    // Says what became NaN or infinite, and where it began.
    [[noreturn]] void explain(const Batch& batch, const Tensor& losses, const Tensors& gradients) {
        const std::vector<NamedParameter> weights = model_.trainable();
        std::string what = str("epoch ", progress_.epoch + 1, ", step ", progress_.step, ": ");
        if (gradients.empty()) {
            what += str("the loss is not finite, of the images with ids ", ids_of(batch, losses));
        } else {
            const std::string names = non_finite_names(weights, gradients);
            what += names.empty() ? "the gradient's norm is beyond the largest number"
                                  : "not finite is the gradient of " + names;
        }
        const std::string spoilt = non_finite_names(weights, model_.parameters());
        if (const std::string ids = ids_of(batch, batch.images); !ids.empty())
            what += str("; it began in the images with ids ", ids);
        else if (!spoilt.empty())
            what += str("; it began in the weights: ", spoilt);
        else if (const std::string op = rerun(batch); !op.empty())
            what += "; it began in " + op;
        const bool saved = !options_.checkpoint.empty() && std::filesystem::exists(options_.checkpoint);
        throw NonFiniteError(
            "training", what,
            str("a smaller learning rate, or clipped gradients",
                saved ? str("; the checkpoint of epoch ", history_.size(), " is as it was") : ""));
    }

    std::string rerun(const Batch& batch) {
        Pass pass{.seed = options_.seed, .step = progress_.step, .ids = batch.ids};
        return first_non_finite_op(model_, pass, [&](const Pass& told) {
            Tape tape;
            const Tensors weights = model_.parameters();
            tape.watch(weights);
            tape.gradient(mean(options_.objective(model_, batch, told)), weights, Tape::After::release);
        });
    }

    void show(int64_t images) {
        std::ostringstream note;
        note << "epoch " << progress_.epoch + 1 << '/' << options_.epochs << std::fixed
             << std::setprecision(4) << "  loss " << progress_.loss / static_cast<double>(progress_.images);
        if (progress_.labelled > 0)
            note << "  accuracy "
                 << static_cast<double>(progress_.correct) / static_cast<double>(progress_.labelled);
        shown_->note(note.str());
        shown_->advance(images);
    }

    void print(const EpochRecord& record) const {
        if (!options_.out) return;
        std::ostringstream line;
        line << "epoch " << std::setw(static_cast<int>(std::to_string(options_.epochs).size()))
             << record.epoch << '/' << options_.epochs << std::fixed << std::setprecision(4) << "  loss "
             << record.loss;
        if (record.accuracy) line << "  accuracy " << *record.accuracy;
        if (record.val_loss) line << "  val_loss " << *record.val_loss;
        if (record.val_accuracy) line << "  val_accuracy " << *record.val_accuracy;
        for (const auto& [name, value] : record.metrics) line << "  " << name << ' ' << value;
        line << std::defaultfloat << "  lr " << record.lr << std::fixed << std::setprecision(1) << "  "
             << record.seconds << " s";
        // The bar stands on the last line of a terminal: this goes in its place, and the bar comes back
        // below.
        if (options_.progress.terminal && !options_.progress.quiet) *options_.out << "\r\033[K";
        *options_.out << line.str() << std::endl;
    }

    Module& model_;
    Optimizer& optimizer_;
    TrainerOptions options_;
    const std::vector<std::unique_ptr<Callback>>& callbacks_;
    BatchSource& train_;
    BatchSource* validation_;

    std::optional<WeightAverage> average_;
    std::vector<EpochRecord> history_;
    TrainingState state_;
    EpochProgress progress_;
    bool finished_ = false;
    std::optional<Unseen> unseen_;
    Tensor trouble_;  // see note_trouble()
    Progress* shown_ = nullptr;
};

Trainer::Trainer(Module& model, Optimizer& optimizer, TrainerOptions options)
    : model_(model), optimizer_(optimizer), options_(std::move(options)) {
    if (options_.epochs < 1)
        throw OptionsError("training", str("expected 1 epoch or more, got ", options_.epochs));
    if (!(options_.clip_norm >= 0) || !std::isfinite(options_.clip_norm))
        throw OptionsError("training", str("expected a clip_norm of 0 or more, got ", options_.clip_norm));
    if (!(options_.average_decay >= 0 && options_.average_decay < 1))
        throw OptionsError("training",
                           str("expected an average_decay in [0,1), got ", options_.average_decay));
}

Trainer::~Trainer() = default;

void Trainer::add(std::unique_ptr<Callback> callback) {
    for (const auto& other : callbacks_)
        if (other->name() == callback->name())
            throw OptionsError("training",
                               str("expected a callback of a new name, got a second ", callback->name()));
    callbacks_.push_back(std::move(callback));
}

TrainingResult Trainer::run(BatchSource& train, BatchSource* validation) {
    return Run(*this, train, validation)();
}

}  // namespace microtome
