#include "evaluation/rails.hpp"

#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "tensor/hash.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <unordered_map>

namespace microtome {
namespace {

constexpr double kMostOfOneClass = 0.95;
constexpr double kLossRises = 0.95, kLossRisesInOneStep = 0.5;
constexpr double kBatchDependence = 1e-3;
constexpr double kChance = 0.025;
constexpr double kGreyLevel = 1.0 / 255;

std::string percent(double share) {
    return str(std::fixed, std::setprecision(1), 100 * share, " %");
}

std::string plural(int64_t count, const char* what) {
    return str(count, " ", what, count == 1 ? "" : "s");
}

// The probability of `heads` or more in n throws of a fair coin.
double at_least_by_chance(int64_t heads, int64_t n) {
    double log_term = static_cast<double>(n) * math::log(0.5), sum = 0;
    for (int64_t k = 0; k <= n; ++k) {
        if (k >= heads) sum += math::exp(log_term);
        log_term += math::log(static_cast<double>(n - k) / static_cast<double>(k + 1));
    }
    return std::min(sum, 1.0);
}

// Whether `first` ahead of `second` is more than chance explains, among the images that speak for one only.
bool beyond_chance(int64_t first, int64_t second) {
    return first > second && at_least_by_chance(first, first + second) <= kChance;
}

bool same_ball(const Threat& a, const Threat& b) {
    return a.kind == Threat::Kind::ball && b.kind == a.kind && a.norm == b.norm && a.epsilon == b.epsilon;
}

// "pgd 8/255": an attack in a sentence.
std::string called(const AttackOutcome& outcome) {
    return str(outcome.name, " at ", std::setprecision(3), outcome.threat.epsilon * 255, "/255");
}

// Compares the most thorough crafted attack in each ball with others in it that `takes` picks.
template <class Takes>
std::optional<Rail> compare_in_balls(const char* id, const std::vector<AttackOutcome>& outcomes,
                                     const Takes& takes) {
    Rail rail{.id = id, .pass = true, .value = 0, .text = ""};
    int64_t compared = 0, worst = 0;
    std::string worst_pair, failures;
    for (const AttackOutcome& strong : outcomes) {
        const bool is_strongest =
            strong.crafted() &&
            std::all_of(outcomes.begin(), outcomes.end(), [&](const AttackOutcome& other) {
                return !other.crafted() || !same_ball(strong.threat, other.threat) ||
                       other.cost.backward <= strong.cost.backward;
            });
        if (!is_strongest) continue;
        for (const AttackOutcome& other : outcomes) {
            if (&other == &strong || !same_ball(strong.threat, other.threat) || !takes(strong, other))
                continue;
            int64_t only_other = 0, only_strong = 0;
            for (std::size_t i = 0; i < strong.images.size(); ++i) {
                only_other += other.images[i].success() && !strong.images[i].success();
                only_strong += strong.images[i].success() && !other.images[i].success();
            }
            ++compared;
            const std::string pair =
                str(called(other), " fools ", plural(only_other, "image"), " that ", strong.name,
                    " does not, ", strong.name, " ", only_strong, " that ", other.name, " does not");
            if (only_other - only_strong > worst || worst_pair.empty()) {
                worst = std::max(worst, only_other - only_strong);
                worst_pair = pair;
            }
            if (beyond_chance(only_other, only_strong)) {
                rail.pass = false;
                failures += str(failures.empty() ? "" : "; ", pair);
            }
        }
    }
    if (compared == 0) return std::nullopt;
    rail.value = static_cast<double>(worst);
    rail.text = rail.pass ? worst_pair : failures;
    return rail;
}

Rail required(const char* id, std::optional<Rail> rail) {
    if (!rail) throw OptionsError(id, "expected attacks in one ball to compare, got none");
    return *std::move(rail);
}

std::optional<Rail> compare_with_weaker(const std::vector<AttackOutcome>& outcomes) {
    return compare_in_balls("V6", outcomes, [](const AttackOutcome& strong, const AttackOutcome& other) {
        return other.crafted() && other.cost.backward < strong.cost.backward;
    });
}

std::optional<Rail> compare_with_controls(const std::vector<AttackOutcome>& outcomes) {
    return compare_in_balls(
        "V8", outcomes, [](const AttackOutcome&, const AttackOutcome& other) { return !other.crafted(); });
}

// The share of images in the most frequent of the classes, and that class.
std::pair<double, int64_t> most_frequent(const std::vector<int64_t>& predictions, int64_t classes) {
    std::vector<int64_t> counts(static_cast<std::size_t>(classes), 0);
    for (int64_t c : predictions) ++counts.at(static_cast<std::size_t>(c));
    const auto most = std::max_element(counts.begin(), counts.end());
    const double n = std::max<double>(1, static_cast<double>(predictions.size()));
    return {static_cast<double>(*most) / n, most - counts.begin()};
}

std::vector<int64_t> given_predictions(const AttackOutcome& outcome) {
    std::vector<int64_t> result;
    for (const AttackedImage& image : outcome.images) result.push_back(image.given);
    return result;
}

// An attack towards a class lowers another loss than that of the label.
bool has_target(const AttackOutcome& outcome) {
    return std::any_of(outcome.options.begin(), outcome.options.end(), [](const auto& option) {
        return option.first == "target" && option.second != "none";
    });
}

bool judged_by_loss(const AttackOutcome& outcome) {
    return outcome.crafted() && !has_target(outcome) && outcome.threat.epsilon > 0 &&
           success_rate(outcome.images).n > 0;
}

bool judged_by_rounding(const AttackOutcome& outcome) {
    return outcome.threat.epsilon >= kGreyLevel - kBoundTolerance && success_rate(outcome.images).count > 0;
}

}  // namespace

Rail same_input(const std::vector<AttackOutcome>& outcomes) {
    Rail rail{.id = "V1", .pass = true, .value = 0, .text = ""};
    std::string worst;
    for (const AttackOutcome& outcome : outcomes) {
        Share clean, given, differing;
        for (const AttackedImage& image : outcome.images) {
            clean = {clean.count + image.clean_right(), clean.n + 1};
            given = {given.count + (image.given == image.label), given.n + 1};
            differing = {differing.count + (image.given != image.clean), differing.n + 1};
        }
        if (differing.value() < rail.value || (differing.count == 0 && !worst.empty())) continue;
        rail.value = differing.value();
        rail.pass = differing.count == 0;
        worst = str("clean accuracy is ", share_text(clean), " by the evaluator and ", share_text(given),
                    " on the images that ", outcome.name, " was given; ", percent(differing.value()),
                    " of the predictions differ");
    }
    rail.text = worst;
    return rail;
}

Rail varied_predictions(const std::vector<int64_t>& clean, const std::vector<AttackOutcome>& outcomes,
                        int64_t classes) {
    auto [share, label] = most_frequent(clean, classes);
    std::string where = "the clean images";
    for (const AttackOutcome& outcome : outcomes) {
        const auto [given_share, given_label] = most_frequent(given_predictions(outcome), classes);
        if (given_share <= share) continue;
        share = given_share;
        label = given_label;
        where = str("the images that ", outcome.name, " was given");
    }
    return {.id = "V2",
            .pass = share <= kMostOfOneClass,
            .value = share,
            .text = str(percent(share), " of the predictions for ", where, " are class ", label,
                        "; more than 95 % would be a constant answer")};
}

Rail within_threat(const std::vector<AttackOutcome>& outcomes) {
    Rail rail{.id = "V3", .pass = true, .value = 0, .text = ""};
    int64_t outside = 0;
    for (const AttackOutcome& outcome : outcomes)
        for (const AttackedImage& image : outcome.images) {
            outside += !image.in_bounds();
            rail.value = std::max(rail.value, image.distance.excess);
        }
    rail.pass = outside == 0;
    rail.text = str(plural(outside, "image"), " outside [0,1] or the ball; the largest excess is ",
                    rail.value, ", 1e-6 is allowed");
    return rail;
}

Rail rising_loss(const std::vector<AttackOutcome>& outcomes) {
    Rail rail{.id = "V4", .pass = true, .value = 1, .text = ""};
    std::string lowest, failures;
    for (const AttackOutcome& outcome : outcomes) {
        if (!judged_by_loss(outcome)) continue;
        Share risen;
        int64_t unchanged = 0;
        for (const AttackedImage& image : outcome.images) {
            if (!image.clean_right()) continue;
            risen = {risen.count + (image.adversarial_loss > image.given_loss), risen.n + 1};
            unchanged += image.unchanged;
        }
        const double needed = outcome.cost.backward > 1 ? kLossRises : kLossRisesInOneStep;
        const std::string text = str(called(outcome), " raised the loss of ", risen.count, " of ", risen.n,
                                     " (", percent(needed), " needed), ", unchanged, " came back unchanged");
        if (lowest.empty() || risen.value() < rail.value) {
            rail.value = risen.value();
            lowest = text;
        }
        if (risen.value() < needed) {
            rail.pass = false;
            failures += str(failures.empty() ? "" : "; ", text);
        }
    }
    rail.text = rail.pass ? lowest : failures;
    return rail;
}

Rail unbounded_attack(const Share& accuracy, int64_t classes) {
    const double chance = 1.0 / static_cast<double>(classes);
    return {.id = "V5",
            .pass = accuracy.n > 0 && accuracy.value() <= chance,
            .value = accuracy.value(),
            .text = str("an attack that may change pixels to anything leaves an accuracy of ",
                        share_text(accuracy), "; chance is ", std::setprecision(3), chance)};
}

Rail stronger_attack(const std::vector<AttackOutcome>& outcomes) {
    return required("V6", compare_with_weaker(outcomes));
}

Rail beats_controls(const std::vector<AttackOutcome>& outcomes) {
    return required("V8", compare_with_controls(outcomes));
}

std::vector<ImageIdentity> identities_of(const Dataset& dataset, const std::vector<int64_t>& images,
                                         const ProgressOptions& options) {
    std::vector<ImageIdentity> result;
    Progress progress("reading images", static_cast<int64_t>(images.size()), "images", options);
    for (int64_t i : images) {
        if (interrupted()) throw Error("V9", "interrupted while images were compared");
        const Sample& sample = dataset.samples().at(static_cast<std::size_t>(i));
        progress.advance();
        try {
            result.push_back(
                {.content = hash_of(dataset.read(i)), .group = sample.group, .name = sample.name});
        } catch (const FormatError&) {
            continue;  // nobody trains or tests on a damaged file
        }
    }
    return result;
}

Rail disjoint(const std::vector<ImageIdentity>& training, const std::vector<ImageIdentity>& test) {
    std::unordered_map<uint64_t, const ImageIdentity*> contents;
    std::unordered_map<std::string, const ImageIdentity*> groups;
    for (const ImageIdentity& image : training) {
        contents.emplace(image.content, &image);
        if (!image.group.empty()) groups.emplace(image.group, &image);
    }
    int64_t same_content = 0, same_group = 0, either = 0;
    std::string example;
    for (const ImageIdentity& image : test) {
        const auto twin = contents.find(image.content);
        const auto sibling = image.group.empty() ? groups.end() : groups.find(image.group);
        same_content += twin != contents.end();
        same_group += sibling != groups.end();
        if (twin == contents.end() && sibling == groups.end()) continue;
        ++either;
        if (example.empty())
            example = str(", the first ", image.name, ", as ",
                          (twin != contents.end() ? twin->second : sibling->second)->name);
    }
    return {.id = "V9",
            .pass = either == 0,
            .value = static_cast<double>(either),
            .text = str(either, " of ", plural(static_cast<int64_t>(test.size()), "test image"), " (",
                        same_content, " by content, ", same_group, " by group) are among the ",
                        training.size(), " training images", example)};
}

StatedNumbers stated(const ResultRow& row) {
    return {.name = row.attack,
            .accuracy = row.accuracy().value(),
            .n = row.n,
            .n_correct = row.n_correct,
            .n_clean_correct = row.n_clean_correct,
            .n_success = row.n_success,
            .interval = row.accuracy().interval(),
            .options = row.options,
            .attacked = row.attack != "none"};
}

Rail denominators(const std::vector<StatedNumbers>& rows, int64_t images) {
    int64_t wrong = 0;
    std::string example;
    for (const StatedNumbers& row : rows) {
        const double expected = Share{row.n_correct, row.n}.value();
        const bool possible = row.n_correct >= 0 && row.n_correct <= row.n && row.n_clean_correct <= row.n &&
                              row.n_success >= 0 && row.n_success <= row.n_clean_correct;
        if (row.n == images && possible && std::abs(row.accuracy - expected) <= 1e-9) continue;
        ++wrong;
        if (example.empty())
            example = str("; ", row.name, " states ", row.accuracy, " for ", row.n_correct, " of ", row.n);
    }
    return {
        .id = "V10",
        .pass = wrong == 0,
        .value = static_cast<double>(wrong),
        .text = str(wrong, " of ", plural(static_cast<int64_t>(rows.size()), "row"),
                    " with another denominator than the ", plural(images, "image"), " looked at", example)};
}

Rail no_gain(const std::vector<AttackOutcome>& outcomes) {
    Rail rail{.id = "V11", .pass = true, .value = 0, .text = ""};
    std::string largest, failures;
    for (const AttackOutcome& outcome : outcomes) {
        int64_t repaired = 0, broken = 0;
        for (const AttackedImage& image : outcome.images) {
            repaired += !image.clean_right() && image.right();
            broken += image.success();
        }
        const double n = std::max<double>(1, static_cast<double>(outcome.images.size()));
        const double gain = static_cast<double>(repaired - broken) / n;
        const std::string text =
            str(called(outcome), " made ", plural(broken, "image"), " wrong and ", repaired, " right");
        if (largest.empty() || gain > rail.value) {
            rail.value = gain;
            largest = text;
        }
        if (outcome.crafted() ? repaired > broken : beyond_chance(repaired, broken)) {
            rail.pass = false;
            failures += str(failures.empty() ? "" : "; ", text);
        }
    }
    rail.text = rail.pass ? largest : failures;
    return rail;
}

Rail survives_rounding(const std::vector<AttackOutcome>& outcomes) {
    Rail rail{.id = "V12", .pass = true, .value = 1, .text = ""};
    std::string lowest;
    for (const AttackOutcome& outcome : outcomes) {
        if (!judged_by_rounding(outcome)) continue;
        Share survived;
        for (const AttackedImage& image : outcome.images) {
            if (!image.success()) continue;
            survived = {survived.count + (image.rounded != image.label), survived.n + 1};
        }
        rail.pass = rail.pass && survived.interval().high >= 0.5;
        if (!lowest.empty() && survived.value() >= rail.value) continue;
        rail.value = survived.value();
        lowest = str("of the images that ", called(outcome), " fools, ", survived.count, " of ", survived.n,
                     " are fooled as 8-bit pictures");
    }
    rail.text = lowest;
    return rail;
}

Rail success_of_right(const std::vector<StatedNumbers>& rows, const std::vector<AttackOutcome>& outcomes) {
    if (rows.size() != outcomes.size())
        throw OptionsError(
            "V13", str("expected a row for each of ", outcomes.size(), " attacks, got ", rows.size()));
    int64_t wrong = 0;
    std::string example;
    for (std::size_t k = 0; k < rows.size(); ++k) {
        const Share expected = success_rate(outcomes[k].images);
        if (rows[k].n_success == expected.count && rows[k].n_clean_correct == expected.n) continue;
        ++wrong;
        if (example.empty())
            example = str("; ", rows[k].name, " states ", rows[k].n_success, " of ", rows[k].n_clean_correct,
                          ", the images say ", expected.count, " of ", expected.n);
    }
    return {
        .id = "V13",
        .pass = wrong == 0,
        .value = static_cast<double>(wrong),
        .text = str(wrong, " of ", plural(static_cast<int64_t>(rows.size()), "attack"),
                    " with a success rate over others than the images that were right at first", example)};
}

Rail unaltered_model(const std::optional<uint64_t>& before, const std::optional<uint64_t>& after,
                     double batch_dependence) {
    const bool differs = before != after;
    const double dependence = std::max(batch_dependence, 0.0);
    std::string text = !before || !after ? "the model cannot be hashed"
                       : differs         ? "weights, running statistics or mode differ afterwards"
                                 : "weights, running statistics and mode are the same bits afterwards";
    text += batch_dependence < 0
                ? "; nobody could look whether logits depend on the batch"
                : str("; logits of an image alone and among others differ by ", dependence, " at most");
    return {
        .id = "V14", .pass = !differs && dependence <= kBatchDependence, .value = dependence, .text = text};
}

Rail recorded(const std::vector<StatedNumbers>& rows) {
    int64_t lacking = 0;
    std::string example;
    for (const StatedNumbers& row : rows) {
        std::string missing;
        const bool counted = row.n > 0 && row.n_correct >= 0 && row.n_correct <= row.n;
        const Interval expected = counted ? wilson(row.n_correct, row.n) : Interval{};
        const bool has_interval = counted && row.interval &&
                                  std::abs(row.interval->low - expected.low) <= 1e-9 &&
                                  std::abs(row.interval->high - expected.high) <= 1e-9;
        if (!has_interval) missing = "a Wilson interval";
        auto is_told = [&](std::string_view name) {
            return std::any_of(row.options.begin(), row.options.end(),
                               [&](const auto& option) { return option.first == name; });
        };
        if (row.attacked && row.options.empty()) missing += missing.empty() ? "options" : ", options";
        if ((is_told("start") || is_control(row.name)) && !is_told("seed"))
            missing += missing.empty() ? "a seed" : ", a seed";
        if (missing.empty()) continue;
        ++lacking;
        if (example.empty()) example = str("; ", row.name, " lacks ", missing);
    }
    return {.id = "V15",
            .pass = lacking == 0,
            .value = static_cast<double>(lacking),
            .text = str(lacking, " of ", plural(static_cast<int64_t>(rows.size()), "row"),
                        " without interval, options or seed", example)};
}

RailReport rails_of(const Evaluation& evaluation, const std::vector<ResultRow>& rows,
                    const RailInputs& inputs) {
    RailReport report;
    const std::vector<AttackOutcome>& outcomes = evaluation.outcomes;
    const int64_t classes = evaluation.logits.size(1);
    auto any = [&](bool (*judged)(const AttackOutcome&)) {
        return std::any_of(outcomes.begin(), outcomes.end(), judged);
    };
    auto add = [&report](const char* id, std::optional<Rail> rail, std::string why) {
        if (rail)
            report.rails.push_back(*std::move(rail));
        else
            report.not_run.emplace_back(id, std::move(why));
    };
    auto when = [](bool condition, auto rail) {
        return condition ? std::optional<Rail>(rail()) : std::nullopt;
    };
    const bool attacked = !outcomes.empty();
    const char* no_attack = "no attack was run";

    add("V1", when(attacked, [&] { return same_input(outcomes); }), no_attack);
    // Where the labels are nearly all of one class, so are good answers.
    const bool mixed = most_frequent(evaluation.labels, classes).first <= kMostOfOneClass;
    const bool enough = evaluation.images() >= 20;
    add("V2", when(mixed && enough, [&] { return varied_predictions(evaluation.clean, outcomes, classes); }),
        enough ? "nearly all images are of one class" : "fewer than 20 images");
    add("V3", when(attacked, [&] { return within_threat(outcomes); }), no_attack);
    add("V4", when(any(judged_by_loss), [&] { return rising_loss(outcomes); }),
        "no attack by gradients, with an epsilon, on images that were right at first");
    add("V5",
        when(inputs.unbounded.has_value(), [&] { return unbounded_attack(*inputs.unbounded, classes); }),
        "no attack without bounds was run");
    add("V6", compare_with_weaker(outcomes), "no two attacks by gradients in one ball");
    add("V8", compare_with_controls(outcomes), "no control in the ball of an attack by gradients");
    add("V9", inputs.disjoint, inputs.why_not_disjoint);
    std::vector<StatedNumbers> numbers, attacks;
    for (const ResultRow& row : rows) numbers.push_back(stated(row));
    for (std::size_t k = 0; k < outcomes.size(); ++k) attacks.push_back(numbers.at(k + 1));
    add("V10", denominators(numbers, evaluation.images()), "");
    add("V11", when(attacked, [&] { return no_gain(outcomes); }), no_attack);
    add("V12", when(any(judged_by_rounding), [&] { return survives_rounding(outcomes); }),
        "no image was fooled at an epsilon of one grey level or more");
    add("V13", when(attacked, [&] { return success_of_right(attacks, outcomes); }), no_attack);
    add("V14",
        when(attacked,
             [&] {
                 return unaltered_model(evaluation.model_before, evaluation.model_after,
                                        evaluation.batch_dependence);
             }),
        no_attack);
    add("V15", recorded(numbers), "");
    return report;
}

}  // namespace microtome
