// The products of a vision transformer measured, one by one.
#pragma once

#include "apps/measure.hpp"

#include <ostream>
#include <vector>

namespace microtome::apps {

// Every product of ViT-B/16 at 224 x 224 pixels (196 patches and a class token, width 768, 12 heads), for 8
// images: patches, queries with keys and values, attention, its projection, the two dense layers of a block
// and the head; forward, for the input's gradient and for the weights', with one thread and with
// thread_limit(). Attention's gradient calculates the scores again, which is not counted. Prints a table,
// appends its rows. Returns an exit status. About a minute.
int bench_vit(std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
