#include "apps/gradcheck_report.hpp"

#include "base/json_writer.hpp"
#include "base/version.hpp"
#include "report/page.hpp"

#include <algorithm>
#include <map>

namespace microtome::apps {
namespace {

using gradcheck::CoverageCell;
using gradcheck::Failure;
using gradcheck::Mutant;
using gradcheck::MutationScore;
using gradcheck::Row;

std::string short_number(double value) {
    std::ostringstream out;
    out.precision(2);
    out << value;
    return out.str();
}

// The reasons in order of appearance, numbered from 1. Those of ops without gradient are one.
std::string general(const std::string& hole) {
    return hole.starts_with("no gradient") ? "no gradient" : hole;
}
std::map<std::string, int> numbered_reasons(const GradcheckFindings& findings) {
    std::map<std::string, int> numbers;
    for (const auto& entry : findings.coverage)
        for (const CoverageCell& cell : entry.second)
            if (!cell.hole.empty()) numbers.emplace(general(cell.hole), static_cast<int>(numbers.size()) + 1);
    return numbers;
}

const MutationScore* score_of(const GradcheckFindings& findings, const std::string& op) {
    for (const MutationScore& score : findings.scores)
        if (score.op == op) return &score;
    return nullptr;
}

void write(JsonWriter& json, const Row& row) {
    json.object().field("op", row.op).field("oracle", row.oracle).field("samples", row.samples);
    json.field("worst_relative_error", row.worst_relative_error).field("tolerance", row.tolerance);
    json.field("pass", row.pass).field("seconds", row.seconds).field("text", row.text);
    json.key("failures").array();
    for (const Failure& failure : row.failures) {
        json.object()
            .field("sample", failure.sample)
            .field("text", failure.text)
            .field("inputs", failure.inputs);
        if (!failure.where.empty()) {
            json.field("where", failure.where).field("analytic", failure.analytic);
            json.field("numeric", failure.numeric).field("tolerance", failure.tolerance);
        }
        json.field("pattern", failure.pattern).field("diagnosis", failure.diagnosis);
        json.field("map", failure.map);
        json.field("smallest", failure.smallest).field("again", failure.again).end();
    }
    json.end().end();
}

void write(JsonWriter& json, const MutationScore& score) {
    json.object().field("op", score.op).field("mutants", score.mutants).field("killed", score.caught);
    json.field("exempt", score.exempt).key("survivors").array();
    for (const Mutant& mutant : score.mutated)
        if (mutant.fate == Mutant::Fate::survived) json.value(describe(mutant.mutation));
    json.end().key("caught_by").object();
    std::map<std::string, int> by;
    for (const Mutant& mutant : score.mutated)
        if (mutant.fate == Mutant::Fate::caught) ++by[mutant.caught_by];
    for (const auto& [oracle, times] : by) json.field(oracle, times);
    json.end().field("seconds", score.seconds).end();
}

std::string xml(std::string_view text) {
    std::string result;
    for (char c : text) {
        switch (c) {
            case '&': result += "&amp;"; break;
            case '<': result += "&lt;"; break;
            case '>': result += "&gt;"; break;
            case '"': result += "&quot;"; break;
            default: result += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c;
        }
    }
    return result;
}

std::string test_case(const std::string& of, const std::string& name, double seconds,
                      const std::string& message, const std::string& text) {
    std::string result = str("    <testcase classname=\"gradcheck.", xml(of), "\" name=\"", xml(name),
                             "\" time=\"", seconds, "\"");
    if (message.empty()) return result + "/>\n";
    return result + str(">\n      <failure message=\"", xml(message), "\">", xml(text),
                        "</failure>\n    </testcase>\n");
}

std::string test_suite(const std::string& name, int tests, int failures, double seconds,
                       const std::string& cases) {
    return str("  <testsuite name=\"", xml(name), "\" tests=\"", tests, "\" failures=\"", failures,
               "\" errors=\"0\" time=\"", seconds, "\">\n", cases, "  </testsuite>\n");
}

report::Content failures_content(const GradcheckFindings& findings) {
    report::Content content;
    for (const Row& row : findings.rows) {
        if (row.pass) continue;
        const std::string& words = row.failures.empty() ? row.text : row.failures[0].diagnosis;
        content.callout(report::Verdict::failed, str(row.op, ", ", row.oracle),
                        words.empty() ? row.text : words);
        for (const Failure& failure : row.failures) {
            report::Table table{{}, {{""}, {""}}};
            auto add = [&](const char* name, const std::string& text) {
                if (!text.empty()) table.add({name, text});
            };
            add("sample", failure.sample + (failure.inputs.empty() ? "" : ", inputs " + failure.inputs));
            if (!failure.where.empty()) {
                add("worst", failure.where);
                add("the vjp", str(failure.analytic));
                add("should be", str(failure.numeric, " ± ", short_number(failure.tolerance)));
            }
            add("diagnosis", failure.diagnosis);
            add("fails still with", failure.smallest);
            add("again", failure.again);
            content.table(table);
        }
    }
    return content;
}

report::Content oracles_content(const GradcheckFindings& findings) {
    report::Table table{{},
                        {{"op"},
                         {"oracle"},
                         {""},
                         {"samples", true},
                         {"relative error", true},
                         {"allowed", true},
                         {"s", true}}};
    for (const Row& row : findings.rows) {
        const bool measured = row.tolerance > 0;
        table.add(
            {row.op, row.oracle,
             row.pass ? report::Cell("pass", report::Tone::good) : report::Cell("FAIL", report::Tone::bad),
             str(row.samples), measured ? short_number(row.worst_relative_error) : "",
             measured ? short_number(row.tolerance) : "", short_number(row.seconds)});
    }
    return report::Content().table(table);
}

report::Content mutation_content(const GradcheckFindings& findings) {
    report::Table table{{}, {{"op"}, {"mutants", true}, {"caught", true}, {"exempt", true}, {"survived"}}};
    for (const MutationScore& score : findings.scores) {
        std::string survivors;
        for (const Mutant& mutant : score.mutated)
            if (mutant.fate == Mutant::Fate::survived)
                survivors += str(survivors.empty() ? "" : "; ", describe(mutant.mutation));
        table.add({score.op, str(score.mutants), str(score.caught), str(score.exempt),
                   survivors.empty() ? report::Cell() : report::Cell(survivors, report::Tone::bad)});
    }
    return report::Content().table(table);
}

}  // namespace

bool GradcheckFindings::pass() const {
    return std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.pass; }) &&
           std::all_of(scores.begin(), scores.end(),
                       [](const MutationScore& score) { return score.survived() == 0; });
}

