// What lies in tissue of any kind: nuclei, red blood cells, stroma.
#pragma once

#include "data/tissue_canvas.hpp"

#include <optional>
#include <vector>

namespace microtome::tissue {

// An ellipse with half axes `longer` along `axis` and `shorter` across it, its outline bent a little.
struct Nucleus {
    Vec centre;
    Vec axis{1, 0};
    float longer = 3, shorter = 2;
    float density = 0.8f;    // of haematoxylin, on average
    float chromatin = 0.3f;  // how coarse and clumped: 0 is smooth
    float membrane = 0.2f;   // more haematoxylin at the rim
    float nucleolus = 0;     // half axis of a dark dot; 0: none to be seen
    float bend = 0.12f;
};

class NucleusPainter {
  public:
    explicit NucleusPainter(const Origin& origin);
    void paint(Canvas& canvas, const Nucleus& nucleus) const;
    void paint(Canvas& canvas, const std::vector<Nucleus>& nuclei) const {
        for (const Nucleus& nucleus : nuclei) paint(canvas, nucleus);
    }

  private:
    Noise outline_, chromatin_;
    float open_;  // chromatin at the rim alone (0.6), or all over the nucleus (0): differs between slides
};

// `tries` points anywhere in the picture; what `propose` makes of them is kept unless it overlaps with one
// kept before, both shrunk by `crowding` (1: they may touch).
template <class Propose>
std::vector<Nucleus> scatter(const Canvas& canvas, Dice& dice, int tries, float crowding, Propose&& propose) {
    std::vector<Nucleus> kept;
    for (int i = 0; i < tries; ++i) {
        const float u = dice.uniform(-1.06f, 1.06f), v = dice.uniform(-1.06f, 1.06f);
        std::optional<Nucleus> proposed = propose(canvas.point({u, v}));
        if (!proposed) continue;
        bool free = true;
        for (const Nucleus& other : kept) {
            const Vec d = proposed->centre - other.centre;
            const float along = dot(d, other.axis) / (other.longer + proposed->longer);
            const float beside = dot(d, across(other.axis)) / (other.shorter + proposed->shorter);
            if (along * along + beside * beside < crowding * crowding) {
                free = false;
                break;
            }
        }
        if (free) kept.push_back(*proposed);
    }
    return kept;
}

// The direction in which f grows, a unit vector, by differences.
template <class Field>
Vec uphill(Vec p, Field&& field) {
    constexpr float h = 0.7f;
    const Vec slope{field(p + Vec{h, 0}) - field(p - Vec{h, 0}), field(p + Vec{0, h}) - field(p - Vec{0, h})};
    const float steep = length(slope);
    return steep > 1e-6f ? (1 / steep) * slope : Vec{1, 0};
}

// A red blood cell, paler in the middle.
void paint_red_cell(Canvas& canvas, Vec centre, float radius, float density);

// Loose connective tissue: wavy fibres of collagen with clefts between them.
class Stroma {
  public:
    // density: of the fibres; looseness: 0 dense, 1 more cleft than fibre.
    Stroma(const Origin& origin, float density, float looseness);
    Dye operator()(Vec p) const;
    // Along the fibres.
    Vec fibre(Vec p) const;

  private:
    RoughNoise bend_, strands_, clefts_;
    Vec along_;
    float density_, looseness_;
};

// Small dark cells of inflammation and thin ones that make fibres, wherever `where(p)` is above 0, a share of
// it where it is less than 1.
template <class Where>
void paint_stromal_cells(Canvas& canvas, Dice& dice, const NucleusPainter& painter, const Stroma& stroma,
                         float inflamed, int tries, Where&& where) {
    painter.paint(canvas, scatter(canvas, dice, tries, 1.25f, [&](Vec p) -> std::optional<Nucleus> {
                      const float lot = dice.uniform();
                      const bool round = dice.chance(inflamed);
                      const float size = dice.uniform(0.75f, 1.2f), density = dice.uniform(0.55f, 1.05f);
                      const Vec tilt = stroma.fibre(p) + dice.uniform(-0.6f, 0.6f) * across(stroma.fibre(p));
                      const Vec axis = (1 / length(tilt)) * tilt;
                      const float slender = dice.uniform(0.85f, 1.5f);
                      if (lot >= where(p)) return std::nullopt;
                      if (round)
                          return Nucleus{.centre = p,
                                         .axis = axis,
                                         .longer = 2.15f * size,
                                         .shorter = 1.85f * size,
                                         .density = density,
                                         .chromatin = 0.35f};
                      return Nucleus{.centre = p,
                                     .axis = axis,
                                     .longer = 3.6f * size,
                                     .shorter = slender * size,
                                     .density = 0.85f * density,
                                     .chromatin = 0.2f};
                  }));
}

}  // namespace microtome::tissue
