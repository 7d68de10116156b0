// A model's logits and input gradients as a plan that is replayed for a batch as a whole: what attacks run on
// a GPU, where all images go through each step together (autograd/image_plan.hpp is the CPU's way).
//
//     BatchPlan plan({{1, 180, 180, 3}, Dtype::f32, cuda}, {}, {}, [&](const Tensors& in) { return
//     model(in[0]); }); Tensor logits = plan.logits({images}); Tensor gradient = plan.vjp(dlogits);
//
// The model is traced once for each size of batch that comes, with the backward pass behind it. Values lie in
// one block of the device's memory that all sizes share, so a replay allocates nothing but its results and
// kernels' scratch memory. An exact plan has the bits of the tape, as far as libraries' products have the
// same when they are fused with what follows (tensor/precision.hpp).
#pragma once

#include "autograd/op.hpp"

#include <functional>
#include <memory>
#include <string>

namespace microtome {

// Work that somebody made for a plan and keeps with it, such as a graph of an attack's steps.
class KeptWork {
  public:
    virtual ~KeptWork() = default;
};

class BatchPlan {
  public:
    // inputs[0] are the images (n, H, W, C), then what `shared` announces; n changes from call to call.
    using Model = std::function<Tensor(const Tensors& inputs)>;

    // `image`: the spec of one, (1, H, W, C), whose device is the plan's. `per_image`: specs of further
    // inputs for one image, with a first axis of 1; `shared`: of inputs that all images have in common.
    // Throws whatever `model` throws when run on abstract tensors, TapeError when its logits depend on no
    // image, ShapeError when they are not (n, K).
    // Unless the plan is `exact`, or libraries are off for this thread, batch norms in eval mode scale the
    // filters of the convolution before them instead of its results, which rounds differently.
    BatchPlan(const Spec& image, const Specs& per_image, const Specs& shared, Model model,
              bool exact = false);
    ~BatchPlan();
    BatchPlan(BatchPlan&&) noexcept;
    BatchPlan& operator=(BatchPlan&&) noexcept;

    // (n, K), on the plan's device. Inputs may be on the CPU; those that the model does not read are not
    // copied. Throws ShapeError for other specs, TapeError when a weight was written to since the plan was
    // made.
    Tensor logits(const Tensors& inputs);
    // sum over k of dlogits[n, k] * d logits[n, k] / d images, of the images' shape, for the last logits();
    // may be asked again. Throws TapeError before the first logits(), ShapeError for another shape.
    Tensor vjp(const Tensor& dlogits);

    // For loops that stay on the device: where the values of n images lie, to be written and read without
    // copies, and the passes over them, which the device is asked for without waiting or allocating more than
    // kernels' scratch memory. Inputs that the model does not read are undefined. Other calls use the same
    // memory, so inputs are to be written again after any; vjp() wants logits() first.
    struct Places {
        Tensors inputs;
        Tensor logits, dlogits, gradient;
    };
    Places places(int64_t n);
    void forward(int64_t n);
    void backward(int64_t n);
    // What is kept under that name for n images; null at first. The last eight are kept, and none when the
    // places may move: so work may refer to them for as long as it is here.
    std::shared_ptr<KeptWork>& kept_work(int64_t n, const std::string& name);
    void forget_kept_work();

    // Whether the weights are still those that the plan was made with.
    bool is_current() const;
    bool is_exact() const;

  private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace microtome
