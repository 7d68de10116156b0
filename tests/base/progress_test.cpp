#include "base/progress.hpp"

#include <catch2/catch.hpp>
#include <sstream>

using namespace microtome;
using Catch::Contains;

namespace {

// Reports `steps` steps of `seconds` each, on a clock of our own.
std::string report(int steps, double seconds, int64_t total, ProgressOptions options) {
    std::ostringstream out;
    double now = 100;
    options.out = &out;
    options.clock = [&] { return now; };
    Progress progress("train", total, "images", options);
    for (int i = 0; i < steps; ++i) {
        now += seconds;
        progress.advance();
    }
    progress.note("loss 0.25");
    progress.advance(0);
    return out.str();
}

}  // namespace

TEST_CASE("what is over within two seconds is not worth a word", "[base][progress]") {
    CHECK(report(19, 0.1, 19, {}).empty());
    CHECK(report(19, 0.1, 19, {.terminal = true}).empty());
    CHECK_FALSE(report(21, 0.1, 21, {}).empty());
}

TEST_CASE("a pipe gets a plain line every five seconds", "[base][progress]") {
    CHECK(report(12, 1, 20, {}) ==
          "train  2/20 images  1.00/s  18 s left\n"
          "train  7/20 images  1.00/s  13 s left\n"
          "train  12/20 images  1.00/s  8 s left\n");
    CHECK(report(2, 1, 0, {}) == "train  2 images  1.00/s\n");
}

TEST_CASE("a terminal gets one line that changes", "[base][progress]") {
    CHECK(report(2, 1, 4, {.terminal = true}) ==
          "\r\033[Ktrain  ############............  2/4 images  1.00/s  2 s left");
    CHECK_THAT(report(2, 1, 4, {.terminal = true, .colour = true}), Contains("\033[32m####"));
}

TEST_CASE("quiet is quiet", "[base][progress]") {
    CHECK(report(100, 1, 100, {.quiet = true}).empty());
    CHECK(report(100, 1, 100, {.quiet = true, .terminal = true}).empty());
}

TEST_CASE("the last word has the rate and the duration", "[base][progress]") {
    std::ostringstream out;
    double now = 0;
    {
        Progress progress("train", 4, "images", {.out = &out, .clock = [&] { return now; }});
        now = 4;
        progress.advance(2);
        progress.note("loss 0.25");
        now = 200;
        progress.advance(2);
    }
    CHECK_THAT(out.str(), Catch::EndsWith("\ntrain  4/4 images  0.0200/s  in 3 min 20 s  loss 0.25\n"));
}

TEST_CASE("durations read well", "[base][progress]") {
    CHECK(duration_text(0.4) == "0 s");
    CHECK(duration_text(59.6) == "1 min 00 s");
    CHECK(duration_text(200) == "3 min 20 s");
    CHECK(duration_text(2 * 3600 + 300) == "2 h 05 min");
    CHECK(duration_text(-1) == "0 s");
}

TEST_CASE("NO_COLOR and a dumb terminal are respected", "[base][progress]") {
    // Under test, standard error may be anything; what may never be is colour against the user's wish.
    ::setenv("NO_COLOR", "1", 1);
    CHECK_FALSE(ProgressOptions::detect(false).colour);
    ::unsetenv("NO_COLOR");
    ::setenv("TERM", "dumb", 1);
    CHECK_FALSE(ProgressOptions::detect(false).terminal);
    CHECK_FALSE(ProgressOptions::detect(false).colour);
    CHECK(ProgressOptions::detect(true).quiet);
}
