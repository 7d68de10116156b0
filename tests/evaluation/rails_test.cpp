// Every rail has a planted fault that must fire it, and the healthy run, which must fire none.
#include "evaluation/rails.hpp"

#include "base/error.hpp"
#include "tests/evaluation/evaluation_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;
using test::AnyAttack;

namespace {

constexpr double kEpsilon = 4.0 / 255;

AnyAttack noise(double epsilon = kEpsilon) {
    // Half of the images up, half of them down by their ids: what no gradient had a hand in.
    return {"uniform-noise", {.epsilon = epsilon}, {0, 0}, [epsilon](Classifier&, const Batch& given) {
                Tensor result = given.images.clone();
                std::span<float> x = result.mutable_data<float>();
                for (std::size_t k = 0; k < x.size(); ++k)
                    x[k] += static_cast<float>(given.ids[k / 4] % 4 < 2 ? epsilon / 2 : -epsilon / 2);
                return result;
            }};
}

Evaluation run(Classifier& classifier, const std::vector<const Attack*>& attacks,
               Batch batch = test::grey_images(30, 3)) {
    MemoryBatches images(std::move(batch), 16);
    return evaluate(classifier, images, attacks);
}

Rail find(const RailReport& report, const std::string& id) {
    for (const Rail& rail : report.rails)
        if (rail.id == id) return rail;
    throw std::runtime_error("no rail " + id);
}

RailReport report_of(const Evaluation& evaluation, const RailInputs& inputs = {}) {
    return rails_of(evaluation, rows_of(evaluation, "m"), inputs);
}

std::vector<std::string> failed(const RailReport& report) {
    std::vector<std::string> ids;
    for (const Rail& rail : report.rails)
        if (!rail.pass) ids.push_back(rail.id);
    return ids;
}

using Ids = std::vector<std::string>;

// A set of images of a few bytes each.
class TinySet : public Dataset {
  public:
    explicit TinySet(const std::vector<std::pair<int, std::string>>& images) {  // content and group
        classes_ = {"a"};
        for (const auto& [content, group] : images) {
            contents_.push_back(content);
            samples_.push_back({.name = str("image ", samples_.size()), .group = group});
        }
    }
    Tensor read(int64_t i) const override {
        const int content = contents_.at(static_cast<std::size_t>(i));
        if (content < 0) throw FormatError("tiny", "damaged");
        return Tensor::full({1, 2, 1}, content, Dtype::u8);
    }

  private:
    std::vector<int> contents_;
};

}  // namespace

TEST_CASE("the healthy run passes every rail", "[evaluation][rails]") {
    test::Brightness classifier;
    const AnyAttack one = test::steps_attack(kEpsilon, 1, "one"),
                    four = test::steps_attack(kEpsilon, 4, "four");
    const AnyAttack random = noise();
    const Evaluation evaluation = run(classifier, {&one, &four, &random});
    const AnyAttack unbounded = test::steps_attack(1, 4, "unbounded");
    const Share left = rows_of(run(classifier, {&unbounded}), "m")[1].accuracy();
    const TinySet set({{1, "x"}, {2, "y"}});
    const RailReport report = report_of(
        evaluation,
        {.unbounded = left, .disjoint = disjoint(identities_of(set, {0}), identities_of(set, {1}))});
    CHECK(failed(report).empty());
    CHECK(report.not_run.empty());
    Ids ids;
    for (const Rail& rail : report.rails) {
        ids.push_back(rail.id);
        CHECK_FALSE(rail.text.empty());
    }
    CHECK(ids ==
          Ids{"V1", "V2", "V3", "V4", "V5", "V6", "V8", "V9", "V10", "V11", "V12", "V13", "V14", "V15"});
    CHECK(find(report, "V1").value == 0);
    CHECK(find(report, "V4").value == 1);
    CHECK(find(report, "V5").value == 0);
    CHECK(find(report, "V12").value == 1);
}

TEST_CASE("what cannot be looked at is not passed", "[evaluation][rails]") {
    test::Brightness classifier;
    const RailReport report = report_of(run(classifier, {}));
    Ids ids;
    for (const auto& [id, why] : report.not_run) {
        ids.push_back(id);
        CHECK_FALSE(why.empty());
    }
    CHECK(ids == Ids{"V1", "V3", "V4", "V5", "V6", "V8", "V9", "V11", "V12", "V13", "V14"});
    CHECK(failed(report).empty());
    CHECK_THROWS_AS(stronger_attack({}), OptionsError);
    CHECK_THROWS_AS(beats_controls({}), OptionsError);
}