report::Table coverage_table(const GradcheckFindings& findings) {
    report::Table table{{}, {{"op"}}};
    const std::vector<std::string> titles = gradcheck::coverage_columns();
    for (const std::string& title : titles) table.columns.push_back({title, true});
    const std::map<std::string, int> numbers = numbered_reasons(findings);
    for (const auto& [op, cells] : findings.coverage) {
        std::vector<report::Cell> row{op};
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const MutationScore* score = titles[i] == "mutation" ? score_of(findings, op) : nullptr;
            if (!cells[i].hole.empty())
                row.emplace_back(str("[", numbers.at(general(cells[i].hole)), "]"));
            else if (score)
                row.emplace_back(str(score->caught, "/", score->mutants - score->exempt));
            else
                row.emplace_back(str(cells[i].tried));
        }
        table.add(std::move(row));
    }
    return table;
}

std::vector<std::string> coverage_reasons(const GradcheckFindings& findings) {
    const std::map<std::string, int> numbers = numbered_reasons(findings);
    std::vector<std::string> reasons(numbers.size());
    for (const auto& [reason, number] : numbers)
        reasons[static_cast<std::size_t>(number) - 1] = str("[", number, "] ", reason);
    return reasons;
}

std::string gradcheck_json(const GradcheckFindings& findings) {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.array();
    for (const Row& row : findings.rows) write(json, row);
    for (const MutationScore& score : findings.scores) write(json, score);
    const std::vector<std::string> titles = gradcheck::coverage_columns();
    for (const auto& [op, cells] : findings.coverage) {
        json.object().field("op", op).key("coverage").object();
        for (std::size_t i = 0; i < cells.size(); ++i) {
            json.key(titles[i]).object();
            cells[i].hole.empty() ? json.field("tried", cells[i].tried) : json.field("hole", cells[i].hole);
            json.end();
        }
        json.end().end();
    }
    json.end();
    return json.text() + "\n";
}

std::string gradcheck_junit(const GradcheckFindings& findings) {
    std::string suites;
    for (std::size_t begin = 0, end; begin < findings.rows.size(); begin = end) {
        const std::string& op = findings.rows[begin].op;
        std::string cases;
        int failures = 0;
        double seconds = 0;
        for (end = begin; end < findings.rows.size() && findings.rows[end].op == op; ++end) {
            const Row& row = findings.rows[end];
            failures += !row.pass;
            seconds += row.seconds;
            cases += test_case(op, row.oracle, row.seconds, row.pass ? "" : row.text, explain(row));
        }
        suites += test_suite(op, static_cast<int>(end - begin), failures, seconds, cases);
    }
    if (!findings.scores.empty()) {
        std::string cases;
        int mutants = 0, survived = 0;
        double seconds = 0;
        for (const MutationScore& score : findings.scores) {
            seconds += score.seconds;
            for (const Mutant& mutant : score.mutated) {
                if (mutant.fate == Mutant::Fate::exempt) continue;
                const bool alive = mutant.fate == Mutant::Fate::survived;
                ++mutants, survived += alive;
                cases +=
                    test_case(score.op, describe(mutant.mutation), 0, alive ? "no oracle noticed" : "", "");
            }
        }
        suites += test_suite("mutation", mutants, survived, seconds, cases);
    }
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n" + suites + "</testsuites>\n";
}

std::string gradcheck_html(const GradcheckFindings& findings, const std::string& command) {
    std::size_t failed = 0, mutants = 0, caught = 0;
    for (const Row& row : findings.rows) failed += !row.pass;
    for (const MutationScore& score : findings.scores) {
        mutants += static_cast<std::size_t>(score.mutants - score.exempt);
        caught += static_cast<std::size_t>(score.caught);
    }
    report::Page page("Gradient check", "microtome gradcheck");
    page.lead(
        "Every operation's gradient against finite differences and against what the operation promises.");
    report::Content top;
    std::vector<report::KeyFigure> figures;
    if (!findings.rows.empty())
        figures.push_back({"checks that failed", str(failed), str("of ", findings.rows.size())});
    if (mutants > 0)
        figures.push_back({"planted mistakes that were caught", str(caught), str("of ", mutants)});
    top.key_figures(figures);
    page.top(top);
    page.section("What failed", failures_content(findings));
    if (!findings.scores.empty()) page.section("Planted mistakes", mutation_content(findings));
    if (!findings.coverage.empty())
        page.section("What is looked at",
                     report::Content()
                         .paragraph("Samples that each oracle tries. A number in brackets is a "
                                    "reason why it tries none.")
                         .table(coverage_table(findings))
                         .list(coverage_reasons(findings)));
    if (!findings.rows.empty()) page.section("Every check", oracles_content(findings));
    page.foot({kVersion, command, {}});
    return page.html();
}

}  // namespace microtome::apps
