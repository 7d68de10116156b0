#include "evaluation/robust_accuracy.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "evaluation/witnesses.hpp"
#include "tests/evaluation/evaluation_test_support.hpp"
#include "tests/full_disk.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <csignal>

using namespace microtome;
using Catch::Contains;
using test::AnyAttack;

TEST_CASE("an attack's rows are counts of what the classifier says again", "[evaluation][robust]") {
    test::Brightness classifier;
    MemoryBatches images(test::grey_images(10, 2), 7);
    const AnyAttack attack = test::steps_attack(3.0 / 255);
    const Evaluation evaluation = evaluate(classifier, images, {&attack});
    // The distances are .5, 1.5, ... 9.5 levels on either side; two of the brightest are wrong from the
    // start.
    CHECK(evaluation.clean_accuracy() == Share{18, 20});
    const std::vector<ResultRow> rows = rows_of(evaluation, "m");
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].attack == "none");
    CHECK(rows[0].accuracy() == Share{18, 20});
    CHECK(rows[0].forward_passes == 20);
    CHECK(rows[1].attack == "steps");
    CHECK(rows[1].epsilon == 3.0 / 255);
    CHECK(rows[1].accuracy() == Share{12, 20});  // three on each side turned
    CHECK(rows[1].success_rate() == Share{6, 18});
    CHECK(rows[1].n_correct_8bit == 12);
    CHECK(rows[1].n_unchanged == 0);
    CHECK(rows[1].forward_passes == 4 * 20);  // the attack's own, not those that judged it
    CHECK(rows[1].backward_passes == 4 * 20);
    CHECK(evaluation.ids.front() == 100);
    CHECK(evaluation.outcomes[0].images[7].id == 107);
    CHECK(evaluation.complete);
    CHECK(cost_of({&attack}, 20).forward == 20 + 20 * (4 + 3));
    CHECK(cost_of({&attack}, 20).backward == 80);
    // Class 1 is malignant: of the eight of its ten that are right, the nearest three are called benign now.
    const std::vector<uint8_t> malignant{0, 1};
    CHECK(rows_of(evaluation, "m", malignant)[1].malignant_turned == Share{3, 8});
    CHECK(rows[1].malignant_turned == Share{0, 0});
    // Batches do not matter.
    MemoryBatches singly(test::grey_images(10, 2), 1);
    CHECK(rows_of(evaluate(classifier, singly, {&attack}), "m")[1].n_correct == 12);
}

TEST_CASE("a success towards a target", "[evaluation][robust]") {
    std::vector<AttackedImage> images;
    for (auto [label, clean, adversarial] :
         {std::array{0, 0, 2}, {0, 0, 1}, {2, 2, 2}, {2, 2, 0}, {1, 0, 2}, {1, 1, 1}})
        images.push_back({.label = label, .clean = clean, .adversarial = adversarial});
    CHECK(success_rate(images) == Share{3, 5});
    CHECK(success_rate(images, 2) == Share{1, 3});  // the target's own images and the wrong one are not asked
}

TEST_CASE("what an attack must not return is not counted", "[evaluation][robust]") {
    test::Brightness classifier;
    const Batch batch = test::grey_images(10);
    MemoryBatches images(batch, 20);
    auto run = [&](AnyAttack::Run function) {
        const AnyAttack attack("fault", {.epsilon = 3.0 / 255}, {1, 1}, std::move(function));
        return evaluate(classifier, images, {&attack}).outcomes[0];
    };
    // Far outside, and no number: as if nothing had been done, and marked.
    for (float by : {.3f, NAN}) {
        const AttackOutcome outcome =
            run([by](Classifier&, const Batch& given) { return test::moved(given.images, by); });
        for (const AttackedImage& image : outcome.images) {
            CHECK_FALSE(image.in_bounds());
            CHECK(image.right());
        }
    }
    const AttackOutcome same = run([](Classifier&, const Batch& given) { return given.images; });
    for (const AttackedImage& image : same.images) CHECK(image.unchanged);

    CHECK_THROWS_WITH(run([](Classifier&, const Batch&) -> Tensor { throw Error("attack", "crashed"); }),
                      Contains("crashed"));
    CHECK_THROWS_WITH(run([](Classifier&, const Batch&) { return Tensor(); }), Contains("attack fault"));
    CHECK_THROWS_AS(run([](Classifier&, const Batch& given) { return slice(given, 0, 1).images; }),
                    ShapeError);
    CHECK_THROWS_AS(run([](Classifier&, const Batch&) {
                        return Tensor::zeros({20, 2, 2, 1}, Dtype::f64);
                    }),
                    ShapeError);

    Batch labelled = batch;
    labelled.targets = Tensor::full({20}, 2, Dtype::i64);
    MemoryBatches unknown(labelled, 20);
    CHECK_THROWS_WITH(evaluate(classifier, unknown, {}), Contains("labels 0 to 1"));
    labelled.targets = Tensor::zeros({20, 2});
    MemoryBatches soft(labelled, 20);
    CHECK_THROWS_AS(evaluate(classifier, soft, {}), ShapeError);
    MemoryBatches none(slice(batch, 0, 0), 1);
    CHECK_THROWS_AS(evaluate(classifier, none, {}), OptionsError);
}

