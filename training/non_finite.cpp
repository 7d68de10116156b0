#include "training/non_finite.hpp"

#include "autograd/op.hpp"

#include <cmath>

namespace microtome {
namespace {

class FirstNonFinite : public OpObserver {
  public:
    std::vector<std::string> layers;  // that run at present, the innermost last
    std::string found;

    void ran(const OpInfo& op, const std::shared_ptr<const void>&, const Tensors& inputs,
             const Tensors& outputs, const Tensors&) override {
        if (!found.empty()) return;
        for (const Tensor& input : inputs)
            if (count_non_finite(input) > 0) return;
        for (const Tensor& output : outputs) {
            const int64_t count = count_non_finite(output);
            if (count == 0) continue;
            found = str(op.name, layers.empty() ? "" : " in " + layers.back(), ", ", count, " of ",
                        output.elements(), " elements ", output.shape());
            return;
        }
    }
};

}  // namespace

int64_t count_non_finite(const Tensor& given) {
    if (!given.defined() || given.is_abstract()) return 0;
    const Tensor x = given.to(kCpu);
    int64_t count = 0;
    if (x.dtype() == Dtype::f32)
        for (float value : x.data<float>()) count += !std::isfinite(value);
    if (x.dtype() == Dtype::f64)
        for (double value : x.data<double>()) count += !std::isfinite(value);
    return count;
}

std::string first_non_finite_op(const Module& model, const Pass& pass,
                                const std::function<void(const Pass&)>& step) {
    std::vector<std::pair<std::string, Module*>> names = model.named_modules();
    FirstNonFinite observer;
    Pass told = pass;
    told.before = [&](const Module& module, const Tensor&) {
        std::string name = str(module.kind());
        for (const auto& [path, known] : names)
            if (known == &module && !path.empty()) name = str(path, " (", module.kind(), ")");
        observer.layers.push_back(name);
    };
    told.after = [&](const Module&, const Tensor&, const Tensor&) { observer.layers.pop_back(); };
    ObserveOps observing(observer);
    step(told);
    return observer.found;
}

std::string non_finite_names(const std::vector<NamedParameter>& named, const Tensors& tensors) {
    std::string first;
    int64_t others = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (count_non_finite(tensors[i]) == 0) continue;
        if (first.empty())
            first = named[i].name;
        else
            ++others;
    }
    return others == 0 ? first : str(first, " and ", others, " more");
}

}  // namespace microtome
