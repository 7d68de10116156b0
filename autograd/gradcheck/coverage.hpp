// Which oracle looks at which op, and why it does not where it does not.
#pragma once

#include "autograd/op.hpp"

#include <string>
#include <vector>

namespace microtome::gradcheck {

struct CoverageCell {
    int tried = 0;     // samples, kinks, wrong inputs or mutants
    std::string hole;  // why there are none, in words
};

// What can be said of every op, in this order: the oracles that judge gradients or messages, a comparison
// with other devices, mutation.
std::vector<std::string> coverage_columns();

// A cell for each column.
std::vector<CoverageCell> coverage_of(const OpInfo& op);

}  // namespace microtome::gradcheck
