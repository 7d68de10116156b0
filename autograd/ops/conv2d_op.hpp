// What the three convolutions share: they are one geometry, read in three directions.
//
//     y  = conv2d(x, w)
//     dx = conv2d_input_gradient(g, w)      <conv2d(x, w), g> = <x, dx> = <w, dw>
//     dw = conv2d_weight_gradient(x, g)
//
// Each is linear in both arguments, and the derivative of each by each is one of the three, so the family is
// closed under differentiation.
#pragma once

#include "autograd/describe.hpp"
#include "autograd/ops/linear.hpp"

#include <array>

namespace microtome {

void each_conv_option(const ConvOptions& o, auto&& field) {
    field("stride", std::array{o.stride_h, o.stride_w});
    field("dilation", std::array{o.dilation_h, o.dilation_w});
    field("pad", std::array{o.pad_top, o.pad_bottom, o.pad_left, o.pad_right});
    field("groups", o.groups);
}

// Here for the plan too, which looks at them to fuse.
struct Conv2dAttributes {
    ConvOptions options;
    void each(auto&& field) const { each_conv_option(options, field); }
};
struct Conv2dInputGradientAttributes {
    ConvOptions options;
    int64_t h = 0, w = 0;  // of the input
    void each(auto&& field) const {
        each_conv_option(options, field);
        field("h", h);
        field("w", w);
    }
};

inline void require_images(std::string_view op, const Specs& in) {
    if (!is_floating(in[0].dtype) || in[0].dtype != in[1].dtype)
        throw DtypeError(op, str("expected two floating tensors of one type, got ", in[0], " and ", in[1]));
}

// The gradient g must have the shape that the forward pass gave.
inline ConvShape require_output(std::string_view op, const ConvShape& shape, const Spec& g) {
    if (!(g.shape == shape.output()))
        throw ShapeError(op, str("expected g ", shape.output(), " for x ", shape.input(), " and filters ",
                                 shape.filters(), ", got ", g));
    return shape;
}

// The geometries that hurt, for all three: sample(name, x shape, filter shape, options).
template <class Sample>
void conv_geometries(const Sample& sample) {
    sample("3x3 same", Shape{2, 4, 5, 2}, Shape{3, 3, 3, 2},
           ConvOptions{.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1});
    sample("3x3 valid, odd", Shape{1, 5, 4, 1}, Shape{2, 3, 3, 1}, ConvOptions{});
    sample("1x1", Shape{1, 2, 3, 3}, Shape{2, 1, 1, 3}, ConvOptions{});
    sample("stride 2 that leaves a row over", Shape{1, 6, 5, 2}, Shape{2, 3, 3, 2},
           ConvOptions{.stride_h = 2, .stride_w = 2, .pad_top = 1, .pad_left = 1});
    sample("stride 3 past the filter", Shape{1, 7, 7, 1}, Shape{1, 2, 2, 1},
           ConvOptions{.stride_h = 3, .stride_w = 3});
    sample("dilated", Shape{1, 6, 7, 1}, Shape{2, 3, 2, 1}, ConvOptions{.dilation_h = 2, .dilation_w = 3});
    sample("padding on four sides", Shape{1, 3, 3, 1}, Shape{1, 2, 3, 1},
           ConvOptions{.pad_top = 2, .pad_bottom = 1, .pad_left = 0, .pad_right = 3});
    sample("groups", Shape{1, 3, 4, 4}, Shape{6, 2, 2, 2}, ConvOptions{.groups = 2});
    sample("depthwise", Shape{1, 4, 4, 3}, Shape{3, 3, 3, 1},
           ConvOptions{.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1, .groups = 3});
    sample("channels past a vector and a tile", Shape{1, 2, 3, 17}, Shape{33, 1, 2, 17}, ConvOptions{});
    sample("channels just short of a vector", Shape{1, 3, 3, 15}, Shape{15, 2, 2, 15},
           ConvOptions{.pad_left = 1});
    sample("no images", Shape{0, 4, 4, 1}, Shape{1, 3, 3, 1}, ConvOptions{});
}

}  // namespace microtome
