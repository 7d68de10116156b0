// Images in a page: samples with what a model took them for, attacks and their perturbations.
#pragma once

#include "report/svg.hpp"
#include "tensor/tensor.hpp"

#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace microtome::report {

// RFC 4648, with padding.
std::string base64(std::string_view bytes);

// "data:image/png;base64,...": the image inside the page itself. image as for encode_png(): (H,W,1) or
// (H,W,3), u8, or f32 in [0,1].
std::string png_data_uri(const Tensor& image);

// A perturbation made visible: `image` is f32 (H,W,C) in [0,1], mid-grey where nothing changed, white where
// `scale` was added and black where it was taken away.
struct VisiblePerturbation {
    Tensor image{};
    double scale = 0;
};

// delta: f32 (H,W,C). scale 0 means the largest change in it.
VisiblePerturbation visible_perturbation(const Tensor& delta, double scale = 0);

// adversarial - original, both (H,W,C), u8 or f32 in [0,1], as f32 in units of [0,1]. Throws ShapeError.
Tensor difference(const Tensor& original, const Tensor& adversarial);

// The image with no side above `side`: as it is, or squares of k x k pixels as one, their mean or their
// middle pixel. Large images would make a large page, and are shown small anyway.
enum class Shrink { mean, middle };
Tensor shrunk(const Tensor& image, int64_t side, Shrink how = Shrink::mean);

struct Guess {
    std::string name{};                                            // of the class
    double confidence = std::numeric_limits<double>::quiet_NaN();  // NaN: not said
};

struct SamplePicture {
    Tensor image{};
    std::string truth{};
    Guess guess{};
};

// Green frames for what is right and red ones for what is not, each with a mark in words.
Html draw_samples(const std::vector<SamplePicture>& samples);

struct PerturbationStrip {
    Tensor original{};
    Tensor adversarial{};
    std::string truth{};
    Guess before{};
    Guess after{};
    std::string attack{};  // "PGD, ε = 2/255"
};

// Rows of three: the original, the perturbation with its scale, and the adversarial image.
Html draw_strips(const std::vector<PerturbationStrip>& strips);

struct Picture {
    Tensor image{};
    std::string caption{};
};

Html draw_pictures(const std::vector<Picture>& pictures);

// A universal perturbation (f32, H,W,C) beside a sentence that says its scale.
Picture perturbation_picture(const Tensor& delta, const std::string& name);

}  // namespace microtome::report
