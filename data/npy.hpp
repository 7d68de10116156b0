// Arrays of integers as numpy writes them.
#pragma once

#include "data/byte_stream.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

// The array in the next `size` bytes of a stream, which can give so many (ByteStream::most()): u8 for bytes,
// i64 for any other integers, of either byte order. Throws FormatError for another type, another size,
// columns first (unless that makes no difference), and what is no such file.
Tensor read_npy(ByteStream& stream, uint64_t size, const std::string& name);

}  // namespace microtome
