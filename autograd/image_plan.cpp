#include "autograd/image_plan.hpp"

#include "autograd/plan/fuse.hpp"
#include "autograd/plan/graph.hpp"
#include "autograd/plan/print.hpp"
#include "autograd/plan/traced_classifier.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"

#include <atomic>
#include <exception>
#include <map>
#include <mutex>

namespace microtome {
namespace {

using plan::kBackward, plan::kForward, plan::Phase;

// The model and its backward pass for a number of images.
struct Program : plan::ClassifierTrace {
    plan::Placement placement{};
    bool reads_images_again = false;  // in the second phase
};

// Row `begin` of the first axis on, n of them: the same memory.
Tensor rows(const Tensor& all, int64_t begin, int64_t n) {
    const int64_t each = all.size(0) > 0 ? all.elements() / all.size(0) : 0;
    return all.view(all.shape().with(0, n), begin * each);
}

}  // namespace

class ImagePlan::Implementation {
  public:
    Implementation(const Spec& image, const Specs& per_image, const Specs& shared, Model model,
                   const ImagePlanOptions& options)
        : classifier_("image plan", image, per_image, shared, std::move(model)),
          options_(options),
          isa_(cpu::active_isa()) {
        images_at_once_ = options.images_at_once;
        if (images_at_once_ < 0)
            throw OptionsError("image plan", str("expected images_at_once of 1 or more, or 0, got ",
                                                 options.images_at_once));
        if (images_at_once_ == 0) images_at_once_ = suggested_images();
        program(images_at_once_);
    }

    Tensor logits(const Tensors& inputs) {
        classifier_.require_inputs(inputs);
        images_ = -1;
        classifier_.require_current(is_current());
        inputs_ = inputs;
        input_version_ = inputs[0].version();
        const int64_t n = inputs[0].size(0);
        const Program& whole = program(images_at_once_);
        Tensor result(plan::of_images(whole.graph.spec(whole.logits), n));
        make_room(n);
        run(kForward, n, Tensor(), result);
        images_ = n;
        logits_spec_ = result.spec();
        return result;
    }

    Tensor vjp(const Tensor& dlogits) {
        if (images_ < 0) throw TapeError("image plan", "expected logits() before vjp()");
        if (!dlogits.defined() || !(dlogits.spec() == logits_spec_))
            throw ShapeError("image plan", str("expected dlogits ", logits_spec_, ", got ", dlogits));
        classifier_.require_current(is_current());
        if (program(images_at_once_).reads_images_again && inputs_[0].version() != input_version_)
            throw TapeError("image plan", "the images were written to between logits() and vjp()",
                            "give logits() a copy, or ask vjp() first");
        Tensor result(inputs_[0].spec());
        run(kBackward, images_, dlogits, result);
        return result;
    }

    bool is_current() const {
        if (isa_ != cpu::active_isa()) return false;  // whose kernels packed the weights
        for (const auto& [n, program] : programs_)
            if (!plan::constants_are_current(program.graph)) return false;
        return true;
    }

    int64_t images_at_once() const { return images_at_once_; }
    int64_t suggested_batch() const {
        constexpr std::size_t kKept = std::size_t{32} << 20;
        const std::size_t each = std::max<std::size_t>(whole().placement.kept_bytes, 1);
        const auto threads = static_cast<int64_t>(thread_limit());
        const auto portions = std::max(threads, static_cast<int64_t>(kKept / each) / threads * threads);
        return std::max<int64_t>(2, portions * images_at_once_);
    }
    const Program& whole() const { return programs_.at(images_at_once_); }

  private:
    struct Worker {
        Tensor arena, workspace;
    };

    const Program& program(int64_t n) {
        auto [found, fresh] = programs_.try_emplace(n);
        if (fresh) {
            try {
                found->second = trace(n);
            } catch (...) {
                programs_.erase(found);
                throw;
            }
        }
        return found->second;
    }

    // Very many weights are worth a few images each time they are read; others leave the cache to the images.
    // VGG-16, with 30 times the bytes in weights, gains a tenth; ResNet-50, with 10 times, gains nothing.
    int64_t suggested_images() {
        const Program one = place_outside({classifier_.trace(1)});
        std::size_t constants = 0;
        for (const plan::Step& step : one.graph.steps)
            for (int v : step.inputs)
                if (one.graph.is_constant(v)) constants += one.graph.spec(v).bytes();
        const std::size_t activations = one.placement.arena_bytes + one.placement.kept_bytes;
        return std::clamp<int64_t>(
            static_cast<int64_t>(constants / std::max<std::size_t>(8 * activations, 1)), 1, 4);
    }

    Program trace(int64_t n) {
        Program result{classifier_.trace(n)};
        if (!options_.exact) plan::fold_scales(result.graph, prepared_);
        plan::fuse(result.graph, options_.exact, prepared_);
        return place_outside(std::move(result));
    }

    // What the caller brings: inputs, and memory for the results if steps write them there.
    static Program place_outside(Program result) {
        std::vector<int> outside = result.graph.inputs;
        for (int v : {result.logits, result.gradient})
            if (is_written_by_a_step(result.graph, v)) outside.push_back(v);
        result.placement = plan::place(result.graph, outside);
        for (const plan::Step& step : result.graph.steps)
            for (int v : step.inputs)
                if (step.phase == kBackward && result.placement.owner[v] == result.inputs[0])
                    result.reads_images_again = true;
        return result;
    }

    static bool is_written_by_a_step(const plan::Graph& graph, int v) {
        for (const plan::Step& step : graph.steps) {
            // What a later phase reads must not lie with the caller, who may change it.
            for (int input : step.inputs)
                if (input == v && step.phase == kBackward) return false;
        }
        for (const plan::Step& step : graph.steps)
            for (int output : step.outputs)
                if (output == v) return step.op->view == nullptr;
        return false;
    }

