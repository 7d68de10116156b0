// What `microtome gradcheck` found, for people and programs.
#pragma once

#include "autograd/gradcheck/check_op.hpp"
#include "autograd/gradcheck/coverage.hpp"
#include "autograd/gradcheck/mutation.hpp"
#include "report/table.hpp"

#include <string>
#include <utility>
#include <vector>

namespace microtome::apps {

struct GradcheckFindings {
    std::vector<gradcheck::Row> rows{};
    std::vector<gradcheck::MutationScore> scores{};
    std::vector<std::pair<std::string, std::vector<gradcheck::CoverageCell>>> coverage{};  // by op

    bool pass() const;
};

// The matrix of ops and oracles: how much each oracle tries, or a number for the reason why it does not.
report::Table coverage_table(const GradcheckFindings& findings);
// "1 smooth": the reasons behind those numbers.
std::vector<std::string> coverage_reasons(const GradcheckFindings& findings);

// An array of objects: {op, oracle, samples, worst_relative_error, tolerance, pass, seconds, text, failures},
// then {op, mutants, killed, exempt, survivors, seconds}, then {op, coverage}.
std::string gradcheck_json(const GradcheckFindings& findings);
// JUnit XML: a suite per op, a case per oracle, and the mutants of all ops as one more suite.
std::string gradcheck_junit(const GradcheckFindings& findings);
// A page in one file.
std::string gradcheck_html(const GradcheckFindings& findings, const std::string& command);

}  // namespace microtome::apps
