#include "base/json_writer.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>

using namespace microtome;

TEST_CASE("objects and arrays nest", "[base][json]") {
    JsonWriter json;
    json.object()
        .field("a", 1)
        .key("b")
        .array()
        .value(true)
        .value(nullptr)
        .object()
        .end()
        .array()
        .end()
        .end();
    json.field("c", "x").end();
    CHECK(json.text() == R"({"a":1,"b":[true,null,{},[]],"c":"x"})");
}

TEST_CASE("the pretty layout has a value per line", "[base][json]") {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().key("a").array().value(1).value(2).end().key("b").object().end().end();
    CHECK(json.text() == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
}

TEST_CASE("numbers read back to the same bits", "[base][json]") {
    JsonWriter json;
    json.array();
    for (double number : {0.1, 1.0 / 3, 5e-324, std::numeric_limits<double>::max(), -0.0, 1e21})
        json.value(number);
    json.end();
    std::vector<double> back = nlohmann::json::parse(json.text());
    CHECK(back == std::vector<double>{0.1, 1.0 / 3, 5e-324, std::numeric_limits<double>::max(), -0.0, 1e21});
    CHECK(std::signbit(back[4]));

    JsonWriter more;
    more.array().value(0.1f).value(std::numeric_limits<int64_t>::min()).value(~uint64_t{0});
    more.value(std::numeric_limits<double>::quiet_NaN()).value(-std::numeric_limits<float>::infinity()).end();
    CHECK(more.text() == "[0.1,-9223372036854775808,18446744073709551615,null,null]");
}

TEST_CASE("strings are escaped, and repaired where they are no UTF-8", "[base][json]") {
    std::string text = "\"\\\n\t\x01\x1f\x7f";
    text += "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\xac";  // ä, the euro sign, a microscope
    JsonWriter json;
    json.value(text);
    CHECK(json.text() == "\"\\\"\\\\\\n\\t\\u0001\\u001f" + text.substr(6) + "\"");
    CHECK(nlohmann::json::parse(json.text()) == text);

    const std::string replacement = "\xef\xbf\xbd";
    // Each of these bytes is wrong on its own: a stray continuation, an overlong slash, a surrogate, a
    // character beyond the last, one cut off.
    for (std::string wrong : {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
        JsonWriter repaired;
        repaired.value(wrong);
        std::string expected;
        for (std::size_t i = 0; i < wrong.size(); ++i) expected += replacement;
        CHECK(repaired.text() == '"' + expected + '"');
    }
}

TEST_CASE("what would not be JSON is refused", "[base][json]") {
    CHECK_THROWS_AS(JsonWriter().end(), Error);
    CHECK_THROWS_AS(JsonWriter().key("a"), Error);
    CHECK_THROWS_AS(JsonWriter().value(1).value(2), Error);
    CHECK_THROWS_AS(JsonWriter().object().value(1), Error);
    CHECK_THROWS_AS(JsonWriter().object().key("a").key("b"), Error);
    CHECK_THROWS_AS(JsonWriter().object().key("a").end(), Error);
    CHECK_THROWS_AS(JsonWriter().array().key("a"), Error);
    CHECK_THROWS_AS(JsonWriter().array().text(), Error);
}
