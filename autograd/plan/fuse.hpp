// Rewrites a traced computation into one that does the same with fewer, larger steps.
#pragma once

#include "autograd/plan/graph.hpp"

namespace microtome::plan {

// Where channels are scaled behind a convolution of constant filters (a batch norm in eval mode), scales the
// filters instead; on the way back likewise. Rounds differently.
void fold_scales(Graph& graph);

// Convolution, bias, residual, ReLU and 2x2 max-pooling become one stage; unpooling, gate and the
// convolution's input gradient another; products with a constant matrix take bias and residual along, and the
// matrix is packed once. `exact`: the stages have the bits of the ops they replace.
void fuse(Graph& graph, bool exact);

}  // namespace microtome::plan
