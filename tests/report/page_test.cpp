#include "report/page.hpp"

#include "tests/report/html_check.hpp"
#include "tests/report/sample_report.hpp"

#include <catch2/catch.hpp>

using namespace microtome::report;
using Catch::Contains;

namespace {

// Every drawing of a page.
std::vector<std::string> drawings(const std::string& page) {
    std::vector<std::string> result;
    for (std::size_t at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1))
        result.push_back(page.substr(at, page.find("</svg>", at) + 6 - at));
    return result;
}

constexpr const char* kHostile = "</title><script>alert(\"1\")</script><img src=x onerror='y'>&amp;\x01\xFF";

}  // namespace

TEST_CASE("the sample report is well-formed, whole and of bounded size", "[report]") {
    std::string page = study_page(sample_report());
    CHECK(html_fault(page) == "");
    CHECK(page.size() < 4u << 20);
    CHECK(drawings(page).size() ==
          4 + 4 + 4 + 2 + 2);  // learning, confusion, reliability, epsilon, intervals
    for (const std::string& drawing : drawings(page)) CHECK(text_fault(drawing) == "");
    for (const char* text :
         {".93&nbsp;[.91,&nbsp;.95]", "1 of 5 validity checks failed: V4", "What this does not show", "8,100",
          ".9784", "Images were divided by 255 twice", "✗ FAIL", "30 min 33 s", "a3f01b22c9d4e870",
          "best: epoch 27", "2 files could not be read"})
        CHECK_THAT(page, Contains(text));
}

TEST_CASE("a page needs nothing from elsewhere", "[report]") {
    std::string page = study_page(sample_report());
    for (const char* reference :
         {"http:", "https:", "<script", "<link", "@import", "url(", "src=\"/", "src=\"."})
        CHECK_THAT(page, !Contains(reference));
    CHECK_THAT(page, Contains("default-src 'none'") && Contains("<html lang=\"en\">") &&
                         Contains("name=\"viewport\"") && Contains("prefers-color-scheme: dark") &&
                         Contains("@media print"));
}

TEST_CASE("names of classes and files cannot become part of the page", "[report]") {
    StudyReport report = sample_report();
    report.title = report.kicker = report.lead = report.data.name = report.data.description = kHostile;
    report.asked = report.found = report.not_shown = report.data.damaged =
        report.data.parts = {kHostile, kHostile};
    for (auto& figure : report.key_figures) figure = {kHostile, kHostile, kHostile, kHostile};
    for (auto& name : report.data.classes) name = kHostile;
    for (auto& audit : report.data.audits) audit.title = audit.text = kHostile;
    for (auto& sample : report.samples) sample.truth = sample.guess.name = kHostile;
    for (auto& model : report.models) {
        model.name = model.description = model.reliability_note = kHostile;
        for (auto& name : model.classes) name = kHostile;
        for (auto& row : model.class_rows) row.name = kHostile;
        model.facts = model.measures = {{kHostile, kHostile}};
    }
    for (auto& curve : report.epsilon_curves) curve.group = curve.model = kHostile;
    report.chance->text = kHostile;
    for (auto& strip : report.strips)
        strip.truth = strip.attack = strip.before.name = strip.after.name = kHostile;
    for (auto& picture : report.patches) picture.caption = kHostile;
    for (auto& name : report.before_after.attacks) name = kHostile;
    for (auto& row : report.before_after.rows) row.name = kHostile;
    for (auto& row : report.comparisons) row = {kHostile, kHostile, kHostile, kHostile, kHostile, kHostile};
    for (auto& rail : report.rails) rail.id = rail.value = rail.text = kHostile;
    for (auto& row : report.compute) row.task = kHostile;
    report.results.caption = report.results.columns[0].title = kHostile;
    report.results.rows[0] = {kHostile, kHostile, kHostile, kHostile, kHostile, kHostile};
    report.foot = {kHostile, kHostile, {{kHostile, kHostile}}};

    std::string page = study_page(report);
    CHECK(html_fault(page) == "");
    CHECK_THAT(page,
               !Contains("<script") && !Contains("<img src=x") && !Contains("\x01") && !Contains("\xFF"));
    CHECK_THAT(page, Contains("&lt;script&gt;alert(&quot;1&quot;)") && Contains("&amp;amp;"));
    for (const std::string& drawing : drawings(page)) CHECK(text_fault(drawing) == "");
}

TEST_CASE("what is empty is left out of the page", "[report]") {
    StudyReport report;
    report.title = "Nothing yet";
    std::string page = study_page(report);
    CHECK(html_fault(page) == "");
    std::string body = page.substr(page.find("<body>"));
    for (const char* part : {"<section", "<nav", "<h2", "<table", "<figure", "<dl", "<footer", "<ul",
                             "<p class=\"lead\"", "callout"})
        CHECK_THAT(body, !Contains(part));

    report.rails = {{"V1", true, ".93", "equal"}};
    report.before_after.attacks = {"Clean", "PGD"};
    report.before_after.rows = {{"before", {Share{.5, .4, .6, 100}, std::nullopt}}};
    body = study_page(report);
    body = body.substr(body.find("<body>"));
    CHECK_THAT(body, Contains("The check V1 was passed") && Contains("Before and after hardening") &&
                         Contains("<td class=\"number\">–</td>"));
    CHECK_THAT(body, !Contains("What was asked") && !Contains("Under attack") && !Contains("<nav"));

    // One part of a model at a time.
    report = {};
    report.models = {{}};
    report.models[0].epochs = {{1, .5}, {2, .4}};
    page = study_page(report);
    CHECK(drawings(page).size() == 1);  // no accuracies, no plot of them
    CHECK_THAT(page, !Contains("validation") && !Contains("best: epoch"));
}

TEST_CASE("all rails passed is said in one line, failures by name", "[report]") {
    StudyReport report;
    report.rails = {{"V1", true, "", "a"}, {"V2", true, "", "b"}};
    CHECK_THAT(study_page(report), Contains("All 2 validity checks were passed"));
    report.rails.push_back({"V3", false, "", "too far"});
    report.rails.push_back({"V5", false, "", "not zero."});
    CHECK_THAT(study_page(report), Contains("2 of 4 validity checks failed: V3 and V5") &&
                                       Contains("V3: too far. V5: not zero.<"));
}

TEST_CASE("a page keeps numbers with their units and intervals", "[report]") {
    Content content;
    content.paragraph("It is .93 [.90, .95] at 95 % of [a, b].");
    CHECK(content.html().text == "<p>It is .93&nbsp;[.90,&nbsp;.95] at 95&nbsp;% of [a, b].</p>\n");
}

TEST_CASE("a page is built of its parts", "[report]") {
    Table table;
    table.caption = "numbers";
    table.columns = {{"name", false}, {"accuracy", true}};
    table.add({"a", Share{.93, .9, .95, 100}});
    Content inner, content;
    inner.paragraph("within");
    content.heading("h")
        .table(table)
        .callout(Verdict::caution, "mind", "this")
        .details("more", inner)
        .list({"x", "y"});
    Page page("Title");
    page.section("One", content);
    page.section("Empty", Content());
    std::string html = page.html();
    CHECK(html_fault(html) == "");
    CHECK_THAT(html, Contains("<td class=\"number\">.93 <small>[.90, .95]</small></td>") &&
                         Contains("<caption>numbers</caption>") && Contains("<th scope=\"row\">a</th>") &&
                         Contains("<summary>more</summary>") && !Contains("Empty"));
}
