#pragma once

#include "autograd/plan/graph.hpp"

#include <iosfwd>

namespace microtome::plan {

// A line a step: op, attributes, shapes and places of what it reads and writes. Views have none.
void print(const Graph& graph, const Placement& placement, std::ostream& out);
int64_t count_steps(const Graph& graph);  // without views

}  // namespace microtome::plan
