#include "evaluation/gradient_audit.hpp"

#include "autograd/tape.hpp"
#include "base/interrupt.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/precision.hpp"
#include "tensor/random.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

namespace microtome {
namespace {

using gradcheck::Verdict;
using Doubles = std::vector<double>;

// A rounded run may take another branch than the exact one wherever a ReLU or a maximum is about to switch,
// and each random move takes about half of those. So where f32 is not explained yet more moves are tried, up
// to so many that a switch would have to be missed with a probability of 2^-16.
constexpr int kMoves = 16;
constexpr double kDigit = 0x1p-21;  // of numbers, by which they are moved: 8 roundings in f32
constexpr double kSafety = 16;      // times what a move does: a run rounds at every step, and not just once
constexpr double kBoundAtLeast = 1e-5;
constexpr double kHarmless = 1e-3;    // an error in f32 that changes no attack
constexpr double kUseless = 0.3;      // a bound that bounds nothing
constexpr double kSignFloor = 1e-4;   // of the largest element
constexpr double kProbeFloor = 1e-3;  // likewise: what an element's error is measured against at least

// What an attack asked and got in the steps that are looked at.
struct Visit {
    int64_t step = 0;
    Pass pass;
    Tensor images, dlogits, gradient;
};

class Recorder : public Classifier {
  public:
    Recorder(Classifier& inner, std::vector<int64_t> steps) : inner_(inner), steps_(std::move(steps)) {}
    int64_t classes() const override { return inner_.classes(); }
    const ImageOptions& image() const override { return inner_.image(); }
    const std::vector<Visit>& visits() const { return visits_; }

  private:
    Tensor run(const Batch& batch, const Query& query) override {
        looking_ = query.restart == 0 && std::find(steps_.begin(), steps_.end(), query.step) != steps_.end();
        if (looking_)
            visits_.push_back(
                {query.step,
                 {.seed = query.seed, .step = query.step, .restart = query.restart, .ids = batch.ids},
                 batch.images.clone(),
                 {},
                 {}});
        return inner_.logits(batch, query);
    }
    Tensor pull(const Tensor& dlogits) override {
        Tensor gradient = inner_.vjp(dlogits);
        if (looking_) {
            visits_.back().dlogits = dlogits.clone();
            visits_.back().gradient = gradient.clone();
        }
        return gradient;
    }

    Classifier& inner_;
    std::vector<int64_t> steps_;
    std::vector<Visit> visits_;
    bool looking_ = false;
};

// The model's numbers in another type while in scope, then the same tensors as before.
class InPrecision {
  public:
    InPrecision(Module& model, Dtype dtype) : parameters_(model.named_parameters()) {
        for (const NamedParameter& named : parameters_) before_.push_back(named.parameter->value);
        model.convert(dtype);
    }
    ~InPrecision() {
        for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].parameter->value = before_[i];
    }
    InPrecision(const InPrecision&) = delete;
    InPrecision& operator=(const InPrecision&) = delete;

    // Moves every number of an f64 model by its last digits in f32, up or down.
    void move_last_digits(const RandomKey& key) {
        for (std::size_t i = 0; i < parameters_.size(); ++i) {
            Tensor& value = parameters_[i].parameter->value;
            Tensor moves(value.spec());
            fill_signs({.seed = key.seed, .purpose = purpose_of(parameters_[i].name), .restart = key.restart},
                       moves.mutable_data<double>());
            auto x = value.mutable_data<double>();
            for (std::size_t k = 0; k < x.size(); ++k) x[k] *= 1 + kDigit * moves.data<double>()[k];
        }
    }

