#include "nn/schedules.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

using namespace microtome;

namespace {

// The validation losses of the lung study's run, epochs 1 to 27.
const std::vector<double> kLosses{1.5559, 3.8530, 3.2907, .4871, 1.0252, .7569, .1992, .5085, .1056,
                                  .1679,  .1808,  .1141,  .0956, .0954,  .1060, .0854, .0864, .0842,
                                  .0850,  .1030,  .0840,  .0836, .0848,  .0846, .0846, .0850, .0850};

std::vector<int64_t> drops(const PlateauOptions& options, std::vector<double>* rates = nullptr) {
    ReduceOnPlateau reduce(options);
    std::vector<int64_t> epochs;
    double lr = 1e-3;
    for (std::size_t i = 0; i < kLosses.size(); ++i) {
        double next = reduce.update(kLosses[i], lr);
        if (next == lr) continue;
        epochs.push_back(static_cast<int64_t>(i) + 1);
        if (rates) rates->push_back(next);
        lr = next;
    }
    return epochs;
}

}  // namespace

TEST_CASE("the learning rate drops where the lung study's did", "[nn][schedules]") {
    std::vector<double> rates;
    CHECK(drops({.factor = 0.3, .patience = 2, .min_delta = 1e-3}, &rates) ==
          std::vector<int64_t>{3, 6, 11, 15, 20, 22, 24, 26});
    const std::vector<double> expected{3e-4, 9e-5, 2.7e-5, 8.1e-6, 2.43e-6, 7.29e-7, 2.187e-7, 6.561e-8};
    REQUIRE(rates.size() == expected.size());
    for (std::size_t i = 0; i < rates.size(); ++i) CHECK(rates[i] == Approx(expected[i]));

    const std::vector<int64_t> finer{3, 6, 11, 20, 24, 26};
    CHECK(drops({.factor = 0.3, .patience = 2, .min_delta = 1e-4}) == finer);
    CHECK(drops({.factor = 0.3, .patience = 2, .min_delta = 0}) == finer);
}

TEST_CASE("training stops where the lung study's did", "[nn][schedules]") {
    PlateauTracker tracker(5, 0);
    std::vector<int64_t> minima;
    int64_t stopped = 0;
    for (std::size_t i = 0; i < kLosses.size() && stopped == 0; ++i) {
        if (tracker.update(kLosses[i])) stopped = tracker.epoch();
        if (tracker.improved()) minima.push_back(tracker.epoch());
    }
    CHECK(stopped == 27);
    CHECK(tracker.best_epoch() == 22);
    CHECK(tracker.best() == .0836);
    CHECK(minima == std::vector<int64_t>{1, 4, 7, 9, 13, 14, 16, 18, 21, 22});
}

TEST_CASE("a plateau's corners", "[nn][schedules]") {
    SECTION("the rate does not fall below its floor") {
        std::vector<double> rates;
        drops({.factor = 0.3, .patience = 2, .min_delta = 1e-3, .min_lr = 1e-4}, &rates);
        REQUIRE(rates.size() == 2);
        CHECK(rates[1] == 1e-4);
    }
    SECTION("nothing is counted while it cools down") {
        ReduceOnPlateau reduce({.factor = 0.5, .patience = 1, .min_delta = 0, .cooldown = 2});
        std::vector<double> rates;
        double lr = 1;
        for (int i = 0; i < 7; ++i) rates.push_back(lr = reduce.update(1, lr));
        // Best, drop, cooling, waiting again for one epoch: Keras counts the epoch that ends the cooldown.
        CHECK(rates == std::vector<double>{1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125});
    }
    SECTION("NaN never improves") {
        PlateauTracker tracker(2, 0);
        tracker.update(1);
        CHECK_FALSE(tracker.update(std::numeric_limits<double>::quiet_NaN()));
        CHECK(tracker.update(std::numeric_limits<double>::quiet_NaN()));
    }
    CHECK_THROWS_AS(PlateauTracker(0, 0), OptionsError);
    CHECK_THROWS_AS(PlateauTracker(1, -1), OptionsError);
    CHECK_THROWS_AS(ReduceOnPlateau({.factor = 1}), OptionsError);
}

TEST_CASE("rates as functions of the step", "[nn][schedules]") {
    CHECK(constant_schedule(0.1)(1000) == 0.1);
    Schedule steps = step_schedule(1, 10, 0.5);
    CHECK(steps(0) == 1);
    CHECK(steps(9) == 1);
    CHECK(steps(10) == 0.5);
    CHECK(steps(35) == Approx(0.125));

    Schedule cosine = cosine_schedule({.lr = 2, .steps = 24, .warm_up = 4, .last = 1});
    CHECK(cosine(0) == Approx(0.5));
    CHECK(cosine(3) == Approx(2));
    CHECK(cosine(4) == Approx(2));
    CHECK(cosine(9) == Approx(1.5 + 0.5 * 0.70710678118654752));  // a quarter of the way: cos(pi / 4)
    CHECK(cosine(14) == Approx(1.5));
    CHECK(cosine(24) == Approx(1));
    CHECK(cosine(100) == Approx(1));
    CHECK_THROWS_AS(cosine_schedule({.steps = 4, .warm_up = 4}), OptionsError);
    CHECK_THROWS_AS(step_schedule(1, 0, 0.5), OptionsError);
    CHECK_THROWS_AS(constant_schedule(-1), OptionsError);
}
