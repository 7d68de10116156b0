#include "autograd/batch_plan.hpp"

#include "autograd/plan/fuse.hpp"
#include "autograd/plan/traced_classifier.hpp"
#include "tensor/precision.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <utility>

namespace microtome {
namespace {

constexpr std::size_t kMostPrograms = 16;  // sizes of batches whose traces are kept
constexpr std::size_t kMostWorks = 8;

using plan::kBackward, plan::kForward, plan::Phase;

// The model and its backward pass for a number of images.
struct Program : plan::ClassifierTrace {
    plan::Placement placement{};
    std::vector<char> read{};  // by input, whether a step reads it
    Tensors bound{};           // the values in the plan's memory; empty: not yet, or that memory has moved
};

}  // namespace

class BatchPlan::Implementation {
  public:
    Implementation(const Spec& image, const Specs& per_image, const Specs& shared, Model model, bool exact)
        : classifier_("batch plan", image, per_image, shared, std::move(model)),
          exact_(exact || classifier_.device() == kCpu || !product_mode().libraries) {
        program(1);
    }

    Tensor logits(const Tensors& inputs) {
        classifier_.require_inputs(inputs, plan::TracedClassifier::Devices::any);
        last_ = nullptr;
        classifier_.require_current(is_current());
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
        classifier_.require_current(is_current());
        last_->bound[last_->dlogits].copy_from(dlogits);
        run(*last_, kBackward);
        return last_->bound[last_->gradient].clone();
    }

    bool is_exact() const { return exact_; }
    Places places(int64_t n) {
        classifier_.require_current(is_current());
        last_ = nullptr;
        const Program& now = bound_program(n);
        Places result{{}, now.bound[now.logits], now.bound[now.dlogits], now.bound[now.gradient]};
        for (std::size_t i = 0; i < now.read.size(); ++i)
            result.inputs.push_back(now.read[i] ? now.bound[now.inputs[i]] : Tensor());
        return result;
    }
    void run(int64_t n, Phase phase) { run(bound_program(n), phase); }

    std::shared_ptr<KeptWork>& kept_work(int64_t n, const std::string& name) {
        const auto found = std::find_if(works_.begin(), works_.end(), [&](const Kept& kept) {
            return kept.images == n && kept.name == name;
        });
        if (found != works_.end()) {
            works_.splice(works_.begin(), works_, found);  // the latest first
        } else {
            works_.push_front({n, name, nullptr});
            if (works_.size() > kMostWorks) works_.pop_back();
        }
        return works_.front().work;
    }
    void forget_kept_work() { works_.clear(); }

    bool is_current() const {
        for (const auto& [n, program] : programs_)
            if (!plan::constants_are_current(program.graph)) return false;
        return true;
    }

  private:
    Program& program(int64_t n) {
        if (const auto found = programs_.find(n); found != programs_.end()) return found->second;
        if (programs_.size() >= kMostPrograms) {
            works_.clear();  // it may refer to their constants
            programs_.clear();
        }
        return programs_.emplace(n, trace(n)).first->second;
    }

    Program trace(int64_t n) {
        Program result{classifier_.trace(n)};
        if (!exact_) plan::fold_scales(result.graph, prepared_);
        if (classifier_.device() != kCpu) plan::fuse_on_device(result.graph);
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
            works_.clear();
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
        block = Tensor(Spec{{static_cast<int64_t>(bytes)}, Dtype::u8, classifier_.device()});
    }

    static void run(Program& program, Phase phase) {
        KernelContext context;  // GPUs' kernels take their scratch memory themselves
        plan::run_phase(program.graph, phase, program.bound, context);
    }

    struct Kept {
        int64_t images;
        std::string name;
        std::shared_ptr<KeptWork> work;
    };

    plan::TracedClassifier classifier_;
    bool exact_;
    plan::Prepared prepared_;              // of weights, for all programs
    std::map<int64_t, Program> programs_;  // by number of images
    Tensor arena_, kept_;                  // that all of them use
    Program* last_ = nullptr;              // whose logits were asked for
    std::list<Kept> works_;
};

BatchPlan::BatchPlan(const Spec& image, const Specs& per_image, const Specs& shared, Model model, bool exact)
    : implementation_(std::make_unique<Implementation>(image, per_image, shared, std::move(model), exact)) {}
BatchPlan::~BatchPlan() = default;
BatchPlan::BatchPlan(BatchPlan&&) noexcept = default;
BatchPlan& BatchPlan::operator=(BatchPlan&&) noexcept = default;

Tensor BatchPlan::logits(const Tensors& inputs) {
    return implementation_->logits(inputs);
}
Tensor BatchPlan::vjp(const Tensor& dlogits) {
    return implementation_->vjp(dlogits);
}
bool BatchPlan::is_exact() const {
    return implementation_->is_exact();
}
BatchPlan::Places BatchPlan::places(int64_t n) {
    return implementation_->places(n);
}
void BatchPlan::forward(int64_t n) {
    implementation_->run(n, kForward);
}
void BatchPlan::backward(int64_t n) {
    implementation_->run(n, kBackward);
}
std::shared_ptr<KeptWork>& BatchPlan::kept_work(int64_t n, const std::string& name) {
    return implementation_->kept_work(n, name);
}
void BatchPlan::forget_kept_work() {
    implementation_->forget_kept_work();
}
bool BatchPlan::is_current() const {
    return implementation_->is_current();
}

}  // namespace microtome
