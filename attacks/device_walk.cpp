#include "attacks/device_walk.hpp"

#include "autograd/ops/dropout.hpp"
#include "base/interrupt.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/cuda/graph.hpp"
#include "tensor/cuda/pinned.hpp"
#include "tensor/memory_reserve.hpp"
#include "tensor/out_of_memory.hpp"
#include "tensor/precision.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iostream>
#include <mutex>
#include <numeric>

namespace microtome {
namespace {

using cuda::Walker;

// Noting a chunk costs the host what making it does. It pays where the chunk comes up this often.
constexpr int64_t kWorthAGraph = 5;

// What the walks of one attack on batches of one size share: places in the device's memory, and the graph.
class DeviceWalk : public KeptWork {
  public:
    DeviceWalk(const DeviceWalkOptions& options, const DevicePasses& passes, bool targeted)
        : options_(options),
          n_(passes.n),
          at_(passes.at),
          device_(at_.logits.device()),
          origin_(at_.inputs[0].spec()),
          aims_(Spec{{n_}, Dtype::i64, device_}),
          key_(Spec{{4}, Dtype::i64, device_}),
          walkers_(Spec{{n_ * static_cast<int64_t>(sizeof(Walker))}, Dtype::u8, device_}),
          step_(options.ball, options.length, options.momentum),
          reserve_(device_),
          chunk_(steps_of_a_graph(options.steps)),
          reports_{Report(device_, n_), Report(device_, n_)} {
        if (targeted) goals_ = Tensor(aims_.spec());
        if (stops()) moved_ = Tensor(origin_.spec());
    }

    // Ends where all steps are made, no image goes on, or a gradient is not finite.
    std::vector<Walker> run(std::string_view attack, BatchPlan& plan, const Tensor& origin,
                            const Batch& start, const Tensor& goals, const Query& first) {
        prepare(origin, start, goals, first);
        int64_t made = 0, chunk = 0;
        for (; made < options_.steps; ++chunk) {
            if (chunk > 1 && (is_over(read(reports_[chunk % 2])) || interrupted())) break;
            const int64_t steps = std::min(chunk_, options_.steps - made);
            make(plan, steps, options_.steps - made);
            made += steps;
            ask(reports_[chunk % 2]);
        }
        std::vector<Walker> walkers = read(reports_[(chunk - 1) % 2]);
        require_finite(attack, walkers, start.ids);
        if (made < options_.steps && !is_over(walkers)) throw Interrupted(attack);
        return walkers;
    }

    const Tensor& images() const { return at_.inputs[0]; }

  private:
    // The walkers after a chunk, on their way to the host.
    struct Report {
        Report(Device device, int64_t n)
            : memory(device, static_cast<std::size_t>(n) * sizeof(Walker)), arrived(device) {}
        ~Report() {
            try {
                arrived.wait();  // until then the memory is written to
            } catch (...) {      // what the device's work threw concerns nobody any more
            }
        }
        Report(const Report&) = delete;
        Report& operator=(const Report&) = delete;
        cuda::PinnedBlock memory;
        cuda::Event arrived;
    };

    bool stops() const { return options_.stop == StopRule::fooled; }
    Tensor& image_places() { return at_.inputs[0]; }
    Walker* walkers() { return reinterpret_cast<Walker*>(walkers_.mutable_raw()); }
    int64_t* step_index() { return cuda::out<int64_t>(key_) + 3; }

    void prepare(const Tensor& origin, const Batch& start, const Tensor& goals, const Query& first) {
        image_places().copy_from(start.images);
        origin_.copy_from(origin);
        aims_.copy_from(start.targets);
        if (goals_.defined()) goals_.copy_from(goals);
        if (at_.inputs[1].defined()) at_.inputs[1].copy_from(Tensor::of(start.ids, {n_}));
        key_.copy_from(key_tensor({.seed = first.seed, .restart = static_cast<uint32_t>(first.restart)}));
        const std::vector<Walker> fresh(static_cast<std::size_t>(n_));
        Tensor bytes(Spec{walkers_.shape(), Dtype::u8, kCpu});
        std::memcpy(bytes.mutable_raw(), fresh.data(), bytes.spec().bytes());
        walkers_.copy_from(bytes);
        step_.forget();
    }

