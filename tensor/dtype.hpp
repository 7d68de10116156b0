// Element types. f32 is for work, f64 for checks, dual for exact derivatives of the checks (CPU only), bf16
// for GPUs, u8 for images and gates, i64 for labels.
#pragma once

#include "base/error.hpp"
#include "tensor/dual.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <ostream>

namespace microtome {

enum class Dtype : uint8_t { f32, f64, bf16, u8, i64, dual };

// The upper half of a float: same range, 8 bits of significand. Stored, converted, never calculated with
// here.
struct bfloat16 {
    uint16_t bits = 0;

    bfloat16() = default;
    constexpr explicit bfloat16(float x) {  // to nearest, ties to even; NaN stays NaN
        uint32_t u = std::bit_cast<uint32_t>(x);
        bits = (u & 0x7fffffffu) > 0x7f800000u
                   ? static_cast<uint16_t>((u >> 16) | 0x40u)
                   : static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
    constexpr explicit operator float() const {
        return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
    }
};

// clang-format off
template <class T> inline constexpr bool is_dtype = false;
template <> inline constexpr bool is_dtype<float> = true;
template <> inline constexpr bool is_dtype<double> = true;
template <> inline constexpr bool is_dtype<bfloat16> = true;
template <> inline constexpr bool is_dtype<uint8_t> = true;
template <> inline constexpr bool is_dtype<int64_t> = true;
template <> inline constexpr bool is_dtype<Dual> = true;

template <class T> constexpr Dtype dtype_of();
template <> constexpr Dtype dtype_of<float>() { return Dtype::f32; }
template <> constexpr Dtype dtype_of<double>() { return Dtype::f64; }
template <> constexpr Dtype dtype_of<bfloat16>() { return Dtype::bf16; }
template <> constexpr Dtype dtype_of<uint8_t>() { return Dtype::u8; }
template <> constexpr Dtype dtype_of<int64_t>() { return Dtype::i64; }
template <> constexpr Dtype dtype_of<Dual>() { return Dtype::dual; }

constexpr std::size_t size_of(Dtype dtype) {
    switch (dtype) {
        case Dtype::f32: return 4;
        case Dtype::f64: case Dtype::i64: return 8;
        case Dtype::bf16: return 2;
        case Dtype::dual: return 16;
        case Dtype::u8: break;
    }
    return 1;
}
constexpr const char* name_of(Dtype dtype) {
    switch (dtype) {
        case Dtype::f32: return "f32";
        case Dtype::f64: return "f64";
        case Dtype::bf16: return "bf16";
        case Dtype::u8: return "u8";
        case Dtype::dual: return "dual";
        case Dtype::i64: break;
    }
    return "i64";
}
// clang-format on

constexpr bool is_floating(Dtype dtype) {
    return dtype == Dtype::f32 || dtype == Dtype::f64 || dtype == Dtype::bf16 || dtype == Dtype::dual;
}

inline std::ostream& operator<<(std::ostream& out, Dtype dtype) {
    return out << name_of(dtype);
}

// Calls body.operator()<float>() or <double>(). Throws DtypeError for the rest.
template <class Body>
auto visit_f32_f64(const char* where, Dtype dtype, Body&& body) {
    switch (dtype) {
        case Dtype::f32: return body.template operator()<float>();
        case Dtype::f64: return body.template operator()<double>();
        default: throw DtypeError(where, str("expected f32 or f64, got ", dtype), "cast() converts");
    }
}

// The same, or body.operator()<Dual>(): whatever has a derivative.
template <class Body>
auto visit_floating(const char* where, Dtype dtype, Body&& body) {
    switch (dtype) {
        case Dtype::f32: return body.template operator()<float>();
        case Dtype::f64: return body.template operator()<double>();
        case Dtype::dual: return body.template operator()<Dual>();
        default: throw DtypeError(where, str("expected f32, f64 or dual, got ", dtype), "cast() converts");
    }
}

// Calls body.operator()<T>() for any element type.
template <class Body>
auto visit_dtype(Dtype dtype, Body&& body) {
    switch (dtype) {
        case Dtype::f32: return body.template operator()<float>();
        case Dtype::f64: return body.template operator()<double>();
        case Dtype::bf16: return body.template operator()<bfloat16>();
        case Dtype::dual: return body.template operator()<Dual>();
        case Dtype::u8: return body.template operator()<uint8_t>();
        case Dtype::i64: break;
    }
    return body.template operator()<int64_t>();
}

}  // namespace microtome
