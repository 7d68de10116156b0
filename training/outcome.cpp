#include "training/outcome.hpp"

#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"

#include <functional>
#include <numeric>

namespace microtome {

WatchedPass::WatchedPass(const Module& model, uint64_t seed, int64_t step, std::vector<int64_t> ids) {
    pass.seed = seed;
    pass.step = step;
    pass.ids = std::move(ids);
    pass.after = [this, &model](const Module& module, const Tensor&, const Tensor& y) {
        if (&module == &model && !logits.defined()) logits = y;
    };
}

Tensor losses_of(const Objective& objective, Module& model, const Batch& batch, const Pass& pass) {
    Tensor losses = objective(model, batch, pass);
    if (!losses.defined() || !(losses.shape() == Shape{batch.images.size(0)}))
        throw ShapeError("objective",
                         str("expected a loss for each of ", batch.images.size(0), " images, got ", losses));
    return losses;
}

Outcome::Outcome(const Batch& batch, const Tensor& losses, const Tensor& logits, const Tensors& more)
    : images_(batch.images.size(0)) {
    PauseTapes pause;
    const Tensor& targets = batch.targets;
    const bool classes = targets.defined() && targets.dtype() == Dtype::i64 && targets.rank() == 1;
    Tensors wanted{losses, {}, {}};
    if (classes && logits.defined() && logits.rank() == 2 && logits.size(0) == images_) {
        labelled_ = images_;
        wanted[1] = argmax(logits, 1);
        wanted[2] = targets;
    }
    wanted.insert(wanted.end(), more.begin(), more.end());
    fetch_ = Fetch(wanted);
}

void Outcome::look() {
    if (!losses_.empty()) return;
    const Tensors& got = fetch_.get();
    for (int64_t i = 0; i < images_; ++i)
        losses_.push_back(got[0].dtype() == Dtype::f64 ? got[0].data<double>()[static_cast<std::size_t>(i)]
                                                       : got[0].data<float>()[static_cast<std::size_t>(i)]);
    if (labelled_ == 0) return;
    const auto p = got[1].data<int64_t>(), t = got[2].data<int64_t>();
    correct_ =
        std::inner_product(p.begin(), p.end(), t.begin(), int64_t{0}, std::plus<>(), std::equal_to<>());
}

}  // namespace microtome
