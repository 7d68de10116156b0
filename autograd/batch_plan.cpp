#include "autograd/batch_plan.hpp"

#include "autograd/plan/graph.hpp"
#include "autograd/tape.hpp"

#include <algorithm>
#include <map>

namespace microtome {
namespace {

constexpr std::size_t kMostPrograms = 16;  // sizes of batches whose traces are kept

enum Phase { kForward = 0, kBackward = 1 };

// The model and its backward pass for a number of images.
struct Program {
    plan::Graph graph;
    plan::Placement placement;
    std::vector<int> inputs;
    std::vector<char> read;  // by input, whether a step reads it
    int dlogits = -1, logits = -1, gradient = -1;
    Tensors bound;  // the values in the plan's memory; empty: not yet, or that memory has moved
};

Spec of_images(Spec one, int64_t n) {
    one.shape = one.shape.with(0, n);
    return one;
}

}  // namespace

class BatchPlan::Implementation {
  public:
    Implementation(const Spec& image, const Specs& per_image, const Specs& shared, Model model)
        : per_image_(per_image), shared_(shared), model_(std::move(model)) {
        per_image_.insert(per_image_.begin(), image);
        for (const Spec& spec : per_image_)
            if (spec.shape.rank() < 1 || spec.shape[0] != 1)
                throw ShapeError("batch plan", str("expected the spec of one image, (1, ...), got ", spec));
        program(1);
    }

    Tensor logits(const Tensors& inputs) {
        require_inputs(inputs);
        last_ = nullptr;
        require_current();
        Program& now = bound_program(inputs[0].size(0));
        for (std::size_t i = 0; i < inputs.size(); ++i)
            if (now.read[i]) now.bound[now.inputs[i]].copy_from(inputs[i]);
        run(now, kForward);
        last_ = &now;
        return now.bound[now.logits].clone();
    }

    Tensor vjp(const Tensor& dlogits) {
        if (last_ == nullptr) throw TapeError("batch plan", "expected logits() before vjp()");
        const Spec& wanted = last_->graph.spec(last_->dlogits);
        if (!dlogits.defined() || !(dlogits.spec() == wanted))
            throw ShapeError("batch plan", str("expected dlogits ", wanted, ", got ", dlogits));
        require_current();
        last_->bound[last_->dlogits].copy_from(dlogits);
        run(*last_, kBackward);
        return last_->bound[last_->gradient].clone();
    }

    bool is_current() const {
        for (const auto& [n, program] : programs_)
            for (const plan::Constant& constant : program.graph.constants)
                if (constant.tensor.version() != constant.version) return false;
        return true;
    }

  private:
    Program& program(int64_t n) {
        if (const auto found = programs_.find(n); found != programs_.end()) return found->second;
        if (programs_.size() >= kMostPrograms) programs_.clear();
        return programs_.emplace(n, trace(n)).first->second;
    }

    Program trace(int64_t n) const {
        Program result;
        plan::Tracer tracer;
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
                throw ShapeError("batch plan", str("expected logits (", n, ", classes) of a model of ", n,
                                                   " images, got ", logits));
            tracer.next_phase();
            const Tensor dlogits = Tensor::abstract(logits.spec());
            result.dlogits = tracer.value(dlogits);
            result.logits = tracer.value(logits);
            result.gradient = tracer.value(tape.vjp({logits}, {dlogits}, {inputs[0]})[0]);
        }
        std::vector<int> all = result.inputs;
        all.push_back(result.dlogits);
        result.graph = tracer.finish(all, {result.logits, result.gradient});
        result.placement = plan::place(result.graph, {});
        for (int v : result.inputs)
            result.read.push_back(std::any_of(
                result.graph.steps.begin(), result.graph.steps.end(), [v](const plan::Step& step) {
                    return std::find(step.inputs.begin(), step.inputs.end(), v) != step.inputs.end();
                }));
        return result;
    }

    // The program for so many images, its values in memory.
    Program& bound_program(int64_t n) {
        Program& now = program(n);
        const std::size_t arena = now.placement.arena_bytes, kept = now.placement.kept_bytes;
        if (bytes_of(arena_) < arena || bytes_of(kept_) < kept) {
            for (auto& [other, program] : programs_) program.bound.clear();
            grow(arena_, arena);
            grow(kept_, kept);
        }
        if (now.bound.empty()) now.bound = plan::bind(now.graph, now.placement, arena_, kept_, {});
        return now;
    }

    static std::size_t bytes_of(const Tensor& block) { return block.defined() ? block.spec().bytes() : 0; }
    void grow(Tensor& block, std::size_t bytes) const {
        if (block.defined() && bytes_of(block) >= bytes) return;
        block = {};  // first, so that both need not fit
        block = Tensor(Spec{{static_cast<int64_t>(bytes)}, Dtype::u8, per_image_[0].device});
    }

    static void run(Program& program, Phase phase) {
        KernelContext context;  // GPUs' kernels take their scratch memory themselves
        plan::run_phase(program.graph, phase, program.bound, context);
    }

    void require_inputs(const Tensors& inputs) const {
        if (inputs.size() != per_image_.size() + shared_.size())
            throw ShapeError("batch plan", str("expected ", per_image_.size() + shared_.size(),
                                               " inputs, got ", inputs.size()));
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            const bool one = i < per_image_.size();
            if (!inputs[i].defined() || (one && inputs[i].rank() == 0))
                throw ShapeError("batch plan", str("expected input ", i, " of images, got ", inputs[i]));
            const Spec wanted =
                one ? of_images(per_image_[i], inputs[0].size(0)) : shared_[i - per_image_.size()];
            if (inputs[i].dtype() != wanted.dtype || !(inputs[i].shape() == wanted.shape))
                throw ShapeError("batch plan",
                                 str("expected ", wanted, " as input ", i, ", got ", inputs[i]));
        }
    }

    void require_current() const {
        if (!is_current())
            throw TapeError("batch plan", "a weight that the plan was made with was written to since",
                            "make another after changing weights");
    }

    Specs per_image_, shared_;
    Model model_;
    std::map<int64_t, Program> programs_;  // by number of images
    Tensor arena_, kept_;                  // that all of them use
    Program* last_ = nullptr;              // whose logits were asked for
};

BatchPlan::BatchPlan(const Spec& image, const Specs& per_image, const Specs& shared, Model model)
    : implementation_(std::make_unique<Implementation>(image, per_image, shared, std::move(model))) {}
BatchPlan::~BatchPlan() = default;
BatchPlan::BatchPlan(BatchPlan&&) noexcept = default;
BatchPlan& BatchPlan::operator=(BatchPlan&&) noexcept = default;

Tensor BatchPlan::logits(const Tensors& inputs) {
    return implementation_->logits(inputs);
}
Tensor BatchPlan::vjp(const Tensor& dlogits) {
    return implementation_->vjp(dlogits);
}
bool BatchPlan::is_current() const {
    return implementation_->is_current();
}

}  // namespace microtome
