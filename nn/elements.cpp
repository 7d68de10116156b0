#include "nn/elements.hpp"

#include "tensor/half.hpp"

#include <array>
#include <cstring>
#include <string>

namespace microtome {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are copied as they lie in the file");

// Reads a T from anywhere and hands it to `to` as another type, element after element.
template <class T, class Y, class Convert>
void widen(const char* from, Tensor& to, Convert&& convert) {
    for (Y& element : to.mutable_data<Y>()) {
        T narrow;
        std::memcpy(&narrow, from, sizeof narrow);
        from += sizeof narrow;
        element = convert(narrow);
    }
}

}  // namespace

Dtype dtype_of(FileType type) {
    switch (type) {
        case FileType::f64: return Dtype::f64;
        case FileType::f32:
        case FileType::f16:
        case FileType::bf16: return Dtype::f32;
        case FileType::i64:
        case FileType::i32:
        case FileType::i16:
        case FileType::i8: return Dtype::i64;
        case FileType::u8:
        case FileType::boolean: break;
    }
    return Dtype::u8;
}

Tensor read_elements(FileType type, const Shape& shape, const char* from) {
    Tensor result(Spec{shape, dtype_of(type), kCpu});
    if (result.elements() == 0) return result;
    auto as_is = [](auto x) { return static_cast<int64_t>(x); };
    switch (type) {
        case FileType::f16: widen<uint16_t, float>(from, result, widen_half); break;
        case FileType::bf16:
            widen<uint16_t, float>(from, result, [](uint16_t bits) {
                bfloat16 narrow;
                narrow.bits = bits;
                return static_cast<float>(narrow);
            });
            break;
        case FileType::i32: widen<int32_t, int64_t>(from, result, as_is); break;
        case FileType::i16: widen<int16_t, int64_t>(from, result, as_is); break;
        case FileType::i8: widen<int8_t, int64_t>(from, result, as_is); break;
        case FileType::f64:
        case FileType::f32:
        case FileType::i64:
        case FileType::u8:
        case FileType::boolean: std::memcpy(result.mutable_raw(), from, result.spec().bytes()); break;
    }
    return result;
}

Tensor read_strided(FileType type, const Shape& shape, std::span<const int64_t> strides, const char* from) {
    int64_t dense = 1;
    bool contiguous = true;
    for (int axis = shape.rank(); axis-- > 0;) {
        contiguous &= shape[axis] == 1 || strides[static_cast<std::size_t>(axis)] == dense;
        dense *= shape[axis];
    }
    if (contiguous || shape.elements() == 0) return read_elements(type, shape, from);

    // Gathered one by one, counting through the axes as an odometer does.
    const std::size_t size = size_of(type);
    std::string gathered(static_cast<std::size_t>(shape.elements()) * size, '\0');
    std::array<int64_t, Shape::kMaxRank> index{};
    int64_t at = 0;
    for (char* to = gathered.data(); to != gathered.data() + gathered.size(); to += size) {
        std::memcpy(to, from + at * static_cast<int64_t>(size), size);
        for (int axis = shape.rank(); axis-- > 0;) {
            const auto i = static_cast<std::size_t>(axis);
            at += strides[i];
            if (++index[i] < shape[axis]) break;
            at -= strides[i] * shape[axis];
            index[i] = 0;
        }
    }
    return read_elements(type, shape, gathered.data());
}

}  // namespace microtome