    // A chunk of so many steps, by a graph where there is one, or where one is worth its making.
    void make(BatchPlan& plan, int64_t steps, int64_t left) {
        const MemoryReserve::Use use(reserve_);
        if (steps == chunk_ && chunks_made_ > 0 && !graph_ && !refused_ &&
            (chunks_made_ + left / chunk_ >= kWorthAGraph))
            capture(plan);
        if (graph_ && steps == chunk_) {
            graph_->launch();
        } else {
            for (int64_t i = 0; i < steps; ++i) make_step(plan);
        }
        chunks_made_ += steps == chunk_;
    }

    void capture(BatchPlan& plan) {
        try {
            graph_ = cuda::Graph::capture(device_, [&] {
                for (int64_t i = 0; i < chunk_; ++i) make_step(plan);
            });
        } catch (const DeviceError& error) {
            refused_ = true;  // such a model goes on without
            static std::once_flag said;
            std::call_once(said, [&] {
                std::clog << "microtome: steps of an attack cannot be made a CUDA graph and go one by one, "
                             "which is slower: "
                          << error.what() << '\n';
            });
        }
    }

    // The walk's step, as GradientAttack::walk() makes it: judged where the stop rule wants it, loss at the
    // logits, gradient at the images, and the move of those that go on.
    void make_step(BatchPlan& plan) {
        const cuda::Queue queue = cuda::queue_of("attack", key_, {});
        const cuda::WalkKernels& walk = queue.backend.kernels.walk;
        const int64_t classes = at_.logits.size(1), size = origin_.elements() / n_;
        if (at_.inputs[2].defined()) at_.inputs[2].copy_from(key_);
        plan.forward(n_);
        if (stops())
            walk.judge(queue.stream, cuda::in<float>(at_.logits),
                       cuda::in<int64_t>(goals_.defined() ? goals_ : aims_), goals_.defined(), step_index(),
                       walkers(), n_, classes);
        at_.dlogits.copy_from(loss_at(options_.loss, at_.logits, aims_, goals_).gradient);
        plan.backward(n_);
        Tensor& sums = step_.measure(at_.gradient);
        walk.inspect(queue.stream, step_index(), cuda::out<float>(sums), cuda::out<float>(at_.gradient),
                     walkers(), n_, size);
        Tensor& to = stops() ? moved_ : image_places();
        if (stops()) moved_.copy_from(image_places());
        step_(at_.gradient, origin_, to);
        if (stops())
            walk.follow(queue.stream, walkers(), cuda::in<float>(moved_), cuda::out<float>(image_places()),
                        n_, size);
        walk.count(queue.stream, step_index());
    }

    void ask(Report& report) {
        const cuda::Queue queue = cuda::queue_of("attack", walkers_, {});
        queue.backend.copy_later(queue.stream, kCpu, report.memory.data(), device_, walkers_.raw(),
                                 walkers_.spec().bytes());
        report.arrived.record(queue.stream);
    }
    std::vector<Walker> read(const Report& report) const {
        report.arrived.wait();
        std::vector<Walker> walkers(static_cast<std::size_t>(n_));
        std::memcpy(walkers.data(), report.memory.data(), walkers_.spec().bytes());
        return walkers;
    }

    static bool is_over(const std::vector<Walker>& walkers) {
        return std::any_of(walkers.begin(), walkers.end(),
                           [](const Walker& w) { return w.broken_at >= 0; }) ||
               std::all_of(walkers.begin(), walkers.end(), [](const Walker& w) { return w.stopped_at >= 0; });
    }
    // Names the first step and in it the first image, as one does who looks in each step.
    static void require_finite(std::string_view attack, const std::vector<Walker>& walkers,
                               const std::vector<int64_t>& ids) {
        const Walker* first = nullptr;
        for (const Walker& walker : walkers)
            if (walker.broken_at >= 0 && (first == nullptr || walker.broken_at < first->broken_at))
                first = &walker;
        if (first != nullptr)
            throw_not_finite(attack, first->gradient, ids[first - walkers.data()], first->broken_at);
    }

