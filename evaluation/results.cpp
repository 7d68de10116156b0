#include "evaluation/results.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"
#include "base/version.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <nlohmann/json.hpp>

namespace microtome {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr std::size_t kMaxBytes = std::size_t{64} << 20;

void write_pairs(JsonWriter& json, const char* key,
                 const std::vector<std::pair<std::string, std::string>>& pairs) {
    json.key(key).object();
    for (const auto& [name, text] : pairs) json.field(name, text);
    json.end();
}

void write_share(JsonWriter& json, const char* key, const Share& share) {
    json.key(key).object().field("count", share.count).field("n", share.n).end();
}

void write_row(JsonWriter& json, const ResultRow& row) {
    const Interval interval = row.accuracy().interval();
    json.object().field("model", row.model).field("attack", row.attack);
    write_pairs(json, "options", row.options);
    json.field("epsilon", row.epsilon).field("n", row.n).field("n_correct", row.n_correct);
    json.field("accuracy", row.accuracy().value());
    json.key("wilson").array().value(interval.low).value(interval.high).end();
    json.field("n_clean_correct", row.n_clean_correct).field("n_success", row.n_success);
    json.field("n_correct_8bit", row.n_correct_8bit).field("n_unchanged", row.n_unchanged);
    write_share(json, "malignant_turned_benign", row.malignant_turned);
    json.field("forward_passes", row.forward_passes).field("backward_passes", row.backward_passes);
    json.field("seconds", row.seconds).field("mode", row.mode).field("witnesses", row.witnesses).end();
}

void write_metrics(JsonWriter& json, const Metrics& metrics) {
    const ClassificationReport report = classification_report(metrics.confusion);
    const MajorityBaseline baseline = majority_baseline(metrics.confusion);
    auto scores = [&json](const ClassScores& s) {
        json.field("precision", s.precision).field("recall", s.recall).field("f1", s.f1);
        json.field("support", s.support);
    };
    json.object().field("model", metrics.model).key("classes").array();
    for (const std::string& name : metrics.classes) json.value(name);
    json.end().key("confusion").array();
    for (int64_t t = 0; t < metrics.confusion.classes(); ++t) {
        json.array();
        for (int64_t p = 0; p < metrics.confusion.classes(); ++p) json.value(metrics.confusion.at(t, p));
        json.end();
    }
    json.end().key("report").array();
    for (std::size_t c = 0; c < report.classes.size(); ++c) {
        json.object().field("class", metrics.classes[c]);
        scores(report.classes[c]);
        json.end();
    }
    json.end().key("macro").object();
    scores(report.macro);
    json.end().key("weighted").object();
    scores(report.weighted);
    json.end().field("kappa", report.kappa);
    json.field("area_under_curve", metrics.area_under_curve).field("log_loss", metrics.log_loss);
    json.field("calibration_error", metrics.calibration_error).field("calibration_bins", kCalibrationBins);
    json.key("majority_baseline").object();
    json.field("class", metrics.classes[static_cast<std::size_t>(baseline.label)]);
    json.field("accuracy", baseline.accuracy.value()).end();
    json.key("malignant").array();
    for (uint8_t flag : metrics.malignant) json.value(flag != 0);
    json.end();
    write_share(json, "malignant_called_benign", metrics.malignant_called_benign);
    json.key("notes").array();
    for (const std::string& note : report.notes) json.value(note);
    json.end().end();
}

// Numbers of a file are whatever somebody wrote there: nlohmann would convert a negative or a fraction.
int64_t count_at(const Json& json, const char* key) {
    const Json& value = json.at(key);
    if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > 9e15)
        throw FormatError(key, str("expected a whole number from 0 on, got ", value.dump()));
    return value.get<int64_t>();
}

double number_at(const Json& json, const char* key) {
    const Json& value = json.at(key);
    if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
    if (!value.is_number()) throw FormatError(key, str("expected a number, got ", value.dump()));
    return value.get<double>();
}

std::vector<std::pair<std::string, std::string>> pairs_at(const Json& json, const char* key) {
    const Json& pairs = json.at(key);
    if (!pairs.is_object()) throw FormatError(key, str("expected an object, got ", pairs.type_name()));
    std::vector<std::pair<std::string, std::string>> result;
    for (const auto& [name, text] : pairs.items()) result.emplace_back(name, text.get<std::string>());
    return result;
}

