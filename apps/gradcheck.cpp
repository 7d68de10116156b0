#include "apps/gradcheck.hpp"

#include "apps/command.hpp"
#include "apps/gradcheck_report.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "base/progress.hpp"

#include <cstdio>
#include <iostream>
#include <list>
#include <optional>

namespace microtome::apps {
namespace {

using gradcheck::Mutant;
using gradcheck::MutationScore;
using gradcheck::Row;

const char* name_of(Mutant::Fate fate) {
    switch (fate) {
        case Mutant::Fate::caught: return "caught";
        case Mutant::Fate::exempt: return "exempt";
        case Mutant::Fate::survived: break;
    }
    return "SURVIVED";
}

void print_row(const Row& row) {
    std::printf("    %-4s %-18s %3d samples  ", row.pass ? "ok" : "FAIL", row.oracle.c_str(), row.samples);
    if (row.tolerance > 0)
        std::printf("error %.1e of %.1e", row.worst_relative_error, row.tolerance);
    else
        std::printf("%-24s", "");
    std::printf("  %.3f s\n", row.seconds);
}

void check(const GradcheckOptions& options, GradcheckFindings& findings) {
    int ops = 0, failed_ops = 0;
    double total = 0;
    auto named = gradcheck::ops_named(options.op);
    if (options.selection.device != kCpu)  // its callables are the caller's, on the CPU
        std::erase_if(named, [](const OpInfo* op) { return op->name == "external"; });
    for (const OpInfo* op : named) {
        if (interrupted()) break;
        double seconds = 0;
        bool pass = true;
        std::optional<gradcheck::MutantOp> mutant;
        if (!options.plant.empty()) mutant.emplace(*op, gradcheck::mutation_named(*op, options.plant));
        const std::vector<Row> checked = gradcheck::check_op(mutant ? *mutant : *op, options.selection);
        for (const Row& row : checked) {
            seconds += row.seconds;
            pass = pass && row.pass;
        }
        ++ops;
        failed_ops += !pass;
        total += seconds;
        if (!options.quiet || !pass)
            std::printf("%-4s %-28s %2zu oracles  %6.3f s\n", pass ? "ok" : "FAIL",
                        std::string(op->name).c_str(), checked.size(), seconds);
        for (const Row& row : checked) {
            if (options.verbose) print_row(row);
            if (!row.pass) std::cout << explain(row);
        }
        std::cout << std::flush;
        std::fflush(stdout);
        findings.rows.insert(findings.rows.end(), checked.begin(), checked.end());
    }
    std::printf("%d %s checked, %d failed, %.1f s\n", ops, ops == 1 ? "op" : "ops", failed_ops, total);
    if (ops < static_cast<int>(named.size()))
        std::printf("interrupted before the other %zu\n", named.size() - ops);
}

void print_mutant(const OpInfo& op, const Mutant& mutant) {
    std::cout << str("  ", mutant.fate == Mutant::Fate::survived ? "" : "  ", name_of(mutant.fate), "  ",
                     op.name, ": ", describe(mutant.mutation));
    if (!mutant.caught_by.empty())
        std::cout << str("  (", mutant.caught_by, ", sample \"", mutant.sample, "\")");
    std::cout << std::endl;
}

void mutate(const GradcheckOptions& options, GradcheckFindings& findings) {
    const auto named = gradcheck::ops_named(options.op);
    int64_t total = 0;
    for (const OpInfo* op : named)
        total += static_cast<int64_t>(gradcheck::mutations_of(*op, op->samples()).size());
    const bool lines = options.mutate && !options.quiet,
               all = lines && (named.size() == 1 || options.verbose);
    MutationScore sum;
    {
        Progress progress("breaking gradients", total, "mutants", ProgressOptions::detect(options.quiet));
        for (const OpInfo* op : named) {
            if (op->vjp == nullptr) continue;
            if (interrupted()) break;
            auto seen = [&](const Mutant& mutant) {
                progress.note(std::string(op->name));
                progress.advance();
                if (all || mutant.fate == Mutant::Fate::survived) print_mutant(*op, mutant);
                return !interrupted();
            };
            const MutationScore score = gradcheck::mutate_op(*op, seen, options.selection.oracle);
            if (lines || score.survived())
                std::printf("%-4s %-28s %3d mutants, %3d caught, %2d exempt  %6.3f s\n",
                            score.survived() ? "FAIL" : "ok", score.op.c_str(), score.mutants, score.caught,
                            score.exempt, score.seconds);
            std::fflush(stdout);
            sum.mutants += score.mutants;
            sum.caught += score.caught;
            sum.exempt += score.exempt;
            sum.seconds += score.seconds;
            findings.scores.push_back(score);
        }
    }
    std::printf("%d mutants, %d exempt, %d of %d caught, %d survived, %.1f s\n", sum.mutants, sum.exempt,
                sum.caught, sum.mutants - sum.exempt, sum.survived(), sum.seconds);
    if (sum.mutants < total)
        std::printf("interrupted before the other %lld\n", static_cast<long long>(total - sum.mutants));
}

void add_coverage(const GradcheckOptions& options, GradcheckFindings& findings) {
    for (const OpInfo* op : gradcheck::ops_named(options.op))
        findings.coverage.emplace_back(op->name, gradcheck::coverage_of(*op));
}

}  // namespace

int check_gradients(const GradcheckOptions& options) {
    const gradcheck::Selection& selection = options.selection;
    const bool of_one_op = !selection.sample.empty() || !selection.shapes.empty() || !options.plant.empty();
    if (options.op.empty() && of_one_op)
        throw OptionsError("gradcheck", "expected --op with --sample, --shape and --plant, got none");
    std::list<AtomicFile> files;  // opened first, so that a wrong path is found out before the work
    AtomicFile* json = options.json.empty() ? nullptr : &files.emplace_back(options.json);
    AtomicFile* junit = options.junit.empty() ? nullptr : &files.emplace_back(options.junit);
    AtomicFile* html = options.html.empty() ? nullptr : &files.emplace_back(options.html);

    InterruptGuard guard;
    GradcheckFindings findings;
    if (!options.mutate && !options.coverage) check(options, findings);
    const bool everything =
        !options.coverage && !of_one_op && selection.oracle.empty() && selection.device == kCpu;
    if ((options.mutate || everything) && !interrupted()) mutate(options, findings);
    if (options.coverage) add_coverage(options, findings);
    if (options.coverage) {
        std::cout << report::console_text(coverage_table(findings), report::ConsoleOptions::detect());
        for (const std::string& reason : coverage_reasons(findings)) std::cout << reason << '\n';
    }
    if (json) json->write(gradcheck_json(findings));
    if (junit) junit->write(gradcheck_junit(findings));
    if (html) {
        if (!options.coverage) add_coverage(options, findings);
        html->write(gradcheck_html(findings, options.command));
    }
    for (AtomicFile& file : files) file.commit();
    if (interrupted()) return kCheckFailed;
    return findings.pass() ? kDone : kCheckFailed;
}

}  // namespace microtome::apps
