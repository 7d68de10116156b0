// Arrays as files hold them: more element types than we calculate with, and not always row-major.
#pragma once

#include "tensor/tensor.hpp"

#include <span>
#include <string_view>

namespace microtome {

enum class FileType : uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

constexpr std::size_t size_of(FileType type) {
    switch (type) {
        case FileType::f64:
        case FileType::i64: return 8;
        case FileType::f32:
        case FileType::i32: return 4;
        case FileType::f16:
        case FileType::bf16:
        case FileType::i16: return 2;
        case FileType::i8:
        case FileType::u8:
        case FileType::boolean: break;
    }
    return 1;
}

// What such an array becomes in memory, always exactly: f16 and bf16 f32, shorter signed integers i64, truth
// values u8.
Dtype dtype_of(FileType type);

// A tensor of the `shape.elements()` elements that lie from `from` on, row-major, little end first, at any
// alignment.
Tensor read_elements(FileType type, const Shape& shape, const char* from);

// The same of elements that are `strides` apart along each axis, in elements; as many strides as axes.
Tensor read_strided(FileType type, const Shape& shape, std::span<const int64_t> strides, const char* from);

}  // namespace microtome
