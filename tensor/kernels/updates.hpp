// Optimizer and attack steps on whole tensors, in place, one pass over memory each. f32 and f64, on the CPU;
// the formulas are in tensor/updates.hpp. No result depends on threads or instruction set.
//
// All tensors of a step have one shape, type and device, and memory of their own. Errors: ShapeError,
// DtypeError, DeviceError, and OptionsError for numbers out of their range and for tensors that overlap.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

// Two families of conventions under the same names. They differ in where weight decay, eps and the learning
// rate enter; each option says how.
enum class Convention : uint8_t { pytorch, keras };

struct SgdOptions {
    double lr = 0.01;
    double momentum = 0;
    double dampening = 0;     // pytorch only: v takes (1 - dampening) g, except in the first step
    double weight_decay = 0;  // pytorch: added to the gradient; keras: p -= lr weight_decay p
    bool nesterov = false;    // wants momentum, and no dampening
    Convention convention = Convention::pytorch;  // of the velocity too: keras's contains lr
};

struct AdamOptions {
    double lr = 0.001;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-8;  // pytorch: beside sqrt(v / (1 - beta2^t)); keras: beside sqrt(v); its default: 1e-7
    double weight_decay = 0;  // a share of p per unit of lr
    bool decoupled = false;   // AdamW; keras decouples always, pytorch's Adam adds the decay to the gradient
    Convention convention = Convention::pytorch;

    static AdamOptions keras() { return {.eps = 1e-7, .convention = Convention::keras}; }
};

// What an attack may do to an image x0: |x - x0| <= epsilon, low <= x <= high.
struct ImageBounds {
    double epsilon = 0;
    double low = 0, high = 1;
};

namespace kernels {

// Moves p by the gradient g. `velocity` is zeros before the first step, and may be null without momentum.
// Steps count from 1. `trouble`, where given, is one f64 on p's device: nothing moves unless it is 0, which
// a GPU sees without the host.
void sgd_step(const SgdOptions& options, int64_t step, const Tensor& g, Tensor& p, Tensor* velocity,
              const KernelContext& context = {}, const Tensor& trouble = {});

// m and v, the moving averages of the gradient and its square, are zeros before the first step.
void adam_step(const AdamOptions& options, int64_t step, const Tensor& g, Tensor& p, Tensor& m, Tensor& v,
               const KernelContext& context = {}, const Tensor& trouble = {});

// The same with decoupled weight decay (Loshchilov and Hutter 2019).
void adamw_step(AdamOptions options, int64_t step, const Tensor& g, Tensor& p, Tensor& m, Tensor& v,
                const KernelContext& context = {});

// average += (1 - decay) (p - average), 0 <= decay <= 1.
void ema_step(double decay, const Tensor& p, Tensor& average, const KernelContext& context = {});

// x += alpha sign(g), then into the bounds. sign(0) = 0; alpha < 0 goes down. epsilon is rounded down to the
// tensor's type, and |x - x0| <= epsilon then holds exactly wherever x0 lies between low and high.
void pgd_linf_step(double alpha, const ImageBounds& bounds, const Tensor& g, const Tensor& x0, Tensor& x,
                   const KernelContext& context = {});

// Into the bounds alone: after a random start, say.
void project_linf(const ImageBounds& bounds, const Tensor& x0, Tensor& x, const KernelContext& context = {});

// The Euclidean forms, for x (N, ...), image by image: x += alpha g / |g|, nothing where g = 0; then back
// along the line to x0 until |x - x0| <= epsilon; then low and high, which makes no image with x0 between
// them leave the ball. Norms are summed in double; the promise holds up to an ulp of each pixel.
void pgd_l2_step(double alpha, const ImageBounds& bounds, const Tensor& g, const Tensor& x0, Tensor& x,
                 const KernelContext& context = {});
void project_l2(const ImageBounds& bounds, const Tensor& x0, Tensor& x, const KernelContext& context = {});

}  // namespace kernels
}  // namespace microtome
