#include "autograd/plan/print.hpp"

#include <algorithm>
#include <iomanip>
#include <ostream>

namespace microtome::plan {

int64_t count_steps(const Graph& graph) {
    return std::count_if(graph.steps.begin(), graph.steps.end(),
                         [](const Step& step) { return step.op->view == nullptr; });
}

void print(const Graph& graph, const Placement& placement, std::ostream& out) {
    auto name = [&](int v) {
        const Spec& spec = graph.spec(v);
        switch (placement.home[v]) {
            case Home::constant: return str("constant ", spec);
            case Home::outside: return str("outside ", spec);
            case Home::kept: return str("kept@", placement.offsets[v], " ", spec);
            case Home::arena: break;
        }
        return str("@", placement.offsets[v], " ", spec);
    };
    int number = 0;
    for (const Step& step : graph.steps) {
        if (step.op->view != nullptr) continue;
        out << std::setw(4) << number++ << "  " << step.op->name;
        if (std::string text = step.op->print(step.attributes.get()); !text.empty())
            out << " [" << text << "]";
        for (int v : step.inputs) out << "  " << name(v);
        out << "  ->";
        for (int v : step.outputs) out << "  " << name(v);
        out << '\n';
    }
    out << number << " steps, " << placement.arena_bytes << " bytes for values of " << placement.value_bytes
        << " bytes";
    if (placement.kept_bytes > 0) out << ", " << placement.kept_bytes << " kept between phases";
    out << '\n';
}

}  // namespace microtome::plan
