// An op's attributes: the few numbers that choose what it does (a stride, an axis), never data.
//
// Each op's struct lists its fields once, and from that list it is printed and hashed:
//
//     struct Attributes {
//         int64_t stride = 1;
//         void each(auto&& field) const { field("stride", stride); }
//     };
#pragma once

#include "base/hash.hpp"
#include "base/text.hpp"
#include "tensor/shape.hpp"

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace microtome {

struct NoAttributes {
    void each(auto&&) const {}
};

class AttributePrinter {
  public:
    template <class T>
    void operator()(std::string_view name, const T& value) {
        text_ += str(text_.empty() ? "" : " ", name, "=");
        if constexpr (requires { value.begin(), value.end(); } &&
                      !std::is_convertible_v<T, std::string_view> && !std::is_same_v<T, Shape>) {
            text_ += "(";
            const char* separator = "";
            for (const auto& element : value) text_ += str(std::exchange(separator, ","), element);
            text_ += ")";
        } else if constexpr (std::is_enum_v<T>) {
            text_ += str(static_cast<int>(value));
        } else {
            text_ += str(std::boolalpha, value);
        }
    }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

// Over names and values.
class AttributeHasher {
  public:
    template <class T>
    void operator()(std::string_view name, const T& value) {
        hash_ = hash_bytes(name, hash_);
        if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
            mix(bits(value));
        } else {
            for (const auto& element : value) mix(bits(element));
            mix(0x9e3779b97f4a7c15u);  // so that (1)(2,3) differs from (1,2)(3)
        }
    }
    uint64_t hash() const { return hash_; }

  private:
    template <class T>
    static uint64_t bits(T value) {
        if constexpr (std::is_floating_point_v<T>)
            return std::bit_cast<uint64_t>(static_cast<double>(value));
        else
            return static_cast<uint64_t>(value);
    }
    void mix(uint64_t word) { hash_ = hash_bytes(std::as_bytes(std::span(&word, 1)), hash_); }
    uint64_t hash_ = kHashSeed;
};

}  // namespace microtome
