#include "tests/report/sample_report.hpp"

#include "base/atomic_file.hpp"
#include "base/text.hpp"
#include "base/version.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

using namespace microtome;
using namespace microtome::report;

namespace {

const std::vector<std::string> kClasses{"colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"};

Share wilson_share(double value, int64_t n) {
    double z = 1.96, count = static_cast<double>(n), spread = z * z / count;
    double centre = (value + spread / 2) / (1 + spread);
    double half = z / (1 + spread) * std::sqrt(value * (1 - value) / count + spread / (4 * count));
    return {value, std::max(0.0, centre - half), std::min(1.0, centre + half), n};
}

Tensor attacked(const Tensor& image, double epsilon, int which) {
    Tensor result = image.clone();
    std::span<float> pixels = result.mutable_data<float>();
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        double wave =
            std::sin(static_cast<double>(i) * .37 + which) + std::sin(static_cast<double>(i / 540) * .8);
        pixels[i] = std::clamp(pixels[i] + static_cast<float>(wave > 0 ? epsilon : -epsilon), 0.0f, 1.0f);
    }
    return result;
}

ModelReport sample_model(const std::string& name, bool hardened) {
    ModelReport model;
    model.name = name;
    model.description = hardened
                            ? "The same weights, trained on with clean and attacked images in pairs."
                            : "Four convolutions, batch norm and two dense layers, trained from scratch.";
    model.facts = {{"parameters", "425,669"}, {"optimizer", "Adam, 0.001"}, {"batch", "32"}, {"seed", "7"}};
    for (int64_t number = 1; number <= 32; ++number) {
        double t = static_cast<double>(number), wobble = std::sin(t * 2.1) * std::exp(-t / 9);
        model.epochs.push_back(
            {number, 1.5 * std::exp(-t / 6) + .08, 1.6 * std::exp(-t / 6) + .2 + .5 * std::abs(wobble),
             1 - .6 * std::exp(-t / 5), .93 - .55 * std::exp(-t / 6) - .12 * std::abs(wobble)});
    }
    model.best_epoch = 27;
    model.classes = kClasses;
    model.confusion = {
        {94, 5, 1, 0, 0}, {3, 97, 0, 0, 0}, {1, 0, 88, 2, 9}, {0, 0, 1, 99, 0}, {0, 0, 12, 0, 88}};
    model.grave = {{0, 1}, {2, 3}, {4, 3}};
    model.class_rows = {{"colon_aca", .959, .94, .949, 100}, {"colon_n", .951, .97, .960, 100},
                        {"lung_aca", .863, .88, .871, 100},  {"lung_n", .980, .99, .985, 100},
                        {"lung_scc", .907, .88, .893, 100},  {"macro average", .932, .932, .932, 500}};
    model.measures = {{"accuracy", "0.932 [.906, .951]"},
                      {"AUC, one against the rest", ".991"},
                      {"log-loss", "0.214"},
                      {"malignant taken for benign", "7 of 300"}};
    for (int i = 0; i < 10; ++i) {
        double confidence = .05 + .1 * i;
        model.reliability.push_back(
            {confidence, wilson_share(std::clamp(confidence - .05 + .01 * i, 0.0, 1.0), 8 + i * i * 4)});
    }
    model.reliability_note = "Expected calibration error: .034.";
    return model;
}

}  // namespace

Tensor sample_image(int64_t size, int which) {
    Tensor image(Spec{{size, size, 3}, Dtype::f32, kCpu});
    std::span<float> pixels = image.mutable_data<float>();
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        double x = static_cast<double>(i / 3 % size) / static_cast<double>(size);
        double y = static_cast<double>(i / 3 / size) / static_cast<double>(size);
        double cell =
            std::sin((9 + which % 4) * x * 3 + which) * std::sin((8 + which % 3) * y * 3 + .7 * which);
        constexpr double tint[3]{.82, .62, .76};
        pixels[i] = static_cast<float>(std::clamp(tint[i % 3] + (cell > .55 ? -.35 : .1 * cell), 0.0, 1.0));
    }
    return image;
}

