// The five kinds of tissue, drawn on a canvas.
#pragma once

#include "data/tissue_canvas.hpp"

namespace microtome::tissue {

// Alveoli: open air between thin walls with flat nuclei and capillaries; some vessels, some macrophages.
void draw_alveoli(Canvas& canvas, const Origin& origin);
// Adenocarcinoma of the lung: irregular glands, one row of large nuclei around each lumen, in plenty of
// stroma.
void draw_lung_glands(Canvas& canvas, const Origin& origin);
// Squamous cell carcinoma: sheets of polygonal cells with keratin, in whorls or in single cells.
void draw_squamous_sheets(Canvas& canvas, const Origin& origin);
// Mucosa of the colon: round crypts in rows, pale goblet cells around a small lumen, nuclei at the base.
void draw_crypts(Canvas& canvas, const Origin& origin);
// Adenocarcinoma of the colon: crowded, fused glands, tall dark nuclei in several rows, debris in the lumina.
void draw_colon_glands(Canvas& canvas, const Origin& origin);

}  // namespace microtome::tissue
