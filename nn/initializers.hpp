// How a parameter starts. The numbers depend on the seed, the parameter's dotted name and its shape, on
// nothing else: neither on the order in which layers were made nor on what was drawn before.
//
// fan_in and fan_out are the inputs that reach one output and the outputs that one input reaches: for filters
// (O, KH, KW, C) KH*KW*C and KH*KW*O, for a matrix (out, in) its two sizes.
#pragma once

#include "tensor/tensor.hpp"

#include <cstdint>
#include <string_view>

namespace microtome {

enum class Fan { in, out };

struct Initializer {
    enum class Law { constant, uniform, normal, truncated_normal };
    enum class Scale { absolute, fan_in, fan_out, fan_average };

    Law law = Law::constant;
    Scale scale = Scale::absolute;
    // The constant; half the width of the uniform interval around 0; the standard deviation. With a fan, the
    // spread is sqrt(amount / fan).
    double amount = 0;
};

// clang-format off
inline Initializer zeros() { return {}; }
inline Initializer ones() { return {Initializer::Law::constant, Initializer::Scale::absolute, 1}; }
inline Initializer uniform_within(double bound) { return {Initializer::Law::uniform, Initializer::Scale::absolute, bound}; }
inline Initializer normal(double standard_deviation) { return {Initializer::Law::normal, Initializer::Scale::absolute, standard_deviation}; }
// Draws beyond two standard deviations are drawn again, which leaves a deviation of 0.88 of the one named.
inline Initializer truncated_normal(double standard_deviation) { return {Initializer::Law::truncated_normal, Initializer::Scale::absolute, standard_deviation}; }
// U(-b, b), b = sqrt(6 / (fan_in + fan_out)): Glorot and Bengio 2010, equation 16. Keras's default.
inline Initializer glorot_uniform() { return {Initializer::Law::uniform, Initializer::Scale::fan_average, 3}; }
// N(0, 2 / fan): He, Zhang, Ren and Sun 2015, equation 10 (fan_in) and 14 (fan_out).
inline Initializer he_normal(Fan fan = Fan::in) { return {Initializer::Law::normal, fan == Fan::in ? Initializer::Scale::fan_in : Initializer::Scale::fan_out, 2}; }
// The uniform law of the same variance: b = sqrt(6 / fan_in).
inline Initializer he_uniform() { return {Initializer::Law::uniform, Initializer::Scale::fan_in, 6}; }
// b = sqrt(1 / fan_in): what PyTorch's Linear and Conv2d do, there written as kaiming_uniform(a = sqrt(5)).
inline Initializer pytorch_uniform() { return {Initializer::Law::uniform, Initializer::Scale::fan_in, 1}; }
// clang-format on

// Elements for a parameter of that shape, f32 or f64: an f64 parameter starts at the f32 numbers, so that
// both are the same model. Throws ShapeError when the law needs a fan and the shape has fewer than two axes,
// DtypeError for another type.
Tensor initial_value(const Initializer& initializer, const Spec& spec, uint64_t seed, std::string_view name);

}  // namespace microtome
