#include "training/callback.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace microtome {

double value_of(const EpochRecord& record, const std::string& name) {
    std::optional<double> value;
    if (name == "loss") value = record.loss;
    if (name == "accuracy") value = record.accuracy;
    if (name == "val_loss") value = record.val_loss;
    if (name == "val_accuracy") value = record.val_accuracy;
    if (auto own = record.metrics.find(name); own != record.metrics.end()) value = own->second;
    if (!value)
        throw OptionsError("training", str("expected an epoch with ", name, ", got one without"),
                           name.starts_with("val_") ? "give the training validation images, or monitor loss"
                                                    : "the callback that adds it comes first");
    return *value;
}

NamedTensor numbers_entry(const std::string& name, const std::vector<double>& values) {
    return {name, Tensor::of(values, {static_cast<int64_t>(values.size())})};
}

std::vector<double> numbers_in(const NamedTensors& state, const std::string& name, std::size_t count) {
    auto found = std::find_if(state.begin(), state.end(), [&](const auto& e) { return e.name == name; });
    const Spec expected{{static_cast<int64_t>(count)}, Dtype::f64, kCpu};
    if (found == state.end())
        throw FormatError("restore", str("expected key ", name, " ", expected, ", got none"));
    if (!(found->tensor.spec() == expected))
        throw FormatError("restore",
                          str("expected key ", name, " as ", expected, ", got ", found->tensor.spec()));
    const auto values = found->tensor.data<double>();
    return {values.begin(), values.end()};
}

}  // namespace microtome
