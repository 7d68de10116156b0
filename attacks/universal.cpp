#include "attacks/universal.hpp"

#include "attacks/epsilon.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/tape.hpp"
#include "base/interrupt.hpp"
#include "nn/safetensors.hpp"
#include "tensor/random.hpp"

#include <cmath>

namespace microtome {
namespace {

std::string as_text(const AttackOptions& options) {
    std::string text;
    for (const auto& [key, value] : options) text += str(text.empty() ? "" : ", ", key, " = ", value);
    return text;
}

double mean_of(const Tensor& x) {
    double sum = 0;
    const Tensor here = x.to(kCpu);
    for (float v : here.data<float>()) sum += v;
    return sum / static_cast<double>(x.elements());
}

}  // namespace

UniversalAttack::UniversalAttack(std::string name, const FitOptions& options)
    : name_(std::move(name)), fit_(options) {
    auto require = [&](bool holds, std::string_view text, auto value) {
        if (!holds) throw OptionsError(name_, str("expected ", text, ", got ", value));
    };
    require(options.epochs >= 0 && options.epochs <= 1'000'000, "0 to a million epochs", options.epochs);
    require(options.lr > 0 && options.lr <= 1, "a learning rate above 0 and at most 1", options.lr);
    require(options.target.wanted >= 0, "a class to aim at of 0 or more", options.target.wanted);
}

AttackOptions UniversalAttack::options() const {
    AttackOptions result = own_options();
    const bool adam = fit_.update == PatternUpdate::adam;
    const AttackOptions more{{"epochs", str(fit_.epochs)},
                             {"update", adam ? "adam" : "sign"},
                             {adam ? "lr" : "step", adam ? str(fit_.lr) : epsilon_text(fit_.lr)},
                             {"loss", loss_text(fit_.loss, fit_.target.rule != Target::Rule::none)},
                             {"target", target_text(fit_.target)},
                             {"seed", str(fit_.seed)}};
    result.insert(result.end(), more.begin(), more.end());
    return result;
}

Tensor UniversalAttack::start(const Shape& pattern) const {
    return Tensor::zeros(pattern);
}

void UniversalAttack::fill_start(Tensor& pattern) const {
    fill_uniform({.seed = fit_.seed, .purpose = purpose_of("attack:" + name_ + ":start")}, pattern);
}

FitReport UniversalAttack::fit(Classifier& classifier, BatchSource& training, const FitCallback& progress) {
    FitReport report;
    Tensor pattern, zeros, m, v;
    int64_t step = 0;
    // With no epochs one batch still says what shape the images have.
    for (int64_t epoch = 0; epoch < std::max<int64_t>(1, fit_.epochs); ++epoch) {
        FitProgress now{.epoch = epoch, .epochs = fit_.epochs, .images_per_epoch = training.images()};
        training.start(epoch);
        while (const std::optional<Batch> given = training.next()) {
            const int64_t n = given->images.defined() ? given->images.size(0) : 0;
            if (n == 0) continue;
            const Batch read = slice(*given, 0, n);  // with ids
            require_attackable(name_, classifier, read);
            // The batch goes up once, the pattern stays there; what is fetched are numbers for an image.
            const Batch batch = to(read, classifier.device());
            if (!pattern.defined()) {
                pattern = start(pattern_shape(batch.images.shape())).to(classifier.device());
                zeros = Tensor::zeros(pattern.shape(), Dtype::f32, pattern.device());
                m = zeros.clone(), v = zeros.clone();
            }
            if (fit_.epochs == 0) break;

            Tape tape;
            tape.watch(pattern);
            Batch placed = batch;
            placed.images = place(pattern, batch, epoch + 1);
            const Tensor logits = classifier.logits(placed, {fit_.seed, epoch, step});
            const Tensor goals = goals_of(fit_.target, batch, classifier.classes(), fit_.seed, name_);
            const LossAtLogits loss = loss_at(fit_.loss, logits, batch.targets, goals);
            const Tensor at_images = classifier.vjp(loss.gradient);
            // Optimizers go down.
            Tensor gradient =
                tape.vjp({placed.images}, {at_images}, {pattern})[0] * (-1.0 / static_cast<double>(n));
            const Tensor gradient_here = gradient.to(kCpu);
            for (float g : gradient_here.data<float>())
                if (!std::isfinite(g))
                    throw Error(name_, str("expected finite gradients, got ", g, " in epoch ", epoch));

            ++step;
            if (fit_.update == PatternUpdate::adam) {
                kernels::adam_step({.lr = fit_.lr}, step, gradient, pattern, m, v);
                kernels::project_linf(pattern_bounds(), zeros, pattern);
            } else {
                kernels::pgd_linf_step(-fit_.lr, pattern_bounds(), gradient, zeros, pattern);
            }

            const std::vector<bool> won = fooled(logits, batch.targets, goals);
            const double share = static_cast<double>(n) / static_cast<double>(now.images + n);
            now.images += n;
            now.loss += share * (mean_of(loss.values) - now.loss);
            now.fooled += share * (static_cast<double>(std::count(won.begin(), won.end(), true)) /
                                       static_cast<double>(n) -
                                   now.fooled);
            report.passes.forward += n, report.passes.backward += n;
            if (progress) progress(now);
            if ((report.interrupted = interrupted())) break;
        }
        if (!pattern.defined())
            throw OptionsError(name_, "expected images to fit on, got a source without any");
        if (fit_.epochs > 0) {
            report.loss.push_back(now.loss);
            report.fooled.push_back(now.fooled);
        }
        if (report.interrupted) break;
    }
    pattern_ = pattern.to(kCpu);
    return report;
}

Tensor UniversalAttack::apply(const Batch& batch) const {
    if (!pattern_.defined()) throw Error(name_, "expected fit() or load() before the attack is applied");
    if (!batch.images.defined() || batch.images.rank() != 4)
        throw ShapeError(name_, str("expected images (N,H,W,C), got ", batch.images));
    const int64_t n = batch.images.size(0);
    if (n == 0) return batch.images.clone();
    if (!(pattern_shape(batch.images.shape()) == pattern_.shape()))
        throw ShapeError(name_, str("expected images that a pattern ", pattern_.shape(), " fits, got ",
                                    batch.images.spec()));
    Tensor result = place(pattern_, slice(batch, 0, n), 0).clone();
    // Sums were rounded, and may be an ulp too large.
    kernels::project_linf({threat().epsilon}, batch.images, result);
    return result;
}

Tensor UniversalAttack::run(Classifier& classifier, const Batch& batch) const {
    require_attackable(name_, classifier, batch);
    return apply(batch);
}

void UniversalAttack::save(const std::string& path) const {
    if (!pattern_.defined()) throw Error(name_, "expected fit() or load() before save()");
    write_tensors(path, {.tensors = {{"pattern", pattern_}},
                         .metadata = {{"attack", name_}, {"options", as_text(options())}}});
}

void UniversalAttack::load(const std::string& path) {
    const TensorFile file = read_tensors(path);
    auto stated = [&](const char* key) {
        const auto found = file.metadata.find(key);
        return found == file.metadata.end() ? std::string("nothing") : found->second;
    };
    if (stated("attack") != name_)
        throw FormatError(path, str("expected a pattern of the attack ", name_, ", got ", stated("attack")));
    if (stated("options") != as_text(options()))
        throw FormatError(
            path, str("expected a pattern fitted with ", as_text(options()), ", got ", stated("options")));
    if (file.tensors.size() != 1 || file.tensors[0].name != "pattern" ||
        file.tensors[0].tensor.dtype() != Dtype::f32 || file.tensors[0].tensor.rank() != 3)
        throw FormatError(path, "expected one tensor, a pattern f32 (height, width, C)");
    const Tensor& pattern = file.tensors[0].tensor;
    Tensor bounded = pattern.clone();
    kernels::project_linf(pattern_bounds(), Tensor::zeros(pattern.shape()), bounded);
    for (int64_t i = 0; i < pattern.elements(); ++i)
        if (!(bounded.data<float>()[i] == pattern.data<float>()[i]))
            throw FormatError(
                path, str("expected values within the attack's bounds, got ", pattern.data<float>()[i]));
    pattern_ = pattern;
}

}  // namespace microtome
