#include "attacks/target.hpp"

#include "tensor/random.hpp"

#include <algorithm>

namespace microtome {

std::string target_text(const Target& target) {
    switch (target.rule) {
        case Target::Rule::none: return "none";
        case Target::Rule::next: return "next";
        case Target::Rule::random: return "random";
        case Target::Rule::fixed: break;
    }
    return str("class ", target.wanted);
}

Tensor goals_of(const Target& target, const Batch& batch, int64_t classes, uint64_t seed,
                std::string_view attack) {
    if (target.rule == Target::Rule::none) return {};
    if (target.rule == Target::Rule::fixed && target.wanted >= classes)
        throw OptionsError(
            attack, str("expected a class to aim at from 0 to ", classes - 1, ", got ", target.wanted));
    Tensor result = batch.targets.to(kCpu).clone();
    const auto goal = result.mutable_data<int64_t>();
    const uint64_t purpose = purpose_of(str("attack:", attack, ":target"));
    for (std::size_t i = 0; i < goal.size(); ++i) {
        if (target.rule == Target::Rule::fixed) {
            goal[i] = target.wanted;
            continue;
        }
        const RandomKey key{seed, purpose, static_cast<uint64_t>(batch.ids.empty() ? i : batch.ids[i])};
        const int64_t ahead = target.rule == Target::Rule::next
                                  ? 1
                                  : 1 + static_cast<int64_t>(random_below(key, 0, classes - 1));
        goal[i] = (goal[i] + ahead) % classes;
    }
    return result.to(batch.targets.device());
}

std::vector<bool> fooled(const Tensor& logits, const Tensor& labels, const Tensor& goals) {
    const Tensor z_here = logits.to(kCpu), aim = (goals.defined() ? goals : labels).to(kCpu);
    const auto z = z_here.data<float>();
    const auto y = aim.data<int64_t>();
    const int64_t n = logits.size(0), classes = logits.size(1);
    std::vector<bool> result;
    for (int64_t i = 0; i < n; ++i) {
        const auto row = z.subspan(i * classes, classes);
        const int64_t predicted = std::max_element(row.begin(), row.end()) - row.begin();
        result.push_back((predicted == y[i]) == goals.defined());
    }
    return result;
}

}  // namespace microtome
