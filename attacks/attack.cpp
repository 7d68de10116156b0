#include "attacks/attack.hpp"

#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"

namespace microtome {
namespace {

// Looked at on their device, from which two numbers come back.
bool are_in_0_and_1(const Tensor& images) {
    if (images.elements() == 0) return true;
    PauseTapes pause;
    const Tensor lowest = min(images), highest = max(images);  // NaN if there is one
    return lowest.item() >= 0 && highest.item() <= 1;
}

}  // namespace

void require_attackable(std::string_view attack, const Classifier& classifier, const Batch& batch) {
    const Tensor &images = batch.images, &targets = batch.targets;
    if (!images.defined() || images.rank() != 4)
        throw ShapeError(attack, str("expected images (N,H,W,C), got ", images));
    if (images.dtype() != Dtype::f32)
        throw DtypeError(attack, str("expected images in f32, got ", images.spec()));
    const int64_t n = images.size(0), classes = classifier.classes();
    if (!targets.defined() || !(targets.shape() == Shape{n}))
        throw ShapeError(attack, str("expected the true class of each of ", n, " images, got ", targets));
    if (targets.dtype() != Dtype::i64)
        throw DtypeError(attack, str("expected true classes in i64, got ", targets.spec()));
    if (!batch.ids.empty() && static_cast<int64_t>(batch.ids.size()) != n)
        throw ShapeError(attack,
                         str("expected an id for each of ", n, " images or none, got ", batch.ids.size()));
    if (classes < 2)
        throw OptionsError(attack, str("expected a classifier of 2 classes or more, got ", classes),
                           "one class cannot be mistaken for another");
    const Tensor labels = targets.to(kCpu);
    for (int64_t target : labels.data<int64_t>())
        if (target < 0 || target >= classes)
            throw ShapeError(attack, str("expected classes from 0 to ", classes - 1, ", got ", target));
    if (!(images.device() == kCpu) && are_in_0_and_1(images)) return;
    const Tensor values = images.to(kCpu);
    for (float value : values.data<float>())
        if (!(value >= 0 && value <= 1))
            throw OptionsError(attack, str("expected images in [0,1], got the value ", value),
                               "pixel ranges and normalisation are the model's own business");
}

}  // namespace microtome
