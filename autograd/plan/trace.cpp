#include "autograd/plan/graph.hpp"

#include <algorithm>

namespace microtome::plan {

int Tracer::value(const Tensor& x) {
    auto [found, fresh] = numbers_.emplace(x.id(), static_cast<int>(graph_.values.size()));
    if (fresh) graph_.values.push_back(x);
    return found->second;
}

void Tracer::ran(const OpInfo& op, const std::shared_ptr<const void>& attributes, const Tensors& inputs,
                 const Tensors& outputs, const Tensors& gates) {
    for (const Tensor& input : inputs)
        if (!input.is_abstract()) constants_.try_emplace(input.id(), Constant{input, input.version()});
    if (outputs.empty() || !outputs[0].is_abstract()) return;
    Step step{&op, attributes, {}, {}, phase_};
    for (const Tensor& input : inputs) step.inputs.push_back(value(input));
    for (const Tensor& output : outputs) step.outputs.push_back(value(output));
    for (const Tensor& gate : gates) step.outputs.push_back(value(gate));
    graph_.steps.push_back(std::move(step));
}

Graph Tracer::finish(std::vector<int> inputs, std::vector<int> results) {
    graph_.inputs = std::move(inputs);
    graph_.results = std::move(results);
    for (auto& [id, constant] : constants_) graph_.constants.push_back(constant);
    drop_dead_steps(graph_);

    std::vector<char> known(graph_.values.size());
    for (std::size_t v = 0; v < known.size(); ++v) known[v] = graph_.is_constant(static_cast<int>(v));
    for (int v : graph_.inputs) known[v] = 1;
    auto require = [&](int v) {
        if (!known[v])
            throw TapeError("plan",
                            str("expected values calculated from the inputs, got the abstract tensor ",
                                graph_.spec(v), ", which no op made"));
    };
    for (const Step& step : graph_.steps) {
        for (int v : step.inputs) require(v);
        for (int v : step.outputs) known[v] = 1;
    }
    for (int v : graph_.results) require(v);
    return std::move(graph_);
}

void drop_dead_steps(Graph& graph) {
    std::vector<char> wanted(graph.values.size(), 0);
    for (int result : graph.results) wanted[result] = 1;
    std::vector<Step> alive;
    for (auto step = graph.steps.rbegin(); step != graph.steps.rend(); ++step) {
        if (std::none_of(step->outputs.begin(), step->outputs.end(), [&](int v) { return wanted[v]; }))
            continue;
        for (int input : step->inputs) wanted[input] = 1;
        alive.push_back(std::move(*step));
    }
    graph.steps.assign(std::make_move_iterator(alive.rbegin()), std::make_move_iterator(alive.rend()));
}

void require_unchanged(const Graph& graph) {
    for (const Constant& constant : graph.constants)
        if (constant.tensor.version() != constant.version)
            throw TapeError(
                "plan", str("a tensor ", constant.tensor.spec(), " that the trace used was written to since"),
                "trace the plan again after changing weights");
}

}  // namespace microtome::plan