  private:
    std::vector<NamedParameter> parameters_;
    Tensors before_;
};

Tensor converted(const Tensor& x, Dtype dtype) {
    Tensor result(Spec{x.shape(), dtype, kCpu});
    kernels::convert(x, result);
    return result;
}

Doubles doubles(const Tensor& x) {
    const Tensor wide = converted(x, Dtype::f64);
    return {wide.data<double>().begin(), wide.data<double>().end()};
}

// Row i of a batch, as a batch of one.
Tensor row(const Tensor& x, int64_t i) {
    return x.view(x.shape().with(0, 1), i * (x.elements() / x.size(0))).clone();
}

double dot(const Doubles& a, const Doubles& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum = std::fma(a[i], b[i], sum);
    return sum;
}
double length(const Doubles& a) {
    return std::sqrt(dot(a, a));
}
double distance(const Doubles& a, const Doubles& b) {
    Doubles difference(a);
    for (std::size_t i = 0; i < a.size(); ++i) difference[i] -= b[i];
    return length(difference);
}
std::size_t place_of_largest(const Doubles& a) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < a.size(); ++i)
        if (std::abs(a[i]) > std::abs(a[best])) best = i;
    return best;
}

// An image at a visited place: what is known about it so far.
struct Place {
    Pass pass;
    Tensor image, dlogits;  // f32, batches of one
    Doubles f32, f64;       // gradients
    Tensor logits;          // f64
    AuditedPoint point;
};

class Auditor {
  public:
    Auditor(Module& model, const GradientAuditOptions& options) : model_(model), options_(options) {}

    GradientAudit run(std::vector<Place> places) {
        GradientAudit audit;
        constexpr int kUnits = 6;  // in f64, with digits moved, and four directions
        Progress progress("checking gradients", static_cast<int64_t>(places.size()) * kUnits, "runs",
                          options_.progress);
        auto each = [&](const auto& body) {
            for (Place& place : places) {
                if (interrupted()) return audit.complete = false;
                body(place);
            }
            return true;
        };
        {
            InPrecision precision(model_, Dtype::f64);
            if (!each([&](Place& place) {
                    look_in_f64(place);
                    progress.advance();
                }))
                return audit;
        }
        for (int move = 0; move < kMoves; ++move) {
            auto explained = [&](const Place& place) {
                return move > 0 && place.point.f32_error <= place.point.f32_bound;
            };
            if (std::all_of(places.begin(), places.end(), explained)) break;
            InPrecision precision(model_, Dtype::f64);
            precision.move_last_digits(
                {.seed = options_.attack.seed, .restart = static_cast<uint32_t>(move)});
            if (!each([&](Place& place) {
                    if (!explained(place)) look_at_digits(place, move);
                    if (move == 0) progress.advance();
                }))
                return audit;
        }
        InPrecision precision(model_, Dtype::dual);
        if (!each([&](Place& place) {
                look_on_duals(place, progress);
                audit.points.push_back(place.point);
            }))
            return audit;
        return audit;
    }

  private:
    struct Run {
        Tensor logits;
        Doubles gradient;
    };
    Run differentiate(const Place& place, const Tensor& x) {
        Tape tape;
        tape.watch(x);
        const Tensor logits = model_(x, place.pass);
        return {logits, doubles(tape.vjp({logits}, {converted(place.dlogits, Dtype::f64)}, {x})[0])};
    }

    void look_in_f64(Place& place) {
        const Run run = differentiate(place, converted(place.image, Dtype::f64));
        place.logits = run.logits.clone();
        place.f64 = run.gradient;
        AuditedPoint& point = place.point;
        const Doubles& g = place.f64;
        point.largest = std::abs(g[place_of_largest(g)]);
        point.f32_error = distance(place.f32, g) / length(g);
        int64_t looked_at = 0, agree = 0;
        for (std::size_t i = 0; i < g.size(); ++i) {
            if (!(std::abs(g[i]) > kSignFloor * point.largest)) continue;
            ++looked_at;
            agree += (g[i] > 0) == (place.f32[i] > 0) && place.f32[i] != 0;
        }
        point.signs_looked_at = static_cast<double>(looked_at) / static_cast<double>(g.size());
        point.sign_agreement = looked_at ? static_cast<double>(agree) / static_cast<double>(looked_at) : 0;
    }

