#include "data/tissue_cells.hpp"
#include "data/tissue_patterns.hpp"

namespace microtome::tissue {
namespace {

constexpr Dye kGlass{};

// A vessel cut across: a wall of smooth muscle around blood.
void paint_vessel(Canvas& canvas, const Origin& origin, Dice& dice, const NucleusPainter& painter,
                  const Warp& warp, Vec centre, float radius) {
    const float wall = dice.uniform(3.5f, 6);
    const Noise layers(origin, "vessel", 3);
    auto outside = [&](Vec p) { return length(warp(p) - centre) - radius; };
    canvas.stamp(centre, radius + wall + 8, [&](Vec p, Dye below) {
        const float d = outside(p);
        const Dye muscle{0.06f, 0.34f * (1 + 0.3f * layers({0.3f * p.x, d * 2})), 0};
        const Dye plasma{0.01f, 0.07f, 0};
        return mix(mix(below, muscle, canvas.inside(d - wall)), plasma, canvas.inside(d));
    });
    for (int i = 0; i < 90; ++i) {
        const float from_centre = radius * math::sqrt(dice.uniform());
        const Vec p = centre + from_centre * dice.any_direction();
        const float size = dice.uniform(1.9f, 2.4f), density = dice.uniform(0.4f, 0.6f);
        if (outside(p) < -1.5f) paint_red_cell(canvas, p, size, density);
    }
    painter.paint(canvas, scatter(canvas, dice, 900, 1.4f, [&](Vec p) -> std::optional<Nucleus> {
                      const float d = outside(p);
                      const float size = dice.uniform(0.8f, 1.1f);
                      if (d < 0 || d > wall) return std::nullopt;
                      return Nucleus{.centre = p,
                                     .axis = across(uphill(p, outside)),
                                     .longer = 3.8f * size,
                                     .shorter = 1.2f * size,
                                     .density = 0.75f,
                                     .bend = 0.05f};
                  }));
}

}  // namespace

void draw_alveoli(Canvas& canvas, const Origin& origin) {
    Dice dice(origin, "alveoli");
    const NucleusPainter painter(origin);
    const Warp warp(origin, 22, dice.uniform(5, 9));
    const Cells airways{origin, "airways", dice.uniform(34, 56), dice.uniform(0.6f, 1)};
    const RoughNoise width(origin, "width", 14), openings(origin, "openings", 38);
    const Noise texture(origin, "texture", 2.5f), folds(origin, "folds", 6);
    const float thickness = dice.ratio(1.8f, 6), open = dice.uniform(0.1f, 0.6f);
    const float nucleated = dice.uniform(0.1f, 0.5f);

    // How far outside a wall p is.
    auto outside = [&](Vec p) {
        const Vec q = warp(p);
        const float missing = smooth_step(open, open + 0.22f, openings(p));
        return airways.at(q).border - thickness * (1 + 0.75f * width(p)) * (1 - 1.3f * missing) + 3 * missing;
    };
    const float protein = dice.chance(0.45f) ? dice.uniform(0.03f, 0.24f) : 0;  // fluid in the air spaces
    canvas.fill([&](Vec p) {
        const float d = outside(p) + 1.3f * folds(p);
        const Dye wall{0.09f + 0.05f * texture(p), 0.30f * (1 + 0.4f * texture(1.7f * p)), 0};
        const Dye air{0, protein * (1 + 0.5f * texture(p)), 0};
        Dye dye = mix(air, wall, canvas.inside(d));
        return mix(dye, Dye{0.04f, 0.13f, 0},
                   0.8f * canvas.inside(d + 1.5f) * smooth_step(0.25f, 0.6f, folds(0.9f * p)));
    });
    if (dice.chance(0.35f)) {
        const Vec centre = canvas.point({dice.uniform(-0.8f, 0.8f), dice.uniform(-0.8f, 0.8f)});
        paint_vessel(canvas, origin, dice, painter, warp, centre, dice.uniform(8, 17));
    }
    // Red cells: in the capillaries of the walls, and some spilt.
    const int red_cells = static_cast<int>(dice.uniform(30, 420));
    const float spilt = dice.chance(0.35f) ? dice.uniform(0.05f, 0.5f) : 0.01f;
    const Noise pools(origin, "pools", 18);
    for (int i = 0; i < red_cells; ++i) {
        const Vec p = canvas.point({dice.uniform(-1, 1), dice.uniform(-1, 1)});
        const float d = outside(p), lot = dice.uniform();
        const float size = dice.uniform(1.7f, 2.4f), density = dice.uniform(0.35f, 0.6f);
        if ((d < -0.5f && pools(p) > -0.2f) || (d > 2.5f && lot < spilt && pools(p) > 0.1f))
            paint_red_cell(canvas, p, size, density);
    }
    painter.paint(canvas, scatter(canvas, dice, 1500, 1.45f, [&](Vec p) -> std::optional<Nucleus> {
                      const float size = dice.uniform(0.75f, 1.25f), plump = dice.uniform(1.2f, 2.2f);
                      const float density = dice.uniform(0.5f, 0.95f), lot = dice.uniform();
                      if (outside(p) > -0.3f || lot > nucleated) return std::nullopt;
                      return Nucleus{.centre = p,
                                     .axis = across(uphill(p, outside)),
                                     .longer = 2.9f * size,
                                     .shorter = plump * size,
                                     .density = density,
                                     .chromatin = 0.3f};
                  }));
    // Macrophages: round, full of dust, loose in the air.
    const int macrophages = dice.chance(0.5f) ? static_cast<int>(dice.uniform(1, 7)) : 0;
    for (int i = 0; i < macrophages; ++i) {
        const Vec centre = canvas.point({dice.uniform(-1, 1), dice.uniform(-1, 1)});
        const float radius = dice.uniform(3.6f, 5.2f), dust = dice.uniform(0.1f, 0.35f);
        const Vec side = dice.any_direction();
        if (outside(centre) < radius) continue;
        canvas.stamp(centre, radius + 1.5f, [&](Vec p, Dye below) {
            const float r = length(p - centre) * (1 + 0.15f * folds(p));
            const Dye body{0.10f, 0.20f, dust * (0.6f + 0.6f * texture(2.2f * p))};
            return mix(below, body, canvas.inside(r - radius));
        });
        painter.paint(canvas, {.centre = centre + 0.25f * radius * side,
                               .axis = side,
                               .longer = 2.2f,
                               .shorter = 1.8f,
                               .density = 0.75f});
    }
}

void draw_lung_glands(Canvas& canvas, const Origin& origin) {
    Dice dice(origin, "lung glands");
    const NucleusPainter painter(origin);
    const Warp warp(origin, 24, dice.uniform(7, 12));
    const float spacing = dice.uniform(44, 66);
    const Cells places(origin, "glands", spacing, dice.uniform(0.5f, 0.9f));
    const float share = dice.uniform(0.66f, 0.86f);  // of the way to the next gland
    const float height = dice.uniform(7.5f, 11);     // of the epithelium
    const RoughNoise tufts(origin, "tufts", 8);
    const Noise texture(origin, "texture", 3), ragged(origin, "ragged", 2.2f);
    const Stroma stroma{origin, dice.uniform(0.16f, 0.34f), dice.uniform(-0.1f, 0.35f)};
    const float oval = dice.uniform(0.65f, 1);
    const float papillae = dice.uniform(1, 5.5f), filled = dice.uniform(0, 0.35f);

    // How deep inside a gland p is: 0 at its basement membrane.
    auto depth = [&](Vec p) {
        Vec q = warp(p);
        q.x *= oval;
        const Cells::Place place = places.at(q);
        const float radius = spacing * 0.5f * share * (0.75f + 0.5f * place.random);
        return radius - place.distance;
    };
    auto is_solid = [&](Vec p) {
        Vec q = warp(p);
        q.x *= oval;
        return places.at(q).random < filled;
    };
    const float cytoplasm_h = dice.uniform(0.10f, 0.2f), cytoplasm_e = dice.uniform(0.17f, 0.30f);
    canvas.fill([&](Vec p) {
        const float d = depth(p);
        const Dye cytoplasm{cytoplasm_h * (1 + 0.4f * texture(p)),
                            cytoplasm_e * (1 + 0.25f * texture(1.6f * p)), 0};
        const float lumen = d - height - papillae * tufts(p) + 1.2f * ragged(p);
        Dye dye = mix(stroma(p), cytoplasm, canvas.inside(-d));
        // Shrinkage tears glands off their stroma here and there.
        dye = mix(dye, kGlass,
                  0.85f * canvas.inside(math::abs(d + 1) - 1.4f * smooth_step(0.2f, 0.7f, tufts(0.4f * p))));
        if (lumen > -2 && !is_solid(p)) {
            const Dye content{0.01f, 0.03f + 0.04f * (1 + ragged(0.3f * p)), 0};
            dye = mix(dye, content, canvas.inside(-lumen));
        }
        return dye;
    });
    const float inflamed = dice.uniform(0.3f, 0.8f), stromal_cells = dice.uniform(120, 700);
    paint_stromal_cells(canvas, dice, painter, stroma, inflamed, static_cast<int>(stromal_cells),
                        [&](Vec p) { return depth(p) < -2.5f ? 1.0f : 0.0f; });
    const int red_cells = static_cast<int>(dice.uniform(0, 60));
    for (int i = 0; i < red_cells; ++i) {
        const Vec p = canvas.point({dice.uniform(-1, 1), dice.uniform(-1, 1)});
        if (depth(p) < -3 && tufts(0.5f * p) > 0.1f) paint_red_cell(canvas, p, 2, dice.uniform(0.35f, 0.6f));
    }
    const float nuclear = dice.uniform(0.45f, 0.85f), variety = dice.uniform(0.15f, 0.3f);
    painter.paint(canvas, scatter(canvas, dice, 2600, 1.0f, [&](Vec p) -> std::optional<Nucleus> {
                      const float size = clamp(1 + variety * dice.normal(), 0.7f, 1.6f);
                      const float density = nuclear * dice.uniform(0.75f, 1.25f),
                                  roundness = dice.uniform(0.68f, 0.95f);
                      const float d = depth(p), h = height + papillae * tufts(p);
                      const bool placed = d > 2.4f && (d < 0.62f * h || is_solid(p));
                      if (!placed) return std::nullopt;
                      return Nucleus{.centre = p,
                                     .axis = uphill(p, depth),
                                     .longer = 3.5f * size,
                                     .shorter = 3.5f * roundness * size,
                                     .density = density,
                                     .chromatin = 0.4f,
                                     .membrane = 0.25f,
                                     .nucleolus = size > 1.05f ? 0.85f : 0,
                                     .bend = 0.16f};
                  }));
}

void draw_squamous_sheets(Canvas& canvas, const Origin& origin) {
    Dice dice(origin, "squamous");
    const NucleusPainter painter(origin);
    const Warp warp(origin, 12, dice.uniform(1.5f, 3.5f));
    const float spacing = dice.ratio(9, 15);
    const Cells cells(origin, "cells", spacing, dice.uniform(0.6f, 1));
    const RoughNoise nests(origin, "nests", 40), cracks(origin, "cracks", 16);
    const Noise texture(origin, "texture", 2.2f), flow(origin, "flow", 40), rings_bend(origin, "rings", 9);
    const Stroma stroma{origin, dice.uniform(0.18f, 0.32f), dice.uniform(-0.1f, 0.4f)};
    const float stroma_share = dice.uniform(0.05f, 0.65f), torn = dice.uniform(0, 0.75f);
    const float stretch = dice.uniform(0.7f, 1.0f);
    const Vec along = dice.any_direction();

    struct Pearl {
        Vec centre;
        float radius;
    };
    std::vector<Pearl> pearls;
    for (int i = static_cast<int>(dice.uniform(0.4f, 3.4f)); i > 0; --i)
        pearls.push_back(
            {canvas.point({dice.uniform(-0.8f, 0.8f), dice.uniform(-0.8f, 0.8f)}), dice.uniform(9, 20)});

    auto in_sheet = [&](Vec p) {  // above 0 inside a nest of tumour
        return (nests(p) + 1.05f - stroma_share) * 22;
    };
    auto sheet = [&](Vec p) {  // cells are drawn out in one direction
        const Vec q = warp(p);
        return Vec{dot(q, along) * stretch, dot(q, across(along))};
    };
    // How far outside the nearest whorl of keratin p is.
    auto outside_pearls = [&](Vec p) {
        float nearest = 1e6f;
        for (const Pearl& pearl : pearls) {
            const float d = length(p - pearl.centre) * (1 + 0.25f * rings_bend(0.6f * p)) - pearl.radius;
            nearest = d < nearest ? d : nearest;
        }
        return nearest;
    };
    auto outside_cracks = [&](Vec p) {  // where the sheet is torn
        return math::abs(cracks(p)) * 16 - 7 * torn * smooth_step(-0.2f, 0.5f, nests(1.7f * p));
    };
    const float cytoplasm_h = dice.uniform(0.06f, 0.18f), cytoplasm_e = dice.uniform(0.16f, 0.34f);
    const float keratinised = dice.uniform(0.02f, 0.16f), border = dice.uniform(-0.10f, 0.12f);
    const float ring = dice.uniform(1.6f, 2.6f);
    canvas.fill([&](Vec p) {
        const Cells::Place cell = cells.at(sheet(p));
        Dye cytoplasm{cytoplasm_h * (1 + 0.35f * texture(p)), cytoplasm_e * (1 + 0.18f * texture(1.3f * p)),
                      0};
        if (cell.random < keratinised) cytoplasm = {0.05f, 0.45f, 0};
        const float edge = canvas.inside(cell.border - 0.5f);
        cytoplasm.eosin += border * edge;
        cytoplasm.haematoxylin += 0.3f * border * edge;
        const float d = outside_pearls(p);
        if (d < 3) {
            const float phase = math::sin((d + 1.6f * rings_bend(p)) * 6.2831853f / ring);
            const Dye keratin{0.03f, 0.40f + 0.11f * phase, 0};
            cytoplasm = mix(cytoplasm, keratin, smooth_step(3, -1, d));
            cytoplasm =
                mix(cytoplasm, kGlass, 0.7f * smooth_step(0.75f, 0.95f, phase) * smooth_step(-2, -5, d));
        }
        const float inside = in_sheet(p);
        Dye dye = mix(stroma(p), cytoplasm, canvas.inside(-inside));
        return mix(dye, kGlass, 0.92f * canvas.inside(outside_cracks(p)));
    });
    paint_stromal_cells(canvas, dice, painter, stroma, dice.uniform(0.4f, 0.9f), 1100,
                        [&](Vec p) { return in_sheet(p) < -1.5f ? 1.0f : 0.02f; });
    const float nuclear = dice.uniform(0.45f, 0.9f), variety = dice.uniform(0.1f, 0.25f);
    const float nucleus_size = dice.uniform(0.27f, 0.34f) * spacing;
    std::vector<Nucleus> nuclei;
    cells.each(Vec{dot(canvas.middle(), along) * stretch, dot(canvas.middle(), across(along))},
               canvas.reach() + 8, [&](Vec c, float random) {
                   Vec p = (c.x / stretch) * along + c.y * across(along);
                   p = p - (warp(p) - p);  // the warp is slight: its inverse is nearly its opposite
                   const float size = clamp(1 + variety * dice.normal(), 0.65f, 1.5f) * nucleus_size;
                   const float roundness = dice.uniform(0.6f, 0.9f),
                               density = nuclear * dice.uniform(0.75f, 1.25f);
                   const bool hidden = dice.chance(0.06f);
                   if (in_sheet(p) < 0 || outside_cracks(p) < 1 || hidden) return;
                   const float d = outside_pearls(p);
                   if (d < -4) return;
                   Nucleus nucleus{.centre = p,
                                   .axis = along + 0.8f * flow(p) * across(along),
                                   .longer = 1.15f * size,
                                   .shorter = roundness * 1.15f * size,
                                   .density = density,
                                   .chromatin = 0.4f,
                                   .membrane = 0.2f,
                                   .nucleolus = dice.chance(0.5f) ? 0.8f : 0,
                                   .bend = 0.14f};
                   if (random < keratinised) {  // shrunken and dark
                       nucleus.longer *= 0.6f, nucleus.shorter *= 0.6f;
                       nucleus.density = 1.2f;
                   }
                   if (d < 4) {  // flattened around the whorl
                       nucleus.axis = across(uphill(p, outside_pearls));
                       nucleus.shorter *= 0.6f;
                   }
                   nucleus.axis = (1 / length(nucleus.axis)) * nucleus.axis;
                   nuclei.push_back(nucleus);
               });
    painter.paint(canvas, nuclei);
}

}  // namespace microtome::tissue