const Json& array_at(const Json& json, const char* key) {
    const Json& array = json.at(key);
    if (!array.is_array()) throw FormatError(key, str("expected an array, got ", array.type_name()));
    return array;
}

void require_near(const char* key, double stated, double expected) {
    if (!(std::abs(stated - expected) <= 1e-9))
        throw FormatError(key, str("expected ", expected, " from n and n_correct, got ", stated));
}

Share share_at(const Json& json, const char* key) {
    const Share share{.count = count_at(json.at(key), "count"), .n = count_at(json.at(key), "n")};
    if (share.count > share.n)
        throw FormatError(key, str("expected a count of at most n = ", share.n, ", got ", share.count));
    return share;
}

ResultRow read_row(const Json& json) {
    ResultRow row;
    json.at("model").get_to(row.model);
    json.at("attack").get_to(row.attack);
    row.options = pairs_at(json, "options");
    row.epsilon = number_at(json, "epsilon");
    row.n = count_at(json, "n");
    for (auto [key, count] :
         {std::pair{"n_correct", &row.n_correct}, std::pair{"n_clean_correct", &row.n_clean_correct},
          std::pair{"n_success", &row.n_success}, std::pair{"n_correct_8bit", &row.n_correct_8bit},
          std::pair{"n_unchanged", &row.n_unchanged}}) {
        *count = count_at(json, key);
        if (*count > row.n) throw FormatError(key, str("expected at most n = ", row.n, ", got ", *count));
    }
    if (row.n_success > row.n_clean_correct)
        throw FormatError("n_success", str("expected at most n_clean_correct = ", row.n_clean_correct,
                                           ", got ", row.n_success));
    const Json& wilson = array_at(json, "wilson");
    if (wilson.size() != 2) throw FormatError("wilson", str("expected two numbers, got ", wilson.size()));
    const Interval interval = row.accuracy().interval();
    require_near("accuracy", number_at(json, "accuracy"), row.accuracy().value());
    require_near("wilson", wilson[0].get<double>(), interval.low);
    require_near("wilson", wilson[1].get<double>(), interval.high);
    row.malignant_turned = share_at(json, "malignant_turned_benign");
    row.forward_passes = count_at(json, "forward_passes");
    row.backward_passes = count_at(json, "backward_passes");
    row.seconds = number_at(json, "seconds");
    json.at("mode").get_to(row.mode);
    json.at("witnesses").get_to(row.witnesses);
    return row;
}

Rail read_rail(const Json& json) {
    return {.id = json.at("id").get<std::string>(),
            .pass = json.at("pass").get<bool>(),
            .value = number_at(json, "value"),
            .text = json.at("text").get<std::string>()};
}

Metrics read_metrics(const Json& json) {
    Metrics metrics;
    json.at("model").get_to(metrics.model);
    json.at("classes").get_to(metrics.classes);
    const auto classes = metrics.classes.size();
    metrics.confusion = ConfusionMatrix(static_cast<int64_t>(classes));
    const Json& rows = array_at(json, "confusion");
    auto require_size = [classes](const char* key, std::size_t size) {
        if (size != classes) throw FormatError(key, str("expected ", classes, " classes, got ", size));
    };
    require_size("confusion", rows.size());
    for (std::size_t t = 0; t < classes; ++t) {
        require_size("confusion", rows[t].size());
        for (std::size_t p = 0; p < classes; ++p) {
            if (!rows[t].is_array() || !rows[t][p].is_number_unsigned())
                throw FormatError("confusion", str("expected counts, got ", rows[t].dump()));
            metrics.confusion.add(static_cast<int64_t>(t), static_cast<int64_t>(p),
                                  rows[t][p].get<int64_t>());
        }
    }
    metrics.area_under_curve = number_at(json, "area_under_curve");
    metrics.log_loss = number_at(json, "log_loss");
    metrics.calibration_error = number_at(json, "calibration_error");
    const Json& malignant = array_at(json, "malignant");
    require_size("malignant", malignant.size());
    for (const Json& flag : malignant) metrics.malignant.push_back(flag.get<bool>());
    metrics.malignant_called_benign = share_at(json, "malignant_called_benign");
    return metrics;
}

