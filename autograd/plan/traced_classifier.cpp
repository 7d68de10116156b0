#include "autograd/plan/traced_classifier.hpp"

#include "autograd/tape.hpp"

namespace microtome::plan {

TracedClassifier::TracedClassifier(std::string_view where, const Spec& image, const Specs& per_image,
                                   const Specs& shared, Model model)
    : where_(where), per_image_(per_image), shared_(shared), model_(std::move(model)) {
    per_image_.insert(per_image_.begin(), image);
    for (const Spec& spec : per_image_)
        if (spec.shape.rank() < 1 || spec.shape[0] != 1)
            throw ShapeError(where_, str("expected the spec of one image, (1, ...), got ", spec));
}

ClassifierTrace TracedClassifier::trace(int64_t n) const {
    ClassifierTrace result;
    Tracer tracer;
    Tensors inputs;
    for (const Spec& spec : per_image_) inputs.push_back(Tensor::abstract(of_images(spec, n)));
    for (const Spec& spec : shared_) inputs.push_back(Tensor::abstract(spec));
    for (const Tensor& input : inputs) result.inputs.push_back(tracer.value(input));
    {
        ObserveOps observe(tracer);
        Tape tape;
        tape.watch(inputs[0]);
        const Tensor logits = model_(inputs);
        if (!logits.defined() || logits.rank() != 2 || logits.size(0) != n)
            throw ShapeError(
                where_, str("expected logits (", n, ", classes) of a model of ", n, " images, got ", logits));
        tracer.next_phase();
        const Tensor dlogits = Tensor::abstract(logits.spec());
        result.dlogits = tracer.value(dlogits);
        result.logits = tracer.value(logits);
        result.gradient = tracer.value(tape.vjp({logits}, {dlogits}, {inputs[0]})[0]);
    }
    std::vector<int> all = result.inputs;
    all.push_back(result.dlogits);
    result.graph = tracer.finish(all, {result.logits, result.gradient});
    return result;
}

void TracedClassifier::require_inputs(const Tensors& inputs, Devices devices) const {
    if (inputs.size() != per_image_.size() + shared_.size())
        throw ShapeError(
            where_, str("expected ", per_image_.size() + shared_.size(), " inputs, got ", inputs.size()));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!inputs[i].defined() || (is_per_image(i) && inputs[i].rank() == 0))
            throw ShapeError(where_, str("expected input ", i, " of images, got ", inputs[i]));
        Spec wanted =
            is_per_image(i) ? of_images(per_image_[i], inputs[0].size(0)) : shared_[i - per_image_.size()];
        if (devices == Devices::any) wanted.device = inputs[i].device();
        if (!(inputs[i].spec() == wanted))
            throw ShapeError(where_, str("expected ", wanted, " as input ", i, ", got ", inputs[i]));
    }
}

void TracedClassifier::require_current(bool current) const {
    if (!current)
        throw TapeError(where_, "a weight that the plan was made with was written to since",
                        "make another after changing weights");
}

Spec of_images(Spec one, int64_t n) {
    one.shape = one.shape.with(0, n);
    return one;
}

bool constants_are_current(const Graph& graph) {
    for (const Constant& constant : graph.constants)
        if (constant.tensor.version() != constant.version) return false;
    return true;
}

}  // namespace microtome::plan
