#include "nn/classifier.hpp"

#include "autograd/ops/dropout.hpp"
#include "tensor/hash.hpp"
#include "tensor/out_of_memory.hpp"

#include <numeric>

namespace microtome {

Tensor Classifier::logits(const Batch& batch, const Query& query) {
    if (!batch.images.defined() || batch.images.rank() != 4)
        throw ShapeError("classifier", str("expected images (N,H,W,C), got ", batch.images));
    if (!batch.ids.empty() && static_cast<int64_t>(batch.ids.size()) != batch.images.size(0))
        throw ShapeError("classifier", str("expected an id for each of ", batch.images.size(0),
                                           " images or none, got ", batch.ids.size()));
    asked_ = false;
    Tensor result = with_batch_advice("classifier", batch.images.size(0), [&] { return run(batch, query); });
    forward_passes_ += batch.images.size(0);
    last_ = result.spec();
    asked_ = true;
    return result;
}

Tensor Classifier::vjp(const Tensor& dlogits) {
    if (!asked_) throw TapeError("classifier", "expected logits() before vjp()");
    if (!dlogits.defined() || !(dlogits.spec() == last_))
        throw ShapeError("classifier", str("expected dlogits ", last_, ", got ", dlogits));
    Tensor result = with_batch_advice("classifier", last_.shape[0], [&] { return pull(dlogits); });
    backward_passes_ += last_.shape[0];
    return result;
}

Tensor logits_alone(Classifier& classifier, const Batch& batch, const Query& query) {
    const int64_t n = batch.images.defined() && batch.images.rank() == 4 ? batch.images.size(0) : 0;
    if (n == 0) return classifier.logits(batch, query);
    const int64_t together = classifier.suggested_batch(batch.images.spec());
    if (together >= n) return classifier.logits(batch, query);
    Tensor result(Spec{{n, classifier.classes()}, batch.images.dtype(), batch.images.device()});
    for (int64_t begin = 0; begin < n; begin += together) {
        const Tensor part = classifier.logits(slice(batch, begin, std::min(n, begin + together)), query);
        result.view(part.shape(), begin * classifier.classes()).copy_from(part);
    }
    return result;
}

ModelClassifier::ModelClassifier(LoadedModel loaded, Execution execution)
    : own_(std::move(loaded.model)),
      model_(own_.get()),
      options_(std::move(loaded.card.options)),
      execution_(execution) {
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

namespace {

std::vector<uint64_t> weight_ids(const Module& model) {
    std::vector<uint64_t> ids;
    for (const NamedParameter& named : model.named_parameters()) ids.push_back(named.parameter->value.id());
    return ids;
}

Tensor ids_of(const Batch& batch) {
    std::vector<int64_t> ids = batch.ids;
    if (ids.empty()) {  // their places in the batch, as a Pass has it
        ids.resize(static_cast<std::size_t>(batch.images.size(0)));
        std::iota(ids.begin(), ids.end(), int64_t{0});
    }
    return Tensor::of(ids, {batch.images.size(0)});
}

}  // namespace

std::string_view ModelClassifier::mode() const {
    if (!ran_plan_) return "tape";
    const bool exact =
        planned_->batch_plan ? planned_->batch_plan->is_exact() : execution_ == Execution::exact_plan;
    return exact ? "exact plan" : "plan";
}

// Whether there is a plan for such images and the weights as they are now, made if need be; if not, the model
// has to run on the tape.
bool ModelClassifier::plan_for(const Spec& images) {
    if (execution_ == Execution::tape) return false;
    Spec image = images;
    image.shape = image.shape.with(0, 1);
    std::vector<uint64_t> weights = weight_ids(*model_);
    const bool current =
        planned_ && planned_->image == image && planned_->weights == weights && planned_->is_current();
    if (!current) {
        planned_ = Planned{{}, {}, image, std::move(weights)};
        const Spec id{{1}, Dtype::i64, image.device}, key{{4}, Dtype::i64, image.device};
        const auto run = [model = model_](const Tensors& in) {
            return (*model)(in[0], {.key = in[2], .sample_ids = in[1]});
        };
        try {
            if (image.device == kCpu)
                planned_->plan.emplace(image, Specs{id}, Specs{key}, run,
                                       ImagePlanOptions{.exact = execution_ == Execution::exact_plan});
            else
                planned_->batch_plan.emplace(image, Specs{id}, Specs{key}, run,
                                             execution_ == Execution::exact_plan);
        } catch (const Error&) {
            // Whether this is the model's way or a mistake, the tape will tell, in the caller's own terms.
        }
    }
    return planned_->any();
}

int64_t ModelClassifier::suggested_batch(const Spec& images) {
    Spec there = images;
    there.device = model_->device();
    model_->eval();
    return plan_for(there) && planned_->plan ? planned_->plan->suggested_batch() : images.shape[0];
}

Tensor ModelClassifier::run(const Batch& batch, const Query& query) {
    model_->eval();
    tape_.reset();
    asked_from_ = batch.images.device();
    const Batch there{batch.images.to(model_->device()), {}, batch.ids};
    ran_plan_ = plan_for(there.images.spec());
    if (!ran_plan_) return run_tape(there, query).to(asked_from_);
    const Tensor key = key_tensor({.seed = query.seed,
                                   .restart = static_cast<uint32_t>(query.restart),
                                   .step = static_cast<uint32_t>(query.step)});
    const Tensors inputs{there.images, ids_of(there), key};
    return (planned_->plan ? planned_->plan->logits(inputs) : planned_->batch_plan->logits(inputs))
        .to(asked_from_);
}

std::optional<DevicePasses> ModelClassifier::device_passes(const Spec& images) {
    if (images.device == kCpu || !(images.device == model_->device())) return std::nullopt;
    model_->eval();
    tape_.reset();
    ran_plan_ = plan_for(images);
    if (!ran_plan_) return std::nullopt;
    BatchPlan& plan = *planned_->batch_plan;
    return DevicePasses{plan, images.shape[0], plan.places(images.shape[0])};
}

Tensor ModelClassifier::run_tape(const Batch& batch, const Query& query) {
    // Variables of our own: what the caller does with its images and logits is none of this tape's business.
    images_ = batch.images.view(batch.images.shape());
    tape_ = std::make_unique<Tape>();
    tape_->watch(images_);
    logits_ = (*model_)(images_,
                        {.seed = query.seed, .step = query.step, .restart = query.restart, .ids = batch.ids});
    return logits_.view(logits_.shape());
}

Tensor ModelClassifier::pull(const Tensor& dlogits) {
    const Tensor there = dlogits.to(model_->device());
    const Tensor gradient = !ran_plan_       ? tape_->vjp({logits_}, {there}, {images_})[0]
                            : planned_->plan ? planned_->plan->vjp(there)
                                             : planned_->batch_plan->vjp(there);
    return gradient.to(asked_from_);
}

}  // namespace microtome
