// A classifier as plans see it: its inputs for any number of images, and the trace of its logits and of the
// images' gradient behind them. Image plans and batch plans differ in what they do with it.
#pragma once

#include "autograd/op.hpp"
#include "autograd/plan/graph.hpp"

#include <functional>

namespace microtome::plan {

enum Phase { kForward = 0, kBackward = 1 };

struct ClassifierTrace {
    Graph graph;              // of two phases
    std::vector<int> inputs;  // then dlogits
    int dlogits = -1, logits = -1, gradient = -1;
};

class TracedClassifier {
  public:
    using Model = std::function<Tensor(const Tensors& inputs)>;
    enum class Devices { one, any };

    // `where` is who speaks in errors. Specs are those of ImagePlan and BatchPlan; ShapeError for a first
    // axis that is not 1.
    TracedClassifier(std::string_view where, const Spec& image, const Specs& per_image, const Specs& shared,
                     Model model);

    // Throws whatever the model throws, ShapeError unless its logits are (n, K).
    ClassifierTrace trace(int64_t n) const;

    bool is_per_image(std::size_t input) const { return input < per_image_.size(); }
    Device device() const { return per_image_[0].device; }

    // Throws ShapeError unless these are the inputs for one number of images.
    void require_inputs(const Tensors& inputs, Devices devices = Devices::one) const;
    // Throws TapeError for weights that are not current.
    void require_current(bool current) const;

  private:
    std::string_view where_;
    Specs per_image_, shared_;
    Model model_;
};

// `one`, whose first axis has size 1, n times.
Spec of_images(Spec one, int64_t n);

// Whether no constant was written to since it was traced.
bool constants_are_current(const Graph& graph);

}  // namespace microtome::plan
