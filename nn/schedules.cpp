#include "nn/schedules.hpp"

#include "base/error.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <numbers>

namespace microtome {
namespace {

void require(bool fine, const char* expected, double got) {
    if (!fine) throw OptionsError("schedule", str("expected ", expected, ", got ", got));
}

}  // namespace

Schedule constant_schedule(double lr) {
    require(lr >= 0, "a learning rate of 0 or more", lr);
    return [lr](int64_t) { return lr; };
}

Schedule step_schedule(double lr, int64_t every, double factor) {
    require(lr >= 0, "a learning rate of 0 or more", lr);
    require(every >= 1, "1 step or more between drops", static_cast<double>(every));
    require(factor > 0, "a factor above 0", factor);
    return [=](int64_t step) { return lr * math::pow(factor, static_cast<double>(step / every)); };
}

Schedule cosine_schedule(const CosineOptions& options) {
    require(options.lr >= 0, "a learning rate of 0 or more", options.lr);
    require(options.last >= 0, "a last learning rate of 0 or more", options.last);
    require(options.warm_up >= 0, "0 steps of warm-up or more", static_cast<double>(options.warm_up));
    require(options.steps > options.warm_up, "more steps than warm-up", static_cast<double>(options.steps));
    return [options](int64_t step) {
        const double s = static_cast<double>(step), warm_up = static_cast<double>(options.warm_up);
        if (step < options.warm_up) return options.lr * (s + 1) / warm_up;
        const double share = std::min(1.0, (s - warm_up) / (static_cast<double>(options.steps) - warm_up));
        return options.last + (options.lr - options.last) * (1 + math::cos(std::numbers::pi * share)) / 2;
    };
}

PlateauTracker::PlateauTracker(int64_t patience, double min_delta)
    : patience_(patience), min_delta_(min_delta) {
    require(patience >= 1, "a patience of 1 epoch or more", static_cast<double>(patience));
    require(min_delta >= 0, "a min_delta of 0 or more", min_delta);
}

bool PlateauTracker::update(double loss) {
    ++epoch_;
    if (loss < best_ - min_delta_) {
        best_ = loss;
        best_epoch_ = epoch_;
        waited_ = 0;
        return false;
    }
    return ++waited_ >= patience_;
}

void PlateauTracker::restore(const State& state) {
    require(state.epoch >= 0, "0 epochs or more", static_cast<double>(state.epoch));
    require(state.best_epoch >= 0 && state.best_epoch <= state.epoch, "a best epoch among those that were",
            static_cast<double>(state.best_epoch));
    require(state.waited >= 0 && state.waited <= state.epoch, "no longer a wait than there were epochs",
            static_cast<double>(state.waited));
    best_ = state.best;
    best_epoch_ = state.best_epoch;
    epoch_ = state.epoch;
    waited_ = state.waited;
}

ReduceOnPlateau::ReduceOnPlateau(const PlateauOptions& options)
    : options_(options), tracker_(options.patience, options.min_delta) {
    require(options.factor > 0 && options.factor < 1, "a factor between 0 and 1", options.factor);
    require(options.cooldown >= 0, "a cooldown of 0 epochs or more", static_cast<double>(options.cooldown));
    require(options.min_lr >= 0, "a least learning rate of 0 or more", options.min_lr);
}

double ReduceOnPlateau::update(double loss, double lr) {
    // An epoch that ends the cooldown counts already; during it an improvement is noted, waiting is not.
    if (cooling_ > 0) {
        --cooling_;
        tracker_.start_waiting_again();
    }
    const bool plateau = tracker_.update(loss);
    if (cooling_ > 0) {
        tracker_.start_waiting_again();
        return lr;
    }
    if (!plateau) return lr;
    if (lr > options_.min_lr) {
        lr = std::max(lr * options_.factor, options_.min_lr);
        cooling_ = options_.cooldown;
        tracker_.start_waiting_again();
    }
    return lr;
}

void ReduceOnPlateau::restore(const State& state) {
    require(state.cooling >= 0, "a cooldown of 0 epochs or more", static_cast<double>(state.cooling));
    tracker_.restore(state.tracker);
    cooling_ = state.cooling;
}

}  // namespace microtome
