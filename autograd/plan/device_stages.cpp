#include "autograd/plan/device_stages.hpp"

#include "autograd/ops/elementwise_op.hpp"
#include "autograd/plan/describe_stage.hpp"
#include "tensor/cuda/blas.hpp"
#include "tensor/cuda/dnn.hpp"
#include "tensor/kernels/elementwise.hpp"

namespace microtome::plan {
namespace {

// The inputs behind the factors, as the epilogue of a product or a convolution.
template <class Epilogue>
Epilogue epilogue_of(const Following& following, const Tensors& in) {
    Epilogue epilogue;
    if (following.bias) epilogue.bias = in[2];
    if (following.residual) epilogue.residual = in[following.bias ? 3 : 2];
    epilogue.relu = following.relu;
    return epilogue;
}

// y > 0 where what ReLU made y of was.
void gate_of(Tensors& out, KernelContext& context) {
    if (out.size() > 1) kernels::relu_gate(out[0], out[0], out[1], context);
}

// The gate is a bit for each element, as ReLU's own is.
Specs with_gate(const Spec& y) {
    return {y, gate_spec(y)};
}

}  // namespace

const OpInfo& device_linear_stage() {
    using A = DeviceLinearAttributes;
    static const OpInfo info = [] {
        OpInfo op = describe_stage<A>("device_linear_stage", "y = relu(a b + bias + residual)");
        op.shape_rule = [](const void* a, const Specs& in) {
            return with_gate({static_cast<const A*>(a)->output, in[0].dtype, in[0].device});
        };
        op.forward = [](const void* attributes, const Tensors& in, Tensors& out, KernelContext& context) {
            const A& a = *static_cast<const A*>(attributes);
            const Shape &left = in[0].shape(), &right = in[1].shape();
            const bool ta = a.product.transpose_a, tb = a.product.transpose_b;
            cuda::matmul(MatmulShape::dense(left[ta ? 1 : 0], right[tb ? 0 : 1], left[ta ? 0 : 1], ta, tb),
                         in[0], in[1], out[0], epilogue_of<cuda::MatmulEpilogue>(a.following, in));
            gate_of(out, context);
        };
        return op;
    }();
    return info;
}

const OpInfo& device_conv_stage() {
    using A = DeviceConvAttributes;
    static const OpInfo info = [] {
        OpInfo op = describe_stage<A>("device_conv_stage", "y = relu(conv2d(x, w) + bias + residual)");
        op.shape_rule = [](const void* a, const Specs& in) {
            const ConvShape shape = conv_shape(in[0].shape, in[1].shape, static_cast<const A*>(a)->options);
            return with_gate({shape.output(), in[0].dtype, in[0].device});
        };
        op.forward = [](const void* attributes, const Tensors& in, Tensors& out, KernelContext& context) {
            const A& a = *static_cast<const A*>(attributes);
            cuda::conv2d(conv_shape(in[0].shape(), in[1].shape(), a.options), in[0], in[1], out[0],
                         epilogue_of<cuda::ConvEpilogue>(a.following, in));
            gate_of(out, context);
        };
        return op;
    }();
    return info;
}

}  // namespace microtome::plan
