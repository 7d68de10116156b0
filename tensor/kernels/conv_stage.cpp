#include "tensor/kernels/conv_stage.hpp"

#include "base/error.hpp"
#include "tensor/cpu/conv_steps.hpp"
#include "tensor/cpu/direct_stage.hpp"
#include "tensor/cpu/sparse_stage.hpp"
#include "tensor/cpu/winograd_stage.hpp"

namespace microtome::kernels {
namespace {

void require(const ConvStage& stage, const float* residual) {
    if (stage.pool && (!stage.relu || residual != nullptr))
        throw OptionsError("conv_stage", "expected pooling behind a ReLU and without a residual");
}

// The ways to calculate a stage and its gradient, the fastest first.
enum class Way { sparse, winograd, direct, steps };

Way way_of(const ConvStage& stage) {
    if (cpu::is_winograd_stage(stage)) return Way::winograd;
    return cpu::is_direct_stage(stage) ? Way::direct : Way::steps;
}

Way gradient_way_of(const ConvStage& stage) {
    if (cpu::is_sparse_gradient(stage)) return Way::sparse;
    if (cpu::is_winograd_gradient(stage)) return Way::winograd;
    return cpu::is_direct_gradient(stage) ? Way::direct : Way::steps;
}

}  // namespace

Shape ConvStage::output() const {
    return pool ? Shape{conv.n, conv.oh / 2, conv.ow / 2, conv.o} : conv.output();
}

Shape ConvStage::gate() const {
    if (!relu) return {0};
    return pool ? output() : Shape{(output().elements() + 7) / 8};
}

std::size_t conv_stage_filters(const ConvStage& stage) {
    switch (way_of(stage)) {
        case Way::winograd: return cpu::winograd_filters(stage);
        case Way::direct: return cpu::direct_stage_filters(stage);
        default: return 0;
    }
}

void pack_conv_stage_filters(const ConvStage& stage, const float* w, float* packed) {
    switch (way_of(stage)) {
        case Way::winograd: return cpu::pack_winograd_filters(stage, w, packed);
        case Way::direct: return cpu::pack_direct_stage_filters(stage, w, packed);
        default: return;
    }
}

void conv_stage(const ConvStage& stage, const float* x, const float* packed, const float* bias,
                const float* residual, float* y, uint8_t* gate, const KernelContext& context) {
    require(stage, residual);
    require_workspace("conv_stage", context, conv_stage_workspace(stage, context.threads));
    if (stage.conv.n == 0) return;
    switch (way_of(stage)) {
        case Way::winograd: return cpu::winograd_stage(stage, x, packed, bias, residual, y, gate, context);
        case Way::direct: return cpu::direct_stage(stage, x, packed, bias, residual, y, gate, context);
        default: return cpu::conv_steps(stage, x, packed, bias, residual, y, gate, context);
    }
}

std::size_t conv_stage_workspace(const ConvStage& stage, int threads) {
    switch (way_of(stage)) {
        case Way::winograd: return cpu::winograd_stage_workspace(stage, threads);
        case Way::direct: return cpu::direct_stage_workspace(stage, threads);
        default: return cpu::conv_steps_workspace(stage, threads);
    }
}

std::size_t conv_stage_gradient_filters(const ConvStage& stage) {
    switch (gradient_way_of(stage)) {
        case Way::sparse: return cpu::sparse_gradient_filters(stage);
        case Way::winograd: return cpu::winograd_filters(stage);
        case Way::direct: return cpu::direct_gradient_filters(stage);
        default: return 0;
    }
}

void pack_conv_stage_gradient_filters(const ConvStage& stage, const float* w, float* packed) {
    switch (gradient_way_of(stage)) {
        case Way::sparse: return cpu::pack_sparse_gradient_filters(stage, w, packed);
        case Way::winograd: return cpu::pack_winograd_gradient_filters(stage, w, packed);
        case Way::direct: return cpu::pack_direct_gradient_filters(stage, w, packed);
        default: return;
    }
}

void conv_stage_gradient(const ConvStage& stage, const float* g, const uint8_t* gate, const float* packed,
                         float* dx, float* gated, const KernelContext& context) {
    require(stage, nullptr);
    require_workspace("conv_stage_gradient", context, conv_stage_gradient_workspace(stage, context.threads));
    if (stage.pool && gated != nullptr)
        throw OptionsError("conv_stage_gradient", "expected no gated gradient where the stage pools");
    if (stage.conv.n == 0) return;
    switch (gradient_way_of(stage)) {
        case Way::sparse: return cpu::sparse_gradient(stage, g, gate, packed, dx, context);
        case Way::winograd: return cpu::winograd_gradient(stage, g, gate, packed, dx, gated, context);
        case Way::direct: return cpu::direct_gradient(stage, g, gate, packed, dx, gated, context);
        default: return cpu::conv_steps_gradient(stage, g, gate, packed, dx, gated, context);
    }
}

std::size_t conv_stage_gradient_workspace(const ConvStage& stage, int threads) {
    switch (gradient_way_of(stage)) {
        case Way::sparse: return cpu::sparse_gradient_workspace(stage, threads);
        case Way::winograd: return cpu::winograd_gradient_workspace(stage, threads);
        case Way::direct: return cpu::direct_gradient_workspace(stage, threads);
        default: return cpu::conv_steps_gradient_workspace(stage, threads);
    }
}

}  // namespace microtome::kernels
