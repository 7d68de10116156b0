#include "data/tissue_cells.hpp"
#include "data/tissue_patterns.hpp"

namespace microtome::tissue {

void draw_crypts(Canvas& canvas, const Origin& origin) {
    Dice dice(origin, "crypts");
    const NucleusPainter painter(origin);
    const Warp warp(origin, 30, dice.uniform(1.5f, 4.5f));
    const float spacing = dice.uniform(46, 66);
    const Cells crypts(origin, "crypts", spacing, dice.uniform(0.05f, 0.22f));
    const float bulge = dice.uniform(3.6f, 5.2f);  // radius of a goblet
    const Cells goblets(origin, "goblets", 2 * bulge, 0.6f);
    const Warp ruffle(origin, 6, 1);
    const float radius = spacing * dice.uniform(0.39f, 0.46f);
    const float lumen = dice.uniform(2.5f, 6.5f), base = dice.uniform(4.5f, 6);
    const float oval = dice.uniform(0.6f, 1);  // crypts cut obliquely
    const Vec along = dice.any_direction();
    const float plain = dice.uniform(0.0f, 0.35f);  // cells without mucus
    const float mucin = dice.uniform(0.01f, 0.10f), wall = dice.uniform(0.4f, 0.9f);
    const Noise texture(origin, "texture", 2.5f);
    const RoughNoise loose(origin, "loose", 9);
    const Stroma stroma{origin, dice.uniform(0.14f, 0.28f), dice.uniform(0.0f, 0.4f)};

    auto section = [&](Vec p) {
        const Vec q = warp(p);
        return Vec{dot(q, along) * oval, dot(q, across(along))};
    };
    auto depth = [&](Vec p) { return radius - crypts.at(section(p)).distance; };
    canvas.fill([&](Vec p) {
        const float d = depth(p);
        Dye dye = stroma(p);
        if (d < -1) return dye;
        const Cells::Place goblet = goblets.at(ruffle(p));
        const Dye cytoplasm{0.17f * (1 + 0.3f * texture(p)), 0.24f * (1 + 0.2f * texture(1.7f * p)), 0};
        Dye epithelium = cytoplasm;
        if (goblet.random >= plain) {
            const Dye mucus{mucin * (1 + 0.4f * texture(0.8f * p)), 0.3f * mucin, 0};
            const float rounded = goblet.distance - bulge * (0.85f + 0.3f * goblet.random);
            const float edge = wall - goblet.border > rounded ? wall - goblet.border : rounded;
            const float inside_goblet = canvas.inside(edge) * canvas.inside(base - 1 - d);
            epithelium = mix(cytoplasm, mucus, inside_goblet);
        }
        dye = mix(dye, epithelium, canvas.inside(-d));
        const float into_lumen = d - (radius - lumen) + 1.6f * texture(0.7f * p);
        dye = mix(dye, Dye{0.08f, 0.32f, 0}, 0.8f * canvas.inside(math::abs(into_lumen) - 0.5f));
        return mix(dye, Dye{0.01f, 0.03f, 0}, canvas.inside(-into_lumen));
    });
    const float inflamed = dice.uniform(0.6f, 0.9f), stromal_cells = dice.uniform(500, 1300);
    paint_stromal_cells(canvas, dice, painter, stroma, inflamed, static_cast<int>(stromal_cells),
                        [&](Vec p) { return depth(p) < -2.2f ? 1.0f : 0.0f; });
    const int red_cells = static_cast<int>(dice.uniform(0, 90));
    for (int i = 0; i < red_cells; ++i) {
        const Vec p = canvas.point({dice.uniform(-1, 1), dice.uniform(-1, 1)});
        if (depth(p) < -2.5f && loose(p) > 0.05f) paint_red_cell(canvas, p, 2, dice.uniform(0.3f, 0.55f));
    }
    const float nuclear = dice.uniform(0.45f, 0.85f);
    painter.paint(canvas, scatter(canvas, dice, 3500, 0.92f, [&](Vec p) -> std::optional<Nucleus> {
                      const float d = depth(p);
                      const float size = dice.uniform(0.88f, 1.12f),
                                  density = nuclear * dice.uniform(0.8f, 1.2f);
                      if (d < 1.6f || d > base - 1.4f) return std::nullopt;
                      return Nucleus{.centre = p,
                                     .axis = uphill(p, depth),
                                     .longer = 2.7f * size,
                                     .shorter = 2.0f * size,
                                     .density = density,
                                     .chromatin = 0.3f,
                                     .membrane = 0.2f};
                  }));
}

void draw_colon_glands(Canvas& canvas, const Origin& origin) {
    Dice dice(origin, "colon glands");
    const NucleusPainter painter(origin);
    const Warp warp(origin, 26, dice.uniform(6, 11));
    const float spacing = dice.uniform(40, 66);
    const Cells glands(origin, "glands", spacing, dice.uniform(0.7f, 1));
    const RoughNoise edge(origin, "edge", 9), gap(origin, "gap", 24), debris(origin, "debris", 3.5f);
    const Noise texture(origin, "texture", 2.4f), holes(origin, "holes", 11);
    const Stroma stroma{origin, dice.uniform(0.16f, 0.30f), dice.uniform(0, 0.35f)};
    const float between = dice.uniform(0.5f, 4.5f);  // half of the stroma between two glands
    const float height = dice.uniform(9, 18);
    const float cribriform = dice.uniform(0.45f, 0.95f), dirt = dice.uniform(-0.6f, 0.5f);

    // How deep inside a gland p is. Where the gap closes, neighbours are fused back to back.
    auto depth = [&](Vec p) { return glands.at(warp(p)).border - between * (1 + 1.6f * gap(p)); };
    auto into_lumen = [&](Vec p, float d) {
        const float central = d - height + 4.5f * edge(p);
        const float hole = 9 * (holes(p) - cribriform);  // small lumina in the epithelium itself
        return d > 6 && hole > central ? hole : central;
    };
    const float cytoplasm_h = dice.uniform(0.12f, 0.24f), cytoplasm_e = dice.uniform(0.18f, 0.30f);
    canvas.fill([&](Vec p) {
        const float d = depth(p);
        const Dye cytoplasm{cytoplasm_h * (1 + 0.35f * texture(p)),
                            cytoplasm_e * (1 + 0.2f * texture(1.5f * p)), 0};
        Dye dye = mix(stroma(p), cytoplasm, canvas.inside(-d));
        const float lumen = into_lumen(p, d);
        if (lumen > -2) {
            const float speck = smooth_step(0.1f, 0.5f, debris(p) + dirt * smooth_step(1, 6, lumen));
            const Dye content =
                mix(Dye{0.005f, 0.02f, 0}, Dye{0.10f, 0.30f, 0}, dirt > 0 ? speck : 0.15f * speck);
            dye = mix(dye, content, canvas.inside(-lumen));
        }
        return dye;
    });
    paint_stromal_cells(canvas, dice, painter, stroma, dice.uniform(0.3f, 0.7f), 700,
                        [&](Vec p) { return depth(p) < -1.6f ? 1.0f : 0.0f; });
    const float nuclear = dice.uniform(0.36f, 0.85f), slender = dice.uniform(0.42f, 0.62f);
    const float variety = dice.uniform(0.08f, 0.2f);
    const int tries = static_cast<int>(dice.uniform(1200, 4000));
    painter.paint(canvas, scatter(canvas, dice, tries, 0.9f, [&](Vec p) -> std::optional<Nucleus> {
                      const float size = clamp(1 + variety * dice.normal(), 0.7f, 1.4f);
                      const float density = nuclear * dice.uniform(0.75f, 1.25f);
                      const float d = depth(p);
                      if (d < 2.6f || d > 0.72f * height || into_lumen(p, d) > -3) return std::nullopt;
                      return Nucleus{.centre = p,
                                     .axis = uphill(p, depth),
                                     .longer = 4.3f * size,
                                     .shorter = 4.3f * slender * size,
                                     .density = density,
                                     .chromatin = 0.4f,
                                     .membrane = 0.25f,
                                     .nucleolus = dice.chance(0.25f) ? 0.7f : 0,
                                     .bend = 0.14f};
                  }));
    // Dead cells in the debris.
    if (dirt > 0)
        painter.paint(canvas, scatter(canvas, dice, 160, 2, [&](Vec p) -> std::optional<Nucleus> {
                          const float size = dice.uniform(0.8f, 1.5f);
                          if (into_lumen(p, depth(p)) < 2) return std::nullopt;
                          return Nucleus{
                              .centre = p, .longer = size, .shorter = 0.8f * size, .density = 1.1f};
                      }));
}

}  // namespace microtome::tissue
