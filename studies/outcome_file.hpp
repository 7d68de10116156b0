// What an attack did, on disk, so that a study that was interrupted does not attack twice.
#pragma once

#include "evaluation/robust_accuracy.hpp"

#include <optional>
#include <string>

namespace microtome {

// JSON; whole or not at all. Throws IoError.
void write_outcome(const std::string& path, const AttackOutcome& outcome);

// Nothing where there is no such file. Throws IoError, FormatError for a file that is no outcome.
std::optional<AttackOutcome> read_outcome(const std::string& path);

}  // namespace microtome
