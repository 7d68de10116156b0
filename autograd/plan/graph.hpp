// What a plan is made from: the ops of a trace as steps over numbered values. Passes rewrite it, then its
// values get places in memory.
#pragma once

#include "autograd/op.hpp"

#include <unordered_map>

namespace microtome::plan {

struct Step {
    const OpInfo* op = nullptr;  // of the list, or a stage: a fused kernel (stages.hpp)
    std::shared_ptr<const void> attributes;
    std::vector<int> inputs, outputs;  // values; outputs end with the gates
    int phase = 0;
};

// A concrete tensor that the trace read, as it was then.
struct Constant {
    Tensor tensor;
    uint64_t version;
};

struct Graph {
    std::vector<Step> steps;
    Tensors values;  // abstract: a run calculates it; else a constant
    std::vector<int> inputs, results;
    std::vector<Constant> constants;

    bool is_constant(int v) const { return !values[v].is_abstract(); }
    const Spec& spec(int v) const { return values[v].spec(); }
    int add(const Tensor& value) {
        values.push_back(value);
        return static_cast<int>(values.size()) - 1;
    }
};

// Notes what runs while it is observed. What depends on no abstract tensor has been calculated by then, and
// is a constant.
class Tracer : public OpObserver {
  public:
    int value(const Tensor& x);  // its number; a new one for a tensor not seen before
    void next_phase() { ++phase_; }
    void ran(const OpInfo& op, const std::shared_ptr<const void>& attributes, const Tensors& inputs,
             const Tensors& outputs, const Tensors& gates) override;
    // Throws TapeError for a result, or an input of a step, that is abstract and that nothing calculates.
    Graph finish(std::vector<int> inputs, std::vector<int> results);

  private:
    Graph graph_;
    std::unordered_map<uint64_t, int> numbers_;
    std::unordered_map<uint64_t, Constant> constants_;
    int phase_ = 0;
};

// Drops the steps that lead to no result.
void drop_dead_steps(Graph& graph);

// Throws TapeError when a constant was written to since the trace.
void require_unchanged(const Graph& graph);

// Where a value lies during a run.
enum class Home {
    constant,
    outside,  // in a tensor that the caller of a run brings
    arena,    // shares memory with values that live at other times
    kept      // from a phase that calculates it to a later one that reads it, which may be repeated
};

struct Placement {
    std::vector<int> owner;        // by value: whose memory it lies in, its own unless a view or in place
    std::vector<Home> home;        // by value
    std::vector<int64_t> offsets;  // by value: bytes from the start of the arena, or of what is kept
    std::size_t arena_bytes = 0, kept_bytes = 0;
    std::size_t value_bytes = 0;  // what all values would take without sharing
};

// `outside`: values whose memory the caller brings; each owns its memory.
Placement place(const Graph& graph, const std::vector<int>& outside);

// The values as tensors in the given blocks; views are taken. `outside[v]` is what the caller brings for v,
// undefined where he has none in this phase; what depends on that stays undefined, too.
Tensors bind(const Graph& graph, const Placement& placement, const Tensor& arena, const Tensor& kept,
             const Tensors& outside);

// The workspace of the neediest step, in bytes, on as many threads as this one may use.
std::size_t workspace_bytes(const Graph& graph);

// Calls the kernels of one phase, in order.
void run_phase(const Graph& graph, int phase, const Tensors& bound, KernelContext& context);

}  // namespace microtome::plan
