// Is what an attack follows the gradient? On a trained network finite differences cannot tell: between x - h
// and x + h lie thousands of ReLU and max switches. Dual numbers can: they take the same branches, without a
// step.
//
// A PGD attack runs on the model as it is, in f32, and the places it visits are kept: its start, a middle
// step, its last. There, with the cotangent v of the logits that the attack itself used and the model's f32
// weights in f64:
//
//     <J^T v, u> = <v, J u>    J^T v by the tape, as the attack has it; J u by the reference kernels on dual
//     numbers
//
// for u of random signs, the attack's own direction sign(g), the element of the largest gradient, and a
// random one. Beside it, how far the attack's f32 gradient is from J^T v in f64, and whether rounding
// explains that: the bound is a multiple of what the f64 gradient moves by when weights and image are moved
// by their last f32 digit, at random (Parker 1997, Monte Carlo arithmetic), which is large where the network
// is badly conditioned.
#pragma once

#include "attacks/pgd.hpp"
#include "autograd/gradcheck/gradcheck.hpp"
#include "base/progress.hpp"

#include <array>
#include <string>
#include <vector>

namespace microtome {

struct GradientAuditOptions {
    PgdOptions attack{.steps = 10};  // of which the first restart is looked at
    Device device = kCpu;            // of the attack; the model is on the CPU afterwards
    ProgressOptions progress{.quiet = true};
};

// One image in one step of the attack.
struct AuditedPoint {
    struct Direction {
        std::string name;  // "random signs"
        double analytic = 0, exact = 0;
        double relative_error = 0;  // to the gradient's length along such a direction
    };
    int64_t id = 0, step = 0;
    std::array<Direction, 4> directions{};
    bool same_branches = true;   // the logits of the dual run are those of the f64 run, bit for bit
    double largest = 0;          // element of the f64 gradient
    double f32_error = 0;        // |g32 - g64| / |g64|, Euclidean
    double f32_bound = 0;        // of that, what rounding explains
    double sign_agreement = 0;   // share of elements above 1e-4 of the largest whose sign f32 has
    double signs_looked_at = 0;  // which are this share of all

    const Direction& worst() const;
    gradcheck::Verdict verdict() const;
    std::string text() const;  // the verdict in words
};

struct GradientAudit {
    std::vector<AuditedPoint> points;
    bool complete = true;  // false: interrupted
    double seconds = 0;

    // That of the worst point; inconclusive where there is none.
    gradcheck::Verdict verdict() const;
    std::string text() const;
};

inline constexpr double kAuditTolerance = 1e-9;  // of Direction::relative_error

// The batch as an attack takes it. The model is in eval mode afterwards, and as it was in all else. Throws
// what the attack throws, and DtypeError for a model with a layer that does not run on dual numbers.
GradientAudit audit_gradients(Module& model, const ModelOptions& model_options, const Batch& batch,
                              const GradientAuditOptions& options = {});

}  // namespace microtome