TEST_CASE("V1 and V2 fire on images that are scaled twice", "[evaluation][rails]") {
    // What the published notebooks did: the attack, and all that is said of it, sees images divided by 255
    // once more.
    test::Brightness classifier;
    const Batch batch = test::grey_images(30, 3);
    Batch twice = batch;
    twice.images = batch.images.clone();
    for (float& value : twice.images.mutable_data<float>()) value /= 255;
    MemoryBatches once(batch, 16), given(twice, 16);
    const AnyAttack attack = test::steps_attack(kEpsilon);
    const RailReport report = report_of(evaluate(classifier, once, {&attack}, {.given = &given}));
    CHECK_FALSE(find(report, "V1").pass);
    CHECK(find(report, "V1").value == .5);
    CHECK_THAT(find(report, "V1").text, Contains("0.950") && Contains("0.550"));
    CHECK_FALSE(find(report, "V2").pass);
    CHECK(find(report, "V2").value == 1);
    // The same images given twice over are no fault.
    MemoryBatches same(batch, 16);
    once.start(0);
    CHECK(failed(report_of(evaluate(classifier, once, {&attack}, {.given = &same}))).empty());
    // Other images than the evaluator's, or other batches, cannot be compared.
    MemoryBatches others(batch, 15);
    CHECK_THROWS_AS(evaluate(classifier, once, {&attack}, {.given = &others}), ShapeError);
}

TEST_CASE("V1 fires on an attack that writes into its input", "[evaluation][rails]") {
    test::Brightness classifier;
    const AnyAttack writes("writes", {.epsilon = kEpsilon}, {4, 4}, [](Classifier& c, const Batch& given) {
        const Tensor result = test::sign_steps(kEpsilon, 4)(c, given);
        Tensor(given.images).copy_from(result);
        return result;
    });
    const AnyAttack after = test::steps_attack(kEpsilon);
    const Evaluation evaluation = run(classifier, {&writes, &after});
    CHECK(failed(report_of(evaluation)) == Ids{"V1", "V4"});  // the loss it ended with is the one it left
    CHECK_THAT(find(report_of(evaluation), "V1").text, Contains("writes"));
    // It harmed nobody else.
    CHECK(same_input({evaluation.outcomes[1]}).pass);
}

TEST_CASE("V2 fires on a constant answer, but not on images of one class", "[evaluation][rails]") {
    class Constant : public test::Brightness {
        float logit(float, float) const override { return 1; }
    } constant;
    CHECK(failed(report_of(run(constant, {}))) == Ids{"V2"});
    test::Brightness classifier;
    const Batch batch = test::grey_images(60);
    std::vector<int64_t> bright;
    for (int64_t i = 1; i < 120; i += 2) bright.push_back(i);
    const RailReport report = report_of(run(classifier, {}, select(batch, bright)));
    CHECK(failed(report).empty());
    CHECK(report.not_run[1].first == "V2");
}

TEST_CASE("V3 fires on images outside the ball or the box", "[evaluation][rails]") {
    test::Brightness classifier;
    const AnyAttack far("far", {.epsilon = kEpsilon}, {4, 4}, test::sign_steps(1.1 * kEpsilon, 4));
    const Rail rail = find(report_of(run(classifier, {&far})), "V3");
    CHECK_FALSE(rail.pass);
    CHECK(rail.value == Approx(.1 * kEpsilon).epsilon(1e-4));
    const AnyAttack box("box", {.epsilon = 1}, {0, 0},
                        [](Classifier&, const Batch& given) { return test::moved(given.images, .9f); });
    CHECK_FALSE(find(report_of(run(classifier, {&box})), "V3").pass);
    const AnyAttack nan("nan", {.epsilon = 1}, {0, 0},
                        [](Classifier&, const Batch& given) { return test::moved(given.images, NAN); });
    CHECK_FALSE(find(report_of(run(classifier, {&nan})), "V3").pass);
}

TEST_CASE("V4 fires on a sign error and on an attack that does nothing", "[evaluation][rails]") {
    test::Brightness classifier;
    for (int steps : {1, 4}) {
        const AnyAttack wrong("wrong", {.epsilon = kEpsilon}, {steps, steps},
                              test::sign_steps(kEpsilon, steps, -1));
        CHECK_FALSE(find(report_of(run(classifier, {&wrong})), "V4").pass);
        const AnyAttack idle("idle", {.epsilon = kEpsilon}, {steps, steps},
                             [](Classifier&, const Batch& given) { return given.images; });
        const Rail rail = find(report_of(run(classifier, {&idle})), "V4");
        CHECK_FALSE(rail.pass);
        CHECK(rail.value == 0);
        CHECK_THAT(rail.text, Contains("57 came back unchanged"));
    }
    // One broken attack is not hidden by a good one beside it, nor one that works on nine images in ten.
    const AnyAttack good = test::steps_attack(kEpsilon);
    const AnyAttack lazy("lazy", {.epsilon = kEpsilon}, {4, 4}, [](Classifier& c, const Batch& given) {
        Tensor result = test::sign_steps(kEpsilon, 4)(c, given);
        for (std::size_t i = 0; i < given.ids.size(); ++i)
            if (given.ids[i] % 10 == 0)
                for (std::size_t k = 4 * i; k < 4 * i + 4; ++k)
                    result.mutable_data<float>()[k] = given.images.data<float>()[k];
        return result;
    });
    const Rail rail = find(report_of(run(classifier, {&good, &lazy})), "V4");
    CHECK_FALSE(rail.pass);
    CHECK_THAT(rail.text, Contains("lazy") && !Contains("steps at"));
    // A control is not asked to raise the loss.
    const AnyAttack random = noise();
    CHECK_THROWS(find(report_of(run(classifier, {&random})), "V4"));
}

