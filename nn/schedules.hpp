// Learning rates over time. A schedule is a function of the step (or epoch: whatever its caller counts), from
// 0 on; what depends on how training goes is a PlateauTracker.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>

namespace microtome {

using Schedule = std::function<double(int64_t step)>;

// Each throws OptionsError for numbers out of their range.
Schedule constant_schedule(double lr);
// lr * factor^(step / every), rounded down.
Schedule step_schedule(double lr, int64_t every, double factor);
// Rises in a line from lr / warm_up at step 0 to lr at step warm_up - 1, then falls along half a cosine to
// `last` at step `steps` and stays there (Loshchilov and Hutter 2017, equation 5, one period).
struct CosineOptions {
    double lr = 0.1;
    int64_t steps = 1;
    int64_t warm_up = 0;
    double last = 0;
};
Schedule cosine_schedule(const CosineOptions& options);

// Watches a loss, epoch by epoch. An epoch improves when its loss is below best - min_delta, and `best` moves
// only then; patience epochs without that in a row are a plateau. NaN never improves.
class PlateauTracker {
  public:
    // Throws OptionsError for a negative min_delta or a patience below 1.
    PlateauTracker(int64_t patience, double min_delta);

    // Takes in the next epoch's loss; true at a plateau.
    bool update(double loss);

    bool improved() const { return waited_ == 0 && best_epoch_ == epoch_; }  // in the last epoch
    double best() const { return best_; }
    int64_t best_epoch() const { return best_epoch_; }  // from 1; 0: none yet
    int64_t epoch() const { return epoch_; }
    void start_waiting_again() { waited_ = 0; }

    // What epochs have left behind: a tracker that is given it goes on as this one would.
    struct State {
        double best = std::numeric_limits<double>::infinity();
        int64_t best_epoch = 0, epoch = 0, waited = 0;
    };
    State state() const { return {best_, best_epoch_, epoch_, waited_}; }
    void restore(const State& state);  // OptionsError for epochs that cannot be

  private:
    int64_t patience_;
    double min_delta_;
    double best_ = std::numeric_limits<double>::infinity();
    int64_t best_epoch_ = 0, epoch_ = 0, waited_ = 0;
};

// Multiplies the learning rate by a factor at each plateau and then waits anew, with the best loss kept:
// Keras's ReduceLROnPlateau in mode "min".
struct PlateauOptions {
    double factor = 0.1;
    int64_t patience = 10;
    double min_delta = 1e-4;
    int64_t cooldown = 0;  // epochs after a drop in which no waiting is counted
    double min_lr = 0;
};
class ReduceOnPlateau {
  public:
    explicit ReduceOnPlateau(const PlateauOptions& options = {});

    // The rate for the next epoch, given that of the one that ended with this loss.
    double update(double loss, double lr);

    struct State {
        PlateauTracker::State tracker{};
        int64_t cooling = 0;
    };
    State state() const { return {tracker_.state(), cooling_}; }
    void restore(const State& state);  // as PlateauTracker's

  private:
    PlateauOptions options_;
    PlateauTracker tracker_;
    int64_t cooling_ = 0;
};

}  // namespace microtome
