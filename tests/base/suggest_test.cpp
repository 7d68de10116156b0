#include "base/suggest.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace microtome;

TEST_CASE("a mistyped name finds the one that was meant", "[base]") {
    const std::vector<std::string> known{"train", "bench", "gradcheck", "attack", "data"};
    for (auto [wrong, meant] : std::vector<std::pair<std::string, std::string>>{{"bnech", "bench"},
                                                                                {"ben", "bench"},
                                                                                {"benchh", "bench"},
                                                                                {"gradchek", "gradcheck"},
                                                                                {"grad-check", "gradcheck"},
                                                                                {"trian", "train"},
                                                                                {"dta", "data"}})
        CHECK(closest_name(wrong, known) == meant);
    for (std::string far : {"", "xyzzy", "d", "cook"}) CHECK(closest_name(far, known).empty());
    CHECK(closest_name("train", {}).empty());
    // Swapping neighbours is one slip, not two: "ba" means "ab", not the equally long "bc" or "xa".
    CHECK(closest_name("dab", std::vector<std::string>{"xcb", "adb"}) == "adb");
}