TEST_CASE("V5 fires on gradients that are masked", "[evaluation][rails]") {
    // The answer is a step function: right, and without a gradient.
    class Masked : public test::Brightness {
      public:
        Masked() : Brightness(0) {}
        float logit(float mean, float) const override { return mean > .5f ? 1 : -1; }
    } masked;
    test::Brightness healthy;
    const AnyAttack unbounded = test::steps_attack(1, 4);
    auto left = [&](Classifier& classifier) {
        return rows_of(run(classifier, {&unbounded}), "m")[1].accuracy();
    };
    CHECK_FALSE(unbounded_attack(left(masked), 2).pass);
    CHECK(unbounded_attack(left(healthy), 2).pass);
    CHECK_FALSE(unbounded_attack({3, 5}, 2).pass);
    CHECK(unbounded_attack({1, 5}, 5).pass);
    CHECK_FALSE(unbounded_attack({0, 0}, 2).pass);
    // The same model fires V4, too.
    const AnyAttack attack = test::steps_attack(kEpsilon);
    CHECK_FALSE(find(report_of(run(masked, {&attack})), "V4").pass);
}

TEST_CASE("V6 and V8 fire when a weaker attack or a control does more", "[evaluation][rails]") {
    test::Brightness classifier;
    auto weak = [](int steps) {  // claims the ball, and uses a quarter of it
        return AnyAttack("weak", {.epsilon = kEpsilon}, {steps, steps},
                         test::sign_steps(kEpsilon / 4, steps));
    };
    const AnyAttack broken = weak(8), one = test::steps_attack(kEpsilon, 1, "one");
    const Rail v6 = find(report_of(run(classifier, {&one, &broken})), "V6");
    CHECK_FALSE(v6.pass);
    CHECK(v6.value == 6);
    CHECK_THAT(v6.text, Contains("one at 4/255 fools 6 images"));
    const AnyAttack also_weak = weak(1);
    const AnyAttack lucky("uniform-noise", {.epsilon = kEpsilon}, {0, 0}, test::sign_steps(kEpsilon, 1));
    CHECK(failed(report_of(run(classifier, {&also_weak, &lucky}))) == Ids{"V8"});
    // Five images more might be chance: one in 32.
    CHECK(stronger_attack(run(classifier, {&one, &broken}, test::grey_images(3)).outcomes).pass);
    // Other balls are another matter.
    const AnyAttack larger = test::steps_attack(2 * kEpsilon, 1, "one");
    CHECK_THROWS_AS(stronger_attack(run(classifier, {&larger, &broken}).outcomes), OptionsError);
}

TEST_CASE("V9 fires on twins and siblings", "[evaluation][rails]") {
    const TinySet set({{1, ""}, {2, "tile 1"}, {3, ""}, /**/ {4, ""}, {1, ""}, {5, "tile 1"}, {-1, ""}});
    const std::vector<ImageIdentity> training = identities_of(set, {0, 1, 2});
    CHECK(disjoint(training, identities_of(set, {3, 6})).pass);
    const Rail twin = disjoint(training, identities_of(set, {3, 4}));
    CHECK_FALSE(twin.pass);
    CHECK(twin.value == 1);
    CHECK_THAT(twin.text, Contains("1 by content, 0 by group") && Contains("image 4, as image 0"));
    CHECK_THAT(disjoint(training, identities_of(set, {3, 5})).text, Contains("0 by content, 1 by group"));
    CHECK(disjoint(training, identities_of(set, {3, 4, 5})).value == 2);
}

