// A model's logits and input gradients as a plan that is replayed image by image: what attacks run.
//
//     ImagePlan plan({.images = {{32, 180, 180, 3}, Dtype::f32}}, [&](const Tensors& in) { return
//     model(in[0]); }); Tensor logits = plan.logits({images}); Tensor gradient = plan.vjp(dlogits);     // at
//     those images
//
// The model is an ordinary function, traced once for a few images with the backward pass behind it
// (autograd/plan.hpp), and its steps are fused into larger ones (autograd/plan/fuse.hpp). Each thread then
// takes a few images through the whole model, in memory of its own, before it takes the next: what one step
// writes, the next finds in the cache. Between logits() and vjp() only gates and the like are kept.
//
// That is right only if no image's logits depend on another image: batch norm in train mode does not qualify.
// The bits depend neither on threads nor on the batch that an image sits in.
//
// Unless `exact`, they are not those of the tape: folding batch norm into filters, Winograd's convolutions
// and sums that skip zeros round differently, by no more than docs/measurements.md says.
#pragma once

#include "autograd/op.hpp"

#include <functional>
#include <iosfwd>
#include <memory>

namespace microtome {

struct ImagePlanOptions {
    bool exact = false;          // the tape's bits, more slowly
    int64_t images_at_once = 0;  // that a thread takes through the model; 0: as the model's size suggests
};

class ImagePlan {
  public:
    // inputs[0] are the images (n, H, W, C), then what `shared` announces; n changes from call to call.
    using Model = std::function<Tensor(const Tensors& inputs)>;

    // `image`: the spec of one, (1, H, W, C). `per_image`: specs of further inputs for one image, with a
    // first axis of 1; `shared`: of inputs that all images have in common. Throws whatever `model` throws
    // when run on abstract tensors, TapeError when its logits depend on no image, ShapeError when they are
    // not (n, K).
    ImagePlan(const Spec& image, const Specs& per_image, const Specs& shared, Model model,
              const ImagePlanOptions& options = {});
    ~ImagePlan();
    ImagePlan(ImagePlan&&) noexcept;
    ImagePlan& operator=(ImagePlan&&) noexcept;

    // (n, K). inputs: images, those per image, those shared. Throws ShapeError for other specs, TapeError
    // when a weight was written to since the plan was made.
    Tensor logits(const Tensors& inputs);
    // sum over k of dlogits[n, k] * d logits[n, k] / d images, of the images' shape, for the last logits();
    // may be asked again. Throws TapeError before the first logits(), or when their images were written to
    // since and are needed, ShapeError for another shape.
    Tensor vjp(const Tensor& dlogits);

    // Whether the weights are still those that the plan was made with.
    bool is_current() const;
    int64_t images_at_once() const;
    // So many images are best asked about together: one for every thread and 2 at least, and more only while
    // what is kept for vjp() stays below 32 MB. Beyond that a batch needs more memory and is no faster.
    int64_t suggested_batch() const;
    std::size_t arena_bytes() const;  // of one thread
    std::size_t kept_bytes() const;   // between logits() and vjp(), for images_at_once()
    void print(std::ostream& out) const;

  private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace microtome
