#include "autograd/plan/device_stages.hpp"
#include "autograd/plan/fuse.hpp"
#include "autograd/plan/rewriter.hpp"

namespace microtome::plan {
namespace {

// What follows a product step by step, each step the only reader of the one before: a bias for each of
// `channels`, a residual, a ReLU. Reshapes between them only rename.
class Chain {
  public:
    Chain(Graph& graph, Rewriter& rewriter, int product, int64_t channels)
        : graph_(graph), rewriter_(rewriter), product_(product), steps_{product} {
        y_ = graph.steps[product].outputs[0];
        look();
        if (rewriter.is(next_, op_info<op::Add>()) && inputs()[0] == x_ && is_bias(inputs()[1], channels))
            take_term(inputs()[1], following_.bias);
        if (rewriter.is(next_, op_info<op::Add>())) {
            const int other = inputs()[0] == x_ ? inputs()[1] : inputs()[0];
            if (graph.spec(other) == graph.spec(x_)) take_term(other, following_.residual);
        }
        if (rewriter.is(next_, op_info<op::Relu>())) {
            const std::vector<int>& outputs = graph.steps[next_].outputs;
            if (outputs.size() > 1) gate_ = outputs[1];
            following_.relu = true;
            take();
        }
    }

    const Following& following() const { return following_; }
    const Shape& output() const { return graph_.spec(y_).shape; }

    // The product's step with all that follows it, at the place of the last, where all terms are known.
    void replace(const OpInfo& stage, std::shared_ptr<const void> attributes) {
        Step fused{
            &stage, std::move(attributes), graph_.steps[product_].inputs, {y_}, graph_.steps[product_].phase};
        fused.inputs.insert(fused.inputs.end(), terms_.begin(), terms_.end());
        if (gate_ >= 0) fused.outputs.push_back(gate_);
        for (int step : steps_) rewriter_.absorb(step);
        rewriter_.replace(steps_.back(), std::move(fused));
    }

  private:
    const std::vector<int>& inputs() const { return graph_.steps[next_].inputs; }
    bool is_bias(int v, int64_t channels) const {
        return graph_.spec(v).shape == Shape{channels} && graph_.spec(x_).shape[-1] == channels &&
               graph_.spec(v).dtype == graph_.spec(x_).dtype;
    }
    void look() {
        passed_.clear();
        next_ = rewriter_.only_reader(y_, product_, &passed_);
        x_ = passed_.empty() ? y_ : graph_.steps[passed_.back()].outputs[0];
    }
    void take() {
        steps_.insert(steps_.end(), passed_.begin(), passed_.end());
        steps_.push_back(next_);
        y_ = graph_.steps[next_].outputs[0];
        look();
    }
    void take_term(int v, bool& flag) {
        flag = true;
        terms_.push_back(v);
        take();
    }

    Graph& graph_;
    Rewriter& rewriter_;
    int product_, y_ = -1, x_ = -1, next_ = -1, gate_ = -1;  // y: made so far; x: y under its last name
    Following following_;
    std::vector<int> steps_, passed_, terms_;
};

}  // namespace

void fuse_on_device(Graph& graph) {
    Rewriter rewriter(graph);
    for (std::size_t i = 0; i < graph.steps.size(); ++i) {
        const int s = static_cast<int>(i);
        const std::vector<int>& inputs = graph.steps[i].inputs;
        if (rewriter.is(s, op_info<op::Matmul>()) && graph.spec(inputs[1]).shape.rank() == 2) {
            const auto& product = attributes_of<MatmulAttributes>(graph.steps[i]);
            Chain chain(graph, rewriter, s, graph.spec(graph.steps[i].outputs[0]).shape[1]);
            if (!(chain.following() == Following{}))
                chain.replace(device_linear_stage(),
                              std::make_shared<const DeviceLinearAttributes>(
                                  DeviceLinearAttributes{product, chain.following(), chain.output()}));
        } else if (rewriter.is(s, op_info<op::Conv2d>())) {
            const ConvOptions& options = attributes_of<Conv2dAttributes>(graph.steps[i]).options;
            Chain chain(graph, rewriter, s, graph.spec(graph.steps[i].outputs[0]).shape[3]);
            if (!(chain.following() == Following{}))
                chain.replace(device_conv_stage(), std::make_shared<const DeviceConvAttributes>(
                                                       DeviceConvAttributes{options, chain.following()}));
        }
    }
}

}  // namespace microtome::plan
