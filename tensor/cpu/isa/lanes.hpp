// Reductions along a row in the order of tensor/reference/reduce.hpp: sixteen lanes as one vector, which the
// compiler makes of as many registers as the set needs.
//
// Included only by files in tensor/cpu/isa.
#pragma once

#include "tensor/cpu/isa/simd.hpp"
#include "tensor/reference/reduce.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {

constexpr int kLanes = kernels::kReductionLanes;

// Sixteen lanes, as many registers as the set needs for them.
struct Lanes {
    static constexpr int kParts = kLanes / kWidth;
    Floats part[kParts];
};
MICROTOME_INLINE Lanes broadcast_lanes(float x) {
    Lanes result;
    for (Floats& part : result.part) part = broadcast(x);
    return result;
}
MICROTOME_INLINE Lanes operator-(Lanes a, float b) {
    for (Floats& part : a.part) part -= b;
    return a;
}
MICROTOME_INLINE Lanes operator*(Lanes a, float b) {
    for (Floats& part : a.part) part *= b;
    return a;
}
MICROTOME_INLINE Lanes operator*(Lanes a, const Lanes& b) {
    for (int i = 0; i < Lanes::kParts; ++i) a.part[i] *= b.part[i];
    return a;
}

// partial takes in x, lane by lane.
template <class Rule>
MICROTOME_INLINE Lanes take(Rule rule, Lanes partial, const Lanes& x) {
    for (int i = 0; i < Lanes::kParts; ++i) {
        if constexpr (__is_same(Rule, microtome::reference::SumOfSquares))
            partial.part[i] = fma(x.part[i], x.part[i], partial.part[i]);
        else if constexpr (__is_same(Rule, microtome::reference::SumOfAbsolutes))
            partial.part[i] += (Floats)((Ints)x.part[i] & 0x7fffffff);
        else
            partial.part[i] = rule.take(partial.part[i], x.part[i]);
    }
    return partial;
}

MICROTOME_INLINE Lanes take(microtome::reference::SumOfProducts, Lanes partial,
                            const microtome::reference::Product<Lanes>& x) {
    for (int i = 0; i < Lanes::kParts; ++i) partial.part[i] = fma(x.a.part[i], x.b.part[i], partial.part[i]);
    return partial;
}

// Lane i meets i + 8, then i + 4, i + 2, i + 1.
template <class Rule>
MICROTOME_INLINE float join_lanes(Rule rule, const Lanes& partial) {
    typedef float Four __attribute__((vector_size(16)));
    Four quarter[4];
    __builtin_memcpy(quarter, &partial, sizeof(quarter));
    Four four = rule.join(rule.join(quarter[0], quarter[2]), rule.join(quarter[1], quarter[3]));
    return rule.join(rule.join(four[0], four[2]), rule.join(four[1], four[3]));
}

// What an element function looks at its arrays with: at(p) is p[j], or p[j] to p[j + 15], or as many of them
// as there are, for the j at hand.
struct OneElement {
    int64_t j;
    __attribute__((always_inline)) float operator()(const float* p) const { return p[j]; }
};
struct AllLanes {
    int64_t j;
    __attribute__((always_inline)) Lanes operator()(const float* p) const {
        Lanes result;
        for (int i = 0; i < Lanes::kParts; ++i) result.part[i] = load(p + j + i * kWidth);
        return result;
    }
};
struct SomeLanes {
    int64_t j;
    int64_t count;
    __attribute__((always_inline)) Lanes operator()(const float* p) const {
        float lane[kLanes] = {};
        for (int64_t i = 0; i < count; ++i) lane[i] = p[j + i];
        return AllLanes{0}(lane);
    }
};

// Lanes from `count` on keep what they had before.
MICROTOME_INLINE Lanes first_lanes(int64_t count, Lanes after, const Lanes& before) {
    Ints number;
    for (int i = 0; i < kWidth; ++i) number[i] = i;
    for (int i = 0; i < Lanes::kParts; ++i)
        after.part[i] = number + i * kWidth < static_cast<int>(count) ? after.part[i] : before.part[i];
    return after;
}

// Reduces a row of n; element(at) makes an element of it, or sixteen at once, from arrays seen through `at`.
template <class Rule, class Element>
MICROTOME_INLINE float reduce_row(Rule rule, int64_t n, Element element) {
    const float start = rule.template start<float>();
    if (n < kLanes) {
        float lane[kLanes] = {start};
        for (int64_t j = 0; j < n; ++j) lane[j] = rule.take(start, element(OneElement{j}));
        for (int64_t half = kLanes / 2; half > 0; half /= 2)
            for (int64_t i = 0; i < half && i + half < n; ++i) lane[i] = rule.join(lane[i], lane[i + half]);
        return lane[0];
    }
    float total = start;
    for (int64_t begin = 0; begin < n; begin += kernels::kReductionChunk) {
        int64_t end = n - begin < kernels::kReductionChunk ? n : begin + kernels::kReductionChunk;
        Lanes partial = broadcast_lanes(start);
        int64_t j = begin;
        for (; j + kLanes <= end; j += kLanes) partial = take(rule, partial, element(AllLanes{j}));
        if (j < end) {
            Lanes with_last = take(rule, partial, element(SomeLanes{j, end - j}));
            partial = first_lanes(end - j, with_last, partial);
        }
        float part = join_lanes(rule, partial);
        total = begin == 0 ? part : rule.join(total, part);
    }
    return total;
}

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
