#include "apps/bench_step.hpp"

#include "apps/bench_device.hpp"
#include "attacks/pgd.hpp"
#include "autograd/batch_plan.hpp"
#include "autograd/image_plan.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"
#include "base/error.hpp"
#include "nn/classifier.hpp"
#include "nn/models/registry.hpp"
#include "nn/optimizers.hpp"
#include "nn/summary.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/random.hpp"

#include <algorithm>
#include <iomanip>
#include <optional>

namespace microtome::apps {
namespace {

constexpr double kSeconds = 3, kSecondsOnDevice = 1;  // for each step
const std::vector<std::string> kSteps{
    "forward", "input_gradient", "exact_input_gradient", "tape_input_gradient", "attack", "training"};
constexpr int64_t kAttackSteps = 10;

// The plan that attacks use on a device.
class Planned {
  public:
    Planned(Module& model, const Spec& images, bool exact) {
        Spec one = images;
        one.shape = one.shape.with(0, 1);
        const auto run = [&model](const Tensors& in) { return model(in[0]); };
        if (one.device == kCpu)
            on_cpu_.emplace(one, Specs{}, Specs{}, run, ImagePlanOptions{.exact = exact});
        else
            on_gpu_.emplace(one, Specs{}, Specs{}, run, exact);
    }
    Tensor logits(const Tensor& x) { return on_cpu_ ? on_cpu_->logits({x}) : on_gpu_->logits({x}); }
    Tensor vjp(const Tensor& dlogits) { return on_cpu_ ? on_cpu_->vjp(dlogits) : on_gpu_->vjp(dlogits); }
    // Calls body(images, first) for parts of x as large as attacks ask about together.
    template <class Body>
    void for_parts(const Tensor& x, const Body& body) {
        const int64_t n = x.size(0), each = x.elements() / n, part = on_cpu_ ? on_cpu_->suggested_batch() : n;
        for (int64_t first = 0; first < n; first += part)
            body(x.view(x.shape().with(0, std::min(part, n - first)), first * each), first);
    }

  private:
    std::optional<ImagePlan> on_cpu_;
    std::optional<BatchPlan> on_gpu_;
};

class StepBench {
  public:
    StepBench(const StepOptions& options, std::ostream& out, std::vector<BenchRow>& rows)
        : options_(options), out_(out), rows_(rows) {
        for (const std::string& step : options.steps)
            if (std::find(kSteps.begin(), kSteps.end(), step) == kSteps.end())
                throw OptionsError(
                    "bench", str("expected steps among forward, input_gradient, "
                                 "exact_input_gradient, tape_input_gradient, attack and training, got '",
                                 step, "'"));
        if (options.batch < 0 || options.size < 0)
            throw OptionsError("bench", str("expected a batch and a size of 0 or more, got ", options.batch,
                                            " and ", options.size));
        model_options_.image.height = model_options_.image.width = options.size;
        model_options_ = complete_options(options.architecture, model_options_);
        const ModelOptions& model = model_options_;
        model_ = make_model(options.architecture, model);
        model_->initialize(1);
        batch_ = options.batch > 0 ? options.batch : options.architecture == "cnn" ? 32 : 8;
        x_ = Tensor(
            Spec{{batch_, model.image.height, model.image.width, model.image.channels}, Dtype::f32, kCpu});
        fill_uniform({.seed = 1, .purpose = purpose_of("bench")}, x_);
        labels_ = Tensor(Spec{{batch_}, Dtype::i64, kCpu});
        auto values = labels_.mutable_data<int64_t>();
        for (int64_t i = 0; i < batch_; ++i) values[i] = i % model.classes;
        const Summary layers = summary(*model_, x_.shape().with(0, 1));
        forward_ = 2.0 * static_cast<double>(layers.multiply_adds * batch_);
        for (const LayerRow& row : layers.rows)
            if (row.kind == "Conv2d" && first_layer_ == 0)
                first_layer_ = 2.0 * static_cast<double>(row.multiply_adds * batch_);
        model_->to(options.device);
        x_ = x_.to(options.device);
        labels_ = labels_.to(options.device);
    }

    void run() {
        out_ << options_.architecture << ", " << x_.size(1) << " x " << x_.size(2) << ", batch " << batch_
             << ", ";
        if (on_cpu())
            out_ << thread_limit() << (thread_limit() == 1 ? " thread\n" : " threads\n");
        else
            out_ << options_.device << '\n';
        for (const std::string& step : options_.steps.empty() ? kSteps : options_.steps) {
            if (step == "forward") forward();
            if (step == "input_gradient") planned(step, false);
            if (step == "exact_input_gradient" && on_cpu()) planned(step, true);
            if (step == "tape_input_gradient") on_the_tape(step);
            if (step == "attack") attack(step);
            if (step == "training") training(step);
        }
    }

  private:
    bool on_cpu() const { return options_.device == kCpu; }
    // A GPU is asked for work and goes on by itself.
    void finish() const {
        if (on_cpu()) return;
        const cuda::Backend& backend = cuda::backend_of(options_.device);
        backend.synchronize(backend.stream(options_.device.index));
    }

