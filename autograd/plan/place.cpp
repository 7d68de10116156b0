#include "autograd/plan/graph.hpp"

#include <algorithm>

namespace microtome::plan {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t aligned_bytes(const Spec& spec) {
    return (spec.bytes() + kAlignment - 1) / kAlignment * kAlignment;
}

class Placer {
  public:
    Placer(const Graph& graph, Placement& placement) : graph_(graph), placement_(placement) {}

    void place(const std::vector<int>& outside) {
        find_owners(outside);
        find_lifetimes();
        for (std::size_t s = 0; s < graph_.steps.size(); ++s)
            if (may_run_in_place(static_cast<int>(s))) run_in_place(graph_.steps[s]);
        place_kept();
        place_in_arena();
        for (std::size_t v = 0; v < placement_.owner.size(); ++v) {
            const int owner = owner_of(static_cast<int>(v));
            placement_.owner[v] = owner;
            placement_.home[v] = placement_.home[owner];
            placement_.offsets[v] = placement_.offsets[owner];
        }
    }

  private:
    int owner_of(int v) const {
        while (placement_.owner[v] != v) v = placement_.owner[v];
        return v;
    }
    Home& home(int v) { return placement_.home[v]; }

    void find_owners(const std::vector<int>& outside) {
        const std::size_t count = graph_.values.size();
        placement_.owner.resize(count);
        placement_.home.assign(count, Home::arena);
        placement_.offsets.assign(count, -1);
        for (std::size_t v = 0; v < count; ++v) {
            placement_.owner[v] = static_cast<int>(v);
            if (graph_.is_constant(static_cast<int>(v))) home(static_cast<int>(v)) = Home::constant;
        }
        for (const Step& step : graph_.steps) {
            for (int v : step.outputs) {
                if (step.op->view != nullptr)
                    placement_.owner[v] = owner_of(step.inputs[0]);
                else
                    placement_.value_bytes += aligned_bytes(graph_.spec(v));
            }
        }
        for (int v : outside) home(v) = Home::outside;
    }

    // A value lives from the step that writes it to the last one that reads it or a view of it. Inputs are
    // written before the first step and stay: a run may be repeated without writing them again. So may a
    // later phase, which is why what it reads of an earlier one is kept.
    void find_lifetimes() {
        const int last = static_cast<int>(graph_.steps.size());
        from_.assign(graph_.values.size(), -1);
        to_.assign(graph_.values.size(), -1);
        std::vector<int> phase(graph_.values.size(), 0);
        for (int v : graph_.inputs) from_[v] = 0, to_[v] = last;
        for (int s = 0; s < last; ++s) {
            const Step& step = graph_.steps[s];
            for (int v : step.inputs) {
                const int owner = owner_of(v);
                to_[owner] = std::max(to_[owner], s);
                if (home(owner) == Home::arena && from_[owner] >= 0 && phase[owner] < step.phase)
                    home(owner) = Home::kept;
            }
            if (step.op->view != nullptr) continue;
            for (int v : step.outputs) from_[v] = to_[v] = s, phase[v] = step.phase;
        }
        for (int v : graph_.results) to_[owner_of(v)] = last;
    }

    // Whether nobody needs the input any more, and whatever else the step reads in its memory lies in the
    // same places.
    bool may_run_in_place(int s) {
        const Step& step = graph_.steps[s];
        if (step.op->in_place < 0) return false;
        const int input = step.inputs[step.op->in_place], owner = owner_of(input), output = step.outputs[0];
        if (home(owner) != Home::arena || home(output) != Home::arena || to_[owner] != s) return false;
        const Spec& spec = graph_.spec(output);
        if (!(graph_.spec(input) == spec) || graph_.spec(owner).bytes() != spec.bytes()) return false;
        return std::all_of(step.inputs.begin(), step.inputs.end(),
                           [&](int v) { return owner_of(v) != owner || graph_.spec(v) == spec; });
    }
    void run_in_place(const Step& step) {
        const int output = step.outputs[0], owner = owner_of(step.inputs[step.op->in_place]);
        placement_.owner[output] = owner;
        to_[owner] = to_[output];
    }

