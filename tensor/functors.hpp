// The scalar formulas, each written once. Kernels loop over them; they take float, double and any other type
// that has arithmetic, comparisons and its own overloads of the functions of tensor/math.hpp, as dual numbers
// have.
//
// Conventions where a derivative does not exist: sign(0) = 0 and so |x|' = 0 at 0, relu' = 0 at 0. A NaN goes
// through everything, minimum and maximum included. Comparisons give 0 or 1 in the type of their arguments.
#pragma once

#include "tensor/dual_math.hpp"

namespace microtome::functors {

using math::abs;
using math::cos;
using math::erf;
using math::exp;
using math::floor;
using math::fma;
using math::log;
using math::log1p;
using math::pow;
using math::rint;
using math::sigmoid;
using math::sin;
using math::sqrt;
using math::tanh;

// --- two arguments

struct Add {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a + b;
    }
};
struct Subtract {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a - b;
    }
};
struct Multiply {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a * b;
    }
};
struct Divide {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a / b;
    }
};
struct Power {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return pow(a, b);
    }
};
struct Minimum {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a < b ? a : (a == a ? b : a);
    }
};
struct Maximum {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a > b ? a : (a == a ? b : a);
    }
};
struct Equal {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a == b ? T(1) : T(0);
    }
};
struct NotEqual {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a != b ? T(1) : T(0);
    }
};
struct Less {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a < b ? T(1) : T(0);
    }
};
struct LessEqual {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a <= b ? T(1) : T(0);
    }
};
struct Greater {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a > b ? T(1) : T(0);
    }
};
struct GreaterEqual {
    template <class T>
    MICROTOME_HD T operator()(T a, T b) const {
        return a >= b ? T(1) : T(0);
    }
};

// --- three arguments

struct Where {
    template <class T>
    MICROTOME_HD T operator()(T condition, T a, T b) const {
        return condition != T(0) ? a : b;
    }
};
struct Clamp {
    template <class T>
    MICROTOME_HD T operator()(T x, T low, T high) const {
        return Minimum{}(Maximum{}(x, low), high);
    }
};
struct MultiplyAdd {  // a b + c, rounded once
    template <class T>
    MICROTOME_HD T operator()(T a, T b, T c) const {
        return fma(a, b, c);
    }
};

// --- one argument

struct Negate {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return -x;
    }
};
struct Absolute {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return abs(x);
    }
};
struct Sign {  // -1, 0 or 1
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return x > T(0) ? T(1) : (x < T(0) ? T(-1) : (x == T(0) ? T(0) : x));
    }
};
struct Exp {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return exp(x);
    }
};
struct Log {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return log(x);
    }
};
struct Sqrt {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return sqrt(x);
    }
};
struct Reciprocal {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return T(1) / x;
    }
};
struct Square {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return x * x;
    }
};
struct Sin {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return sin(x);
    }
};
struct Cos {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return cos(x);
    }
};
struct Floor {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return floor(x);
    }
};
struct Round {  // to the nearest integer, ties to even
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return rint(x);
    }
};
struct Sigmoid {  // 1 / (1 + e^-x)
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return sigmoid(x);
    }
};
struct Tanh {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return tanh(x);
    }
};
struct Erf {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return erf(x);
    }
};
struct Softplus {  // log(1 + e^x), from e^-|x|, which cannot overflow
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return Maximum{}(x, T(0)) + log1p(exp(-abs(x)));
    }
    // The kinks of the formula's two terms at 0 make up for each other, which their derivatives do not see.
    MICROTOME_HD Dual operator()(Dual x) const { return {(*this)(x.value), sigmoid(x.value) * x.tangent}; }
};
struct Relu {  // max(x, 0)
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return Maximum{}(x, T(0));
    }
};
struct Relu6 {  // min(max(x, 0), 6); Howard et al. 2017, MobileNets
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return Clamp{}(x, T(0), T(6));
    }
};

