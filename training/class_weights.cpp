#include "training/class_weights.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/indexing.hpp"
#include "base/error.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <sstream>

namespace microtome {

std::vector<double> class_weights(const std::string& text, const std::vector<int64_t>& counts) {
    std::vector<double> weights;
    if (text == "balanced") {
        const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
        for (int64_t count : counts)
            weights.push_back(
                count > 0 ? all / (static_cast<double>(counts.size()) * static_cast<double>(count)) : 0);
        return weights;
    }
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        double weight = 0;
        const char* end = part.data() + part.size();
        const auto [stop, problem] = std::from_chars(part.data(), end, weight);
        if (problem != std::errc() || stop != end || !(weight >= 0) || !std::isfinite(weight))
            throw OptionsError(
                "class weights",
                str("expected balanced or a number of 0 or more for each class, got '", text, "'"));
        weights.push_back(weight);
    }
    if (weights.size() != counts.size())
        throw OptionsError("class weights", str("expected balanced or ", counts.size(),
                                                " numbers, one for each class, got ", weights.size()));
    if (std::all_of(weights.begin(), weights.end(), [](double weight) { return weight == 0; }))
        throw OptionsError("class weights", "expected a class that counts, got 0 for all");
    return weights;
}

Objective class_weighted(Objective objective, std::vector<double> weights) {
    return [objective = std::move(objective), weights = std::move(weights)](Module& model, const Batch& batch,
                                                                            const Pass& pass) {
        const Tensor losses = objective(model, batch, pass);
        if (batch.targets.dtype() != Dtype::i64 || !(batch.targets.shape() == losses.shape()))
            throw ShapeError("class weights", str("expected a class for each of the losses ", losses,
                                                  ", got ", batch.targets));
        // On the losses' device, which nobody waits for.
        const Tensor all = cast(Tensor::of(weights, {static_cast<int64_t>(weights.size())}), losses.dtype());
        return losses * take(all.to(losses.device()), batch.targets);
    };
}

}  // namespace microtome
