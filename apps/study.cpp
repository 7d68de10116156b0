#include "apps/study.hpp"

#include "apps/command.hpp"
#include "base/interrupt.hpp"
#include "studies/study.hpp"

#include <algorithm>
#include <iostream>

namespace microtome::apps {

int study(const StudyCommandOptions& options) {
    const Preset preset = read_preset(options.preset, options.changes);
    const InterruptGuard guard;
    const StudyOutcome outcome = run_study(preset, {.data = options.data,
                                                    .out = options.out,
                                                    .init = options.init,
                                                    .command = options.command,
                                                    .device = options.device,
                                                    .progress = ProgressOptions::detect(options.quiet),
                                                    .log = options.quiet ? nullptr : &std::cout});
    if (outcome.interrupted) {
        std::cerr << "microtome: interrupted; the same command goes on where it stopped\n";
        return kMachineFailed;
    }
    const std::vector<ResultRow>& rows = outcome.results.rows;
    for (auto row = rows.begin(); row != rows.end();) {
        const auto next =
            std::find_if(row, rows.end(), [&](const ResultRow& r) { return r.model != row->model; });
        std::cout << '\n' << row->model << "\n\n" << table_of(std::vector<ResultRow>(row, next));
        row = next;
    }
    std::cout << '\n';
    std::cout << table_of(outcome.results.rails, outcome.results.rails_not_run) << '\n';
    std::cout << "report: " << outcome.report << "\nrows, rails and options: " << options.out
              << "/results.json\n";
    return outcome.results.pass() ? kDone : kCheckFailed;
}

}  // namespace microtome::apps