// GELU, x Phi(x), Hendrycks & Gimpel 2016, section 2: Phi(x) = (1 + erf(x / sqrt 2)) / 2.
struct Gelu {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return T(0.5) * x * (T(1) + erf(x * T(0.70710678118654752)));
    }
};
// Phi(x) + x phi(x), with the density phi(x) = e^(-x^2/2) / sqrt(2 pi).
struct GeluDerivative {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        T density = T(0.39894228040143268) * exp(T(-0.5) * x * x);
        return fma(x, density, T(0.5) * (T(1) + erf(x * T(0.70710678118654752))));
    }
};
// The same paper's approximation: x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3).
struct GeluTanh {
    template <class T>
    MICROTOME_HD static T inner(T x) {
        return T(0.79788456080286536) * fma(T(0.044715) * x * x, x, x);
    }
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        return T(0.5) * x * (T(1) + tanh(inner(x)));
    }
};
// (1 + t) / 2 + x (1 - t^2) u' / 2 with t = tanh(u).
struct GeluTanhDerivative {
    template <class T>
    MICROTOME_HD T operator()(T x) const {
        T t = tanh(GeluTanh::inner(x));
        T inner_derivative = T(0.79788456080286536) * fma(T(0.134145) * x, x, T(1));
        return T(0.5) * fma(x * fma(-t, t, T(1)), inner_derivative, T(1) + t);
    }
};

}  // namespace microtome::functors

// The same formulas by name, for tables of kernels.
namespace microtome::kernels {

enum class Unary : uint8_t {
    negate,
    absolute,
    sign,
    exp,
    log,
    sqrt,
    reciprocal,
    square,
    sin,
    cos,
    floor,
    round,
    sigmoid,
    tanh,
    erf,
    softplus,
    relu,
    relu6,
    gelu,
    gelu_derivative,
    gelu_tanh,
    gelu_tanh_derivative,
};
enum class Binary : uint8_t {
    add,
    subtract,
    multiply,
    divide,
    power,
    minimum,
    maximum,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
};
enum class Ternary : uint8_t { where, clamp, multiply_add };

// Calls body(functor).
template <class Body>
MICROTOME_HD void visit(Unary operation, Body body) {
    switch (operation) {
        case Unary::negate: return body(functors::Negate{});
        case Unary::absolute: return body(functors::Absolute{});
        case Unary::sign: return body(functors::Sign{});
        case Unary::exp: return body(functors::Exp{});
        case Unary::log: return body(functors::Log{});
        case Unary::sqrt: return body(functors::Sqrt{});
        case Unary::reciprocal: return body(functors::Reciprocal{});
        case Unary::square: return body(functors::Square{});
        case Unary::sin: return body(functors::Sin{});
        case Unary::cos: return body(functors::Cos{});
        case Unary::floor: return body(functors::Floor{});
        case Unary::round: return body(functors::Round{});
        case Unary::sigmoid: return body(functors::Sigmoid{});
        case Unary::tanh: return body(functors::Tanh{});
        case Unary::erf: return body(functors::Erf{});
        case Unary::softplus: return body(functors::Softplus{});
        case Unary::relu: return body(functors::Relu{});
        case Unary::relu6: return body(functors::Relu6{});
        case Unary::gelu: return body(functors::Gelu{});
        case Unary::gelu_derivative: return body(functors::GeluDerivative{});
        case Unary::gelu_tanh: return body(functors::GeluTanh{});
        case Unary::gelu_tanh_derivative: return body(functors::GeluTanhDerivative{});
    }
}
template <class Body>
MICROTOME_HD void visit(Binary operation, Body body) {
    switch (operation) {
        case Binary::add: return body(functors::Add{});
        case Binary::subtract: return body(functors::Subtract{});
        case Binary::multiply: return body(functors::Multiply{});
        case Binary::divide: return body(functors::Divide{});
        case Binary::power: return body(functors::Power{});
        case Binary::minimum: return body(functors::Minimum{});
        case Binary::maximum: return body(functors::Maximum{});
        case Binary::equal: return body(functors::Equal{});
        case Binary::not_equal: return body(functors::NotEqual{});
        case Binary::less: return body(functors::Less{});
        case Binary::less_equal: return body(functors::LessEqual{});
        case Binary::greater: return body(functors::Greater{});
        case Binary::greater_equal: return body(functors::GreaterEqual{});
    }
}
template <class Body>
MICROTOME_HD void visit(Ternary operation, Body body) {
    switch (operation) {
        case Ternary::where: return body(functors::Where{});
        case Ternary::clamp: return body(functors::Clamp{});
        case Ternary::multiply_add: return body(functors::MultiplyAdd{});
    }
}

}  // namespace microtome::kernels
