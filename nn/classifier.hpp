// What attacks, defences and evaluation talk to: logits from images, and gradients of the images from
// gradients of the logits. Losses live outside, so that one cut serves every attack, detector and ensemble.
//
//     Tensor logits = classifier.logits(batch, query);
//     Tensor g = classifier.vjp(loss_gradient);          // at the images of the last logits()
//
// Nothing about a model differs afterwards: it runs in eval mode, and no weight gets a gradient.
//
// Images may be on the CPU or on the classifier's device, and the answers are where the images were. A caller
// who asks once leaves them on the CPU; an attack, which asks step after step, brings them to the device.
#pragma once

#include "autograd/batch_plan.hpp"
#include "autograd/image_plan.hpp"
#include "autograd/tape.hpp"
#include "nn/model_file.hpp"
#include "tensor/batch.hpp"

#include <memory>
#include <optional>

namespace microtome {

// Which of an attack's questions this is, so that a randomised defence answers reproducibly.
struct Query {
    uint64_t seed = 0;
    int64_t restart = 0, step = 0;
};

// A classifier's two passes for n images that stay on its device (BatchPlan::places).
struct DevicePasses {
    BatchPlan& plan;
    int64_t n;
    BatchPlan::Places at;  // images, ids, key: as far as answers depend on them
};

class Classifier {
  public:
    virtual ~Classifier() = default;

    // (N, classes), which no tape follows. Throws ShapeError for images that are not as image() says, and
    // for ids that are not one per image.
    Tensor logits(const Batch& batch, const Query& query = {});
    // sum over classes of dlogits times d logits / d images, of the images' shape, for the last logits(); may
    // be asked again and again. Throws TapeError before the first, ShapeError for another shape.
    Tensor vjp(const Tensor& dlogits);

    virtual int64_t classes() const = 0;
    virtual const ImageOptions& image() const = 0;
    // Where it calculates.
    virtual Device device() const { return kCpu; }

    // How many images of such a batch are best asked about together; more need more memory and are no faster.
    // At least 2, and only where an image's answers are the same among any others.
    virtual int64_t suggested_batch(const Spec& images) { return images.shape[0]; }

    // One number for everything that answers depend on: weights, buffers, what is frozen, train or eval mode.
    // Nothing where it cannot be had.
    virtual std::optional<uint64_t> fingerprint() const { return std::nullopt; }

    // How the last answers were calculated, for records: "tape", "plan" or "exact plan".
    virtual std::string_view mode() const { return "tape"; }

    // For attacks that go on without the host (attacks/device_walk.hpp), on images like these; good until the
    // classifier is asked for anything else. Nothing where it has no such passes: on the CPU, or without a
    // plan. Whoever makes them counts them.
    virtual std::optional<DevicePasses> device_passes(const Spec&) { return std::nullopt; }
    virtual void count_passes(int64_t forward, int64_t backward) {
        forward_passes_ += forward, backward_passes_ += backward;
    }

    // Passes so far, in images.
    int64_t forward_passes() const { return forward_passes_; }
    int64_t backward_passes() const { return backward_passes_; }

  protected:
    virtual Tensor run(const Batch& batch, const Query& query) = 0;
    virtual Tensor pull(const Tensor& dlogits) = 0;

  private:
    int64_t forward_passes_ = 0, backward_passes_ = 0;
    Spec last_;  // of the logits
    bool asked_ = false;
};

// logits() of images whose gradients nobody will ask for, suggested_batch() of them at a time.
Tensor logits_alone(Classifier& classifier, const Batch& batch, const Query& query = {});

// A hash of a module's weights and buffers with their names, of what is frozen, and of the modes.
uint64_t fingerprint_of(const Module& model);

// How a model is run. A plan is several times as fast as the tape (autograd/image_plan.hpp); exact, it has
// the tape's bits. A model that cannot be planned, since it looks at its elements, runs on the tape. On a GPU
// every plan is exact (autograd/batch_plan.hpp).
enum class Execution { plan, exact_plan, tape };

// A model of ours, its own or somebody's: one that is being trained, say, which must outlive the classifier.
class ModelClassifier : public Classifier {
  public:
    explicit ModelClassifier(LoadedModel loaded, Execution execution = Execution::plan);
    // Puts the model into eval mode whenever it is asked, and leaves it there.
    ModelClassifier(Module& model, ModelOptions options, Execution execution = Execution::plan)
        : model_(&model), options_(std::move(options)), execution_(execution) {}

    int64_t classes() const override { return options_.classes; }
    const ImageOptions& image() const override { return options_.image; }
    Device device() const override { return model_->device(); }
    std::optional<uint64_t> fingerprint() const override { return fingerprint_of(*model_); }
    int64_t suggested_batch(const Spec& images) override;
    std::string_view mode() const override;
    std::optional<DevicePasses> device_passes(const Spec& images) override;
    Module& model() { return *model_; }

  private:
    Tensor run(const Batch& batch, const Query& query) override;
    Tensor pull(const Tensor& dlogits) override;
    Tensor run_tape(const Batch& batch, const Query& query);
    bool plan_for(const Spec& images);

    std::unique_ptr<Module> own_;
    Module* model_;
    ModelOptions options_;
    Execution execution_;

    struct Planned {
        std::optional<ImagePlan> plan;        // on the CPU
        std::optional<BatchPlan> batch_plan;  // on another device; neither: the model cannot be planned
        Spec image;                           // that it was made for
        std::vector<uint64_t> weights;        // the ids of the tensors that it was made with

        bool any() const { return plan || batch_plan; }
        bool is_current() const {
            return (!plan || plan->is_current()) && (!batch_plan || batch_plan->is_current());
        }
    };
    std::optional<Planned> planned_;
    bool ran_plan_ = false;  // in the last run
    Device asked_from_;      // where its images were
    Tensor images_, logits_;
    std::unique_ptr<Tape> tape_;
};

}  // namespace microtome
