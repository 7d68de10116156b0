#include "base/error.hpp"
#include "report/confusion_plot.hpp"
#include "report/interval_plot.hpp"
#include "report/layout.hpp"
#include "report/line_plot.hpp"
#include "report/reliability_plot.hpp"
#include "tests/report/html_check.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using namespace microtome::report;
using Catch::Contains;

namespace {

void check_drawing(const Html& drawing) {
    CHECK(html_fault(drawing.text) == "");
    CHECK(text_fault(drawing.text) == "");
    CHECK_THAT(drawing.text, Contains("role=\"img\" aria-label=\"") && Contains("<title>"));
    CHECK(drawing.text.find("nan") == std::string::npos);
    CHECK(drawing.text.find("inf") == std::string::npos);
}

// A fraction of 1 that depends on its index alone.
double fraction(int index) {
    double x = std::sin(index * 12.9898) * 43758.5453;
    return x - std::floor(x);
}

LinePlot random_plot(int seed) {
    LinePlot plot;
    plot.title = "curves <&>";
    plot.x_label = "epoch";
    plot.y_label = "loss";
    int curves = 1 + seed % 6, points = 1 + seed * 7 % 40;
    for (int c = 0; c < curves; ++c) {
        Curve curve{std::string(1 + (seed * 5 + c * 11) % 30, "abW i"[c % 5])};
        for (int p = 0; p < points; ++p)
            curve.points.push_back({p + 1.0, fraction(seed + c) * (seed % 5 == 0 ? 1e6 : 1) + .01 * p});
        plot.curves.push_back(curve);
    }
    for (int m = 0; m < seed % 4; ++m) plot.moments.push_back({1 + fraction(m) * points, "best: epoch 22"});
    return plot;
}

}  // namespace

TEST_CASE("labels make room for one another", "[report]") {
    CHECK(spread({10, 50}, 14, 0, 100) == std::vector<double>{10, 50});
    CHECK(spread({50, 50}, 14, 0, 100) == std::vector<double>{43, 57});
    CHECK(spread({57, 43}, 20, 0, 100) == std::vector<double>{60, 40});  // order is kept
    CHECK(spread({0, 1, 2}, 10, 0, 100) == std::vector<double>{0, 10, 20});
    CHECK(spread({100, 99}, 10, 0, 100) == std::vector<double>{100, 90});
    CHECK(spread({}, 10, 0, 100).empty());
    // Two blocks that grow into one another.
    std::vector<double> places = spread({30, 32, 40, 41}, 10, 0, 100);
    for (std::size_t i = 1; i < places.size(); ++i) CHECK(places[i] - places[i - 1] >= 10 - 1e-9);
    CHECK(places[0] + places[3] == Approx(2 * (30 + 32 + 40 + 41) / 4.0));
}

TEST_CASE("text is cut to its room", "[report]") {
    CHECK(shorten("lung_aca", 200, 12) == "lung_aca");
    std::string cut = shorten("a very long name of a class", 60, 12);
    CHECK(cut.ends_with("…"));
    CHECK(text_width(cut, 12) <= 60);
    CHECK(text_width("mmmm", 12) > text_width("iiii", 12));
}

TEST_CASE("line plots of any data: nothing overlaps, nothing leaves the drawing", "[report]") {
    for (int seed = 0; seed < 60; ++seed)
        for (double width : {kWide, kNarrow}) {
            INFO("plot " << seed << ", width " << width);
            check_drawing(draw_line_plot(random_plot(seed), width));
        }
}

TEST_CASE("the best epoch is marked where it is", "[report]") {
    LinePlot plot;
    plot.curves = {{"validation", {}}};
    for (int epoch = 1; epoch <= 27; ++epoch) plot.curves[0].points.push_back({epoch * 1.0, 1.0 / epoch});
    plot.moments = {{22, "best: epoch 22"}};
    plot.curves[0].points[21].tip = "here";
    std::string drawing = draw_line_plot(plot, kWide).text;
    std::size_t mark = drawing.find("<title>here");
    std::size_t circle = drawing.rfind("cx=\"", mark);
    std::string x = drawing.substr(circle + 4, drawing.find('"', circle + 4) - circle - 4);
    CHECK_THAT(drawing, Contains("<line x1=\"" + x + "\"") && Contains("best: epoch 22"));
}

TEST_CASE("accuracy over epsilon has its ticks and bands", "[report]") {
    LinePlot plot;
    plot.x = LinePlot::X::epsilon;
    plot.shares = true;
    plot.level = LinePlot::Level{.2, "chance"};
    Curve curve{"baseline"};
    for (double levels : {0., .25, .5, 1., 2., 4., 8.})
        curve.points.push_back({levels / 255, .9 - levels / 10, .85 - levels / 10, .95 - levels / 10});
    plot.curves = {curve, curve};
    plot.curves[1].name = "hardened";
    for (double width : {kWide, kNarrow}) {
        Html drawing = draw_line_plot(plot, width);
        check_drawing(drawing);
        for (const char* label : {">1/4<", ">1/2<", ">1<", ">8<", ">baseline<", ">hardened<", ">chance<"})
            CHECK_THAT(drawing.text, Contains(label));
        CHECK_THAT(drawing.text, Contains("fill-opacity:0.14"));
    }
}

