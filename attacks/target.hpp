// Which class a targeted attack wants, and what it is to have fooled a classifier.
#pragma once

#include "attacks/attack.hpp"

namespace microtome {

struct Target {
    enum class Rule : uint8_t {
        none,    // untargeted: any but the true one
        next,    // the true one + 1, of two classes the other
        random,  // any but the true one, drawn by the image's id
        fixed,   // one for all images, `wanted`
    };
    Rule rule = Rule::none;
    int64_t wanted = 0;

    friend bool operator==(const Target&, const Target&) = default;
};

// "none", "next", "random", "class 2".
std::string target_text(const Target& target);

// The class wanted for each image, i64 (N); undefined for an untargeted attack. Draws are those of the seed
// and the attack's name. Throws OptionsError, in its name, for a class that there is not.
Tensor goals_of(const Target& target, const Batch& batch, int64_t classes, uint64_t seed,
                std::string_view attack);

// Whether each image's largest logit, the first of equals, is its goal; without goals, any but its label.
std::vector<bool> fooled(const Tensor& logits, const Tensor& labels, const Tensor& goals);

}  // namespace microtome