    void place_kept() {
        for (std::size_t v = 0; v < graph_.values.size(); ++v) {
            if (placement_.owner[v] != static_cast<int>(v) || placement_.home[v] != Home::kept) continue;
            placement_.offsets[v] = static_cast<int64_t>(placement_.kept_bytes);
            placement_.kept_bytes += aligned_bytes(graph_.values[v].spec());
        }
    }

    // Largest first, each at the lowest place where nothing that lives at the same time lies.
    void place_in_arena() {
        auto bytes = [&](int v) { return aligned_bytes(graph_.spec(v)); };
        std::vector<int> order;
        for (std::size_t i = 0; i < graph_.values.size(); ++i) {
            const int v = static_cast<int>(i);
            if (placement_.owner[v] == v && home(v) == Home::arena && from_[v] >= 0) order.push_back(v);
        }
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bytes(a) > bytes(b); });
        std::vector<int64_t>& offsets = placement_.offsets;
        std::vector<int> placed;  // by offset
        for (int v : order) {
            std::size_t at = 0;
            for (int other : placed) {
                if (to_[other] < from_[v] || from_[other] > to_[v]) continue;
                auto start = static_cast<std::size_t>(offsets[other]);
                if (start >= at + bytes(v)) break;
                at = std::max(at, start + bytes(other));
            }
            offsets[v] = static_cast<int64_t>(at);
            placement_.arena_bytes = std::max(placement_.arena_bytes, at + bytes(v));
            auto by_offset = [&](int a, int b) { return offsets[a] < offsets[b]; };
            placed.insert(std::upper_bound(placed.begin(), placed.end(), v, by_offset), v);
        }
    }

    const Graph& graph_;
    Placement& placement_;
    std::vector<int> from_, to_;
};

}  // namespace

Placement place(const Graph& graph, const std::vector<int>& outside) {
    Placement placement;
    Placer(graph, placement).place(outside);
    return placement;
}

Tensors bind(const Graph& graph, const Placement& placement, const Tensor& arena, const Tensor& kept,
             const Tensors& outside) {
    Tensors bound(graph.values.size());
    for (std::size_t i = 0; i < bound.size(); ++i) {
        const int v = static_cast<int>(i);
        const int64_t offset = placement.offsets[i];
        switch (placement.home[i]) {
            case Home::constant: bound[i] = graph.values[i]; break;
            case Home::outside:
                if (placement.owner[i] == v && !outside.empty()) bound[i] = outside[i];
                break;
            case Home::arena:  // those of a view, for now
                if (offset >= 0) bound[i] = arena.placed(graph.spec(v), offset);
                break;
            case Home::kept: bound[i] = kept.placed(graph.spec(v), offset); break;
        }
    }
    for (const Step& step : graph.steps) {
        if (step.op->view == nullptr) continue;
        Tensors inputs;
        for (int v : step.inputs) inputs.push_back(bound[v]);
        if (!std::all_of(inputs.begin(), inputs.end(), [](const Tensor& x) { return x.defined(); })) continue;
        Tensors outputs = step.op->view(step.attributes.get(), inputs);
        for (std::size_t i = 0; i < outputs.size(); ++i) bound[step.outputs[i]] = outputs[i];
    }
    return bound;
}

std::size_t workspace_bytes(const Graph& graph) {
    std::size_t most = 0;
    for (const Step& step : graph.steps) {
        if (step.op->workspace == nullptr || step.op->view != nullptr) continue;
        Specs specs;
        for (int v : step.inputs) specs.push_back(graph.spec(v));
        most = std::max(most, step.op->workspace(step.attributes.get(), specs));
    }
    return most;
}

void run_phase(const Graph& graph, int phase, const Tensors& bound, KernelContext& context) {
    Tensors inputs, outputs;
    for (const Step& step : graph.steps) {
        if (step.phase != phase || step.op->view != nullptr) continue;
        inputs.clear();
        outputs.clear();
        for (int v : step.inputs) inputs.push_back(bound[v]);
        for (int v : step.outputs) outputs.push_back(bound[v]);
        step.op->forward(step.attributes.get(), inputs, outputs, context);
    }
}

}  // namespace microtome::plan
