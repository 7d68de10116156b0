// A convolution with all that follows it element by element, as one kernel, and its input gradient. The
// kernels that plans call.
//
//     y = pool(relu(conv2d(x, w) + bias + residual))
//
// Nothing of the size of the convolution's output is written but y, and of a run nothing is kept for the
// gradient but the gate: a bit for an element, or a byte for a window of four.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/kernels/context.hpp"

#include <cstddef>
#include <cstdint>

namespace microtome::kernels {

// In f32, on the CPU; activations NHWC, filters OHWI. How a stage is calculated depends on the geometry of
// one image alone, so that its bits are the same in any batch, for any number of threads and every
// instruction set.
//
// `exact` gives the bits of the ops one by one, in the order of OrderedSum. Without it a stage may be
// calculated otherwise where that is faster: by Winograd's F(4x4, 3x3), whose transforms add and subtract the
// pixels of a neighbourhood, and its gradient from those pixels alone that won a pooling. An element of the
// convolution, or of dx, is then within kConvStageError of the true sum, relative to
//
//     KH KW * sum over c of (largest |x| in the 6x6 pixels of its tile) * (largest |w| of the taps)
//
// plus |bias| and |residual|; for dx with g in place of x. (The largest observed, over random and badly
// scaled arrays, was 4e-7. No bound is promised where sums overflow, and an infinity or NaN may spread
// within its tile.)
inline constexpr double kConvStageError = 1e-6;

struct ConvStage {
    ConvShape conv;
    bool relu = false;   // after bias and residual
    bool pool = false;   // then maxima of 2x2 pixels, sizes rounded down; only with relu and without residual
    bool exact = false;  // the tape's bits

    Shape output() const;  // (N, OH, OW, O), pooled (N, OH / 2, OW / 2, O)

    // What the input gradient needs of a run, u8. With pool a byte for each element of y: which of the four
    // pixels won, counted row by row (the first of equals; NaN wins), or 4 where the ReLU shut it. With relu
    // alone a bit for each, as relu_gate packs them. With neither nothing, {0}.
    Shape gate() const;
};

// The filters in the form that a stage reads, made once from w (O, KH, KW, C/groups): how many floats, and
// making them. 0: this geometry takes w as it is, and `packed` below is w. `packed` is 64-byte aligned.
std::size_t conv_stage_filters(const ConvStage& stage);
void pack_conv_stage_filters(const ConvStage& stage, const float* w, float* packed);

// y (stage.output()) from x (N, H, W, C), and the gate, unless that is null. bias (O) and residual (N, OH,
// OW, O) may be null. Outputs may not overlap inputs. Throws OptionsError for pool without relu or with a
// residual, or a workspace that is too small.
void conv_stage(const ConvStage& stage, const float* x, const float* packed, const float* bias,
                const float* residual, float* y, uint8_t* gate, const KernelContext& context);
std::size_t conv_stage_workspace(const ConvStage& stage, int threads = thread_limit());  // in bytes

// The same for the input gradient.
std::size_t conv_stage_gradient_filters(const ConvStage& stage);
void pack_conv_stage_gradient_filters(const ConvStage& stage, const float* w, float* packed);

// dx (N, H, W, C) from g, which has y's shape, and the gate. `gated`, unless it is null, receives g behind
// the gate (N, OH, OW, O), which is the residual's gradient; so not with pool. Throws as conv_stage does.
void conv_stage_gradient(const ConvStage& stage, const float* g, const uint8_t* gate, const float* packed,
                         float* dx, float* gated, const KernelContext& context);
std::size_t conv_stage_gradient_workspace(const ConvStage& stage, int threads = thread_limit());  // in bytes

}  // namespace microtome::kernels
