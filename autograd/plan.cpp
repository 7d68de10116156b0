#include "autograd/plan.hpp"

#include "autograd/tape.hpp"

#include <algorithm>
#include <iomanip>
#include <ostream>
#include <unordered_map>

namespace microtome {

// Follows a trace, then turns what it saw into a plan.
class Plan::Builder : public OpObserver {
  public:
    int add_value(const Tensor& x) {
        auto [found, fresh] = values_.emplace(x.id(), static_cast<int>(seen_.size()));
        if (fresh) seen_.push_back(x);
        return found->second;
    }

    void ran(const OpInfo& op, const std::shared_ptr<const void>& attributes, const Tensors& inputs,
             const Tensors& outputs, const Tensors& gates) override {
        for (const Tensor& input : inputs)
            if (!input.is_abstract()) constants_.try_emplace(input.id(), Constant{input, input.version()});
        // What depends on no input has been calculated already; to the plan it is a constant.
        if (outputs.empty() || !outputs[0].is_abstract()) return;
        Step step{&op, attributes, {}, {}, static_cast<int64_t>(gates.size())};
        for (const Tensor& input : inputs) step.inputs.push_back(add_value(input));
        for (const Tensor& output : outputs) step.outputs.push_back(add_value(output));
        for (const Tensor& gate : gates) step.outputs.push_back(add_value(gate));
        steps_.push_back(std::move(step));
    }

    Plan finish(const std::vector<int>& inputs, const std::vector<int>& results) {
        Plan plan;
        plan.inputs_ = inputs;
        plan.results_ = results;
        for (auto& [id, constant] : constants_) plan.constants_.push_back(constant);
        drop_dead_steps(results);
        find_lifetimes(inputs, results);
        place(plan);
        bind(plan);
        return plan;
    }

  private:
    static constexpr std::size_t kAlignment = 64;

    void drop_dead_steps(const std::vector<int>& results) {
        std::vector<char> wanted(seen_.size(), 0);
        for (int result : results) wanted[result] = 1;
        std::vector<Step> alive;
        for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
            if (std::none_of(step->outputs.begin(), step->outputs.end(), [&](int v) { return wanted[v]; }))
                continue;
            for (int input : step->inputs) wanted[input] = 1;
            alive.push_back(std::move(*step));
        }
        steps_.assign(std::make_move_iterator(alive.rbegin()), std::make_move_iterator(alive.rend()));
    }

    // Which value owns the memory that v lies in: itself unless v is a view, or was calculated in place.
    int root(int v) const {
        while (root_[v] != v) v = root_[v];
        return v;
    }

    // A value lives from the step that writes it to the last one that reads it or a view of it.
    void find_lifetimes(const std::vector<int>& inputs, const std::vector<int>& results) {
        const int last = static_cast<int>(steps_.size());
        root_.resize(seen_.size());
        for (std::size_t v = 0; v < seen_.size(); ++v) root_[v] = static_cast<int>(v);
        from_.assign(seen_.size(), -1);
        to_.assign(seen_.size(), -1);
        // Inputs are written before the first step and stay: a replay may be repeated without writing them
        // again.
        for (int v : inputs) from_[v] = 0, to_[v] = last;
        for (int s = 0; s < last; ++s) {
            const Step& step = steps_[s];
            for (int v : step.inputs) to_[root(v)] = std::max(to_[root(v)], s);
            for (int v : step.outputs) {
                if (step.op->view != nullptr)
                    root_[v] = root(step.inputs[0]);
                else
                    from_[v] = to_[v] = s;
            }
        }
        for (int v : results) to_[root(v)] = last;
        for (int s = 0; s < last; ++s)
            if (may_run_in_place(steps_[s], s)) run_in_place(steps_[s]);
    }

    // Whether nobody needs the input any more, and whatever else the step reads in its memory lies in the
    // same places.
    bool may_run_in_place(const Step& step, int s) const {
        if (step.op->in_place < 0) return false;
        const int input = step.inputs[step.op->in_place], owner = root(input);
        if (from_[owner] < 0 || to_[owner] != s) return false;
        const Spec& spec = seen_[step.outputs[0]].spec();
        if (!(seen_[input].spec() == spec) || seen_[owner].spec().bytes() != spec.bytes()) return false;
        return std::all_of(step.inputs.begin(), step.inputs.end(),
                           [&](int v) { return root(v) != owner || seen_[v].spec() == spec; });
    }
    void run_in_place(const Step& step) {
        const int output = step.outputs[0], owner = root(step.inputs[step.op->in_place]);
        root_[output] = owner;
        to_[owner] = to_[output];
        from_[output] = -1;
    }

