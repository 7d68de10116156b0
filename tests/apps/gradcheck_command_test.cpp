// `microtome gradcheck` from outside: what it prints, its files and its exit status.
#include "tests/apps/program.hpp"
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
    for (const auto& row : rows) {
        CHECK(row.at("op") == "sqrt");
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

TEST_CASE("gradcheck breaks gradients and says who noticed", "[apps][gradcheck]") {
    const ScratchFolder folder;
    const std::string json = folder / "mutants.json", junit = folder / "mutants.xml";
    const Outcome outcome = run_program("gradcheck --mutate --op relu --json " + json + " --junit " + junit);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    CHECK_THAT(outcome.output,
               Contains("caught   relu: gradient of input 0 times 1 + 1e-5 (finite differences") &&
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
               Contains("finite differences") && Contains("no GPU build") && Contains("smooth"));
    for (const auto& row : nlohmann::json::parse(text_of(json)))
        for (const auto& [oracle, cell] : row.at("coverage").items()) {
            INFO(row.at("op") << ", " << oracle);
            CHECK((cell.contains("tried") ? cell["tried"].get<int>() > 0
                                          : !cell.at("hole").get<std::string>().empty()));
        }
}
