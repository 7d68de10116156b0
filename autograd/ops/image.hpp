// Geometry and filters of images (N, H, W, C).
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

enum class Antialias { no, yes };

// To oh x ow pixels, with half-pixel centres; beyond the edge lies the edge's pixel again. Linear in x, so
// the gradient is exact. A size that stays leaves its axis untouched.
//
// Without antialias bilinear is what Keras's Resizing and PyTorch's interpolate(align_corners=False) do, and
// bicubic PyTorch's (cubic convolution, Keys 1981, with a = -3/4), as for a ViT's position embeddings. With
// antialias, as in Pillow, a shrinking image is averaged over what each new pixel covers, the filter is cut
// at the edge, and bicubic has a = -1/2.
Tensor resize_bilinear(const Tensor& x, int64_t oh, int64_t ow, Antialias antialias = Antialias::no);
Tensor resize_bicubic(const Tensor& x, int64_t oh, int64_t ow, Antialias antialias = Antialias::no);

// Each channel convolved with a Gaussian of standard deviation sigma, cut at radius and normalised; the image
// is mirrored at its edge pixels, which are not repeated (reflect-101, as in OpenCV and torchvision). Throws
// OptionsError unless sigma > 0 and the radius is from 0 to kMostBlurRadius.
Tensor gaussian_blur(const Tensor& x, double sigma, int64_t radius);

// x seen through an affine map, theta (N, 2, 3): pixel (X, Y) of the result, in coordinates where the image
// spans -1 to 1 from edge to edge, is x at theta (X, Y, 1)^T, bilinearly between pixel centres, and 0
// outside. PyTorch's affine_grid and grid_sample with align_corners=False, at x's size (Jaderberg et al.
// 2015, equations 1 and 5). Differentiable in both; where a point meets a pixel centre's row or column, the
// derivative by theta is that to the right.
Tensor affine_warp(const Tensor& x, const Tensor& theta);

// Per image, (N): the sum of |x[i+1][j] - x[i][j]| and |x[i][j+1] - x[i][j]| over pixels and channels, the
// anisotropic form of Rudin, Osher and Fatemi (1992). The derivative of |0| is 0.
Tensor total_variation(const Tensor& x);

}  // namespace microtome
