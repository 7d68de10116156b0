// What a classifier's answers are worth: accuracy with its interval, confusion matrix and what follows from
// it, area under the ROC curve, log-loss, calibration, and how often a malignant image is called benign.
// Shares keep the counts they are made of, so that none goes without its n.
#pragma once

#include "tensor/tensor.hpp"

#include <span>
#include <string>
#include <vector>

namespace microtome {

struct Interval {
    double low = 0, high = 1;
    friend bool operator==(const Interval&, const Interval&) = default;
};

// The 95 % score interval of a share of which `successes` in n were observed (Wilson 1927): it
// stays inside [0, 1] and says something for 0 in n, too. [0, 1] for n = 0. Throws OptionsError unless
// 0 <= successes <= n.
Interval wilson(int64_t successes, int64_t n);

// So many of n: an accuracy, a success rate.
struct Share {
    int64_t count = 0, n = 0;

    double value() const { return n > 0 ? static_cast<double>(count) / static_cast<double>(n) : 0; }
    Interval interval() const { return wilson(count, n); }
    friend bool operator==(const Share&, const Share&) = default;
};

// "0.978 [0.966, 0.986] (814 of 832)".
std::string share_text(const Share& share);

// How many images of each class were given each class.
class ConfusionMatrix {
  public:
    explicit ConfusionMatrix(int64_t classes);
    // Throws OptionsError for a label or prediction outside [0, classes), or unless there are as many of
    // both.
    ConfusionMatrix(int64_t classes, std::span<const int64_t> labels, std::span<const int64_t> predictions);

    void add(int64_t label, int64_t prediction, int64_t images = 1);

    int64_t classes() const { return classes_; }
    int64_t at(int64_t label, int64_t prediction) const;
    int64_t support(int64_t label) const;         // images of the class
    int64_t predicted(int64_t prediction) const;  // images that were given the class
    int64_t total() const;
    Share accuracy() const;
    friend bool operator==(const ConfusionMatrix&, const ConfusionMatrix&) = default;

  private:
    int64_t classes_;
    std::vector<int64_t> counts_;  // (true, predicted)
};

struct ClassScores {
    double precision = 0, recall = 0, f1 = 0;
    int64_t support = 0;
};

// Precision, recall and F1 of every class; their plain mean over all classes, and the one weighted by
// support; Cohen's kappa (1960), the agreement beyond what the two margins give by chance. A fraction 0 / 0
// stands as 0, and notes say which.
struct ClassificationReport {
    std::vector<ClassScores> classes;
    ClassScores macro, weighted;
    Share accuracy;
    double kappa = 0;
    std::vector<std::string> notes;
};
ClassificationReport classification_report(const ConfusionMatrix& confusion);

// What always answering with the most frequent class gives, the first of equals.
struct MajorityBaseline {
    int64_t label = 0;
    Share accuracy;
};
MajorityBaseline majority_baseline(const ConfusionMatrix& confusion);

// The largest of each row, the first of equals, of logits (N, classes) in f32. Throws FormatError for one
// that is not finite, because an answer that is no number must not be taken for a class.
std::vector<int64_t> predictions_of(const Tensor& logits);

// The softmax of each row in double, row after row; exp() is tensor/math.hpp's.
std::vector<double> probabilities_of(const Tensor& logits);

// -log softmax(logits)[label] of each row in double: so that a loss near 0 still shows whether it rose.
std::vector<double> losses_of(const Tensor& logits, std::span<const int64_t> labels);

// The probability that a positive (flag 1) has a higher score than a negative (flag 0), ties counting half:
// the Mann-Whitney statistic. NaN where one of the two kinds is missing. Throws OptionsError for scores that
// are NaN, or not one per flag.
double area_under_curve(std::span<const double> scores, std::span<const uint8_t> positive);

// The mean, over the classes that have positives and negatives, of each class's area against all others. For
// two classes it is the usual one. NaN where there is no such class. probabilities: N rows of `classes`.
double macro_area_under_curve(std::span<const double> probabilities, int64_t classes,
                              std::span<const int64_t> labels);

// The mean of -log max(probability of the label, 1e-15). NaN for no images.
double log_loss(std::span<const double> probabilities, int64_t classes, std::span<const int64_t> labels);

inline constexpr int kCalibrationBins = 15;

// Expected calibration error (Naeini et al. 2015; as used by Guo et al. 2017): the largest probability of
// each image falls into one of `bins` intervals of equal width, open below and closed above, and the
// distance between accuracy and mean confidence is averaged over the bins, weighted by their images.
double calibration_error(std::span<const double> probabilities, int64_t classes,
                         std::span<const int64_t> labels, int bins = kCalibrationBins);

// Which classes are malignant: one flag a class, 1 where a pattern (nn/pattern.hpp) covers the name. The
// defaults are adenocarcinoma and squamous cell carcinoma as LC25000 names them.
std::vector<uint8_t> malignant_classes(const std::vector<std::string>& names,
                                       const std::vector<std::string>& patterns = {"*_aca", "*_scc"});

// The mistake that costs most: of the malignant images, how many are called benign; and of those that were
// rightly called malignant before (by any malignant class), how many an attack turned. Without `before` the
// second is 0 of 0.
struct MalignantCalledBenign {
    Share called;  // of the malignant images, those called benign
    Share turned;  // of those that were called malignant before, those called benign now
};
MalignantCalledBenign malignant_called_benign(std::span<const uint8_t> malignant,
                                              std::span<const int64_t> labels,
                                              std::span<const int64_t> predictions,
                                              std::span<const int64_t> before = {});

// All of the above for one model's answers to clean images, as results keep it.
struct Metrics {
    std::string model;
    std::vector<std::string> classes;
    ConfusionMatrix confusion{1};
    double area_under_curve = 0, log_loss = 0, calibration_error = 0;  // the first may be NaN: see there
    std::vector<uint8_t> malignant;                                    // a flag a class
    Share malignant_called_benign;
};

// From the logits, f32 (N, classes), and the true classes of the same images, at least one.
Metrics measure(std::string model, std::vector<std::string> classes, std::vector<uint8_t> malignant,
                const Tensor& logits, std::span<const int64_t> labels);

}  // namespace microtome
