// Stages: kernels that do in one step what several ops do. They exist in plans only, made by fuse(), so they
// have no vjp and are not in the list of ops; to a plan they look like ops.
#pragma once

#include "autograd/attributes.hpp"
#include "autograd/op.hpp"
#include "tensor/kernels/conv_stage.hpp"

namespace microtome::plan {

// y = pool(relu(conv2d(x, w) + bias + residual)).
// Inputs: x, filters (packed), bias (O) and residual where there are any. Outputs: y, and the gate if wanted.
struct ConvStageAttributes {
    kernels::ConvStage stage;
    bool bias = false, residual = false;
    void each(auto&& field) const;
};
const OpInfo& conv_stage();

// Its gradient by x. Inputs: g, filters (packed otherwise), the gate where stage.relu. Output: dx.
struct ConvStageGradientAttributes {
    kernels::ConvStage stage;
    void each(auto&& field) const;
};
const OpInfo& conv_stage_gradient();

// y = a w + bias + residual; a's rows are all but its last axis. Inputs: a, w (packed), bias (N) and residual
// where there are any.
struct LinearStageAttributes {
    int64_t k = 0, n = 0;
    Shape output{};
    bool bias = false, residual = false;
    void each(auto&& field) const;
};
const OpInfo& linear_stage();

}  // namespace microtome::plan