TEST_CASE("an image is right in the worst case only after every attack in the ball", "[evaluation][robust]") {
    test::Brightness classifier;
    MemoryBatches images(test::grey_images(10, 1), 8);
    // One attack only darkens, the other only brightens.
    auto shift = [](const char* name, float levels) {
        return AnyAttack(name, {.epsilon = 3.0 / 255}, {1, 1}, [levels](Classifier&, const Batch& given) {
            return test::moved(given.images, levels / 255);
        });
    };
    const AnyAttack darker = shift("darker", -3), brighter = shift("brighter", 3);
    const AnyAttack elsewhere = test::steps_attack(1.0 / 255);
    const Evaluation evaluation = evaluate(classifier, images, {&darker, &elsewhere, &brighter});
    const std::vector<ResultRow> rows = rows_of(evaluation, "m");
    REQUIRE(rows.size() == 5);
    CHECK(rows[1].success_rate() == Share{3, 19});
    CHECK(rows[3].success_rate() == Share{3, 19});
    CHECK(rows[4].attack == "worst-case");
    CHECK(rows[4].options[0].second == "darker, brighter");
    CHECK(rows[4].epsilon == 3.0 / 255);
    CHECK(rows[4].success_rate() == Share{6, 19});
    CHECK(rows[4].accuracy() == Share{13, 20});  // wrong at first is wrong in the worst case
    CHECK(rows[4].n_correct_8bit == 13);
}

TEST_CASE("every failure is kept, and a stranger finds it again", "[evaluation][robust][witness]") {
    ScratchFolder folder;
    test::Brightness classifier;
    MemoryBatches images(test::grey_images(10, 2), 7);
    // 2.6 levels reach images up to 2.5 levels away; in 8 bits no more than 2 levels may be used.
    const AnyAttack attack = test::steps_attack(2.6 / 255);
    const Evaluation evaluation = evaluate(
        classifier, images, {&attack},
        {.witnesses = folder / "witnesses", .name_of = [](int64_t id) { return str("a, \"b\"/", id); }});
    const ResultRow row = rows_of(evaluation, "m")[1];
    CHECK(row.accuracy() == Share{12, 20});
    CHECK(row.n_correct_8bit == 14);
    CHECK(row.witnesses == "witnesses/01-steps");

    const std::string kept = folder / row.witnesses;
    const std::vector<Witness> witnesses = read_witnesses(kept);
    REQUIRE(witnesses.size() == 8);
    CHECK(std::is_sorted(witnesses.begin(), witnesses.end(),
                         [](const Witness& a, const Witness& b) { return a.id < b.id; }));
    CHECK(witnesses[0].name == "a, \"b\"/100");
    int undone = 0;
    for (const Witness& witness : witnesses) {
        CHECK(witness.predicted_adversarial != witness.label);
        CHECK(witness.linf <= 2.6 / 255 + kBoundTolerance);
        undone += witness.note == "right again in 8 bits";
    }
    CHECK(undone == 2);
    // The files alone give the accuracy in 8 bits.
    const WitnessCheck check = check_witnesses(kept, classifier);
    CHECK(check.witnesses == 8);
    CHECK(check.same == 8);
    CHECK(row.n - check.wrong == row.n_correct_8bit);
    // A set of all images says the same without their number.
    evaluate(classifier, images, {&attack}, {.witnesses = folder / "all", .keep_all = true});
    const WitnessCheck all = check_witnesses(folder / "all/01-steps", classifier);
    CHECK(all.witnesses == 20);
    CHECK(all.same == 20);
    CHECK(all.witnesses - all.wrong == row.n_correct_8bit);
    // Another model answers otherwise, and that is noticed.
    class Constant : public test::Brightness {
        float logit(float, float) const override { return 1; }
    } constant;
    CHECK(check_witnesses(kept, constant).same < 8);
}

