#include "autograd/ops/losses.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/ops/softmax.hpp"

namespace microtome {

Tensor cross_entropy(const Tensor& logits, const Tensor& targets) {
    if (logits.rank() != 2)
        throw ShapeError("cross_entropy", str("expected logits (N, C), got ", logits.spec()));
    const int64_t n = logits.size(0), classes = logits.size(1);
    if (targets.dtype() != Dtype::i64) {
        if (!(targets.spec() == logits.spec()))
            throw ShapeError("cross_entropy", str("expected targets ", logits.spec(), " or i64(", n,
                                                  "), got ", targets.spec()));
        return -sum(targets * log_softmax(logits), {1});
    }
    if (!(targets.shape() == Shape{n}))
        throw ShapeError("cross_entropy", str("expected labels i64(", n, ") for logits ", logits.spec(),
                                              ", got ", targets.spec()));
    if (!targets.is_abstract())
        for (int64_t label : targets.data<int64_t>())
            if (label < 0 || label >= classes)
                throw ShapeError("cross_entropy",
                                 str("expected labels from 0 to ", classes - 1, ", got ", label));
    return logsumexp(logits) - reshape(gather(logits, reshape(targets, Shape{n, 1}), 1), Shape{n});
}

}  // namespace microtome