StudyReport sample_report() {
    StudyReport report;
    report.title = "Can a lung and colon tissue classifier be fooled?";
    report.lead =
        "A small network names the tissue on 93 of 100 slides. A change of two grey levels in 255, which no "
        "eye sees, "
        "brings it down to 38; training it on attacked images brings back 71.";
    report.asked = {
        "How often does a CNN trained on 1,000 images recognise five kinds of lung and colon tissue, how "
        "much of that is "
        "left when somebody changes the images by an invisible amount, and does adversarial fine-tuning "
        "help?"};
    report.found = {
        "On 500 clean images that share no patient tile with training, accuracy is .93 [.91, .95].",
        "Under PGD with 20 steps and 2 restarts at 2/255 it falls to .38 [.34, .42].",
        "After hardening it is .71 [.67, .75] under attacks made anew against the hardened model, at a price "
        "of .04 on clean images.",
        "The blended patch of the published study does nothing: .93 [.91, .95]."};
    report.not_shown = {"That .71 is safe: it is an upper bound, and a better attack may find more.",
                        "How the model does on slides from another hospital, scanner or stain.",
                        "Anything about patients: images are tiles, and the labels are the data set's own."};
    report.key_figures = {{"Clean images", ".93", "[.91, .95], n = 500", "baseline"},
                          {"Under attack", ".38", "[.34, .42], n = 500", "PGD at 2/255, baseline"},
                          {"Hardened, under attack", ".71", "[.67, .75], n = 500", "fresh PGD at 2/255"},
                          {"Hardened, clean", ".89", "[.86, .91], n = 500", "the price of it"}};

    report.data.name = "LC25000, 224 × 224";
    report.data.description =
        "Haematoxylin-and-eosin tiles of lung and colon, five classes. Tiles that are rotations of one "
        "another are kept on "
        "the same side of the split.";
    report.data.parts = {"train", "val", "test"};
    report.data.classes = kClasses;
    for (int i = 0; i < 5; ++i) report.data.counts.push_back({1600 + 10 * i, 200, 200 - i});
    report.data.audits = {{Verdict::passed, "No test image has a sibling in training",
                           "0 of 990 by content, 0 of 990 by group."},
                          {Verdict::caution, "A random split would leak",
                           "100 % of test images would have a sibling in training."}};
    report.data.damaged = {"lung_n/lungn0041.jpeg: cut short", "lung_n/notes.png: not an image"};

    for (int i = 0; i < 15; ++i) {
        std::string truth = kClasses[i % 5];
        report.samples.push_back(
            {sample_image(180, i), truth, {i % 6 == 4 ? kClasses[(i + 2) % 5] : truth, .99 - .03 * i}});
    }
    report.samples_note = "The first fifteen test images and what the baseline takes them for.";
    report.models = {sample_model("Baseline", false), sample_model("Hardened", true)};

    const double levels[]{0, .25, .5, 1, 2, 4, 8}, base[]{.93, .88, .79, .58, .38, .08, 0},
        hard[]{.89, .87, .85, .81, .71, .42, .11}, noise[]{.93, .93, .93, .92, .92, .9, .84};
    EpsilonCurve baseline{"PGD, 20 steps, 2 restarts", "baseline"},
        hardened{"PGD, 20 steps, 2 restarts", "hardened"},
        control{"PGD, 20 steps, 2 restarts", "baseline, noise"};
    for (int i = 0; i < 7; ++i) {
        baseline.points.push_back({levels[i] / 255, wilson_share(base[i], 500)});
        hardened.points.push_back({levels[i] / 255, wilson_share(hard[i], 500)});
        control.points.push_back({levels[i] / 255, wilson_share(noise[i], 500)});
    }
    report.epsilon_curves = {baseline, hardened, control};
    report.epsilon_note = "Random noise of the same size is the control: it must do next to nothing.";
    report.chance = LinePlot::Level{.2, "chance"};
    report.results.caption = "Everything that was measured";
    report.results.columns = {{"model", false}, {"attack", false}, {"ε", true},
                              {"right", true},  {"n", true},       {"accuracy", true}};
    for (int i = 0; i < 7; ++i)
        report.results.add({"baseline", i == 0 ? "none" : "pgd", str(levels[i], "/255"),
                            std::to_string(static_cast<int>(500 * base[i])), "500",
                            wilson_share(base[i], 500)});
    for (int i = 0; i < 4; ++i) {
        Tensor image = sample_image(180, i);
        report.strips.push_back({image,
                                 attacked(image, 2 / 255.0, i),
                                 kClasses[i],
                                 {kClasses[i], .97 - .02 * i},
                                 {kClasses[(i + (i == 3 ? 0 : 1)) % 5], .81 + .04 * i},
                                 "PGD, ε = 2/255"});
    }
    report.strips_note =
        "The perturbation is stretched to the full range of grey so that it can be seen at all.";
    Tensor delta(Spec{{180, 180, 3}, Dtype::f32, kCpu});
    std::span<float> changes = delta.mutable_data<float>();
    for (std::size_t i = 0; i < changes.size(); ++i)
        changes[i] = i / 540 > 170 || i / 3 % 180 > 170
                         ? 0
                         : static_cast<float>(.05 * std::sin(.11 * (i / 3 % 180) + .2 * (i / 540) + i % 3));
    report.universal = {perturbation_picture(delta, "Universal perturbation")};
    report.patches = {{sample_image(40, 11), "Patch, 40 × 40, pasted over the image at any place and angle"}};

    report.universal_note = "Made once from training images, and then put on every test image.";

    report.before_after.attacks = {"Clean", "PGD", "Patch", "UAP"};
    report.before_after.rows = {
        {"before hardening",
         {wilson_share(.93, 500), wilson_share(.38, 500), wilson_share(.55, 500), wilson_share(.47, 500)}},
        {"after, static attacks",
         {wilson_share(.89, 500), wilson_share(.84, 500), wilson_share(.8, 500), wilson_share(.83, 500)}},
        {"after, fresh attacks",
         {wilson_share(.89, 500), wilson_share(.71, 500), std::nullopt, wilson_share(.74, 500)}}};
    report.before_after.note =
        "Static attacks were made against the model before hardening; fresh ones know the hardened model. "
        "Only fresh figures "
        "say how robust it is.";
    report.comparisons = {
        {"clean", ".97", ".9784", ".20", ".93 [.91, .95]",
         "The published pipeline never measured clean images as it fed attacked ones."},
        {"PGD, ε = .03", ".22", ".1827", ".20", ".00 [.00, .01]",
         "Images were divided by 255 twice; the network saw black."},
        {"patch, β = .05", ".26", ".2012", ".20", ".93 [.91, .95]",
         "The same; a patch this faint does nothing."},
        {"universal, ε = .05", ".21", ".1999", ".20", "", "Divided three times, and made from test images."}};
    report.comparisons_note =
        "Figures as published, as the study's notebooks print them, as its mistakes give them here, and "
        "without the mistakes.";
    report.rails = {
        {"V1", true, ".93 = .93", "Clean accuracy on the attack's own input is the evaluator's."},
        {"V2", true, ".22", "No class gets more than 95 % of the predictions."},
        {"V3", true, "2.00/255", "No pixel changed by more than epsilon, and all stay in [0, 1]."},
        {"V4", false, ".91", "The attack's loss rises for fewer than 95 % of the images"},
        {"V9", true, "0", "Training and test share no image and no group."}};
    report.compute = {{"training the baseline", 32000, 32000, 412},
                      {"PGD, 7 epsilons", 140000, 140000, 1833}};
    report.foot = {kVersion,
                   "microtome study presets/lc25000.toml --data DIR --out RUN",
                   {{"seed", "7"}, {"model", "a3f01b22c9d4e870"}, {"data", "77aa01cc23f9b1e0"}}};
    return report;
}

TEST_CASE("the sample report can be written for looking at", "[report]") {
    std::string page = study_page(sample_report());
    CHECK(page.size() > 100000);
    if (const char* path = std::getenv("MICROTOME_SAMPLE_REPORT")) write_file(path, page);
}
