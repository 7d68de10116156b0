#include "nn/dropout.hpp"

#include "autograd/ops/dropout.hpp"
#include "autograd/ops/shaping.hpp"

#include <bit>
#include <numeric>

namespace microtome {
namespace {

double checked(const char* layer, double rate) {
    if (!(rate >= 0 && rate < 1)) throw OptionsError(layer, str("expected a rate in [0,1), got ", rate));
    return rate;
}

// What an op of random numbers is told: whose draw this is, and for which samples.
struct Draw {
    Tensor key, ids;
};

Tensor key_of(const char* layer, const std::string& path, const Pass& pass, const Tensor& x) {
    const Spec spec{{4}, Dtype::i64, x.device()};
    const uint64_t purpose = purpose_of(str(layer, ":", path));
    if (pass.key.defined()) {
        if (!(pass.key.spec() == spec))
            throw ShapeError(layer, str("expected a key ", spec, ", got ", pass.key.spec()),
                             "key_tensor() makes one");
        const Tensor own = Tensor::of({std::bit_cast<int64_t>(purpose)}, {1}).to(x.device());
        return concat({slice(pass.key, 0, 0, 1), own, slice(pass.key, 0, 2, 4)}, 0);
    }
    // Numbers known while shapes alone go through would be the plan's for good: the same draw at each replay.
    if (x.is_abstract()) return Tensor::abstract(spec);
    if (pass.step < 0)
        throw OptionsError(layer, "expected a pass that says its step, got none",
                           "model(x, {.seed = ..., .step = step}); the same step draws the same numbers");
    return key_tensor({.seed = pass.seed,
                       .purpose = purpose,
                       .restart = static_cast<uint32_t>(pass.restart),
                       .step = static_cast<uint32_t>(pass.step)})
        .to(x.device());
}

Tensor ids_of(const char* layer, const Pass& pass, const Tensor& x) {
    const int64_t samples = x.size(0);
    const Spec spec{{samples}, Dtype::i64, x.device()};
    if (pass.sample_ids.defined()) {
        if (!(pass.sample_ids.spec() == spec))
            throw ShapeError(layer, str("expected sample ids ", spec, ", got ", pass.sample_ids.spec()));
        return pass.sample_ids;
    }
    std::vector<int64_t> ids = pass.ids;
    if (ids.empty()) {
        ids.resize(static_cast<std::size_t>(samples));
        std::iota(ids.begin(), ids.end(), int64_t{0});
    } else if (static_cast<int64_t>(ids.size()) != samples) {
        throw ShapeError(layer, str("expected ids for ", samples, " samples or none, got ", ids.size()));
    } else if (x.is_abstract()) {
        return Tensor::abstract(spec);
    }
    return Tensor::of(ids, spec.shape).to(x.device());
}

Draw draw_of(const char* layer, const std::string& path, const Pass& pass, const Tensor& x) {
    if (x.rank() < 1) throw ShapeError(layer, str("expected a batch of samples, got ", x.spec()));
    return {key_of(layer, path, pass, x), ids_of(layer, pass, x)};
}

}  // namespace

Dropout::Dropout(double rate) : rate_(checked("dropout", rate)) {}

std::string Dropout::options() const {
    return str("rate ", rate_);
}

Tensor Dropout::forward(const Tensor& x, const Pass& pass) {
    if (!training() || rate_ == 0) return x;
    const Draw draw = draw_of("dropout", path(), pass, x);
    return dropout(x, rate_, draw.key, draw.ids);
}

DropPath::DropPath(double rate) : rate_(checked("drop_path", rate)) {}

std::string DropPath::options() const {
    return str("rate ", rate_);
}

Tensor DropPath::forward(const Tensor& x, const Pass& pass) {
    if (!training() || rate_ == 0) return x;
    const Draw draw = draw_of("drop_path", path(), pass, x);
    return drop_path(x, rate_, draw.key, draw.ids);
}

}  // namespace microtome
