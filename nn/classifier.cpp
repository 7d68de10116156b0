#include "nn/classifier.hpp"

#include "tensor/hash.hpp"

namespace microtome {

Tensor Classifier::logits(const Batch& batch, const Query& query) {
    if (!batch.images.defined() || batch.images.rank() != 4)
        throw ShapeError("classifier", str("expected images (N,H,W,C), got ", batch.images));
    if (!batch.ids.empty() && static_cast<int64_t>(batch.ids.size()) != batch.images.size(0))
        throw ShapeError("classifier", str("expected an id for each of ", batch.images.size(0),
                                           " images or none, got ", batch.ids.size()));
    asked_ = false;
    Tensor result = run(batch, query);
    forward_passes_ += batch.images.size(0);
    last_ = result.spec();
    asked_ = true;
    return result;
}

Tensor Classifier::vjp(const Tensor& dlogits) {
    if (!asked_) throw TapeError("classifier", "expected logits() before vjp()");
    if (!dlogits.defined() || !(dlogits.spec() == last_))
        throw ShapeError("classifier", str("expected dlogits ", last_, ", got ", dlogits));
    Tensor result = pull(dlogits);
    backward_passes_ += last_.shape[0];
    return result;
}

ModelClassifier::ModelClassifier(LoadedModel loaded)
    : own_(std::move(loaded.model)), model_(own_.get()), options_(std::move(loaded.card.options)) {
    model_->eval();
}

uint64_t fingerprint_of(const Module& model) {
    uint64_t hash = kHashSeed;
    for (const NamedParameter& named : model.named_parameters())
        hash =
            hash_bytes(str(named.name, named.parameter->frozen, hex(hash_of(named.parameter->value))), hash);
    for (const auto& [name, module] : model.named_modules())
        hash = hash_bytes(str(name, module->training()), hash);
    return hash;
}

Tensor ModelClassifier::run(const Batch& batch, const Query& query) {
    tape_.reset();
    // Variables of our own: what the caller does with its images and logits is none of this tape's business.
    images_ = batch.images.view(batch.images.shape());
    tape_ = std::make_unique<Tape>();
    tape_->watch(images_);
    model_->eval();
    logits_ = (*model_)(images_,
                        {.seed = query.seed, .step = query.step, .restart = query.restart, .ids = batch.ids});
    return logits_.view(logits_.shape());
}

Tensor ModelClassifier::pull(const Tensor& dlogits) {
    return tape_->vjp({logits_}, {dlogits}, {images_})[0];
}

}  // namespace microtome
