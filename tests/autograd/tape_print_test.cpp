#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/pooling.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

using namespace microtome;
using Catch::Contains;

namespace {

// A tape of three records, with statistics.
struct Taped {
    Tensor x = uniform({1, 4, 4, 1}), w = uniform({2, 3, 3, 1}, -1, 1, 2);
    Tape tape;
    Tensor y;

    Taped() {
        tape.watch(x);
        y = max_pool2d(relu(conv2d(x, w, ConvOptions{})));
    }
    std::string text() {
        std::ostringstream out;
        tape.print(out);
        return out.str();
    }
    std::string dot() {
        std::ostringstream out;
        tape.print_dot(out);
        return out.str();
    }
    nlohmann::json json() {
        std::ostringstream out;
        tape.print_json(out);
        return nlohmann::json::parse(out.str());
    }
};

std::size_t count(const std::string& text, const std::string& pattern) {
    const std::regex regex(pattern);
    return static_cast<std::size_t>(
        std::distance(std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator()));
}

}  // namespace

TEST_CASE("a tape as text", "[tape][print]") {
    Taped t;
    const std::string before = t.text();
    INFO(before);
    CHECK_THAT(before, Contains("conv2d") && Contains("stride=(1,1)") &&
                           Contains("f64(1,4,4,1) f64(2,3,3,1) -> f64(1,2,2,2)") &&
                           Contains("input 1 144 B") && Contains("gate 0 1 B") && Contains("gate 0 2 B") &&
                           Contains("3 records, 147 B saved"));
    CHECK(count(before, "\n") == 5);
    CHECK(count(before, " \n") == 0);
    CHECK_THAT(before, !Contains("norm"));
    t.tape.observe_gradients(true);
    t.tape.gradient(t.y, t.x);
    CHECK(count(t.text(), "norm [0-9.e+-]+, largest [0-9.e+-]+, zero [0-9.]+ %") == 3);
    t.tape.vjp({t.y}, {Tensor::full({1, 1, 1, 2}, NAN, Dtype::f64)}, {t.x});
    CHECK_THAT(t.text(), Contains("NOT FINITE 2"));
}

TEST_CASE("an empty tape can be printed", "[tape][print]") {
    Tape tape;
    std::ostringstream text, dot, json;
    tape.print(text);
    tape.print_dot(dot);
    tape.print_json(json);
    CHECK_THAT(text.str(), Contains("0 records, 0 B saved"));
    CHECK_THAT(dot.str(), Contains("digraph"));
    CHECK(nlohmann::json::parse(json.str())["records"].empty());
    CHECK(tape.saved_bytes() == 0);
}

TEST_CASE("a tape as DOT: a node for each record, an edge for each followed input", "[tape][print]") {
    Taped t;
    const std::string dot = t.dot();
    INFO(dot);
    CHECK(count(dot, R"(    r\d+ \[label=)") == t.tape.records().size());
    CHECK(count(dot, R"(    x\d+ \[)") == 1);
    CHECK(count(dot, " -> ") == 3);
    CHECK_THAT(dot, Contains("x0 -> r0;") && Contains("r0 -> r1;") && Contains("r1 -> r2;"));
    CHECK(dot.substr(dot.size() - 2) == "}\n");
}

TEST_CASE("a tape as JSON", "[tape][print]") {
    Taped t;
    t.tape.observe_gradients(true);
    t.tape.gradient(t.y, t.x);
    const nlohmann::json json = t.json();
    CHECK(json["saved_bytes"] == 147);
    REQUIRE(json["records"].size() == 3);
    const nlohmann::json& conv = json["records"][0];
    CHECK(conv["op"] == "conv2d");
    CHECK(conv["inputs"][0]["shape"] == nlohmann::json({1, 4, 4, 1}));
    CHECK(conv["inputs"][0]["variable"] == 0);
    CHECK(conv["inputs"][1]["variable"].is_null());
    CHECK(conv["outputs"][0]["variable"] == json["records"][1]["inputs"][0]["variable"]);
    CHECK(conv["saved"] == nlohmann::json::parse(R"([{"what": "input", "index": 1, "bytes": 144}])"));
    CHECK(conv["gradient"]["norm"].get<double>() == t.tape.records()[0].gradient.norm);
    CHECK(json["records"][2]["attributes"].get<std::string>().find("kernel=") != std::string::npos);
}

TEST_CASE("saved bytes count a storage once", "[tape][print]") {
    Tensor x = uniform({5});
    Tape tape;
    tape.watch(x);
    Tensor y = x * x;        // x twice
    Tensor z = y * (x * x);  // y, and another product; x again
    CHECK(tape.saved_bytes() == 3 * 5 * sizeof(double));
}
