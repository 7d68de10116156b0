// Stages of plans on a GPU: products and convolutions with what follows them element by element, which is a
// library's epilogue, or the plain kernel's. With plain kernels they have the bits of the ops they replace.
#pragma once

#include "autograd/op.hpp"
#include "autograd/ops/conv2d_op.hpp"
#include "autograd/ops/matmul_op.hpp"

namespace microtome::plan {

// What follows; its tensors are inputs behind the two factors, in this order, where there are any.
struct Following {
    bool bias = false, residual = false, relu = false;
    bool operator==(const Following&) const = default;
    void each(auto&& field) const {
        field("bias", bias);
        field("residual", residual);
        field("relu", relu);
    }
};

// y = relu(a b + bias + residual) for two matrices; y has this shape, of as many elements. Outputs: y, and
// ReLU's gate where somebody reads it.
struct DeviceLinearAttributes {
    MatmulAttributes product;
    Following following;
    Shape output;
    void each(auto&& field) const {
        product.each(field);
        following.each(field);
    }
};
const OpInfo& device_linear_stage();

// y = relu(conv2d(x, w) + bias + residual). Outputs likewise.
struct DeviceConvAttributes {
    ConvOptions options;
    Following following;
    void each(auto&& field) const {
        each_conv_option(options, field);
        following.each(field);
    }
};
const OpInfo& device_conv_stage();

}  // namespace microtome::plan
