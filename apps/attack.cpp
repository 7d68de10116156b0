#include "apps/attack.hpp"

#include "apps/command.hpp"
#include "apps/evaluation_run.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"

#include <iostream>
#include <optional>

namespace microtome::apps {

int attack(const AttackCommand& options) {
    std::vector<std::unique_ptr<Attack>> attacks;
    for (const std::string& epsilon : options.epsilons)
        for (const std::string& name : options.attacks) {
            // Some have a measure of their own, and one epsilon is as good as another.
            if (&epsilon != &options.epsilons.front() && !listed_attack_has(name, "epsilon")) continue;
            std::vector<std::pair<std::string, std::string>> settings{{"epsilon", epsilon},
                                                                      {"seed", str(options.seed)}};
            if (!options.norm.empty()) settings.emplace_back("norm", options.norm);
            if (!options.steps.empty()) settings.emplace_back("steps", options.steps);
            if (!options.restarts.empty()) settings.emplace_back("restarts", options.restarts);
            attacks.push_back(make_listed_attack(name, settings));
        }
    std::optional<AtomicFile> file;  // opened first, so that a wrong path is found out before the work
    if (!options.json.empty()) file.emplace(options.json);

    const EvaluationReport report = run_evaluation({.models = options.models,
                                                    .voting = options.voting,
                                                    .data = options.data,
                                                    .batch = options.batch,
                                                    .n = options.n,
                                                    .seed = options.seed,
                                                    .malignant = options.malignant,
                                                    .witnesses = options.save,
                                                    .witnesses_seen = options.save,
                                                    .keep_all = true,
                                                    .exact = options.exact,
                                                    .device = options.device,
                                                    .quiet = options.quiet},
                                                   attacks);
    if (file) {
        file->write(to_json(report.results));
        file->commit();
    }
    return report.pass() ? kDone : kCheckFailed;
}

}  // namespace microtome::apps
