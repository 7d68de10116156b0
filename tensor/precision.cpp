#include "tensor/precision.hpp"

#include "base/error.hpp"

#include <utility>

namespace microtome {
namespace {
thread_local ProductMode mode;
}

Precision parse_precision(std::string_view text) {
    for (Precision precision : {Precision::f32, Precision::tf32, Precision::bf16})
        if (text == str(precision)) return precision;
    throw OptionsError("precision", str("expected f32, tf32 or bf16, got '", text, "'"));
}

std::ostream& operator<<(std::ostream& out, Precision precision) {
    switch (precision) {
        case Precision::tf32: return out << "tf32";
        case Precision::bf16: return out << "bf16";
        case Precision::f32: break;
    }
    return out << "f32";
}

double rounding_error(Precision precision) {
    switch (precision) {
        case Precision::tf32: return 0x1p-11;
        case Precision::bf16: return 0x1p-8;
        case Precision::f32: break;
    }
    return 0;
}

std::ostream& operator<<(std::ostream& out, const ProductMode& shown) {
    return out << shown.precision
               << (shown.libraries ? ", by libraries where they are found" : ", by plain kernels");
}

ProductMode product_mode() {
    return mode;
}

ProductModeScope::ProductModeScope(ProductMode wanted) : previous_(std::exchange(mode, wanted)) {}

ProductModeScope::~ProductModeScope() {
    mode = previous_;
}

void require_unrounded_products(std::string_view where) {
    if (mode.precision != Precision::f32)
        throw OptionsError(where, str("expected precision f32, got ", mode.precision),
                           "between rounded factors a function goes in steps, and differences are no "
                           "measure of its gradient");
}

}  // namespace microtome
