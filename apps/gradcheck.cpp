#include "apps/gradcheck.hpp"

#include "apps/command.hpp"
#include "autograd/gradcheck/check_op.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"

#include <cstdio>
#include <iostream>
#include <optional>

namespace microtome::apps {
namespace {

std::string json_of(const std::vector<gradcheck::Row>& rows) {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.array();
    for (const auto& row : rows) {
        json.object().field("op", row.op).field("oracle", row.oracle).field("samples", row.samples);
        json.field("worst_relative_error", row.worst_relative_error).field("tolerance", row.tolerance);
        json.field("pass", row.pass).field("seconds", row.seconds).field("text", row.text).end();
    }
    json.end();
    return json.text() + "\n";
}

void print_row(const gradcheck::Row& row) {
    std::printf("    %-4s %-18s %3d samples  ", row.pass ? "ok" : "FAIL", row.oracle.c_str(), row.samples);
    if (row.tolerance > 0)
        std::printf("error %.1e of %.1e", row.worst_relative_error, row.tolerance);
    else
        std::printf("%-24s", "");
    std::printf("  %.3f s\n", row.seconds);
    if (!row.text.empty()) std::printf("         %s\n", row.text.c_str());
}

}  // namespace

int check_gradients(const GradcheckOptions& options) {
    std::optional<AtomicFile> file;  // opened first, so that a wrong path is found out before the work
    if (!options.json.empty()) file.emplace(options.json);

    std::vector<gradcheck::Row> rows;
    int ops = 0, failed_ops = 0;
    double total = 0;
    for (const OpInfo* op : gradcheck::ops_named(options.op)) {
        double seconds = 0;
        bool pass = true;
        const std::vector<gradcheck::Row> checked = gradcheck::check_op(*op);
        for (const auto& row : checked) {
            seconds += row.seconds;
            pass = pass && row.pass;
        }
        ++ops;
        failed_ops += !pass;
        total += seconds;
        if (!options.quiet || !pass)
            std::printf("%-4s %-28s %2zu oracles  %6.3f s\n", pass ? "ok" : "FAIL",
                        std::string(op->name).c_str(), checked.size(), seconds);
        for (const auto& row : checked)
            if (!row.pass || options.verbose) print_row(row);
        std::fflush(stdout);
        rows.insert(rows.end(), checked.begin(), checked.end());
    }
    std::printf("%d %s checked, %d failed, %.1f s\n", ops, ops == 1 ? "op" : "ops", failed_ops, total);
    if (file) {
        file->write(json_of(rows));
        file->commit();
    }
    return failed_ops ? kCheckFailed : kDone;
}

}  // namespace microtome::apps