// What precedes an accuracy in a table: "pgd 8/255" needs no more than the name and the number.
std::string pad(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

std::string fixed(double value, int decimals) {
    return str(std::fixed, std::setprecision(decimals), value);
}

}  // namespace

bool Results::pass() const {
    return std::all_of(rails.begin(), rails.end(), [](const Rail& rail) { return rail.pass; });
}

std::string table_of(const std::vector<ResultRow>& rows) {
    std::size_t width = 8;
    for (const ResultRow& row : rows) width = std::max(width, row.attack.size() + 2);
    std::string text = pad("attack", width) +
                       "epsilon     accuracy   95 % interval     correct     8-bit   fooled           "
                       "passes f/b   seconds\n";
    for (const ResultRow& row : rows) {
        const Interval interval = row.accuracy().interval();
        const bool clean = row.attack == "none";
        text += pad(row.attack, width);
        text += pad(clean ? "-" : fixed(row.epsilon * 255, 2) + "/255", 12);
        text += pad(fixed(row.accuracy().value(), 4), 11);
        text += pad(str("[", fixed(interval.low, 4), ", ", fixed(interval.high, 4), "]"), 18);
        text += pad(str(row.n_correct, "/", row.n), 12);
        text += pad(clean ? "-" : fixed(Share{row.n_correct_8bit, row.n}.value(), 4), 8);
        text += pad(clean ? "-" : str(row.n_success, " of ", row.n_clean_correct), 17);
        text += pad(str(row.forward_passes, "/", row.backward_passes), 13);
        text += fixed(row.seconds, 1) + '\n';
    }
    return text;
}

std::string table_of(const std::vector<Rail>& rails,
                     const std::vector<std::pair<std::string, std::string>>& not_run) {
    std::string text;
    for (const Rail& rail : rails)
        text += str(rail.pass ? "pass  " : "FAIL  ", pad(rail.id, 5), rail.text, '\n');
    for (const auto& [id, why] : not_run) text += str("-     ", pad(id, 5), "not run: ", why, '\n');
    return text;
}

std::string to_json(const Results& results) {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("format", kFormat).field("microtome", kVersion);
    write_pairs(json, "run", results.run);
    json.field("seed", results.seed).key("rows").array();
    for (const ResultRow& row : results.rows) write_row(json, row);
    json.end().key("rails").array();
    for (const Rail& rail : results.rails)
        json.object()
            .field("id", rail.id)
            .field("pass", rail.pass)
            .field("value", rail.value)
            .field("text", rail.text)
            .end();
    json.end();
    write_pairs(json, "rails_not_run", results.rails_not_run);
    json.key("metrics").array();
    for (const Metrics& metrics : results.metrics) write_metrics(json, metrics);
    return json.end().end().text() + '\n';
}

void write_results(const std::string& path, const Results& results) {
    write_file(path, to_json(results));
}

Results results_of_json(const std::string& text, const std::string& where) {
    try {
        const Json json = Json::parse(text);
        if (count_at(json, "format") != kFormat)
            throw FormatError("format", str("expected ", kFormat, ", got ", json.at("format").dump()),
                              "a newer microtome wrote this file");
        Results results;
        results.run = pairs_at(json, "run");
        if (!json.at("seed").is_number_unsigned())
            throw FormatError("seed", str("expected a whole number, got ", json.at("seed").dump()));
        json.at("seed").get_to(results.seed);
        for (const Json& row : array_at(json, "rows")) results.rows.push_back(read_row(row));
        for (const Json& rail : array_at(json, "rails")) results.rails.push_back(read_rail(rail));
        results.rails_not_run = pairs_at(json, "rails_not_run");
        for (const Json& metrics : array_at(json, "metrics"))
            results.metrics.push_back(read_metrics(metrics));
        return results;
    } catch (const nlohmann::json::exception& error) {
        throw FormatError(where, str("expected results, got ", error.what()));
    } catch (const Error& error) {
        throw FormatError(where, str("expected results, got: ", error.what()));
    }
}

Results read_results(const std::string& path) {
    return results_of_json(read_file(path, kMaxBytes), path);
}

}  // namespace microtome
