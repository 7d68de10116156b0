#include "report/table.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace microtome::report;

namespace {

Table sample() {
    Table table;
    table.caption = "accuracy";
    table.columns = {{"modèle", false}, {"n", true}, {"accuracy", true}};
    table.add({"baseline", "500", Share{.93, .9, .95, 500}});
    table.add({"数", "7", Cell("✗ FAIL", Tone::bad)});
    return table;
}

}  // namespace

TEST_CASE("tables on the console stand in columns", "[report]") {
    CHECK(console_text(sample()) ==
          "accuracy\n"
          "modèle      n        accuracy\n"
          "────────  ───  ──────────────\n"
          "baseline  500  .93 [.90, .95]\n"
          "数          7          ✗ FAIL\n");
    std::string coloured = console_text(sample(), {true});
    CHECK(coloured.find("\033[1;31m✗ FAIL\033[0m") != std::string::npos);
    CHECK(console_text(sample(), {false}).find('\033') == std::string::npos);
}

TEST_CASE("a class name cannot command the terminal", "[report]") {
    Table table;
    table.columns = {{"class", false}};
    table.add({"\033]0;owned\007"});
    CHECK(console_text(table, {true}).find('\033') == std::string::npos);
}

TEST_CASE("NO_COLOR is respected", "[report]") {
    ::setenv("NO_COLOR", "1", 1);
    CHECK_FALSE(ConsoleOptions::detect().colour);
    ::unsetenv("NO_COLOR");
}

TEST_CASE("tables as Markdown and as comma-separated values", "[report]") {
    Table table;
    table.columns = {{"class", false}, {"n", true}};
    table.add({"a|b, \"c\" <i>", "1"});
    table.add({"short"});
    CHECK(markdown_text(table) ==
          "| class | n |\n| --- | ---: |\n| a\\|b, \"c\" &lt;i> | 1 |\n| short |  |\n");
    CHECK(csv_text(table) == "class,n\n\"a|b, \"\"c\"\" <i>\",1\nshort,\n");
    CHECK(csv_text(sample()).find("baseline,500,\".93 [.90, .95]\"") != std::string::npos);
}