    Tensor signs(const Place& place, std::string_view purpose, int move = 0) const {
        Tensor result(Spec{place.image.shape(), Dtype::f64, kCpu});
        fill_signs({.seed = options_.attack.seed,
                    .purpose = purpose_of(purpose),
                    .sample = static_cast<uint64_t>(place.point.id),
                    .restart = static_cast<uint32_t>(move),
                    .step = static_cast<uint32_t>(place.point.step)},
                   result.mutable_data<double>());
        return result;
    }

    void look_at_digits(Place& place, int move) {
        Tensor x = converted(place.image, Dtype::f64);
        const Tensor moves = signs(place, "gradient audit: digits", move);
        auto pixels = x.mutable_data<double>();
        for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] *= 1 + kDigit * moves.data<double>()[i];
        const Doubles moved = differentiate(place, x).gradient;
        place.point.f32_bound = std::max(
            place.point.f32_bound, kBoundAtLeast + kSafety * distance(moved, place.f64) / length(place.f64));
    }

    void look_on_duals(Place& place, Progress& progress) {
        const Doubles &g = place.f64, v = doubles(place.dlogits);
        const std::size_t most = place_of_largest(g);
        const Doubles random = doubles(signs(place, "gradient audit: direction"));
        Doubles ascent(g.size());
        double sum_of_sizes = 0;
        for (std::size_t i = 0; i < g.size(); ++i) {
            ascent[i] = place.f32[i] > 0 ? 1 : (place.f32[i] < 0 ? -1 : 0);
            sum_of_sizes += std::abs(g[i]);
        }
        auto only = [&](std::size_t at) {
            Doubles u(g.size(), 0.0);
            u[at] = 1;
            return u;
        };
        const double least = kProbeFloor * place.point.largest;
        const RandomKey key{.seed = options_.attack.seed,
                            .purpose = purpose_of("gradient audit: element"),
                            .sample = static_cast<uint64_t>(place.point.id),
                            .step = static_cast<uint32_t>(place.point.step)};
        const auto elsewhere = static_cast<std::size_t>(random_below(key, 0, g.size()));
        look_along(place, 0, "random signs", random, v, length(g));
        progress.advance();
        look_along(place, 1, "the attack's direction", ascent, v, sum_of_sizes);
        progress.advance();
        look_along(place, 2, str("element ", most, ", the largest"), only(most), v, std::abs(g[most]));
        progress.advance();
        look_along(place, 3, str("element ", elsewhere), only(elsewhere), v,
                   std::max(std::abs(g[elsewhere]), least));
        progress.advance();
    }

    void look_along(Place& place, std::size_t which, std::string name, const Doubles& u, const Doubles& v,
                    double scale) {
        Tensor x = converted(place.image, Dtype::dual);
        auto elements = x.mutable_data<Dual>();
        for (std::size_t i = 0; i < elements.size(); ++i) elements[i].tangent = u[i];
        const Tensor logits = model_(x, place.pass);
        AuditedPoint::Direction& direction = place.point.directions[which];
        direction = {.name = std::move(name), .analytic = dot(place.f64, u), .exact = 0, .relative_error = 0};
        const auto exact = place.logits.data<double>();
        for (std::size_t k = 0; k < v.size(); ++k) {
            const Dual& logit = logits.data<Dual>()[k];
            direction.exact = std::fma(v[k], logit.tangent, direction.exact);
            place.point.same_branches = place.point.same_branches && logit.value == exact[k];
        }
        direction.relative_error = std::abs(direction.analytic - direction.exact) / scale;
    }

    Module& model_;
    const GradientAuditOptions& options_;
};

}  // namespace

const AuditedPoint::Direction& AuditedPoint::worst() const {
    // Written so that a NaN is the worst.
    const Direction* worst = &directions[0];
    for (const Direction& direction : directions)
        if (!(direction.relative_error <= worst->relative_error)) worst = &direction;
    return *worst;
}

Verdict AuditedPoint::verdict() const {
    if (largest == 0) return Verdict::inconclusive;
    if (!(worst().relative_error <= kAuditTolerance)) return Verdict::fail;
    if (!same_branches) return Verdict::inconclusive;
    if (f32_error <= f32_bound)
        return f32_bound < kUseless || f32_error <= kHarmless ? Verdict::pass : Verdict::inconclusive;
    return f32_error <= kHarmless ? Verdict::inconclusive : Verdict::fail;
}

