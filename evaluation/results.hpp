// results.json: what an evaluation found, in a form that a script, a report and a stranger can read. The
// format is documented in docs/results.md.
#pragma once

#include "attacks/attack.hpp"
#include "evaluation/metrics.hpp"

#include <string>
#include <utility>
#include <vector>

namespace microtome {

// One accuracy, and how it came about.
struct ResultRow {
    std::string model;
    std::string attack = "none";  // "none": clean images
    AttackOptions options{};      // what the attack was told, whole
    double epsilon = 0;
    int64_t n = 0;
    int64_t n_correct = 0;        // after the attack
    int64_t n_clean_correct = 0;  // of the same n images before it
    int64_t n_success = 0;        // right before it, wrong after: the success rate is of n_clean_correct
    int64_t n_correct_8bit = 0;   // after the attack's images were rounded to 8 bits
    int64_t n_unchanged = 0;      // images that came back as they were given, and still right
    Share malignant_turned{};     // of malignant images called malignant before, those called benign after
    int64_t forward_passes = 0, backward_passes = 0;  // of the attack (of the model for "none"), in images
    double seconds = 0;                               // likewise
    std::string mode = "tape";                        // how gradients were made: by tape or by plan
    std::string witnesses{};                          // folder, seen from results.json; empty: none kept

    Share accuracy() const { return {.count = n_correct, .n = n}; }
    Share success_rate() const { return {.count = n_success, .n = n_clean_correct}; }
    friend bool operator==(const ResultRow&, const ResultRow&) = default;
};

// What one validity check (evaluation/rails.hpp) said.
struct Rail {
    std::string id;  // "V1"
    bool pass = false;
    double value = 0;  // the number that was looked at
    std::string text;  // what it is and what it should be
    friend bool operator==(const Rail&, const Rail&) = default;
};

struct Results {
    std::vector<std::pair<std::string, std::string>> run{};  // what was run on what, in order, for people
    uint64_t seed = 0;
    std::vector<ResultRow> rows{};
    std::vector<Rail> rails{};
    std::vector<std::pair<std::string, std::string>> rails_not_run{};  // id, why
    std::vector<Metrics> metrics{};                                    // a model each

    bool pass() const;  // whether every rail that was run did
};

// As tables in text.
std::string table_of(const std::vector<ResultRow>& rows);
std::string table_of(const std::vector<Rail>& rails,
                     const std::vector<std::pair<std::string, std::string>>& not_run = {});

std::string to_json(const Results& results);
void write_results(const std::string& path, const Results& results);

// Throws FormatError, naming what is wrong, for a file that is damaged, lacks a field or contradicts itself
// (an accuracy that is not n_correct / n, an interval that is another's); MissingFileError, IoError.
Results read_results(const std::string& path);
Results results_of_json(const std::string& text, const std::string& where);

}  // namespace microtome
