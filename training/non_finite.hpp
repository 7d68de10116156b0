// Where a NaN or an infinity came from.
#pragma once

#include "base/error.hpp"
#include "nn/module.hpp"

#include <functional>

namespace microtome {

// A loss or a gradient that is no number, and where it arose.
class NonFiniteError : public Error {
    using Error::Error;
};

// How many elements of a floating tensor are NaN or infinite; 0 for other types.
int64_t count_non_finite(const Tensor& x);

// Runs `step`, which calls the model under the pass it is given and takes a gradient, once more, op by op,
// and names the first op that made a NaN or an infinity of finite inputs, with the layer it ran in: "log in
// fc2 (Linear)". Empty when no op did.
std::string first_non_finite_op(const Module& model, const Pass& pass,
                                const std::function<void(const Pass&)>& step);

// The names of those whose tensor has such elements, the first few of them: "fc2.weight and 3 more". Empty:
// none.
std::string non_finite_names(const std::vector<NamedParameter>& named, const Tensors& tensors);

}  // namespace microtome
