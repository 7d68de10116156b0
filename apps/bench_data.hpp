// The loader measured alone: whether images come faster than a step takes them.
#pragma once

#include "apps/measure.hpp"

#include <ostream>
#include <string>
#include <vector>

namespace microtome::apps {

// Images a second that a Loader of thread_limit() threads hands over from the data set in folder `data`: read
// and decoded; from its memory; and from there with each kind of augmentation. `size`: pixels a side that
// images are brought to, 0: as stored. Prints a table, appends its rows. Throws what open_dataset() and
// Loader throw, OptionsError for no folder.
int bench_data(const std::string& data, int64_t size, std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
