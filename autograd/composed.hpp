// The gradient of a fused op, from the formula it fuses.
#pragma once

#include "autograd/op.hpp"

#include <functional>

namespace microtome {

// The vjp of an op of whom `formula` says in ops what its forward pass calculates: runs the formula on the
// op's inputs under a tape of its own, and pulls g back through it. Tapes around see ordinary ops, so
// derivatives of any order come of it. The op must save every input that its formula reads, whatever is
// needed; g may be undefined for outputs that nothing depends on.
Tensors composed_vjp(const Recorded& record, const Tensors& g,
                     const std::function<Tensors(const Tensors& inputs)>& formula);

}  // namespace microtome
