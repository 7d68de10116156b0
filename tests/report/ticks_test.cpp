#include "report/ticks.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome::report;

namespace {

std::vector<std::string> labels(const std::vector<Tick>& ticks) {
    std::vector<std::string> result;
    for (const Tick& tick : ticks) result.push_back(tick.label);
    return result;
}

using Labels = std::vector<std::string>;

}  // namespace

TEST_CASE("ticks are at nice numbers", "[report]") {
    CHECK(labels(nice_ticks(0, 1, 6)) == Labels{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"});
    CHECK(labels(nice_ticks(.03, 3.85, 5)) == Labels{"0", "1", "2", "3", "4"});
    CHECK(labels(nice_ticks(0, 97, 5)) == Labels{"0", "20", "40", "60", "80", "100"});
    CHECK(labels(nice_ticks(105, 543, 5)) == Labels{"100", "200", "300", "400", "500", "600"});
    CHECK(labels(nice_ticks(-.3, .3, 4)) == Labels{"−0.4", "−0.2", "0.0", "0.2", "0.4"});
    CHECK(labels(nice_ticks(.00012, .00048, 4)) == Labels{"0.0001", "0.0002", "0.0003", "0.0004", "0.0005"});
    CHECK(labels(nice_ticks(0, 5e6, 3)) == Labels{"0", "2000000", "4000000", "6000000"});
}

TEST_CASE("labels of ticks that would be long are powers of ten", "[report]") {
    CHECK(labels(nice_ticks(0, 2e12, 3)) == Labels{"0", "1e12", "2e12"});
    CHECK(labels(nice_ticks(0, 3e-8, 4)) == Labels{"0", "1e−8", "2e−8", "3e−8"});
    CHECK(labels(nice_ticks(1e300, 1e300, 3)) == Labels{"5e299", "1e300", "1.5e300"});
}

TEST_CASE("ticks within the data, and of what is counted", "[report]") {
    CHECK(labels(nice_ticks(1, 32, 5, true, 1)) == Labels{"10", "20", "30"});
    CHECK(labels(nice_ticks(1, 3, 6, true, 1)) == Labels{"1", "2", "3"});  // no half epochs
    CHECK(labels(nice_ticks(.1, .9, 5, true)) == Labels{"0.2", "0.4", "0.6", "0.8"});
}

TEST_CASE("ticks of strange bounds", "[report]") {
    CHECK(labels(nice_ticks(2, 2, 3)) == Labels{"1.5", "2.0", "2.5"});
    CHECK(labels(nice_ticks(0, 0, 3)) == Labels{"−0.5", "0.0", "0.5"});
    CHECK(nice_ticks(1, 0, 6) == nice_ticks(0, 1, 6));
    CHECK(nice_ticks(NAN, 1, 6) == nice_ticks(0, 1, 6));
    CHECK(nice_ticks(0, INFINITY, 6) == nice_ticks(0, 1, 6));
    for (double low : {-1e9, -3.7, 0.0, 1e-7, 4e12})
        for (double span : {1e-5, .1, 1.0, 7.0, 1e6})
            for (int wanted : {2, 4, 7}) {
                auto ticks = nice_ticks(low, low + span, wanted);
                CHECK(ticks.front().value <= low + 1e-6 * span);
                CHECK(ticks.back().value >= low + span - 1e-6 * span);
                CHECK(ticks.size() <= 3u * static_cast<unsigned>(wanted) + 1);
            }
}

TEST_CASE("the epsilon axis doubles from tick to tick, and has zero", "[report]") {
    std::vector<double> epsilons;
    for (double levels : {0., .25, .5, 1., 2., 4., 8.}) epsilons.push_back(levels / 255);
    EpsilonAxis axis = EpsilonAxis::over(epsilons);
    CHECK(labels(axis.ticks()) == Labels{"0", "1/4", "1/2", "1", "2", "4", "8"});
    for (std::size_t i = 0; i < epsilons.size(); ++i)
        CHECK(axis.position(epsilons[i]) == Approx(static_cast<double>(i)).margin(1e-9));
    CHECK(axis.position(.125 / 255) == Approx(.5));
    CHECK(axis.end() == 7 - 1);
    CHECK(labels(EpsilonAxis::over({0, .03, .05}).ticks()) == Labels{"0", "4", "8", "16"});
    CHECK(labels(EpsilonAxis::over({}).ticks()).size() == 7);
    CHECK(labels(EpsilonAxis::over({0.0039, 0.0314}).ticks()) == Labels{"0", "1", "2", "4", "8"});  // rounded
}
