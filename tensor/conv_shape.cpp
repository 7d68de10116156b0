#include "tensor/conv_shape.hpp"

namespace microtome {
namespace {

constexpr int64_t kLargest = int64_t{1} << 30;  // keeps every product of two sizes far from overflow

void require_between(const char* name, int64_t value, int64_t least) {
    if (value < least || value > kLargest)
        throw OptionsError("conv2d", str("expected ", name, " from ", least, " to 2^30, got ", value));
}

int64_t output_size(const char* axis, int64_t size, int64_t padding, int64_t kernel, int64_t stride,
                    int64_t dilation) {
    int64_t reach = (kernel - 1) * dilation + 1;  // how many pixels the filter spans
    if (size + padding < reach)
        throw ShapeError(
            "conv2d",
            str("expected the filter to fit into the padded image along ", axis, ", got a filter of ", kernel,
                " taps that spans ", reach, " pixels and ", size, " + ", padding, " pixels"),
            "pad the image, or make kernel or dilation smaller");
    return (size + padding - reach) / stride + 1;
}

}  // namespace

ConvShape conv_shape(const Shape& x, const Shape& filters, const ConvOptions& options) {
    if (x.rank() != 4) throw ShapeError("conv2d", str("expected x (N,H,W,C), got ", x));
    if (filters.rank() != 4)
        throw ShapeError("conv2d", str("expected filters (O,KH,KW,C/groups), got ", filters));
    require_between("stride_h", options.stride_h, 1);
    require_between("stride_w", options.stride_w, 1);
    require_between("dilation_h", options.dilation_h, 1);
    require_between("dilation_w", options.dilation_w, 1);
    require_between("pad_top", options.pad_top, 0);
    require_between("pad_bottom", options.pad_bottom, 0);
    require_between("pad_left", options.pad_left, 0);
    require_between("pad_right", options.pad_right, 0);
    require_between("groups", options.groups, 1);

    ConvShape s;
    static_cast<ConvOptions&>(s) = options;
    s.n = x[0], s.h = x[1], s.w = x[2], s.c = x[3];
    s.o = filters[0], s.kh = filters[1], s.kw = filters[2];
    if (s.kh < 1 || s.kw < 1 || s.kh > kLargest || s.kw > kLargest)
        throw ShapeError("conv2d", str("expected filters of 1 x 1 taps or more, got ", filters));
    if (s.c != filters[3] * s.groups)
        throw ShapeError("conv2d",
                         str("expected x with ", filters[3] * s.groups, " channels to match filters ",
                             filters, s.groups > 1 ? str(" in ", s.groups, " groups") : "", ", got ", x),
                         "activations are NHWC, filters are OHWI");
    if (s.o % s.groups != 0)
        throw ShapeError("conv2d", str("expected output channels in a multiple of ", s.groups,
                                       " groups, got filters ", filters));
    s.oh = output_size("H", s.h, s.pad_top + s.pad_bottom, s.kh, s.stride_h, s.dilation_h);
    s.ow = output_size("W", s.w, s.pad_left + s.pad_right, s.kw, s.stride_w, s.dilation_w);
    s.output();  // throws when there are too many elements
    return s;
}

}  // namespace microtome
