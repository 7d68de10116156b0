// The safetensors format: named arrays in one file, with a JSON header in front that says where each lies.
//
//     8 bytes   n, the header's length, little-endian
//     n bytes   {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [0,24]}, ...,
//                "__metadata__": {"key": "value", ...}}, padded with spaces
//     the rest  the arrays, row-major, little-endian, without gaps; offsets count from here
//
// Files are taken for hostile: whatever a header claims is compared with the file before anything is
// allocated.
#pragma once

#include "nn/module.hpp"

#include <map>
#include <string>
#include <string_view>

namespace microtome {

struct TensorFile {
    NamedTensors tensors;  // in the order of their data
    std::map<std::string, std::string> metadata;
};

inline constexpr std::size_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::size_t kMaxTensorFileBytes = std::size_t{1} << 36;

// Types become what nn/elements.hpp says, F16 and BF16 f32, for example. Throws FormatError in the name of
// `where` for a header longer than the file or kMaxHeaderBytes, JSON that is not as above, a name twice,
// another type, a shape whose bytes are not those of its place, and arrays that overlap, leave gaps or end
// outside the file.
TensorFile parse_tensors(std::string_view bytes, const std::string& where);

// The bytes of such a file. Arrays are sorted by element size, then name, so that each is aligned. Throws
// FormatError for a name twice or reserved, ShapeError for an abstract tensor.
std::string format_tensors(const TensorFile& file);

// The same from and to files. Throws MissingFileError, IoError and FormatError; a file that is being
// overwritten stays as it was until the new one is complete.
TensorFile read_tensors(const std::string& path);
void write_tensors(const std::string& path, const TensorFile& file);

}  // namespace microtome