    DeviceWalkOptions options_;
    int64_t n_;
    BatchPlan::Places at_;
    Device device_;
    Tensor origin_, aims_, goals_;
    Tensor key_;      // of the draws; its last number is the step, which kernels count
    Tensor walkers_;  // a Walker for each image
    Tensor moved_;    // where images would go if none had stopped
    GradientStep step_;
    MemoryReserve reserve_;
    int64_t chunk_, chunks_made_ = 0;
    Report reports_[2];
    std::optional<cuda::Graph> graph_;
    bool refused_ = false;  // the model cannot be captured
};

std::string name_of(const DeviceWalkOptions& o, bool targeted) {
    auto bits = [](double x) { return std::bit_cast<uint64_t>(x); };
    const ProductMode mode = product_mode();  // as it was when a graph was captured, so its kernels are
    return str("walk ", static_cast<int>(o.ball.norm), ' ', bits(o.ball.epsilon), ' ', bits(o.length), ' ',
               bits(o.momentum), ' ', static_cast<int>(o.loss), ' ', static_cast<int>(o.stop), ' ', o.steps,
               ' ', targeted, ' ', static_cast<int>(mode.precision), ' ', mode.libraries);
}

// As the walk that asks the host has them: an image takes part until it has stopped, and where the last has,
// no gradient is asked for any more.
void count(Classifier& classifier, const std::vector<Walker>& walkers, int64_t steps) {
    int64_t forward = 0, last = 0;
    bool all = true;
    for (const Walker& walker : walkers) {
        forward += walker.stopped_at < 0 ? steps : walker.stopped_at + 1;
        last = std::max(last, walker.stopped_at);
        all = all && walker.stopped_at >= 0;
    }
    const auto without = std::count_if(walkers.begin(), walkers.end(), [&](const Walker& walker) {
        return all && walker.stopped_at == last;
    });
    classifier.count_passes(forward, forward - without);
}

}  // namespace

int64_t steps_of_a_graph(int64_t steps) {
    int64_t best = std::min<int64_t>(steps, 4);
    for (int64_t length = best; length <= std::min<int64_t>(steps, 8); ++length)
        if (steps % length <= steps % best) best = length;
    return best;
}

std::optional<DeviceWalkEnd> walk_on_device(std::string_view attack, const DeviceWalkOptions& options,
                                            Classifier& classifier, const Tensor& origin, const Batch& start,
                                            const Tensor& goals, const Query& first) {
    if (!cuda::on_cuda(origin) || !(origin.device() == classifier.device())) return std::nullopt;
    try {
        std::optional<DevicePasses> passes = classifier.device_passes(origin.spec());
        if (!passes) return std::nullopt;
        try {
            std::shared_ptr<KeptWork>& kept =
                passes->plan.kept_work(passes->n, name_of(options, goals.defined()));
            if (!kept) kept = std::make_shared<DeviceWalk>(options, *passes, goals.defined());
            const auto walk = std::dynamic_pointer_cast<DeviceWalk>(kept);
            const std::vector<Walker> walkers = walk->run(attack, passes->plan, origin, start, goals, first);
            count(classifier, walkers, options.steps);
            DeviceWalkEnd end{walk->images().clone(), {}};
            for (const Walker& walker : walkers) end.stopped.push_back(walker.stopped_at >= 0);
            return end;
        } catch (const Error&) {
            passes->plan.forget_kept_work();  // work that was cut short leaves nothing to be used again
            throw;
        }
    } catch (const OutOfMemoryError&) {
        return std::nullopt;
    }
}

}  // namespace microtome
