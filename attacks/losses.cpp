#include "attacks/losses.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/tape.hpp"
#include "base/suggest.hpp"

namespace microtome {
namespace {

struct Name {
    AttackLoss loss;
    std::string_view name;
};
constexpr Name kNames[] = {
    {AttackLoss::cross_entropy, "cross-entropy"}, {AttackLoss::margin, "margin"}, {AttackLoss::dlr, "dlr"}};

// The k-th largest logits from 0, (N).
Tensor ranked(const Tensor& sorted, int64_t k) {
    return reshape(slice(sorted, 1, k, k + 1), Shape{sorted.size(0)});
}

Tensor chosen(const Tensor& logits, const Tensor& classes) {
    const int64_t n = logits.size(0);
    return reshape(gather(logits, reshape(classes, Shape{n, 1}), 1), Shape{n});
}

Tensor value(AttackLoss loss, const Tensor& logits, const Tensor& labels, const Tensor& goals) {
    const bool targeted = goals.defined();
    switch (loss) {
        case AttackLoss::cross_entropy:
            return targeted ? -cross_entropy(logits, goals) : cross_entropy(logits, labels);
        case AttackLoss::margin: return targeted ? margin(logits, goals) : -margin(logits, labels);
        case AttackLoss::dlr: break;
    }
    const Tensor sorted = sort(logits, 1, true).values;
    const Tensor first = ranked(sorted, 0), third = ranked(sorted, 2);
    if (!targeted) {
        const Tensor distance = margin(logits, labels);
        return -distance / (first - third + 1e-12);
    }
    const Tensor fourth = ranked(sorted, 3);
    const Tensor wanted = chosen(logits, goals), own = chosen(logits, labels);
    return (wanted - own) / (first - 0.5 * (third + fourth) + 1e-12);
}

}  // namespace

std::string_view loss_name(AttackLoss loss) {
    for (const Name& entry : kNames)
        if (entry.loss == loss) return entry.name;
    return "unknown";
}

std::vector<std::string> loss_names() {
    std::vector<std::string> names;
    for (const Name& entry : kNames) names.emplace_back(entry.name);
    return names;
}

AttackLoss loss_by_name(std::string_view name) {
    for (const Name& entry : kNames)
        if (entry.name == name) return entry.loss;
    const std::string closest = closest_name(name, loss_names());
    throw OptionsError(
        "attack", str("expected a loss, got ", name),
        closest.empty() ? "there is cross-entropy, margin, dlr" : str("did you mean ", closest, "?"));
}

std::string loss_text(AttackLoss loss, bool targeted) {
    if (loss != AttackLoss::dlr) return std::string(loss_name(loss));
    return str("dlr, or margin below ", targeted ? 4 : 3, " classes");
}

AttackLoss loss_for(AttackLoss wanted, int64_t classes, bool targeted) {
    return wanted == AttackLoss::dlr && classes < (targeted ? 4 : 3) ? AttackLoss::margin : wanted;
}

LossAtLogits loss_at(AttackLoss loss, const Tensor& logits, const Tensor& labels, const Tensor& goals) {
    if (logits.rank() != 2) throw ShapeError("attack", str("expected logits (N, C), got ", logits.spec()));
    const Tensor z = logits.view(logits.shape());  // a variable of our own, that no other tape follows
    Tape tape;
    tape.watch(z);
    const Tensor values = value(loss_for(loss, z.size(1), goals.defined()), z, labels, goals);
    return {values.view(values.shape()), tape.gradient(values, z)};
}

}  // namespace microtome
