// `microtome gradcheck` from outside: what it prints, its files and its exit status.
#include "tests/apps/program.hpp"
#include "tests/report/html_check.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

using Catch::Contains;

namespace {

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("gradcheck checks one op, one oracle, one sample, at a shape", "[apps][gradcheck]") {
    const Outcome one = run_program(
        "gradcheck --op multiply --oracle 'finite differences' --sample 'a row' --shape '(2,1),(1)' "
        "--verbose");
    INFO(one.output);
    CHECK(one.status == 0);
    CHECK_THAT(one.output, Contains("finite differences   1 samples") && Contains("1 op checked, 0 failed"));
    CHECK(run_program("gradcheck --op multiply --oracle 'finite diferences'").status == 2);
    CHECK_THAT(run_program("gradcheck --op multiply --sample 'a rov'").output,
               Contains("did you mean 'a row'?"));
    CHECK(run_program("gradcheck --op multiply --shape '(2'").status == 2);
}

TEST_CASE("gradcheck writes JSON, JUnit and a page", "[apps][gradcheck]") {
    const ScratchFolder folder;
    const std::string json = folder / "rows.json", junit = folder / "rows.xml", page = folder / "rows.html";
    const Outcome outcome =
        run_program("gradcheck --quiet --op sqrt --json " + json + " --junit " + junit + " --html " + page);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    const auto rows = nlohmann::json::parse(text_of(json));
    REQUIRE(rows.size() >= 10);
    CHECK(rows.back().at("mutants").get<int>() > 10);  // planted mistakes belong to a whole check
    CHECK(rows.back().at("survivors").empty());
    for (const auto& row : rows) {
        CHECK(row.at("op") == "sqrt");
        if (row.contains("mutants")) continue;
        CHECK(row.at("pass") == true);
        for (const char* field :
             {"oracle", "samples", "worst_relative_error", "tolerance", "seconds", "failures"})
            CHECK(row.contains(field));
    }
    CHECK_THAT(text_of(junit),
               Contains("<testsuite name=\"sqrt\"") && Contains("failures=\"0\"") &&
                   Contains("<testcase classname=\"gradcheck.sqrt\" name=\"finite differences\""));
    CHECK_THAT(text_of(page),
               Contains("<!doctype html>", Catch::CaseSensitive::No) && Contains("What is looked at"));
}

TEST_CASE("a planted mistake fails with a lesson, on the console and in every file", "[apps][gradcheck]") {
    const ScratchFolder folder;
    const std::string json = folder / "rows.json", junit = folder / "rows.xml", page = folder / "rows.html";
    const Outcome outcome = run_program(
        "gradcheck --op conv2d --oracle 'finite differences' --plant 'gradient of input 1 with axes 0,1 "
        "transposed' --json " +
        json + " --junit " + junit + " --html " + page);
    INFO(outcome.output);
    REQUIRE(outcome.status == 1);
    const std::string words = "is transposed: its axes 0 and 1 are swapped";
    for (const std::string& line :
         {std::string("FAIL conv2d"), std::string("the vjp  "), words,
          std::string("smallest   fails with inputs"),
          std::string("again      microtome gradcheck --op conv2d --plant \"gradient of input 1 with")})
        CHECK_THAT(outcome.output, Contains(line));
    const auto rows = nlohmann::json::parse(text_of(json));
    REQUIRE(rows.size() == 1);
    const auto& failure = rows[0].at("failures").at(0);
    CHECK(failure.at("pattern") == "transposed");
    CHECK_THAT(failure.at("diagnosis").get<std::string>(), Contains(words));
    CHECK(failure.at("where").get<std::string>().find("x1(") != std::string::npos);
    CHECK_THAT(text_of(junit),
               Contains("failures=\"1\"") && Contains("<failure message=\"sample &quot;") && Contains(words));
    CHECK_THAT(text_of(page), Contains("What failed") && Contains(words));
    CHECK(html_fault(text_of(page)) == "");

    // The command that is given shows the same failure.
    const std::string again = failure.at("again");
    CHECK(again.starts_with("microtome gradcheck "));
    const Outcome same = run_program(again.substr(10));
    INFO(same.output);
    CHECK(same.status == 1);
    CHECK_THAT(same.output, Contains(words));
    CHECK(run_program("gradcheck --op conv2d --plant 'gradient of input 1 times 1.02'").status == 2);
    CHECK(run_program("gradcheck --plant 'gradient of input 1 zero'").status == 2);
}

TEST_CASE("gradcheck breaks gradients and says who noticed", "[apps][gradcheck]") {
    const ScratchFolder folder;
    const std::string json = folder / "mutants.json", junit = folder / "mutants.xml";
    const Outcome outcome = run_program("gradcheck --mutate --op relu --json " + json + " --junit " + junit);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    CHECK_THAT(outcome.output,
               Contains("caught  relu: gradient of input 0 times 1 + 1e-5  (finite differences") &&
                   Contains("0 survived"));
    const auto rows = nlohmann::json::parse(text_of(json));
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].at("op") == "relu");
    CHECK(rows[0].at("mutants").get<int>() ==
          rows[0].at("killed").get<int>() + rows[0].at("exempt").get<int>());
    CHECK_THAT(text_of(junit), Contains("<testsuite name=\"mutation\"") && !Contains("<failure"));
}

TEST_CASE("gradcheck shows who looks at what", "[apps][gradcheck]") {
    const ScratchFolder folder;
    const std::string json = folder / "coverage.json";
    const Outcome outcome = run_program("gradcheck --coverage --json " + json);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    CHECK_THAT(outcome.output,
               Contains("finite differences") && Contains("emulated device") && Contains("smooth"));
    for (const auto& row : nlohmann::json::parse(text_of(json)))
        for (const auto& [oracle, cell] : row.at("coverage").items()) {
            INFO(row.at("op") << ", " << oracle);
            CHECK((cell.contains("tried") ? cell["tried"].get<int>() > 0
                                          : !cell.at("hole").get<std::string>().empty()));
        }
}
