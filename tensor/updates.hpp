// The steps by which optimizers move weights and attacks move images, as scalar formulas: one element in, one
// element out, each written once beside its source. tensor/kernels/updates.hpp runs them over tensors.
//
// Every product-sum is one fused multiply-add in the order written, so that a step has the same bits on every
// machine. Coefficients that are the same for all elements are worked out before, in double.
// Included by kernels compiled per instruction set and by CUDA: no standard header here that defines a
// function.
#pragma once

#include "tensor/math.hpp"

namespace microtome::updates {

using math::fma;
using math::sqrt;

// --- weights

// Gradient descent: g' = g + l2 p, p -= lr g' + shrink p.
template <class T>
struct Sgd {
    T lr, l2, shrink;

    MICROTOME_HD void operator()(T g, T& p) const {
        g = fma(l2, p, g);
        p = fma(-shrink, p, p);
        p = fma(-lr, g, p);
    }
};

// With a velocity that does not contain the learning rate, as PyTorch keeps it; Nesterov's look-ahead in the
// form of Sutskever, Martens, Dahl and Hinton (2013), section 2:
//
//     g' = g + l2 p,  v = keep v + take g',  p -= lr (g' + keep v with Nesterov, else v)
template <class T>
struct SgdMomentum {
    T lr, l2, momentum, keep, take;
    bool nesterov;

    MICROTOME_HD void operator()(T g, T& p, T& v) const {
        g = fma(l2, p, g);
        v = fma(keep, v, take * g);
        p = fma(-lr, nesterov ? fma(momentum, v, g) : v, p);
    }
};

// With a velocity that contains the learning rate, as Keras keeps it: the same path until the rate changes.
//
//     p -= shrink p,  v = momentum v - lr g,  p += momentum v - lr g with Nesterov, else v
template <class T>
struct SgdVelocity {
    T lr, shrink, momentum;
    bool nesterov;

    MICROTOME_HD void operator()(T g, T& p, T& v) const {
        p = fma(-shrink, p, p);
        T step = lr * g;
        v = fma(momentum, v, -step);
        p = p + (nesterov ? fma(momentum, v, -step) : v);
    }
};

// Adam, Kingma and Ba (2015), algorithm 1, the moments as moving averages:
//
//     g' = g + l2 p,  p -= shrink p,  m += (1 - beta1) (g' - m),  v += (1 - beta2) (g'^2 - v),
//     p -= rate m / (root sqrt(v) + eps)
//
// rate and root carry the corrections for the averages' start at 0: rate = lr / (1 - beta1^t) and
// root = 1 / sqrt(1 - beta2^t) in PyTorch's form; rate = lr sqrt(1 - beta2^t) / (1 - beta1^t) and root = 1 in
// Keras's, the one at the end of the paper's section 2, whose eps means something else. l2 adds the decay to
// the gradient, shrink is AdamW's decoupled decay (Loshchilov and Hutter 2019, algorithm 2).
// v never becomes negative: each rounding keeps the order of what it rounds.
template <class T>
struct Adam {
    T rate, root, eps, l2, shrink;
    T one_minus_beta1, one_minus_beta2;

    MICROTOME_HD void operator()(T g, T& p, T& m, T& v) const {
        g = fma(l2, p, g);
        p = fma(-shrink, p, p);
        m = fma(one_minus_beta1, g - m, m);
        v = fma(one_minus_beta2, fma(g, g, -v), v);
        p = fma(-rate, m / fma(root, sqrt(v), eps), p);
    }
};

// A moving average of weights: average += (1 - decay) (p - average) (Polyak and Juditsky 1992 in its
// exponential form).
template <class T>
struct MovingAverage {
    T one_minus_decay;

    MICROTOME_HD void operator()(T p, T& average) const {
        average = fma(one_minus_decay, p - average, average);
    }
};

// --- images

// What a + b loses by rounding: a + b = sum + lost, exactly (Knuth 1969, section 4.2.2, theorem B).
template <class T>
MICROTOME_HD T lost_by(T a, T b, T sum) {
    T part = sum - a;
    return (a - (sum - part)) + (b - part);
}

// The next number toward -infinity or +infinity; x is finite and not 0.
template <class T>
MICROTOME_HD T next_below(T x) {
    auto bits = math::to_bits(x);
    return math::from_bits<T>(x > T(0) ? bits - 1 : bits + 1);
}
template <class T>
MICROTOME_HD T next_above(T x) {
    auto bits = math::to_bits(x);
    return math::from_bits<T>(x > T(0) ? bits + 1 : bits - 1);
}

// The largest T that is not above x >= 0.
template <class T>
MICROTOME_HD T rounded_down(double x) {
    const T rounded = static_cast<T>(x);
    return static_cast<double>(rounded) > x ? next_below(rounded) : rounded;
}

// x brought into [x0 - epsilon, x0 + epsilon] and then into [low, high]. The first bounds are rounded
// inwards, so that |x - x0| <= epsilon holds for the real numbers, not only up to an ulp, wherever x0 is in
// the box.
template <class T>
struct ClipLinf {
    T epsilon, low, high;

    MICROTOME_HD T operator()(T x, T x0) const {
        T most = x0 + epsilon, least = x0 - epsilon;
        most = lost_by(x0, epsilon, most) < T(0) ? next_below(most) : most;
        least = lost_by(x0, -epsilon, least) > T(0) ? next_above(least) : least;
        x = x < least ? least : x;
        x = x > most ? most : x;
        x = x < low ? low : x;
        return x > high ? high : x;
    }
};

// One step of projected gradient descent in the maximum norm, Madry et al. (2018), equation in section 2.1:
// x = clip(x + alpha sign(g)), with sign(0) = 0. A NaN in g or x stays one. alpha < 0 descends.
template <class T>
struct PgdLinf {
    T alpha;
    ClipLinf<T> clip;

    MICROTOME_HD void operator()(T g, T x0, T& x) const {
        T step = g > T(0) ? alpha : (g < T(0) ? -alpha : g);
        x = clip(x + step, x0);
    }
};

// One step of length alpha along the gradient in the Euclidean norm: x += scale g, scale = alpha / |g|. And
// what returns to the ball: x = x0 + scale (x - x0), scale = epsilon / |x - x0| where that is less than 1.
template <class T>
struct StepL2 {
    T scale;

    MICROTOME_HD T operator()(T g, T x) const { return fma(scale, g, x); }
};
template <class T>
MICROTOME_HD StepL2<T> step_l2(double alpha, double length) {
    return {length == 0 ? T(0) : static_cast<T>(alpha / length)};
}
template <class T>
struct ClipL2 {
    T scale, low, high;

    MICROTOME_HD T operator()(T x, T x0) const {
        x = scale < T(1) ? fma(scale, x - x0, x0) : x;
        x = x < low ? low : x;
        return x > high ? high : x;
    }
};
template <class T>
MICROTOME_HD ClipL2<T> clip_l2(double epsilon, double distance, T low, T high) {
    return {distance > epsilon ? rounded_down<T>(epsilon / distance) : T(1), low, high};
}

}  // namespace microtome::updates