TEST_CASE("line plots of nothing, gaps and what is not finite", "[report]") {
    LinePlot plot;
    check_drawing(draw_line_plot(plot, kNarrow));
    plot.curves = {{"a", {{1, NAN}, {2, 1}, {3, INFINITY}, {4, 2}, {5, 3}}}, {"b", {{1, NAN}}}, {"c", {}}};
    Html drawing = draw_line_plot(plot, kNarrow);
    check_drawing(drawing);
    plot.curves = {{"a", {{7, 1e300}}}};
    check_drawing(draw_line_plot(plot, kNarrow));
}

TEST_CASE("a confusion matrix shows its counts and shares", "[report]") {
    ConfusionPlot plot{"matrix",
                       {"colon_aca", "colon_n", "lung_aca"},
                       {{164, 5, 0}, {2, 163, 0}, {0, 1000, 161}},
                       {{0, 1}, {1, 0}}};
    for (double width : {kWide, kNarrow}) {
        Html drawing = draw_confusion(plot, width);
        check_drawing(drawing);
        for (const char* label :
             {">164<", ">.97<", ">5<", ">.03<", ">1,000<", "colon_aca taken for colon_n: 5 of 169"})
            CHECK_THAT(drawing.text, Contains(label));
    }
    CHECK_THAT(draw_confusion(plot, kWide).text, Contains("stroke-width:2"));
    plot.grave.clear();
    CHECK_THAT(draw_confusion(plot, kWide).text, !Contains("stroke-width:2"));
}

TEST_CASE("confusion matrices of many classes and long names", "[report]") {
    for (int classes : {1, 2, 7, 12, 30})
        for (int length : {1, 12, 60}) {
            ConfusionPlot plot;
            for (int i = 0; i < classes; ++i) {
                plot.classes.push_back(
                    std::string(static_cast<std::size_t>(length), static_cast<char>('a' + i % 26)));
                plot.counts.emplace_back(classes, i * 111);
            }
            for (double width : {kWide, kNarrow}) {
                INFO(classes << " classes, names of " << length << ", width " << width);
                check_drawing(draw_confusion(plot, width));
            }
        }
    // Too narrow for the count: the share alone.
    ConfusionPlot narrow{"",
                         std::vector<std::string>(6, "class"),
                         std::vector<std::vector<int64_t>>(6, std::vector<int64_t>(6, 1000000)),
                         {}};
    CHECK_THAT(draw_confusion(narrow, kNarrow).text, !Contains(">1,000,000<") && Contains(">.17<"));
    CHECK_THROWS_AS(draw_confusion({"", {"a", "b"}, {{1, 2}}, {}}, kWide), ShapeError);
    CHECK_THROWS_AS(draw_confusion({"", {"a", "b"}, {{1, 2}, {3}}, {}}, kWide), ShapeError);
    CHECK_THROWS_AS(draw_confusion({"", {"a"}, {{1}}, {{0, 1}}}, kWide), ShapeError);
    CHECK_THROWS_AS(draw_confusion({}, kWide), ShapeError);
}

TEST_CASE("interval plots have their numbers beside them", "[report]") {
    IntervalPlot plot{
        "before and after",
        "accuracy",
        {{"Clean",
          {{"before", {.93, .9, .95, 500}}, {"after hardening, fresh attacks", {.89, .86, .91, 500}}}},
         {"PGD & others", {{"before", {0, 0, .01, 500}}, {"after hardening, fresh attacks", {.71}}}}}};
    for (double width : {kWide, kNarrow}) {
        Html drawing = draw_intervals(plot, width);
        check_drawing(drawing);
        for (const char* label :
             {">.93 [.90, .95]<", ">.00 [.00, .01]<", ">.71<", "n = 500", "PGD &amp; others"})
            CHECK_THAT(drawing.text, Contains(label));
    }
    check_drawing(draw_intervals({}, kNarrow));
    plot.groups[0].rows[0].name = std::string(100, 'W');
    plot.groups[0].name = std::string(100, 'W');
    check_drawing(draw_intervals(plot, kNarrow));
}

TEST_CASE("a reliability diagram leaves out empty bins", "[report]") {
    ReliabilityPlot plot{"calibration",
                         {{.1, {.2, .1, .3, 12}}, {.5, {.9, .8, 1, 0}}, {.95, {.9, .8, .97, 1200}}}};
    for (double width : {kWide, kNarrow}) {
        Html drawing = draw_reliability(plot, width);
        check_drawing(drawing);
        CHECK_THAT(drawing.text,
                   Contains("1,200 images") && Contains("confidence .95, right .90 [.80, .97], n = 1,200"));
        CHECK_THAT(drawing.text, !Contains("confidence .50"));
    }
    check_drawing(draw_reliability({}, kNarrow));
}
