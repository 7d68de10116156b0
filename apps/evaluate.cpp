#include "apps/evaluate.hpp"

#include "apps/command.hpp"
#include "apps/evaluation_run.hpp"
#include "apps/gradcheck_model.hpp"
#include "base/error.hpp"
#include "base/suggest.hpp"
#include "tensor/precision.hpp"

#include <filesystem>
#include <iostream>

namespace microtome::apps {
namespace {

struct Suite {
    std::string name;
    int64_t images;  // at most; 0: all
    std::vector<std::string> epsilons, attacks;
    std::string steps, restarts;
};

const std::vector<Suite>& suites() {
    static const std::vector<Suite> all{
        {"quick", 100, {"2/255", "8/255"}, {"fgsm", "pgd", "uniform-noise"}, "10", "1"},
        {"standard",
         0,
         {"0.5/255", "1/255", "2/255", "4/255", "8/255"},
         {"fgsm", "pgd", "uniform-noise", "shuffled-fgsm"},
         "20",
         "2"},
    };
    return all;
}

const Suite& suite_named(const std::string& name) {
    for (const Suite& suite : suites())
        if (suite.name == name) return suite;
    const std::string closest = closest_name(name, evaluation_suites());
    throw OptionsError("evaluate", str("expected the suite quick or standard, got '", name, "'"),
                       closest.empty() ? "" : str("did you mean ", closest, "?"));
}

}  // namespace

std::vector<std::string> evaluation_suites() {
    std::vector<std::string> names;
    for (const Suite& suite : suites()) names.push_back(suite.name);
    return names;
}

int evaluate_model(const EvaluateOptions& options) {
    const Suite& suite = suite_named(options.suite);
    if (options.gradient_audit > 0 && options.models.size() > 1)
        throw OptionsError("evaluate",
                           str("expected one model for a gradient audit, got ", options.models.size()),
                           "audit each member by itself");
    if (options.gradient_audit > 0) require_unrounded_products("evaluate");
    std::vector<std::unique_ptr<Attack>> attacks;
    for (const std::string& epsilon : suite.epsilons)
        for (const std::string& name : suite.attacks)
            attacks.push_back(make_listed_attack(name, {{"epsilon", epsilon},
                                                        {"steps", suite.steps},
                                                        {"restarts", suite.restarts},
                                                        {"seed", str(options.seed)}}));
    std::error_code error;
    std::filesystem::create_directories(options.run, error);
    if (error) throw IoError(options.run, str("cannot make the folder: ", error.message()));

    EvaluationReport report = run_evaluation({.models = options.models,
                                              .voting = options.voting,
                                              .data = options.data,
                                              .batch = options.batch,
                                              .n = options.n > 0 ? options.n : suite.images,
                                              .seed = options.seed,
                                              .malignant = options.malignant,
                                              .witnesses = options.run + "/witnesses",
                                              .witnesses_seen = "witnesses",
                                              .exact = options.exact,
                                              .device = options.device,
                                              .quiet = options.quiet},
                                             attacks);
    report.results.run.emplace_back("suite", suite.name);
    bool followed_gradients = true;
    if (options.gradient_audit > 0) {
        const GradientAudit audit = audit_model({.model = options.models.front(),
                                                 .data = options.data,
                                                 .images = options.gradient_audit,
                                                 .seed = options.seed,
                                                 .json = {},
                                                 .device = options.device,
                                                 .quiet = options.quiet});
        followed_gradients = audit.verdict() != gradcheck::Verdict::fail;
        report.results.run.emplace_back("gradient audit", audit.text());
    }
    write_results(options.run + "/results.json", report.results);
    std::cout << "written to " << options.run << ": results.json, witnesses/\n";
    return report.pass() && followed_gradients ? kDone : kCheckFailed;
}

}  // namespace microtome::apps
