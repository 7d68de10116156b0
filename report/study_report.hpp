// What a study found, as a page that reads like a clinical summary first and gives all details after it.
//
// A StudyReport is filled with results; nothing here computes, judges or rounds up. Whatever is empty is left
// out of the page.
#pragma once

#include "report/confusion_plot.hpp"
#include "report/format.hpp"
#include "report/line_plot.hpp"
#include "report/page.hpp"
#include "report/pictures.hpp"
#include "report/reliability_plot.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace microtome::report {

struct DataReport {
    std::string name{};
    std::string description{};
    std::vector<std::string> parts{};  // "train", "val", "test"
    std::vector<std::string> classes{};
    std::vector<std::vector<int64_t>> counts{};  // [class][part]: images
    struct Audit {
        Verdict verdict = Verdict::passed;
        std::string title{};  // "No image of the test part has a sibling in training"
        std::string text{};
    };
    std::vector<Audit> audits{};
    std::vector<std::string> damaged{};  // files that could not be read, and why
};

struct Epoch {
    int64_t number = 0;
    double train_loss = std::numeric_limits<double>::quiet_NaN();
    double val_loss = std::numeric_limits<double>::quiet_NaN();
    double train_accuracy = std::numeric_limits<double>::quiet_NaN();
    double val_accuracy = std::numeric_limits<double>::quiet_NaN();
};

// How one model was trained, and what it can do on clean images.
struct ModelReport {
    std::string name{};
    std::string description{};
    std::vector<std::pair<std::string, std::string>> facts{};  // parameters, optimizer, ...
    std::vector<Epoch> epochs{};
    int64_t best_epoch = 0;  // 0: none was chosen

    std::vector<std::string> classes{};
    std::vector<std::vector<int64_t>> confusion{};             // [true][predicted]
    std::vector<std::pair<std::size_t, std::size_t>> grave{};  // mistakes to be marked, (true, predicted)
    struct ClassRow {
        std::string name{};  // a class, or "macro average"
        double precision = 0, recall = 0, f1 = 0;
        int64_t support = 0;
    };
    std::vector<ClassRow> class_rows{};
    std::vector<std::pair<std::string, std::string>> measures{};  // accuracy, AUC, log-loss, ...: name, value
    std::vector<ReliabilityPlot::Bin> reliability{};
    std::string reliability_note{};  // "expected calibration error .04"
};

// Accuracy under one attack as epsilon grows; all curves of one `group` are drawn in one plot.
struct EpsilonCurve {
    std::string group{};  // "PGD, 20 steps, 2 restarts"
    std::string model{};  // the curve's name
    struct Point {
        double epsilon = 0;  // as a part of 1
        Share accuracy{};
    };
    std::vector<Point> points{};
};

// Rows before and after hardening, columns of attacks.
struct BeforeAfter {
    std::vector<std::string> attacks{};  // "Clean", "PGD", "Patch", "UAP"
    struct Row {
        std::string name{};  // "after hardening, fresh attacks"
        std::vector<std::optional<Share>> accuracies{};
    };
    std::vector<Row> rows{};
    std::string note{};  // which images, which epsilon, what static and fresh mean
};

struct RailReport {
    std::string id{};
    bool pass = false;
    std::string value{};
    std::string text{};
};

// A published figure beside what its own code printed and what holds.
struct Comparison {
    std::string quantity{};
    std::string published{};
    std::string notebook{};
    std::string reproduced{};  // by us, with the mistake kept
    std::string corrected{};
    std::string cause{};
};

struct ComputeRow {
    std::string task{};
    int64_t forward_passes = 0;
    int64_t backward_passes = 0;
    double seconds = 0;
};

struct StudyReport {
    std::string title{};
    std::string kicker = "microtome · study report";
    std::string lead{};

    // The first page. Texts are plain sentences.
    std::vector<std::string> asked{};
    std::vector<std::string> found{};
    std::vector<std::string> not_shown{};
    std::vector<KeyFigure> key_figures{};

    DataReport data{};
    std::vector<SamplePicture> samples{};
    std::string samples_note{};
    std::vector<ModelReport> models{};

    std::vector<EpsilonCurve> epsilon_curves{};
    std::string epsilon_note{};
    std::optional<LinePlot::Level> chance{};
    Table results{};  // all rows that were measured
    std::vector<PerturbationStrip> strips{};
    std::string strips_note{};
    std::vector<Picture> attention{};  // where models with attention look, clean and attacked
    std::string attention_note{};
    std::vector<Picture> universal{};  // from perturbation_picture()
    std::vector<Picture> patches{};
    std::string universal_note{};  // on which images both were made

    BeforeAfter before_after{};
    std::vector<Comparison> comparisons{};
    std::string comparisons_note{};
    std::vector<RailReport> rails{};
    std::vector<ComputeRow> compute{};

    PageFoot foot{};
};

// The page as one HTML file's content.
std::string study_page(const StudyReport& report);

// Rails as a table: for the page and for the console.
Table rails_table(const std::vector<RailReport>& rails);
Table before_after_table(const BeforeAfter& before_after);

}  // namespace microtome::report
