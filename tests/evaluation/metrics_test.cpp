#include "evaluation/metrics.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using Catch::Contains;

namespace {

auto near(double value, double margin = 5e-7) {
    return Approx(value).margin(margin).epsilon(0);
}

// The lung and colon study's confusion matrix on its test images.
ConfusionMatrix golden() {
    const int64_t counts[5][5] = {
        {164, 5, 0, 0, 0}, {2, 163, 0, 0, 0}, {0, 0, 161, 0, 7}, {0, 0, 0, 158, 0}, {0, 0, 4, 0, 168}};
    ConfusionMatrix confusion(5);
    for (int t = 0; t < 5; ++t)
        for (int p = 0; p < 5; ++p) confusion.add(t, p, counts[t][p]);
    return confusion;
}

}  // namespace

TEST_CASE("the study's confusion matrix gives the study's report", "[evaluation][metrics]") {
    const ClassificationReport report = classification_report(golden());
    const double precision[] = {.987952, .970238, .975758, 1, .960000};
    const double recall[] = {.970414, .987879, .958333, 1, .976744};
    const double f1[] = {.979104, .978979, .966967, 1, .968300};
    const int64_t support[] = {169, 165, 168, 158, 172};
    REQUIRE(report.classes.size() == 5);
    for (std::size_t c = 0; c < 5; ++c) {
        CHECK(report.classes[c].precision == near(precision[c]));
        CHECK(report.classes[c].recall == near(recall[c]));
        CHECK(report.classes[c].f1 == near(f1[c]));
        CHECK(report.classes[c].support == support[c]);
    }
    CHECK(report.accuracy == Share{814, 832});
    CHECK(report.accuracy.value() == near(.978365));
    CHECK(report.macro.precision == near(.978789));
    CHECK(report.macro.recall == near(.978674));
    CHECK(report.macro.f1 == near(.978670));
    CHECK(report.weighted.precision == near(.978486));
    CHECK(report.weighted.recall == near(.978365));
    CHECK(report.weighted.f1 == near(.978363));
    CHECK(report.kappa == near(.972951));
    CHECK(report.notes.empty());
    CHECK(majority_baseline(golden()).label == 4);
    CHECK(majority_baseline(golden()).accuracy == Share{172, 832});
}

TEST_CASE("fractions of nothing are 0, with a note", "[evaluation][metrics]") {
    ConfusionMatrix confusion(3, std::vector<int64_t>{0, 0, 1}, std::vector<int64_t>{0, 0, 0});
    const ClassificationReport report = classification_report(confusion);
    CHECK(report.classes[1].precision == 0);
    CHECK(report.classes[1].f1 == 0);
    CHECK(report.classes[2].recall == 0);
    CHECK(report.notes.size() == 3);
    CHECK_THAT(report.notes[0], Contains("class 1 was never predicted"));
    CHECK(report.macro.recall == near(1.0 / 3));
    CHECK(report.kappa == 0);  // no better than the margins

    ConfusionMatrix one(1, std::vector<int64_t>{0}, std::vector<int64_t>{0});
    CHECK(classification_report(one).kappa == 0);
    CHECK_THAT(classification_report(one).notes.back(), Contains("kappa"));

    CHECK_THROWS_AS(ConfusionMatrix(2, std::vector<int64_t>{2}, std::vector<int64_t>{0}), OptionsError);
    CHECK_THROWS_AS(ConfusionMatrix(2, std::vector<int64_t>{0}, std::vector<int64_t>{-1}), OptionsError);
    CHECK_THROWS_AS(ConfusionMatrix(2, std::vector<int64_t>{0}, std::vector<int64_t>{}), OptionsError);
    CHECK_THROWS_AS(ConfusionMatrix(0), OptionsError);
}

