// Adversarial images as a file can hold them. An attack works with real numbers; a picture has 256 levels,
// and what was fooled before rounding may not be afterwards.
#pragma once

#include "attacks/attack.hpp"

namespace microtome {

// How far beyond its bounds a number may lie: what float arithmetic leaves of equality.
inline constexpr double kBoundTolerance = 1e-6;

// The adversarial images, f32 (N,H,W,C) in [0,1], in 8 bits, u8. Each value becomes the nearest level; where
// that leaves the ball around the original, it becomes the next level towards the original, so that the
// picture obeys the threat model too (to within kBoundTolerance). In an L2 ball, values that rounding moved
// away from the original are taken back, those it moved farthest first, until the image is inside. An
// original that is itself on the 8-bit grid can always be reached that way. Epsilons below one level leave
// nothing but the original of it: see docs/results.md.
Tensor round_to_8_bits(const Tensor& adversarial, const Tensor& original, const Threat& threat);

// Level / 255 in f32: what a reader makes of a file. To another device they go as bytes.
Tensor from_8_bits(const Tensor& images, Device device = kCpu);

// How far image i of a batch lies from its original, and how far outside its threat model: 0 inside,
// infinity when it is not finite.
struct Distance {
    double linf = 0, l2 = 0;
    double excess = 0;
};
Distance distance_of(const Tensor& images, const Tensor& originals, int64_t i, const Threat& threat);

}  // namespace microtome
