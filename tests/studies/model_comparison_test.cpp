#include "studies/model_comparison.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

TEST_CASE("a difference is claimed where the intervals are apart, and nowhere else", "[study][comparison]") {
    const std::string apart = comparison_sentence(
        "Clean images", {{"cnn", {.count = 90, .n = 100}}, {"vit", {.count = 60, .n = 100}}});
    CHECK_THAT(apart, Contains("cnn above vit: their intervals do not overlap") &&
                          Contains("of 100 images") && Contains("cnn right in .90") &&
                          Contains("vit in .60") && !Contains("vit above"));
    // The same shares of fewer images: the intervals are [.60, .98] and [.31, .83].
    const std::string together =
        comparison_sentence("Clean images", {{"cnn", {.count = 9, .n = 10}}, {"vit", {.count = 6, .n = 10}}});
    CHECK_THAT(together, Contains("no difference is shown") && !Contains("above"));
    // Of three, only those that are apart; whichever way round they are named.
    const std::string three = comparison_sentence("Under PGD", {{"cnn", {.count = 10, .n = 100}},
                                                                {"resnet", {.count = 18, .n = 100}},
                                                                {"vit", {.count = 40, .n = 100}}});
    CHECK_THAT(three,
               Contains("vit above cnn") && Contains("vit above resnet") && !Contains("resnet above cnn"));
    // Every sentence about any counts: "above" only with intervals apart.
    for (int64_t a = 0; a <= 20; ++a)
        for (int64_t b = 0; b <= 20; ++b) {
            const Share left{a, 20}, right{b, 20};
            const bool separate =
                left.interval().low > right.interval().high || right.interval().low > left.interval().high;
            const std::string text = comparison_sentence("X", {{"l", left}, {"r", right}});
            CHECK((text.find("above") != std::string::npos) == separate);
            CHECK((text.find("no difference is shown") != std::string::npos) != separate);
        }
}
