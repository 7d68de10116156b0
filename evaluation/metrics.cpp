#include "evaluation/metrics.hpp"

#include "base/error.hpp"
#include "nn/pattern.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <numeric>

namespace microtome {
namespace {

constexpr double kNormalQuantile = 1.959963984540054;  // of 0.975
constexpr double kSmallestProbability = 1e-15;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

void require_class(const char* where, int64_t label, int64_t classes) {
    if (label < 0 || label >= classes)
        throw OptionsError(where, str("expected classes 0 to ", classes - 1, ", got ", label));
}

void require_equal_size(const char* where, std::size_t a, std::size_t b) {
    if (a != b) throw OptionsError(where, str("expected as many as there are labels, ", a, ", got ", b));
}

void require_rows(const char* where, std::size_t values, int64_t classes, std::span<const int64_t> labels) {
    if (classes < 1 || values != labels.size() * static_cast<std::size_t>(classes))
        throw OptionsError(where, str("expected ", classes, " probabilities for each of ", labels.size(),
                                      " labels, got ", values));
    for (int64_t label : labels) require_class(where, label, classes);
}

// Rows of logits, f32 (N, classes).
std::span<const float> rows_of(const Tensor& logits) {
    if (!logits.defined() || logits.rank() != 2 || logits.size(1) < 1)
        throw ShapeError("logits", str("expected (N, classes), got ", logits));
    return logits.data<float>();
}

template <class Use>
void for_each_row(const Tensor& logits, const Use& use) {
    std::span<const float> all = rows_of(logits);
    auto width = static_cast<std::size_t>(logits.size(1));
    for (std::size_t i = 0; i * width < all.size(); ++i) use(i, all.subspan(i * width, width));
}

}  // namespace

Interval wilson(int64_t successes, int64_t n) {
    if (successes < 0 || successes > n)
        throw OptionsError("wilson", str("expected 0 to ", n, " successes in ", n, ", got ", successes));
    if (n == 0) return {};
    const double z2 = kNormalQuantile * kNormalQuantile, count = static_cast<double>(n);
    const double p = static_cast<double>(successes) / count;
    const double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
    const double half =
        kNormalQuantile / (1 + z2 / count) * math::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
    // The ends are exactly 0 and 1 where all or none succeeded, but for rounding.
    return {successes == 0 ? 0 : std::max(0.0, centre - half),
            successes == n ? 1 : std::min(1.0, centre + half)};
}

std::string share_text(const Share& share) {
    const Interval interval = share.interval();
    return str(std::fixed, std::setprecision(3), share.value(), " [", interval.low, ", ", interval.high,
               "] (", share.count, " of ", share.n, ")");
}

ConfusionMatrix::ConfusionMatrix(int64_t classes) : classes_(classes) {
    if (classes < 1 || classes > 100000)
        throw OptionsError("confusion matrix", str("expected 1 to 100000 classes, got ", classes));
    counts_.assign(static_cast<std::size_t>(classes * classes), 0);
}

ConfusionMatrix::ConfusionMatrix(int64_t classes, std::span<const int64_t> labels,
                                 std::span<const int64_t> predictions)
    : ConfusionMatrix(classes) {
    require_equal_size("confusion matrix", labels.size(), predictions.size());
    for (std::size_t i = 0; i < labels.size(); ++i) add(labels[i], predictions[i]);
}

void ConfusionMatrix::add(int64_t label, int64_t prediction, int64_t images) {
    require_class("confusion matrix", label, classes_);
    require_class("confusion matrix", prediction, classes_);
    counts_[static_cast<std::size_t>(label * classes_ + prediction)] += images;
}

int64_t ConfusionMatrix::at(int64_t label, int64_t prediction) const {
    require_class("confusion matrix", label, classes_);
    require_class("confusion matrix", prediction, classes_);
    return counts_[static_cast<std::size_t>(label * classes_ + prediction)];
}

int64_t ConfusionMatrix::support(int64_t label) const {
    int64_t sum = 0;
    for (int64_t c = 0; c < classes_; ++c) sum += at(label, c);
    return sum;
}

int64_t ConfusionMatrix::predicted(int64_t prediction) const {
    int64_t sum = 0;
    for (int64_t c = 0; c < classes_; ++c) sum += at(c, prediction);
    return sum;
}

int64_t ConfusionMatrix::total() const {
    return std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
}

Share ConfusionMatrix::accuracy() const {
    Share result{.count = 0, .n = total()};
    for (int64_t c = 0; c < classes_; ++c) result.count += at(c, c);
    return result;
}

ClassificationReport classification_report(const ConfusionMatrix& confusion) {
    ClassificationReport report;
    report.accuracy = confusion.accuracy();
    const auto total = static_cast<double>(confusion.total());
    const auto classes = static_cast<double>(confusion.classes());
    report.macro.support = report.weighted.support = confusion.total();
    double by_chance = 0;  // agreement of two who only know how often to say each class
    for (int64_t c = 0; c < confusion.classes(); ++c) {
        const auto hits = static_cast<double>(confusion.at(c, c));
        const auto given = static_cast<double>(confusion.predicted(c));
        ClassScores scores{.support = confusion.support(c)};
        const auto support = static_cast<double>(scores.support);
        scores.precision = ratio(hits, given);
        scores.recall = ratio(hits, support);
        scores.f1 = ratio(2 * hits, given + support);  // the harmonic mean of the two, where they exist
        if (given == 0)
            report.notes.push_back(str("class ", c, " was never predicted: precision 0 / 0 is 0"));
        if (support == 0) report.notes.push_back(str("class ", c, " has no images: recall 0 / 0 is 0"));
        const double weight = ratio(support, total);
        report.macro.precision += scores.precision / classes;
        report.macro.recall += scores.recall / classes;
        report.macro.f1 += scores.f1 / classes;
        report.weighted.precision += weight * scores.precision;
        report.weighted.recall += weight * scores.recall;
        report.weighted.f1 += weight * scores.f1;
        by_chance += weight * ratio(given, total);
        report.classes.push_back(scores);
    }
    report.kappa = ratio(report.accuracy.value() - by_chance, 1 - by_chance);
    if (!(by_chance < 1)) report.notes.push_back("one class only: kappa 0 / 0 is 0");
    return report;
}

MajorityBaseline majority_baseline(const ConfusionMatrix& confusion) {
    MajorityBaseline result{.label = 0, .accuracy = {.count = confusion.support(0), .n = confusion.total()}};
    for (int64_t c = 1; c < confusion.classes(); ++c)
        if (confusion.support(c) > result.accuracy.count) {
            result.label = c;
            result.accuracy.count = confusion.support(c);
        }
    return result;
}

std::vector<int64_t> predictions_of(const Tensor& logits) {
    std::vector<int64_t> result;
    for_each_row(logits, [&](std::size_t i, std::span<const float> row) {
        for (float z : row)
            if (!std::isfinite(z))
                throw FormatError("logits",
                                  str("expected finite numbers, got ", z, " for image ", i, " of the batch"));
        result.push_back(std::max_element(row.begin(), row.end()) - row.begin());
    });
    return result;
}

std::vector<double> probabilities_of(const Tensor& logits) {
    std::vector<double> result;
    result.reserve(static_cast<std::size_t>(logits.defined() ? logits.elements() : 0));
    for_each_row(logits, [&](std::size_t, std::span<const float> row) {
        const double largest = *std::max_element(row.begin(), row.end());
        double sum = 0;
        for (float z : row) sum += math::exp(static_cast<double>(z) - largest);
        for (float z : row) result.push_back(math::exp(static_cast<double>(z) - largest) / sum);
    });
    return result;
}

std::vector<double> losses_of(const Tensor& logits, std::span<const int64_t> labels) {
    std::vector<double> result;
    const int64_t classes = (rows_of(logits), logits.size(1));
    require_equal_size("losses", labels.size(), static_cast<std::size_t>(logits.size(0)));
    for_each_row(logits, [&](std::size_t i, std::span<const float> row) {
        require_class("losses", labels[i], classes);
        // log(sum of exp(z_j - z_y)) = largest other + log(...), with the label's own term, exp(0), kept
        // apart so that log1p sees what is small.
        const double own = row[static_cast<std::size_t>(labels[i])];
        double largest = 0;
        for (float z : row) largest = std::max(largest, z - own);
        double others = 0;
        for (std::size_t c = 0; c < row.size(); ++c)
            if (static_cast<int64_t>(c) != labels[i]) others += math::exp(row[c] - own - largest);
        result.push_back(largest > 0 ? largest + math::log(others + math::exp(-largest))
                                     : math::log1p(others));
    });
    return result;
}

double area_under_curve(std::span<const double> scores, std::span<const uint8_t> positive) {
    require_equal_size("area under the curve", positive.size(), scores.size());
    for (double score : scores)
        if (std::isnan(score)) throw OptionsError("area under the curve", "expected numbers, got NaN");
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
    // Pairs won by the positive, counted twice so that ties are whole numbers.
    int64_t negatives = 0, positives = 0, twice_won = 0;
    for (std::size_t first = 0, last; first < order.size(); first = last) {
        int64_t tied_positives = 0, tied_negatives = 0;
        for (last = first; last < order.size() && scores[order[last]] == scores[order[first]]; ++last)
            ++(positive[order[last]] ? tied_positives : tied_negatives);
        twice_won += tied_positives * (2 * negatives + tied_negatives);
        negatives += tied_negatives;
        positives += tied_positives;
    }
    if (negatives == 0 || positives == 0) return kNaN;
    return static_cast<double>(twice_won) /
           (2 * static_cast<double>(negatives) * static_cast<double>(positives));
}

double macro_area_under_curve(std::span<const double> probabilities, int64_t classes,
                              std::span<const int64_t> labels) {
    require_rows("area under the curve", probabilities.size(), classes, labels);
    double sum = 0;
    int64_t counted = 0;
    std::vector<double> scores(labels.size());
    std::vector<uint8_t> positive(labels.size());
    for (int64_t c = 0; c < classes; ++c) {
        for (std::size_t i = 0; i < labels.size(); ++i) {
            scores[i] = probabilities[i * static_cast<std::size_t>(classes) + static_cast<std::size_t>(c)];
            positive[i] = labels[i] == c;
        }
        const double area = area_under_curve(scores, positive);
        if (std::isnan(area)) continue;
        sum += area;
        ++counted;
    }
    return counted > 0 ? sum / static_cast<double>(counted) : kNaN;
}

double log_loss(std::span<const double> probabilities, int64_t classes, std::span<const int64_t> labels) {
    require_rows("log-loss", probabilities.size(), classes, labels);
    double sum = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        const double p =
            probabilities[i * static_cast<std::size_t>(classes) + static_cast<std::size_t>(labels[i])];
        sum -= math::log(std::max(p, kSmallestProbability));
    }
    return labels.empty() ? kNaN : sum / static_cast<double>(labels.size());
}