TEST_CASE("a manifest that is none", "[evaluation][witness]") {
    ScratchFolder folder;
    const std::string header =
        "file,id,name,y,predicted_clean,predicted_adversarial,predicted_8bit,linf,l2,note\n";
    auto read = [&](const std::string& text) {
        write_file(folder / "manifest.csv", text);
        return read_witnesses(folder / ".");
    };
    CHECK(read(header).empty());
    CHECK(read(header + "a.png,1,\"x,\"\"y\",0,0,1,1,.5,.25,\n")[0].name == "x,\"y");
    CHECK_THROWS_AS(read(""), FormatError);
    CHECK_THROWS_AS(read("file,id\n"), FormatError);
    CHECK_THROWS_WITH(read(header + "a.png,1,x,0,0,1,1,.5\n"),
                      Contains("manifest.csv:2") && Contains("10 fields"));
    CHECK_THROWS_WITH(read(header + "a.png,one,x,0,0,1,1,.5,.25,\n"), Contains("'one'"));
    for (const char* name : {"../a.png", "/etc/passwd", "", "..", ".hidden"})
        CHECK_THROWS_WITH(read(header + name + ",1,x,0,0,1,1,.5,.25,\n"), Contains("in the folder"));
    CHECK_THROWS_AS(read_witnesses(folder / "nowhere"), MissingFileError);
    CHECK_THROWS_AS(WitnessFolder(folder / "manifest.csv/x"), IoError);
}

TEST_CASE("a disk that fills up during an evaluation is an error", "[evaluation][witness]") {
    ScratchFolder folder;
    test::Brightness classifier;
    MemoryBatches images(test::grey_images(4), 8);
    const AnyAttack attack = test::steps_attack(3.0 / 255);
    FullDisk full(10);
    CHECK_THROWS_AS(evaluate(classifier, images, {&attack}, {.witnesses = folder / "w"}), IoError);
}

TEST_CASE("an interrupted evaluation has whole batches under every attack", "[evaluation][robust]") {
    test::Brightness classifier;
    MemoryBatches images(test::grey_images(10), 5);
    InterruptGuard guard;
    int batches = 0;
    const AnyAttack first = test::steps_attack(3.0 / 255);
    const AnyAttack last("last", {.epsilon = 3.0 / 255}, {1, 1}, [&](Classifier&, const Batch& given) {
        if (++batches == 2) std::raise(SIGINT);
        return given.images;
    });
    const Evaluation evaluation = evaluate(classifier, images, {&first, &last});
    CHECK_FALSE(evaluation.complete);
    CHECK(evaluation.images() == 10);
    for (const AttackOutcome& outcome : evaluation.outcomes) CHECK(outcome.images.size() == 10);
    CHECK(evaluation.logits.size(0) == 10);
}

TEST_CASE("interrupted within a batch, that batch does not count", "[evaluation][robust]") {
    test::Brightness classifier;
    MemoryBatches images(test::grey_images(10), 5);
    InterruptGuard guard;
    int batches = 0;
    const AnyAttack first("first", {.epsilon = 3.0 / 255}, {1, 1}, [&](Classifier&, const Batch& given) {
        if (++batches == 3) std::raise(SIGINT);
        return given.images;
    });
    const AnyAttack last = test::steps_attack(3.0 / 255);
    const Evaluation evaluation = evaluate(classifier, images, {&first, &last});
    CHECK(evaluation.images() == 10);
    for (const AttackOutcome& outcome : evaluation.outcomes) CHECK(outcome.images.size() == 10);
}