TEST_CASE("V10, V13 and V15 fire on numbers that are not what they say", "[evaluation][rails]") {
    test::Brightness classifier;
    const AnyAttack attack = test::steps_attack(kEpsilon);
    const Evaluation evaluation = run(classifier, {&attack});
    std::vector<StatedNumbers> rows;
    for (const ResultRow& row : rows_of(evaluation, "m")) rows.push_back(stated(row));
    CHECK(denominators(rows, 60).pass);
    CHECK(recorded(rows).pass);
    CHECK(success_of_right({rows[1]}, evaluation.outcomes).pass);

    // Counted over a part, divided by the whole.
    std::vector<StatedNumbers> wrong = rows;
    wrong[0].accuracy *= .8;
    CHECK_FALSE(denominators(wrong, 60).pass);
    CHECK(denominators(wrong, 60).value == 1);
    CHECK_FALSE(denominators(rows, 75).pass);
    wrong = rows;
    wrong[1].n_success = wrong[1].n_clean_correct + 1;
    CHECK_FALSE(denominators(wrong, 60).pass);

    // A success rate over all images, those that were wrong from the start among the successes.
    wrong = rows;
    wrong[1].n_clean_correct = 60;
    wrong[1].n_success = 60 - wrong[1].n_correct;
    CHECK_FALSE(success_of_right({wrong[1]}, evaluation.outcomes).pass);
    CHECK_THROWS_AS(success_of_right(rows, evaluation.outcomes), OptionsError);

    // As publications state them: no interval; no options; a random start without a seed.
    wrong = rows;
    wrong[0].interval.reset();
    wrong[1].options.clear();
    CHECK(recorded(wrong).value == 2);
    wrong = rows;
    wrong[1].options = {{"start", "uniform"}};
    CHECK_FALSE(recorded(wrong).pass);
    wrong[1] = rows[1];
    wrong[1].name = "uniform-noise";
    wrong[1].options = {{"epsilon", "8/255"}};
    CHECK_FALSE(recorded(wrong).pass);
    wrong[1].options.push_back({"seed", "0"});
    CHECK(recorded(wrong).pass);
    wrong[0].interval = Interval{0, 1};
    CHECK_FALSE(recorded(wrong).pass);
}

TEST_CASE("V11 fires when an attack is a gain", "[evaluation][rails]") {
    test::Brightness classifier;
    const AnyAttack helps("helps", {.epsilon = kEpsilon}, {4, 4}, test::sign_steps(kEpsilon, 4, -1));
    Batch batch = test::grey_images(30);  // the three darkest of the bright are called dark, and the reverse
    for (int64_t i = 0; i < 6; ++i) batch.targets.mutable_data<int64_t>()[i] ^= 1;
    const Rail rail = find(report_of(run(classifier, {&helps}, batch)), "V11");
    CHECK_FALSE(rail.pass);
    CHECK(rail.value == Approx(.1));
    // Noise may repair an image or two by chance, an attack none.
    const AnyAttack random("uniform-noise", {.epsilon = kEpsilon}, {0, 0},
                           test::sign_steps(1.0 / 255, 1, -1));
    CHECK(find(report_of(run(classifier, {&random}, batch)), "V11").pass);
    CHECK(find(report_of(run(classifier, {&random}, batch)), "V11").value > 0);
}

TEST_CASE("V12 fires when what was counted is no picture", "[evaluation][rails]") {
    // An attack that hides between the grey levels: what it moved by, rounding takes back.
    class Fine : public test::Brightness {
        float logit(float mean, float) const override {
            const float levels = mean * 255;
            const bool between = std::abs(levels - std::rint(levels)) > .1f;
            return (mean > .5f) != between ? 1 : -1;
        }
    } fine;
    const AnyAttack hides("hides", {.epsilon = kEpsilon}, {0, 0}, [](Classifier&, const Batch& given) {
        return test::moved(given.images, .3f / 255);
    });
    const Rail rail = find(report_of(run(fine, {&hides})), "V12");
    CHECK_FALSE(rail.pass);
    CHECK(rail.value == 0);
    // Below one level there is no other picture, and nothing to look at.
    const AnyAttack below("below", {.epsilon = .5 / 255}, {0, 0}, [](Classifier&, const Batch& given) {
        return test::moved(given.images, .3f / 255);
    });
    CHECK_THROWS(find(report_of(run(fine, {&below})), "V12"));
}

TEST_CASE("V14 fires on a model in train mode and on one that is changed", "[evaluation][rails]") {
    // As batch norm in train mode does: an answer depends on who else is in the batch.
    class TrainMode : public test::Brightness {
        float logit(float mean, float all) const override { return 8 * (mean - .9f * .5f - .1f * all); }
    } train_mode;
    const AnyAttack attack = test::steps_attack(kEpsilon);
    const Rail mode = find(report_of(run(train_mode, {&attack})), "V14");
    CHECK_FALSE(mode.pass);
    CHECK(mode.value > 1e-3);
    // As running statistics do.
    class Changing : public test::Brightness {
        void asked() override { ++state_; }
    } changing;
    CHECK(failed(report_of(run(changing, {&attack}))) == Ids{"V14"});
    test::Brightness healthy;
    CHECK(find(report_of(run(healthy, {&attack})), "V14").value == 0);
}
