// Stages: kernels that do in one step what several ops do. They exist in plans only, made by fuse(), so they
// have no vjp and are not in the list of ops; to a plan they look like ops.
#pragma once

#include "autograd/attributes.hpp"
#include "autograd/op.hpp"
#include "tensor/kernels/conv_stage.hpp"

#include <array>

namespace microtome::plan {

void each_stage_field(const kernels::ConvStage& stage, auto&& field) {
    const ConvShape& conv = stage.conv;
    field("x", conv.input());
    field("filters", conv.filters());
    field("stride", std::array{conv.stride_h, conv.stride_w});
    field("pad", std::array{conv.pad_top, conv.pad_bottom, conv.pad_left, conv.pad_right});
    field("groups", conv.groups);
    field("relu", stage.relu);
    field("pool", stage.pool);
    field("exact", stage.exact);
}

// y = pool(relu(conv2d(x, w) + bias + residual)).
// Inputs: x, filters (packed), bias (O) and residual where there are any. Outputs: y, and the gate if wanted.
struct ConvStageAttributes {
    kernels::ConvStage stage;
    bool bias = false, residual = false;
    void each(auto&& field) const {
        each_stage_field(stage, field);
        field("bias", bias);
        field("residual", residual);
    }
};
const OpInfo& conv_stage();

// Its gradient by x. Inputs: g, filters (packed otherwise), the gate where stage.relu. Output: dx.
struct ConvStageGradientAttributes {
    kernels::ConvStage stage;
    void each(auto&& field) const { each_stage_field(stage, field); }
};
const OpInfo& conv_stage_gradient();

// y = a w + bias + residual; a's rows are all but its last axis. Inputs: a, w (packed), bias (N) and residual
// where there are any.
struct LinearStageAttributes {
    int64_t k = 0, n = 0;
    Shape output{};
    bool bias = false, residual = false;
    void each(auto&& field) const {
        field("k", k);
        field("n", n);
        field("bias", bias);
        field("residual", residual);
    }
};
const OpInfo& linear_stage();

}  // namespace microtome::plan
