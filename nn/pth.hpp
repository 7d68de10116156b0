// PyTorch's files of weights: a zip archive with a pickle (nn/pickle.hpp) and the storages that it names.
#pragma once

#include "base/zip.hpp"
#include "nn/weights.hpp"

namespace microtome {

// `members` are those of the archive, `where` names it in messages. Throws FormatError for a pickle that
// holds anything but a dictionary of tensors, or such a dictionary in another; a storage that is missing,
// damaged or of another size than the pickle says; tensors that are many times larger together than the
// archive.
WeightsFile read_pth(const std::vector<ZipMember>& members, const std::string& where);

}  // namespace microtome
