#include "autograd/ops/losses.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/comparison.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/ops/softmax.hpp"

#include <limits>

namespace microtome {
namespace {

void require_logits(const char* loss, const Tensor& logits) {
    if (logits.rank() != 2) throw ShapeError(loss, str("expected logits (N, C), got ", logits.spec()));
}

void require_labels(const char* loss, const Tensor& logits, const Tensor& labels) {
    const int64_t n = logits.size(0), classes = logits.size(1);
    if (!(labels.shape() == Shape{n}) || labels.dtype() != Dtype::i64)
        throw ShapeError(
            loss, str("expected labels i64(", n, ") for logits ", logits.spec(), ", got ", labels.spec()));
    if (labels.is_abstract() || labels.device().kind != Device::Kind::cpu)
        return;  // GPU kernels look themselves
    for (int64_t label : labels.data<int64_t>())
        if (label < 0 || label >= classes)
            throw ShapeError(loss, str("expected labels from 0 to ", classes - 1, ", got ", label));
}

void require_alike(const char* loss, const char* roles, const Tensor& a, const Tensor& b) {
    if (!(a.spec() == b.spec()))
        throw ShapeError(
            loss, str("expected ", roles, " of one shape and type, got ", a.spec(), " and ", b.spec()));
}

// z_label, (N).
Tensor of_label(const Tensor& logits, const Tensor& labels) {
    const int64_t n = logits.size(0);
    return reshape(gather(logits, reshape(labels, Shape{n, 1}), 1), Shape{n});
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets) {
    require_logits("cross_entropy", logits);
    if (targets.dtype() == Dtype::i64) {
        require_labels("cross_entropy", logits, targets);
        // Named, because the order of operands is the compiler's choice, and tapes shall be the same.
        const Tensor chosen = of_label(logits, targets);
        return logsumexp(logits) - chosen;
    }
    if (!(targets.spec() == logits.spec()))
        throw ShapeError("cross_entropy", str("expected targets ", logits.spec(), " or i64(", logits.size(0),
                                              "), got ", targets.spec()));
    return -sum(targets * log_softmax(logits), {1});
}

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& targets) {
    constexpr auto loss = "binary_cross_entropy_with_logits";
    require_logits(loss, logits);
    require_alike(loss, "logits and targets", logits, targets);
    return sum(targets * softplus(-logits) + (1.0 - targets) * softplus(logits), {1});
}

Tensor kl_divergence(const Tensor& p_logits, const Tensor& q_logits) {
    require_logits("kl_divergence", p_logits);
    require_alike("kl_divergence", "logits", p_logits, q_logits);
    Tensor log_p = log_softmax(p_logits);
    return sum(exp(log_p) * (log_p - log_softmax(q_logits)), {1});
}

Tensor margin(const Tensor& logits, const Tensor& labels) {
    require_logits("margin", logits);
    require_labels("margin", logits, labels);
    if (logits.size(1) < 2)
        throw ShapeError("margin", str("expected at least two classes, got logits ", logits.spec()));
    Tensor others = where(one_hot(labels, logits.size(1), logits.dtype()),
                          -std::numeric_limits<double>::infinity(), logits);
    return of_label(logits, labels) - max(others, 1);
}

Tensor mean_squared_error(const Tensor& prediction, const Tensor& target) {
    require_alike("mean_squared_error", "prediction and target", prediction, target);
    if (prediction.rank() == 0)
        throw ShapeError("mean_squared_error", str("expected (N, ...), got ", prediction.spec()));
    std::vector<int> axes;
    for (int axis = 1; axis < prediction.rank(); ++axis) axes.push_back(axis);
    return mean(square(prediction - target), axes);
}

Tensor smooth_labels(const Tensor& labels, int64_t classes, double amount, Dtype dtype) {
    if (!(amount >= 0 && amount <= 1))
        throw OptionsError("smooth_labels", str("expected an amount from 0 to 1, got ", amount));
    return one_hot(labels, classes, dtype) * (1 - amount) + amount / static_cast<double>(classes);
}

}  // namespace microtome
