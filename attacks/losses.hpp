// What attacks raise: losses of logits alone, and their gradients there. The gradient goes on through the
// classifier by Classifier::vjp(), so that a loss costs no second pass.
//
//                        untargeted, true class y                     targeted, wanted class t
//     cross_entropy      -log p_y                                     log p_t
//     margin             max over j != y of z_j - z_y                 z_t - max over j != t of z_j
//     dlr                that / (z_(1) - z_(3) + 1e-12)               (z_t - z_y) / (z_(1) - (z_(3) + z_(4))
//     / 2
//                                                                     + 1e-12)
//
// margin: Carlini and Wagner (2017), f_6 without its floor. dlr: Croce and Hein (2020), equations 6 and 7;
// z_(k) is the k-th largest logit. Where there are too few classes for z_(3) or z_(4) it falls back to
// margin.
#pragma once

#include "tensor/tensor.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace microtome {

enum class AttackLoss : uint8_t { cross_entropy, margin, dlr };

// "cross-entropy", "margin", "dlr".
std::string_view loss_name(AttackLoss loss);
std::vector<std::string> loss_names();
// Throws OptionsError for another name.
AttackLoss loss_by_name(std::string_view name);
// For AttackOptions: the name, and the rule by which it falls back.
std::string loss_text(AttackLoss loss, bool targeted);

// What is raised with so many classes: dlr wants 3, targeted 4; with fewer it is margin.
AttackLoss loss_for(AttackLoss wanted, int64_t classes, bool targeted);

struct LossAtLogits {
    Tensor values;    // (N)
    Tensor gradient;  // (N, C): of each value by its own logits
};

// labels: true classes, i64 (N). goals: wanted classes, or undefined for an untargeted attack. Falls back as
// loss_for() says. Throws ShapeError for labels that do not fit.
LossAtLogits loss_at(AttackLoss loss, const Tensor& logits, const Tensor& labels, const Tensor& goals = {});

}  // namespace microtome
