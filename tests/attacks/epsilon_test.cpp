#include "attacks/epsilon.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

TEST_CASE("epsilon is read as a fraction or a number", "[attacks][epsilon]") {
    CHECK(parse_epsilon("8/255") == 8.0 / 255);
    CHECK(parse_epsilon("0.25/255") == 0.25 / 255);
    CHECK(parse_epsilon("0.03") == 0.03);
    CHECK(parse_epsilon("1e-3") == 1e-3);
    CHECK(parse_epsilon("0") == 0);
    CHECK(parse_epsilon("1") == 1);
}

TEST_CASE("what is no epsilon is refused", "[attacks][epsilon]") {
    for (const char* text : {"", "/", "8/", "/255", "8/0", "-0.1", "-8/255", "8/-255", "-0", "nan", "inf",
                             "1e999", "eight", "8/255/2", "8 /255", "0,03", "8/255px", "1e300/1e-300"})
        CHECK_THROWS_AS(parse_epsilon(text), OptionsError);
    CHECK_THROWS_WITH(parse_epsilon("eight"), Contains("\"eight\"") && Contains("8/255 or 0.03"));
}

TEST_CASE("epsilon is printed both ways", "[attacks][epsilon]") {
    CHECK(epsilon_text(8.0 / 255) == "8/255 (0.031373)");
    CHECK(epsilon_text(0.05) == "0.05 (12.75/255)");
    CHECK(epsilon_text(0.03) == "0.03 (7.65/255)");
    CHECK(epsilon_text(0.25 / 255) == "0.25/255 (0.00098039)");
    CHECK(epsilon_text(0.5 / 255) == "0.5/255 (0.0019608)");
    CHECK(epsilon_text(0) == "0 (0/255)");
    CHECK(epsilon_text(1) == "255/255 (1)");
    CHECK(epsilon_text(0.3) == "0.3 (76.5/255)");
}