TEST_CASE("Wilson's interval", "[evaluation][metrics]") {
    // Its ends are where a share p is 1.96 of its own standard errors from what was observed: the definition,
    // and nothing of the closed form.
    const double z = 1.959963984540054;
    for (auto [k, n] : {std::pair<int64_t, int64_t>{814, 832}, {1, 2}, {7, 10}, {416, 832}}) {
        const Interval interval = wilson(k, n);
        const double observed = static_cast<double>(k) / static_cast<double>(n);
        for (double p : {interval.low, interval.high})
            CHECK(std::abs(observed - p) == near(z * std::sqrt(p * (1 - p) / static_cast<double>(n)), 1e-12));
        CHECK(interval.low < observed);
        CHECK(interval.high > observed);
    }
    CHECK(wilson(0, 10).low == 0);
    CHECK(wilson(0, 10).high == near(.277533, 1e-6));  // z^2 / (n + z^2)
    CHECK(wilson(10, 10).low == near(1 - wilson(0, 10).high, 1e-15));
    CHECK(wilson(10, 10).high == 1);
    CHECK(wilson(0, 0) == Interval{0, 1});
    // The study's half-widths: 1.0 point at .978 of 832, 3.4 at one half.
    CHECK((wilson(814, 832).high - wilson(814, 832).low) / 2 == near(.010, .0005));
    CHECK((wilson(416, 832).high - wilson(416, 832).low) / 2 == near(.034, .0005));
    CHECK_THROWS_AS(wilson(3, 2), OptionsError);
    CHECK_THROWS_AS(wilson(-1, 2), OptionsError);
    CHECK(share_text({814, 832}) == "0.978 [0.966, 0.986] (814 of 832)");
}

TEST_CASE("the area under the curve counts pairs, ties half", "[evaluation][metrics]") {
    // Positives .8 .4 .4, negatives .6 .4 .1: of nine pairs .8 wins three; each .4 wins one, ties one, loses
    // one. 3 + 2 + 1 = 6 of 9.
    const std::vector<double> scores{.8, .4, .6, .4, .1, .4};
    const std::vector<uint8_t> positive{1, 1, 0, 0, 0, 1};
    CHECK(area_under_curve(scores, positive) == 6.0 / 9);
    CHECK(area_under_curve(std::vector<double>{1, 1, 1}, std::vector<uint8_t>{1, 0, 1}) == .5);
    CHECK(area_under_curve(std::vector<double>{1, 2}, std::vector<uint8_t>{1, 0}) == 0);
    CHECK(std::isnan(area_under_curve(std::vector<double>{1, 2}, std::vector<uint8_t>{1, 1})));
    CHECK_THROWS_AS(area_under_curve(std::vector<double>{NAN}, std::vector<uint8_t>{1}), OptionsError);

    // Two classes: both one-vs-rest areas are the binary one.
    std::vector<double> pairs;
    for (double score : scores) pairs.insert(pairs.end(), {1 - score, score});
    CHECK(macro_area_under_curve(pairs, 2, std::vector<int64_t>{1, 1, 0, 0, 0, 1}) == near(6.0 / 9, 1e-15));
    // Three classes of which one has no image: the mean of the other two, 1 and 1/2.
    const std::vector<double> three{.7, .2, .1, /**/ .2, .2, .6};
    CHECK(macro_area_under_curve(three, 3, std::vector<int64_t>{0, 1}) == near(.75, 1e-15));
    CHECK_THROWS_AS(macro_area_under_curve(three, 3, std::vector<int64_t>{0, 3}), OptionsError);
    CHECK_THROWS_AS(macro_area_under_curve(three, 2, std::vector<int64_t>{0, 1}), OptionsError);
}