    // Largest first, each at the lowest place where nothing that lives at the same time lies.
    void place(Plan& plan) {
        auto bytes = [&](int v) {
            return (seen_[v].spec().bytes() + kAlignment - 1) / kAlignment * kAlignment;
        };
        for (const Step& step : steps_)
            for (int v : step.outputs) plan.value_bytes_ += step.op->view == nullptr ? bytes(v) : 0;
        std::vector<int> order;
        for (std::size_t v = 0; v < seen_.size(); ++v)
            if (from_[v] >= 0) order.push_back(static_cast<int>(v));
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bytes(a) > bytes(b); });
        plan.places_.assign(seen_.size(), -1);
        std::vector<int> placed;  // by place
        for (int v : order) {
            std::size_t at = 0;
            for (int other : placed) {
                if (to_[other] < from_[v] || from_[other] > to_[v]) continue;
                auto start = static_cast<std::size_t>(plan.places_[other]);
                if (start >= at + bytes(v)) break;
                at = std::max(at, start + bytes(other));
            }
            plan.places_[v] = static_cast<int64_t>(at);
            plan.arena_bytes_ = std::max(plan.arena_bytes_, at + bytes(v));
            auto by_place = [&](int a, int b) { return plan.places_[a] < plan.places_[b]; };
            placed.insert(std::upper_bound(placed.begin(), placed.end(), v, by_place), v);
        }
        for (std::size_t v = 0; v < seen_.size(); ++v)
            plan.places_[v] = plan.places_[root(static_cast<int>(v))];
    }

    void require_all_bound(const Plan& plan) {
        auto require = [&](int v) {
            if (!plan.tensors_[v].defined())
                throw TapeError("plan",
                                str("expected values calculated from the inputs, got the abstract tensor ",
                                    seen_[v].spec(), ", which no op made"));
        };
        for (const Step& step : plan.steps_)
            for (int v : step.inputs) require(v);
        for (int v : plan.results_) require(v);
    }

    // Every value becomes a tensor with memory, once and for all runs; views are taken now.
    void bind(Plan& plan) {
        Device device = steps_.empty() ? kCpu : seen_[steps_[0].outputs[0]].device();
        Tensor arena(Spec{{static_cast<int64_t>(plan.arena_bytes_)}, Dtype::u8, device});
        plan.tensors_.resize(seen_.size());
        for (std::size_t v = 0; v < seen_.size(); ++v) {
            if (!seen_[v].is_abstract())
                plan.tensors_[v] = seen_[v];
            else if (plan.places_[v] >= 0)
                plan.tensors_[v] = arena.placed(seen_[v].spec(), plan.places_[v]);  // of a view, for now
        }
        for (Step& step : steps_) {
            if (step.op->view == nullptr) {
                plan.steps_.push_back(std::move(step));
                continue;
            }
            Tensors inputs;
            for (int v : step.inputs) inputs.push_back(plan.tensors_[v]);
            Tensors outputs = step.op->view(step.attributes.get(), inputs);
            for (std::size_t i = 0; i < outputs.size(); ++i) plan.tensors_[step.outputs[i]] = outputs[i];
        }
        require_all_bound(plan);
    }

    std::vector<Step> steps_;
    Tensors seen_;  // by value, as the trace saw them: abstract, or a constant
    std::unordered_map<uint64_t, int> values_;
    std::unordered_map<uint64_t, Constant> constants_;
    std::vector<int> root_, from_, to_;
};

Plan Plan::trace(const Specs& specs, const Function& function) {
    Builder builder;
    Tensors inputs;
    std::vector<int> input_values, result_values;
    for (const Spec& spec : specs) {
        inputs.push_back(Tensor::abstract(spec));
        input_values.push_back(builder.add_value(inputs.back()));
    }
    {
        ObserveOps observe(builder);
        for (const Tensor& result : function(inputs)) {
            if (!result.defined())
                throw TapeError("plan", "expected tensors as results, got an undefined one");
            result_values.push_back(builder.add_value(result));
        }
    }
    return builder.finish(input_values, result_values);
}

Tensors Plan::run(const Tensors& inputs) {
    if (inputs.size() != inputs_.size())
        throw ShapeError("plan", str("expected ", inputs_.size(), " inputs, got ", inputs.size()));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const Spec& traced = tensors_[inputs_[i]].spec();
        if (!inputs[i].defined() || !(inputs[i].spec() == traced))
            throw ShapeError("plan", str("expected ", traced, " as input ", i, ", got ", inputs[i].spec()),
                             "trace another plan for another batch size");
        input(static_cast<int>(i)).copy_from(inputs[i]);
    }
    replay();
    Tensors results;
    for (int v : results_) results.push_back(tensors_[v].clone());
    return results;
}

void Plan::replay() {
    for (const Constant& constant : constants_)
        if (constant.tensor.version() != constant.version)
            throw TapeError(
                "plan", str("a tensor ", constant.tensor.spec(), " that the trace used was written to since"),
                "trace the plan again after changing weights");
    allocate_workspace();
    KernelContext context;
    context.workspace = {workspace_.mutable_raw(), workspace_.spec().bytes()};
    Tensors inputs, outputs;
    for (const Step& step : steps_) {
        inputs.clear();
        outputs.clear();
        for (int v : step.inputs) inputs.push_back(tensors_[v]);
        for (int v : step.outputs) outputs.push_back(tensors_[v]);
        step.op->forward(step.attributes.get(), inputs, outputs, context);
    }
}

// One workspace for all steps, the size of the neediest. Some need more on more threads.
void Plan::allocate_workspace() {
    if (workspace_threads_ == thread_limit()) return;
    std::size_t most = 0;
    for (const Step& step : steps_) {
        if (step.op->workspace == nullptr) continue;
        Specs specs;
        for (int v : step.inputs) specs.push_back(tensors_[v].spec());
        most = std::max(most, step.op->workspace(step.attributes.get(), specs));
    }
    workspace_ = Tensor(Spec{{static_cast<int64_t>(most)}, Dtype::u8, kCpu});
    workspace_threads_ = thread_limit();
}

void Plan::print(std::ostream& out) const {
    auto name = [&](int v) {
        return places_[v] >= 0 ? str("@", places_[v], " ", tensors_[v].spec())
                               : str("constant ", tensors_[v].spec());
    };
    for (std::size_t s = 0; s < steps_.size(); ++s) {
        out << std::setw(4) << s << "  " << steps_[s].op->name;
        if (std::string text = steps_[s].op->print(steps_[s].attributes.get()); !text.empty())
            out << " [" << text << "]";
        for (int v : steps_[s].inputs) out << "  " << name(v);
        out << "  ->";
        for (int v : steps_[s].outputs) out << "  " << name(v);
        out << '\n';
    }
    out << steps_.size() << " steps, " << arena_bytes_ << " bytes for values of " << value_bytes_
        << " bytes\n";
}

}  // namespace microtome