double calibration_error(std::span<const double> probabilities, int64_t classes,
                         std::span<const int64_t> labels, int bins) {
    require_rows("calibration error", probabilities.size(), classes, labels);
    if (bins < 1 || bins > 1000000)
        throw OptionsError("calibration error", str("expected 1 to 1000000 bins, got ", bins));
    std::vector<double> gap(static_cast<std::size_t>(bins), 0);  // hits minus confidence, summed over the bin
    for (std::size_t i = 0; i < labels.size(); ++i) {
        const auto row =
            probabilities.subspan(i * static_cast<std::size_t>(classes), static_cast<std::size_t>(classes));
        const auto best = std::max_element(row.begin(), row.end());
        const int bin = std::clamp(static_cast<int>(std::ceil(*best * bins)) - 1, 0, bins - 1);
        gap[static_cast<std::size_t>(bin)] += (best - row.begin() == labels[i] ? 1 : 0) - *best;
    }
    double sum = 0;
    for (double difference : gap) sum += std::abs(difference);
    return labels.empty() ? kNaN : sum / static_cast<double>(labels.size());
}

std::vector<uint8_t> malignant_classes(const std::vector<std::string>& names,
                                       const std::vector<std::string>& patterns) {
    std::vector<uint8_t> result;
    for (const std::string& name : names)
        result.push_back(std::any_of(patterns.begin(), patterns.end(),
                                     [&](const std::string& pattern) { return matches(pattern, name); }));
    return result;
}

