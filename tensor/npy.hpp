// Arrays as numpy writes them.
#pragma once

#include "base/byte_stream.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

// The array in the next `size` bytes of a stream, which can give so many (ByteStream::most()), of either byte
// order: u8 for bytes and truth values, i64 for any other integers, f32 for f2 and f4, f64 for f8. Throws
// FormatError for another type, another size, columns first (unless that makes no difference), and what is no
// such file.
Tensor read_npy(ByteStream& stream, uint64_t size, const std::string& name);

}  // namespace microtome
