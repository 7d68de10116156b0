#include "autograd/plan/stages.hpp"

#include "autograd/plan/describe_stage.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/kernels/matmul.hpp"

#include <array>

namespace microtome::plan {
namespace {

const float* floats(const Tensor& x) {
    return x.data<float>().data();
}

}  // namespace

const OpInfo& conv_stage() {
    using A = ConvStageAttributes;
    static const OpInfo info = [] {
        OpInfo op = describe_stage<A>("conv_stage", "y = pool(relu(conv2d(x, w) + bias + residual))");
        op.shape_rule = [](const void* a, const Specs& in) -> Specs {
            const kernels::ConvStage& stage = static_cast<const A*>(a)->stage;
            return {{stage.output(), in[0].dtype, in[0].device}, {stage.gate(), Dtype::u8, in[0].device}};
        };
        op.workspace = [](const void* a, const Specs&) {
            return kernels::conv_stage_workspace(static_cast<const A*>(a)->stage, thread_limit());
        };
        op.forward = [](const void* attributes, const Tensors& in, Tensors& out, KernelContext& context) {
            const A& a = *static_cast<const A*>(attributes);
            const float* bias = a.bias ? floats(in[2]) : nullptr;
            const float* residual = a.residual ? floats(in[a.bias ? 3 : 2]) : nullptr;
            kernels::conv_stage(a.stage, floats(in[0]), floats(in[1]), bias, residual,
                                out[0].mutable_data<float>().data(),
                                out.size() > 1 ? out[1].mutable_data<uint8_t>().data() : nullptr, context);
        };
        return op;
    }();
    return info;
}

const OpInfo& conv_stage_gradient() {
    using A = ConvStageGradientAttributes;
    static const OpInfo info = [] {
        OpInfo op = describe_stage<A>("conv_stage_gradient", "dx = d conv_stage(x) / dx, applied to g");
        op.shape_rule = [](const void* a, const Specs& in) -> Specs {
            return {{static_cast<const A*>(a)->stage.conv.input(), in[0].dtype, in[0].device}};
        };
        op.workspace = [](const void* a, const Specs&) {
            return kernels::conv_stage_gradient_workspace(static_cast<const A*>(a)->stage, thread_limit());
        };
        op.forward = [](const void* attributes, const Tensors& in, Tensors& out, KernelContext& context) {
            const kernels::ConvStage& stage = static_cast<const A*>(attributes)->stage;
            kernels::conv_stage_gradient(stage, floats(in[0]),
                                         stage.relu ? in[2].data<uint8_t>().data() : nullptr, floats(in[1]),
                                         out[0].mutable_data<float>().data(), nullptr, context);
        };
        return op;
    }();
    return info;
}

const OpInfo& linear_stage() {
    using A = LinearStageAttributes;
    static const OpInfo info = [] {
        OpInfo op = describe_stage<A>("linear_stage", "y = a w + bias + residual");
        op.shape_rule = [](const void* a, const Specs& in) -> Specs {
            return {{static_cast<const A*>(a)->output, in[0].dtype, in[0].device}};
        };
        static constexpr auto shape_of = [](const A& a, const Shape& x) {
            return MatmulShape::dense(a.k == 0 ? 0 : x.elements() / a.k, a.n, a.k);
        };
        op.workspace = [](const void* a, const Specs& in) {
            return kernels::matmul_workspace<float>(shape_of(*static_cast<const A*>(a), in[0].shape));
        };
        op.forward = [](const void* attributes, const Tensors& in, Tensors& out, KernelContext& context) {
            const A& a = *static_cast<const A*>(attributes);
            Epilogue<float> epilogue;
            epilogue.bias = a.bias ? floats(in[2]) : nullptr;
            epilogue.residual = a.residual ? floats(in[a.bias ? 3 : 2]) : nullptr;
            kernels::matmul_packed(shape_of(a, in[0].shape()).m, a.n, a.k, floats(in[0]), floats(in[1]),
                                   out[0].mutable_data<float>().data(), context, epilogue);
        };
        return op;
    }();
    return info;
}

}  // namespace microtome::plan
