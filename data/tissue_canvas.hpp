// A section under the microscope: how much of which dye is where, and the image that light makes of it.
#pragma once

#include "data/tissue_noise.hpp"
#include "tensor/tensor.hpp"

#include <vector>

namespace microtome::tissue {

// Optical densities (base 10) of what colours a section: haematoxylin (nuclei, blue), eosin (protein, pink)
// and the blood's own haemoglobin (red).
struct Dye {
    float haematoxylin = 0, eosin = 0, blood = 0;
    friend Dye operator+(Dye a, Dye b) {
        return {a.haematoxylin + b.haematoxylin, a.eosin + b.eosin, a.blood + b.blood};
    }
    friend Dye operator*(float s, Dye a) { return {s * a.haematoxylin, s * a.eosin, s * a.blood}; }
};
inline Dye mix(Dye a, Dye b, float t) {
    return (1 - t) * a + t * b;
}

// `size` x `size` pixels over about 100 units, turned at random about the origin.
class Canvas {
  public:
    Canvas(int64_t size, Vec middle, Vec right, float zoom);

    int64_t size() const { return size_; }
    const std::vector<Dye>& dyes() const { return dyes_; }  // row by row
    float pixel() const { return pixel_; }                  // a pixel's side in units
    Vec middle() const { return middle_; }
    float reach() const { return 0.72f * pixel_ * static_cast<float>(size_); }  // middle to corner, and some

    // Where in the tissue a place in the picture lies; the picture is [-1,1] x [-1,1].
    Vec point(Vec place) const {
        const float half = 0.5f * pixel_ * static_cast<float>(size_);
        return middle_ + half * (place.x * right_ + place.y * across(right_));
    }

    // How much of a pixel is inside an edge, of which it is `distance` outside.
    float inside(float distance) const { return clamp(0.5f - distance / edge_, 0, 1); }

    // Every pixel becomes dye(p).
    template <class Shade>
    void fill(Shade&& shade) {
        for (int64_t row = 0; row < size_; ++row)
            for (int64_t column = 0; column < size_; ++column)
                dyes_[static_cast<std::size_t>(row * size_ + column)] = shade(pixel_at(column, row));
    }

    // Every pixel within `radius` of p becomes shade(where, what it was).
    template <class Shade>
    void stamp(Vec p, float radius, Shade&& shade) {
        const Vec d = p - middle_;
        const float half = 0.5f * static_cast<float>(size_);
        const float x = dot(d, right_) / pixel_ + half, y = dot(d, across(right_)) / pixel_ + half;
        const float r = radius / pixel_;
        const int64_t first_row = first(y - r), last_row = last(y + r);
        const int64_t first_column = first(x - r), last_column = last(x + r);
        for (int64_t row = first_row; row <= last_row; ++row)
            for (int64_t column = first_column; column <= last_column; ++column) {
                Dye& dye = dyes_[static_cast<std::size_t>(row * size_ + column)];
                dye = shade(pixel_at(column, row), dye);
            }
    }

    // The image u8 (size, size, 3): staining, light, focus and the camera's noise vary from image to image.
    Tensor develop(const Origin& origin) const;

  private:
    Vec pixel_at(int64_t column, int64_t row) const {
        const float per_half = 2.0f / static_cast<float>(size_);
        return point({(static_cast<float>(column) + 0.5f) * per_half - 1,
                      (static_cast<float>(row) + 0.5f) * per_half - 1});
    }
    int64_t first(float x) const { return static_cast<int64_t>(clamp(x, 0, static_cast<float>(size_))); }
    int64_t last(float x) const { return static_cast<int64_t>(clamp(x, -1, static_cast<float>(size_ - 1))); }

    int64_t size_;
    Vec middle_, right_;
    float pixel_, edge_;
    std::vector<Dye> dyes_;
};

}  // namespace microtome::tissue
