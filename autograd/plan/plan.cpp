#include "autograd/plan.hpp"

#include "autograd/plan/graph.hpp"
#include "autograd/plan/print.hpp"

namespace microtome {

Plan Plan::trace(const Specs& specs, const Function& function) {
    plan::Tracer tracer;
    Tensors inputs;
    std::vector<int> input_values, result_values;
    for (const Spec& spec : specs) {
        inputs.push_back(Tensor::abstract(spec));
        input_values.push_back(tracer.value(inputs.back()));
    }
    {
        ObserveOps observe(tracer);
        for (const Tensor& result : function(inputs)) {
            if (!result.defined())
                throw TapeError("plan", "expected tensors as results, got an undefined one");
            result_values.push_back(tracer.value(result));
        }
    }
    plan::Graph graph = tracer.finish(std::move(input_values), std::move(result_values));
    plan::Placement placement = plan::place(graph, {});

    Plan plan;
    const Device device = graph.steps.empty() ? kCpu : graph.spec(graph.steps[0].outputs[0]).device;
    const Tensor arena(Spec{{static_cast<int64_t>(placement.arena_bytes)}, Dtype::u8, device});
    plan.tensors_ = plan::bind(graph, placement, arena, Tensor(), {});
    plan.graph_ = std::make_shared<const plan::Graph>(std::move(graph));
    plan.placement_ = std::make_shared<const plan::Placement>(std::move(placement));
    return plan;
}

Tensors Plan::run(const Tensors& inputs) {
    if (inputs.size() != graph_->inputs.size())
        throw ShapeError("plan", str("expected ", graph_->inputs.size(), " inputs, got ", inputs.size()));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const Spec& traced = graph_->spec(graph_->inputs[i]);
        if (!inputs[i].defined() || !(inputs[i].spec() == traced))
            throw ShapeError("plan", str("expected ", traced, " as input ", i, ", got ", inputs[i].spec()),
                             "trace another plan for another batch size");
        input(static_cast<int>(i)).copy_from(inputs[i]);
    }
    replay();
    Tensors results;
    for (int v : graph_->results) results.push_back(tensors_[v].clone());
    return results;
}

Tensor& Plan::input(int i) {
    return tensors_[graph_->inputs[i]];
}
const Tensor& Plan::result(int i) const {
    return tensors_[graph_->results[i]];
}

void Plan::replay() {
    plan::require_unchanged(*graph_);
    allocate_workspace();
    KernelContext context;
    context.workspace = {workspace_.mutable_raw(), workspace_.spec().bytes()};
    plan::run_phase(*graph_, 0, tensors_, context);
}

// One workspace for all steps, the size of the neediest. Some need more on more threads.
void Plan::allocate_workspace() {
    if (workspace_threads_ == thread_limit()) return;
    workspace_ = Tensor(Spec{{static_cast<int64_t>(plan::workspace_bytes(*graph_))}, Dtype::u8, kCpu});
    workspace_threads_ = thread_limit();
}

int64_t Plan::steps() const {
    return plan::count_steps(*graph_);
}
std::size_t Plan::arena_bytes() const {
    return placement_->arena_bytes;
}
std::size_t Plan::value_bytes() const {
    return placement_->value_bytes;
}
void Plan::print(std::ostream& out) const {
    plan::print(*graph_, *placement_, out);
}

}  // namespace microtome
