// How products of matrices and convolutions are calculated on GPUs: a property of a run, kept by the thread
// that asks for them. Processors always calculate in f32, with their own kernels.
#pragma once

#include "tensor/dual.hpp"

#include <cstdint>
#include <ostream>
#include <string_view>

namespace microtome {

// What the factors of f32 products are rounded to. Sums are f32, and so is everything that is stored: weights
// lose nothing, whatever the gradients were made of. f64 is never rounded.
//
//     f32    24 bits of significand: not rounded
//     tf32   11 bits, the exponents of f32
//     bf16    8 bits, the exponents of f32
enum class Precision : uint8_t { f32, tf32, bf16 };

// "f32", "tf32" or "bf16". Throws OptionsError for anything else.
Precision parse_precision(std::string_view text);
std::ostream& operator<<(std::ostream& out, Precision precision);

// The largest relative error of one rounding: 2^-11 for tf32, 2^-8 for bf16, 0 for f32. A product of two
// rounded factors errs by 2 u + u^2 at most, and so does a sum of them, relative to the sum of their sizes.
double rounding_error(Precision precision);

// x as a factor: the nearest number of so many bits, of two the even one. Infinities and NaN stay; what is
// nearer to the next power of two than to the largest number becomes infinite.
MICROTOME_HD constexpr float rounded(float x, Precision precision) {
    if (precision == Precision::f32) return x;
    const uint32_t dropped = precision == Precision::tf32 ? 13 : 16;
    uint32_t bits = __builtin_bit_cast(uint32_t, x);
    if ((bits & 0x7f800000u) == 0x7f800000u) return x;
    bits += (uint32_t{1} << (dropped - 1)) - 1 + ((bits >> dropped) & 1u);
    return __builtin_bit_cast(float, bits >> dropped << dropped);
}
MICROTOME_HD constexpr double rounded(double x, Precision) {
    return x;
}

struct ProductMode {
    Precision precision = Precision::f32;
    // Whether NVIDIA's libraries may be used where they are found. Without them products come from this
    // program's own kernels, whose sums are in the CPU's order: in f32 they have the CPU's bits.
    bool libraries = true;

    friend bool operator==(const ProductMode&, const ProductMode&) = default;
};

// For records: "f32, by libraries where they are found" or "tf32, by plain kernels".
std::ostream& operator<<(std::ostream& out, const ProductMode& mode);

// The calling thread's: that of the innermost scope, else f32 with libraries.
ProductMode product_mode();

class ProductModeScope {
  public:
    explicit ProductModeScope(ProductMode mode);
    ~ProductModeScope();
    ProductModeScope(const ProductModeScope&) = delete;
    ProductModeScope& operator=(const ProductModeScope&) = delete;

  private:
    ProductMode previous_;
};

// Throws OptionsError, with the reason, where factors are rounded: for those who hold gradients against
// differences.
void require_unrounded_products(std::string_view where);

}  // namespace microtome
