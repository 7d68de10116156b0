// Pictures of tissue have no up and down, and stains differ: training sees each image a little differently in
// every epoch.
#pragma once

#include "tensor/pixel_change.hpp"
#include "tensor/random.hpp"
#include "tensor/tensor.hpp"

#include <array>

namespace microtome {

// What may happen to an image. Every number is a limit, drawn uniformly up to it in both directions; 0 and
// false leave the image alone.
struct Augmentation {
    bool flip_horizontal = false;  // left becomes right, in half of all cases
    bool flip_vertical = false;    // top becomes bottom, in half of all cases
    bool right_angles = false;     // turned by 0, 90, 180 or 270 degrees; by 0 or 180 where H is not W
    int64_t crop_padding = 0;      // pixels: moved by whole ones, black beyond the edge (pad, then crop)
    double rotation = 0;           // degrees, up to 180
    double shear = 0;              // degrees, below 90
    double zoom = 0;               // below 1: the size is multiplied by 1 - zoom to 1 + zoom
    double shift = 0;              // parts of the height and of the width, up to 1
    double brightness = 0;         // up to 1: the image is multiplied by 1 - brightness to 1 + brightness
    double channel_shift = 0;      // up to 1: this much is added to each channel by itself
    Border border = Border::mirror;

    bool nothing() const;  // whether every image is left as it is
    friend bool operator==(const Augmentation&, const Augmentation&) = default;
};

// Throws OptionsError for a number out of its range.
void require_augmentation(const Augmentation& options);

// What does happen to one image, in this order.
struct Change {
    bool flip_horizontal = false, flip_vertical = false;
    int quarters = 0;                 // counter-clockwise
    int64_t move_y = 0, move_x = 0;   // pixels, down and to the right
    double rotation = 0, shear = 0;   // degrees; counter-clockwise; the top row moves right
    double zoom = 1;                  // about the centre, as rotation and shear
    double shift_y = 0, shift_x = 0;  // parts of the height and of the width
    double brightness = 1;            // factor
    std::array<float, 3> channel_shift{};
};

// The key says which image of which epoch: nothing else matters. What one option draws does not depend on the
// others. Throws as require_augmentation() does.
Change draw_change(const Augmentation& options, const RandomKey& key, int64_t height, int64_t width);

// image f32 (H,W,C), C = 1 or 3, in [0,1]; the result has the same shape and range. Rotation, shear, zoom and
// shift are one map, read off bilinearly between the four pixels around; brightness and channel shift are cut
// off at 0 and 1. Flips and quarters are exact, and what changes nothing returns the same bits. Throws
// ShapeError, DtypeError, OptionsError for a zoom of 0 or below and for numbers that are not finite.
Tensor change(const Tensor& image, const Change& change, Border border = Border::mirror);

// The same in numbers, for an image of that size, as GPUs take it (tensor/cuda/augment.cu). Throws as
// change() does, and ShapeError for a quarter of a turn of what is no square.
PixelChange pixel_change(const Change& change, Border border, int64_t height, int64_t width);

// draw_change() and change().
Tensor augment(const Tensor& image, const Augmentation& options, const RandomKey& key);

}  // namespace microtome
