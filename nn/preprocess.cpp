#include "nn/preprocess.hpp"

#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/image.hpp"

#include <cmath>

namespace microtome {
namespace {

Tensor channel_row(const std::vector<double>& values, const Tensor& x) {
    return visit_floating("preprocess", x.dtype(), [&]<class T>() {
        return Tensor::of(std::vector<T>(values.begin(), values.end()),
                          Shape{static_cast<int64_t>(values.size())})
            .to(x.device());
    });
}

}  // namespace

Preprocess::Preprocess(const ImageOptions& options) : options_(options) {
    const auto& [height, width, channels, resize, low, high, mean, deviation] = options_;
    if (height < 1 || width < 1 || channels < 1)
        throw OptionsError("preprocess", str("expected image sizes of 1 or more, got ", height, "x", width,
                                             " with ", channels, " channels"));
    if (!(high > low) || !std::isfinite(high - low))
        throw OptionsError("preprocess", str("expected a pixel range, got [", low, ",", high, "]"));
    if (mean.size() != deviation.size() ||
        (!mean.empty() && mean.size() != static_cast<std::size_t>(channels)))
        throw OptionsError("preprocess",
                           str("expected a mean and a deviation for each of ", channels,
                               " channels or none, got ", mean.size(), " and ", deviation.size()));
    for (std::size_t c = 0; c < mean.size(); ++c)
        if (!(deviation[c] > 0) || !std::isfinite(mean[c]) || !std::isfinite(deviation[c]))
            throw OptionsError("preprocess", str("expected finite means and deviations above 0, got ",
                                                 mean[c], " and ", deviation[c]));

    if (mean.empty() && low == 0 && high == 1) return;
    for (int64_t c = 0; c < channels; ++c) {
        const double center = mean.empty() ? 0 : mean[c], unit = mean.empty() ? 1 : deviation[c];
        scale_.push_back((high - low) / unit);
        shift_.push_back((low - center) / unit);
    }
}

std::string Preprocess::options() const {
    return str(options_.height, "x", options_.width, ", [0,1] to [", options_.low, ",", options_.high, "]",
               options_.mean.empty() ? "" : ", normalised", options_.resize ? ", resizes" : "");
}

Tensor Preprocess::forward(const Tensor& x, const Pass&) {
    const ImageOptions& o = options_;
    const bool fits = x.rank() == 4 && x.size(3) == o.channels;
    const bool same_size = fits && x.size(1) == o.height && x.size(2) == o.width;
    if (!fits || (!same_size && !o.resize))
        throw ShapeError("preprocess", str("expected images (N,", o.height, ",", o.width, ",", o.channels,
                                           "), got ", x.spec()));
    Tensor sized = same_size ? x : resize_bilinear(x, o.height, o.width);
    if (scale_.empty()) return sized;
    return multiply_add(sized, channel_row(scale_, x), channel_row(shift_, x));
}

}  // namespace microtome