TEST_CASE("log-loss and calibration by hand", "[evaluation][metrics]") {
    const std::vector<double> p{.9, .1, /**/ .2, .8, /**/ .6, .4, /**/ 1, 0};
    const std::vector<int64_t> labels{0, 1, 1, 1};
    CHECK(log_loss(p, 2, labels) ==
          near(-(std::log(.9) + std::log(.8) + std::log(.4) + std::log(1e-15)) / 4, 1e-12));
    // Two bins, (0, .5] and (.5, 1]: all four are in the second, two of them right, mean confidence .825.
    CHECK(calibration_error(p, 2, labels, 2) == near(.325, 1e-12));
    // Ten bins: .9 right, .8 right, .6 wrong, 1 wrong: gaps .1, .2, -.6, -1. In (.8, .9] and (.9, 1].
    CHECK(calibration_error(p, 2, labels, 10) == near((.1 + .2 + .6 + 1) / 4, 1e-12));
    // In one bin over- and under-confidence make up for one another.
    CHECK(calibration_error(std::vector<double>{.75, .25, .75, .25}, 2, std::vector<int64_t>{0, 1}, 15) ==
          near(.25, 1e-12));
    CHECK_THROWS_AS(calibration_error(p, 2, labels, 0), OptionsError);
    CHECK_THROWS_AS(log_loss(p, 2, std::vector<int64_t>{0, 1, 1, 2}), OptionsError);
    CHECK(std::isnan(log_loss({}, 2, {})));
}

TEST_CASE("predictions, probabilities and losses from logits", "[evaluation][metrics]") {
    const Tensor logits = Tensor::of<float>({0, 2, 2, /**/ 1000, -1000, 0}, {2, 3});
    CHECK(predictions_of(logits) == std::vector<int64_t>{1, 0});  // the first of equals
    const std::vector<double> p = probabilities_of(logits);
    CHECK(p[0] == near(1 / (1 + 2 * std::exp(2.0)), 1e-15));
    CHECK(p[3] == 1);
    const std::vector<double> losses = losses_of(logits, std::vector<int64_t>{1, 1});
    CHECK(losses[0] == near(std::log(2 + std::exp(-2.0)), 1e-15));
    CHECK(losses[1] == 2000);
    // A loss that float would call 0 still rises.
    const Tensor sure = Tensor::of<float>({40, 0, 39, 0}, {2, 2});
    const std::vector<double> small = losses_of(sure, std::vector<int64_t>{0, 0});
    CHECK(small[0] > 0);
    CHECK(small[1] > small[0]);

    CHECK_THROWS_WITH(predictions_of(Tensor::of<float>({0, 0, 0, NAN}, {2, 2})), Contains("image 1"));
    CHECK_THROWS_AS(predictions_of(Tensor::of<float>({0, 0}, {2})), ShapeError);
    CHECK_THROWS_AS(losses_of(logits, std::vector<int64_t>{0, 3}), OptionsError);
    CHECK_THROWS_AS(losses_of(logits, std::vector<int64_t>{0}), OptionsError);
}

TEST_CASE("malignant images that are called benign", "[evaluation][metrics]") {
    const std::vector<uint8_t> malignant =
        malignant_classes({"colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"});
    CHECK(malignant == std::vector<uint8_t>{1, 0, 1, 0, 1});
    CHECK(malignant_classes({"Type_1", "Type_3"}, {"Type_3"}) == std::vector<uint8_t>{0, 1});
    // Another malignant class is wrong, but not benign; benign images do not count.
    const std::vector<int64_t> labels{0, 0, 2, 4, 4, 1}, before{0, 1, 4, 4, 2, 1}, now{1, 1, 4, 3, 2, 3};
    const MalignantCalledBenign result = malignant_called_benign(malignant, labels, now, before);
    CHECK(result.called == Share{3, 5});
    CHECK(result.turned == Share{2, 4});
    CHECK(malignant_called_benign(malignant, labels, before).called == Share{1, 5});
    CHECK(malignant_called_benign(malignant, labels, before).turned == Share{0, 0});
    CHECK_THROWS_AS(malignant_called_benign(malignant, labels, std::vector<int64_t>{0}), OptionsError);
    CHECK_THROWS_AS(malignant_called_benign(malignant, std::vector<int64_t>{5}, std::vector<int64_t>{0}),
                    OptionsError);
}
