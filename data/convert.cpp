#include "data/convert.hpp"

#include "base/error.hpp"
#include "tensor/kernels/resample.hpp"

#include <algorithm>

namespace microtome {
namespace {

void require_image(const char* where, const Tensor& image) {
    if (image.dtype() != Dtype::u8) throw DtypeError(where, str("expected u8, got ", image.spec()));
    if (image.rank() != 3 || (image.size(2) != 1 && image.size(2) != 3) || image.elements() == 0)
        throw ShapeError(where, str("expected an image (H,W,1) or (H,W,3), got ", image.spec()));
}

Tensor resized_along(const Tensor& x, int axis, int64_t size) {
    if (x.size(axis) == size) return x;
    Tensor y(Spec{x.shape().with(axis, size), Dtype::f32, kCpu});
    KernelContext context;
    kernels::apply_along_axis(resize_matrix(x.size(axis), size, Interpolation::bilinear, false), x, axis, y,
                              context);
    return y;
}

}  // namespace

Tensor resized(const Tensor& image, int64_t height, int64_t width) {
    require_image("resized", image);
    if (image.size(0) == height && image.size(1) == width) return image;
    Tensor x(Spec{image.shape(), Dtype::f32, kCpu});
    const std::span<const uint8_t> bytes = image.data<uint8_t>();
    std::copy(bytes.begin(), bytes.end(), x.mutable_data<float>().begin());
    const Tensor y = resized_along(resized_along(x, 0, height), 1, width);

    Tensor result(Spec{y.shape(), Dtype::u8, kCpu});
    const std::span<const float> from = y.data<float>();
    const std::span<uint8_t> to = result.mutable_data<uint8_t>();
    for (std::size_t i = 0; i < to.size(); ++i)  // means of bytes; a last bit over 255 is rounded off
        to[i] = static_cast<uint8_t>(static_cast<int>(from[i] + 0x1.8p23f - 0x1.8p23f));
    return result;
}

Tensor grey(const Tensor& image) {
    require_image("grey", image);
    if (image.size(2) == 1) return image;
    Tensor result(Spec{image.shape().with(2, 1), Dtype::u8, kCpu});
    const uint8_t* rgb = image.data<uint8_t>().data();
    for (uint8_t& value : result.mutable_data<uint8_t>()) {
        value = static_cast<uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
        rgb += 3;
    }
    return result;
}

Tensor colour(const Tensor& image) {
    require_image("colour", image);
    if (image.size(2) == 3) return image;
    Tensor result(Spec{image.shape().with(2, 3), Dtype::u8, kCpu});
    uint8_t* rgb = result.mutable_data<uint8_t>().data();
    for (uint8_t value : image.data<uint8_t>()) {
        rgb[0] = rgb[1] = rgb[2] = value;
        rgb += 3;
    }
    return result;
}

}  // namespace microtome