    // The gradient of the summed losses by the logits, as an attack gets it.
    static Tensor loss_gradient(const Tensor& logits, const Tensor& labels) {
        Tape tape;
        tape.watch(logits);
        return tape.gradient(cross_entropy(logits, labels), logits);
    }

    void forward() {
        std::optional<Planned> made;  // counted: a plan's memory is part of what the step takes
        measure(
            "forward", forward_,
            [&] {
                if (!made) made.emplace(*model_, x_.spec(), false);
                made->for_parts(x_, [&](const Tensor& x, int64_t) { made->logits(x); });
            },
            [&] { made.reset(); });
    }
    void planned(const std::string& name, bool exact) {
        std::optional<Planned> made;
        measure(
            name, 2 * forward_,
            [&] {
                if (!made) made.emplace(*model_, x_.spec(), exact);
                made->for_parts(x_, [&](const Tensor& x, int64_t first) {
                    const Tensor labels = labels_.view({x.size(0)}, first);
                    made->vjp(loss_gradient(made->logits(x), labels));
                });
            },
            [&] { made.reset(); });
    }
    void on_the_tape(const std::string& name) {
        measure(name, 2 * forward_, [&] {
            Tape tape;
            tape.watch(x_);
            tape.gradient(cross_entropy((*model_)(x_), labels_), x_, Tape::After::release);
        });
    }
    // As a user has it: from images where the model is to images there.
    void attack(const std::string& name) {
        const Pgd pgd({.epsilon = 8.0 / 255, .steps = kAttackSteps, .seed = 1});
        std::optional<ModelClassifier> classifier;
        measure(
            name, 2 * kAttackSteps * forward_,
            [&] {
                if (!classifier) classifier.emplace(*model_, model_options_);
                pgd.run(*classifier, {.images = x_, .targets = labels_});
            },
            [&] { classifier.reset(); });
    }
    void training(const std::string& name) {
        model_->train();
        Adam optimizer(*model_, {});
        measure(name, 3 * forward_ - first_layer_, [&] {
            Tape tape;
            tape.watch(model_->parameters());
            Tensor loss = mean(cross_entropy((*model_)(x_, {.seed = 1, .step = 0}), labels_));
            optimizer.step(tape.gradient(loss, model_->parameters(), Tape::After::release));
        });
        model_->eval();
    }

    void measure(
        const std::string& name, double operations, const std::function<void()>& start,
        const std::function<void()>& start_anew = [] {}) {
        const auto work = [&] {
            start();
            finish();
        };
        work();  // whatever is made once (an optimizer's moments) is there before counting begins
        start_anew();
        const std::size_t held = memory_use(options_.device).current;
        reset_peak_memory(options_.device);
        work();
        work();
        BenchRow row{.suite = "step", .name = str(options_.architecture, " ", name)};
        row.peak_bytes = memory_use(options_.device).peak - held;
        if (!on_cpu() && !device_peak_) device_peak_ = peak_of(options_.device);
        const double peak_before = on_cpu() ? peak_gflops(thread_limit()) : device_peak_->gflops;
        row.seconds = median_seconds(work, on_cpu() ? kSeconds : kSecondsOnDevice);
        row.gflops = 1e-9 * operations / row.seconds;
        row.peak_gflops = on_cpu() ? std::max(peak_before, peak_gflops(thread_limit())) : peak_before;
        row.share_of_peak = row.gflops / row.peak_gflops;
        if (!on_cpu()) row.host_bytes = most_resident_bytes();
        row.images_per_second = static_cast<double>(batch_) / row.seconds;
        print(row);
        rows_.push_back(row);
    }

    void print(const BenchRow& row) const {
        const auto flags = out_.flags();
        out_ << std::fixed << "    " << std::left << std::setw(32) << row.name << std::right
             << std::setprecision(1) << std::setw(8) << row.images_per_second << " images/s" << std::setw(8)
             << row.gflops << " GF/s" << std::setprecision(0);
        out_ << std::setw(5) << 100 * row.share_of_peak << " % of peak" << std::setw(8)
             << static_cast<double>(row.peak_bytes) / 1e6 << " MB";
        if (row.host_bytes > 0)
            out_ << std::setw(8) << static_cast<double>(row.host_bytes) / 1e6 << " MB of the host";
        out_ << '\n' << std::flush;
        out_.flags(flags);
    }

    const StepOptions& options_;
    std::ostream& out_;
    std::vector<BenchRow>& rows_;
    ModelOptions model_options_;
    std::unique_ptr<Module> model_;
    std::optional<DevicePeak> device_peak_;
    int64_t batch_ = 0;
    Tensor x_, labels_;
    double forward_ = 0, first_layer_ = 0;  // operations
};

}  // namespace

int bench_step(const StepOptions& options, std::ostream& out, std::vector<BenchRow>& rows) {
    StepBench(options, out, rows).run();
    return 0;
}

}  // namespace microtome::apps