std::string AuditedPoint::text() const {
    const std::string place = str("image ", id, ", step ", step, ": ");
    const Direction& along = worst();
    if (largest == 0)
        return place +
               "inconclusive: the gradient is 0 everywhere, and so it is for every wrong one that is scaled";
    if (!(along.relative_error <= kAuditTolerance))
        return place + str("FAIL: along ", along.name, " the gradient says ", along.analytic,
                           " and the model moves by ", along.exact);
    if (!same_branches)
        return place +
               "inconclusive: the dual run has other logits than the f64 run, so it took other branches";
    if (f32_error <= f32_bound && verdict() == Verdict::inconclusive)
        return place + str("inconclusive: exact in f64, but last digits move the gradient by a share of ",
                           f32_bound / kSafety, ", so that the ", f32_error,
                           " by which f32 is off says little");
    if (f32_error <= f32_bound)
        return place + str("pass: exact to ", along.relative_error, ", f32 is off by ", f32_error, " of ",
                           f32_bound, " that rounding explains");
    return place + str(f32_error <= kHarmless ? "inconclusive" : "FAIL", ": exact in f64, but f32 is off by ",
                       f32_error, ", and rounding explains ", f32_bound);
}

Verdict GradientAudit::verdict() const {
    Verdict result = points.empty() ? Verdict::inconclusive : Verdict::pass;
    for (const AuditedPoint& point : points) {
        const Verdict one = point.verdict();
        if (one == Verdict::fail) return one;
        if (one == Verdict::inconclusive) result = one;
    }
    return complete || result == Verdict::fail ? result : Verdict::inconclusive;
}

std::string GradientAudit::text() const {
    const Verdict total = verdict();
    if (points.empty()) return "inconclusive: no place was looked at";
    for (const AuditedPoint& point : points)
        if (point.verdict() == total && total != Verdict::pass) return point.text();
    if (total != Verdict::pass) return "inconclusive: interrupted";
    double exact = 0, single = 0, agreement = 1;
    for (const AuditedPoint& point : points) {
        exact = std::max(exact, point.worst().relative_error);
        single = std::max(single, point.f32_error);
        agreement = std::min(agreement, point.sign_agreement);
    }
    return str("pass: at ", points.size(), " places that the attack visits the gradient is the model's, to ",
               exact, " in f64; in f32 it is off by ", single, " at most, with ", 100 * agreement,
               " % of the signs at least, and rounding explains that");
}

GradientAudit audit_gradients(Module& model, const ModelOptions& model_options, const Batch& batch,
                              const GradientAuditOptions& options) {
    require_unrounded_products("gradient audit");
    const auto began = std::chrono::steady_clock::now();
    model.to(options.device);
    ModelClassifier classifier(model, model_options);
    std::vector<int64_t> steps{0, options.attack.steps / 2, options.attack.steps - 1};
    steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
    PgdOptions attack = options.attack;
    attack.restarts = 1;
    attack.stop = StopRule::never;  // so that every image visits every step
    Recorder recorder(classifier, steps);
    Pgd(attack).run(recorder, batch);
    model.to(kCpu);

    std::vector<Place> places;
    for (const Visit& visit : recorder.visits())
        for (int64_t i = 0; i < visit.images.size(0); ++i) {
            Place place{visit.pass,
                        row(visit.images, i),
                        row(visit.dlogits, i),
                        doubles(row(visit.gradient, i)),
                        {},
                        {},
                        {}};
            place.pass.ids = {visit.pass.ids[static_cast<std::size_t>(i)]};
            place.point.id = place.pass.ids[0];
            place.point.step = visit.step;
            places.push_back(std::move(place));
        }
    GradientAudit audit = Auditor(model, options).run(std::move(places));
    audit.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return audit;
}

}  // namespace microtome
