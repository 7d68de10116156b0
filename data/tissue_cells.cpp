#include "data/tissue_cells.hpp"

namespace microtome::tissue {

NucleusPainter::NucleusPainter(const Origin& origin)
    : outline_(origin, "outline", 4.5f),
      chromatin_(origin, "chromatin", 1.5f),
      open_(Dice(origin, "open chromatin").uniform(0, 0.6f)) {}

void NucleusPainter::paint(Canvas& canvas, const Nucleus& nucleus) const {
    const Vec dot_at =
        nucleus.centre +
        0.3f * nucleus.shorter * Vec{outline_(7.0f * nucleus.centre), outline_(5.0f * nucleus.centre)};
    canvas.stamp(nucleus.centre, 1.25f * nucleus.longer, [&](Vec p, Dye below) {
        const Vec d = p - nucleus.centre;
        const float along = dot(d, nucleus.axis) / nucleus.longer;
        const float beside = dot(d, across(nucleus.axis)) / nucleus.shorter;
        const float radius = math::sqrt(along * along + beside * beside) * (1 + nucleus.bend * outline_(p));
        const float cover = canvas.inside((radius - 1) * nucleus.shorter);
        if (cover == 0) return below;
        const float open = open_ * smooth_step(0.95f, 0.5f, radius);
        float density = nucleus.density * (1 - open) * (1 + nucleus.chromatin * chromatin_(p));
        density += nucleus.membrane * smooth_step(0.55f, 0.95f, radius);
        if (nucleus.nucleolus > 0)
            density = mix(density, 1.25f, canvas.inside(length(p - dot_at) - nucleus.nucleolus));
        return mix(below, Dye{density, 0.10f + 0.3f * below.eosin, 0}, cover);
    });
}

void paint_red_cell(Canvas& canvas, Vec centre, float radius, float density) {
    canvas.stamp(centre, radius + 1, [&](Vec p, Dye below) {
        const float r = length(p - centre);
        const float pallor = 1 - 0.3f * smooth_step(0.7f * radius, 0, r);
        return mix(below, Dye{0.02f, 0.05f, density * pallor}, canvas.inside(r - radius));
    });
}

Stroma::Stroma(const Origin& origin, float density, float looseness)
    : bend_(origin, "fibre", 30),
      strands_(origin, "strands", 2.6f),
      clefts_(origin, "clefts", 4.5f),
      density_(density),
      looseness_(looseness) {
    along_ = Dice(origin, "fibres run").any_direction();
}

Vec Stroma::fibre(Vec p) const {
    const Vec turned = along_ + 0.9f * bend_(p) * across(along_);
    return (1 / length(turned)) * turned;
}

Dye Stroma::operator()(Vec p) const {
    // The fibres are noise drawn out along curves: lines of equal height of a plane that was bent.
    const float along = dot(p, along_), beside = dot(p, across(along_)) - 14 * bend_(p);
    const Vec drawn_out{0.16f * along, beside};
    const float strand = strands_(drawn_out);
    const float cleft = smooth_step(0.62f - looseness_, 0.82f - looseness_, clefts_({0.35f * along, beside}));
    const Dye collagen{0.035f, density_ * (1 + 0.5f * strand), 0};
    return mix(collagen, Dye{0.005f, 0.03f, 0}, 0.9f * cleft);
}

}  // namespace microtome::tissue
