// What a study has found, and how it reads: results.json's rows and rails, and the page for people.
#pragma once

#include "evaluation/rails.hpp"
#include "report/study_report.hpp"
#include "studies/published.hpp"
#include "studies/stages.hpp"

namespace microtome {

struct ModelFindings {
    enum class Kind {
        baseline,
        rival,     // another architecture
        ensemble,  // the baseline and others like it; then `trained` has a name and facts, and no model
        hardened,
        contrast,  // clean images only
    };
    std::string title;  // "after fresh hardening"
    TrainedModel trained;
    Kind kind = Kind::baseline;
    std::optional<AttackedModel> attacked{};  // not for models that are shown for comparison only
    Metrics metrics{};
    std::vector<ResultRow> rows{};
    RailReport rails{};
    // How each outcome is called: its attack's title in the preset. In their order.
    std::vector<std::string> titles{};
    std::vector<std::string> columns{};  // of the before/after table; empty: in none
};

struct FittedPattern {
    std::string title;
    Tensor pattern;  // (H, W, C): a perturbation around 0, or a patch in [0, 1]
    bool is_patch = false;
};

struct StudyFindings {
    std::vector<ModelFindings> models{};  // the baseline first
    std::vector<FittedPattern> patterns{};
    std::vector<NotebookComparison> comparisons{};
    std::string comparisons_note{};  // what their columns are
    std::vector<Rail>
        notebook_rails{};  // of the attacks as published, and of the same weights fed as trained
    std::optional<Rail> leak{};
    std::vector<SkippedImage> skipped{};
};

Results results_of(const StudyRun& run, const StudyFindings& findings);

// Samples and strips are drawn from the test images and the witnesses in the study's folder.
report::StudyReport report_of(const StudyRun& run, const StudyFindings& findings, const Results& results);

}  // namespace microtome