MalignantCalledBenign malignant_called_benign(std::span<const uint8_t> malignant,
                                              std::span<const int64_t> labels,
                                              std::span<const int64_t> predictions,
                                              std::span<const int64_t> before) {
    const char* where = "malignant called benign";
    const auto classes = static_cast<int64_t>(malignant.size());
    require_equal_size(where, labels.size(), predictions.size());
    if (!before.empty()) require_equal_size(where, labels.size(), before.size());
    auto is_malignant = [&](int64_t c) {
        require_class(where, c, classes);
        return malignant[static_cast<std::size_t>(c)] != 0;
    };
    MalignantCalledBenign result;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        if (!is_malignant(labels[i])) continue;
        const bool benign = !is_malignant(predictions[i]);
        ++result.called.n;
        result.called.count += benign;
        if (before.empty() || !is_malignant(before[i])) continue;
        ++result.turned.n;
        result.turned.count += benign;
    }
    return result;
}

Metrics measure(std::string model, std::vector<std::string> classes, std::vector<uint8_t> malignant,
                const Tensor& logits, std::span<const int64_t> labels) {
    const auto count = static_cast<int64_t>(classes.size());
    if (labels.empty()) throw OptionsError("metrics", "expected at least one image, got none");
    if (rows_of(logits), logits.size(1) != count || static_cast<int64_t>(malignant.size()) != count)
        throw ShapeError("metrics", str("expected logits and flags for ", count, " classes, got ",
                                        logits.spec(), " and ", malignant.size()));
    const std::vector<double> probabilities = probabilities_of(logits);
    const std::vector<int64_t> predictions = predictions_of(logits);
    Metrics result{.model = std::move(model),
                   .classes = std::move(classes),
                   .confusion = ConfusionMatrix(count, labels, predictions),
                   .area_under_curve = macro_area_under_curve(probabilities, count, labels),
                   .log_loss = log_loss(probabilities, count, labels),
                   .calibration_error = calibration_error(probabilities, count, labels),
                   .malignant = std::move(malignant),
                   .malignant_called_benign = {}};
    result.malignant_called_benign = malignant_called_benign(result.malignant, labels, predictions).called;
    return result;
}

}  // namespace microtome