    // Memory for what is kept, for each portion of images; and programs for whole portions and the last.
    void make_room(int64_t n) {
        const int64_t rest = n % images_at_once_, portions = (n + images_at_once_ - 1) / images_at_once_;
        kept_.resize(static_cast<std::size_t>(portions));
        for (int64_t p = 0; p < portions; ++p) {
            const bool last = p + 1 == portions && rest != 0;
            const Program& portion = program(last ? rest : images_at_once_);
            Tensor& kept = kept_[static_cast<std::size_t>(p)];
            const Spec wanted{{static_cast<int64_t>(portion.placement.kept_bytes)}, Dtype::u8, kCpu};
            if (!kept.defined() || !(kept.spec() == wanted)) kept = Tensor(wanted);
        }
    }

    void run(Phase phase, int64_t n, const Tensor& dlogits, const Tensor& result) {
        const int64_t portions = static_cast<int64_t>(kept_.size());
        const int threads = thread_limit();
        // Fewer portions than threads: the threads share each of them.
        const int teams = portions >= threads ? threads : 1;
        const int threads_each = teams == 1 ? threads : 1;
        prepare_workers(teams, threads_each);
        std::exception_ptr error;
        std::mutex error_mutex;
        cpu::parallel_tasks(portions, teams, [&](int64_t p, int team) {
            try {
                const int64_t begin = p * images_at_once_, count = std::min(images_at_once_, n - begin);
                run_portion(phase, programs_.at(count), begin, workers_[static_cast<std::size_t>(team)],
                            kept_[static_cast<std::size_t>(p)], dlogits, result, threads_each);
            } catch (...) {
                std::lock_guard lock(error_mutex);
                if (!error) error = std::current_exception();
            }
        });
        if (error) std::rethrow_exception(error);
    }

    void prepare_workers(int teams, int threads_each) {
        ThreadLimit limit(threads_each);
        std::size_t arena = 0, workspace = 0;
        for (const auto& [n, program] : programs_) {
            arena = std::max(arena, program.placement.arena_bytes);
            workspace = std::max(workspace, plan::workspace_bytes(program.graph));
        }
        auto at_least = [](Tensor& block, std::size_t bytes) {
            if (!block.defined() || block.spec().bytes() < bytes)
                block = Tensor(Spec{{static_cast<int64_t>(bytes)}, Dtype::u8, kCpu});
        };
        workers_.resize(static_cast<std::size_t>(teams));
        for (Worker& worker : workers_) {
            at_least(worker.arena, arena);
            at_least(worker.workspace, workspace);
        }
    }

    void run_portion(Phase phase, const Program& program, int64_t begin, Worker& worker, const Tensor& kept,
                     const Tensor& dlogits, const Tensor& result, int threads) const {
        const int64_t count = program.graph.spec(program.inputs[0]).shape[0];
        Tensors outside(program.graph.values.size());
        for (std::size_t i = 0; i < program.inputs.size(); ++i)
            outside[program.inputs[i]] =
                classifier_.is_per_image(i) ? rows(inputs_[i], begin, count) : inputs_[i];
        if (dlogits.defined()) outside[program.dlogits] = rows(dlogits, begin, count);
        const int wanted = phase == kForward ? program.logits : program.gradient;
        Tensor target = rows(result, begin, count);
        if (program.placement.home[wanted] == plan::Home::outside &&
            program.placement.owner[wanted] == wanted)
            outside[wanted] = target;
        const Tensors bound = plan::bind(program.graph, program.placement, worker.arena, kept, outside);
        ThreadLimit limit(threads);
        KernelContext context;
        context.workspace = {worker.workspace.mutable_raw(), worker.workspace.spec().bytes()};
        plan::run_phase(program.graph, phase, bound, context);
        if (!bound[wanted].shares_storage_with(target)) target.copy_from(bound[wanted]);
    }

    plan::TracedClassifier classifier_;
    ImagePlanOptions options_;
    cpu::Isa isa_;
    int64_t images_at_once_ = 0;
    plan::Prepared prepared_;
    std::map<int64_t, Program> programs_;  // by number of images
    std::vector<Worker> workers_;
    Tensors kept_;    // by portion
    Tensors inputs_;  // of the last logits()
    uint64_t input_version_ = 0;
    int64_t images_ = -1;
    Spec logits_spec_;
};

ImagePlan::ImagePlan(const Spec& image, const Specs& per_image, const Specs& shared, Model model,
                     const ImagePlanOptions& options)
    : implementation_(std::make_unique<Implementation>(image, per_image, shared, std::move(model), options)) {
}
ImagePlan::~ImagePlan() = default;
ImagePlan::ImagePlan(ImagePlan&&) noexcept = default;
ImagePlan& ImagePlan::operator=(ImagePlan&&) noexcept = default;

Tensor ImagePlan::logits(const Tensors& inputs) {
    return implementation_->logits(inputs);
}
Tensor ImagePlan::vjp(const Tensor& dlogits) {
    return implementation_->vjp(dlogits);
}
bool ImagePlan::is_current() const {
    return implementation_->is_current();
}
int64_t ImagePlan::images_at_once() const {
    return implementation_->images_at_once();
}
int64_t ImagePlan::suggested_batch() const {
    return implementation_->suggested_batch();
}
std::size_t ImagePlan::arena_bytes() const {
    return implementation_->whole().placement.arena_bytes;
}
std::size_t ImagePlan::kept_bytes() const {
    return implementation_->whole().placement.kept_bytes;
}
void ImagePlan::print(std::ostream& out) const {
    plan::print(implementation_->whole().graph, implementation_->whole().placement, out);
}

}  // namespace microtome
