// The closed list of ops: forward declarations only. Each is defined in autograd/ops, in a file of its name.
#pragma once

namespace microtome {

namespace op {
// arithmetic.hpp
struct Add;
struct Subtract;
struct Multiply;
struct Divide;
struct Negate;
// elementwise.hpp
struct Exp;
struct Log;
struct Sqrt;
struct Square;
struct Reciprocal;
struct Sin;
struct Cos;
struct Power;
struct Absolute;
struct Sign;
struct Floor;
struct Round;
struct Minimum;
struct Maximum;
struct Clamp;
struct MultiplyAdd;
struct Erf;
struct Tanh;
struct Sigmoid;
struct Softplus;
struct Relu;
struct Relu6;
struct Gelu;
struct GeluDerivative;
struct GeluTanh;
struct GeluTanhDerivative;
struct ApplyGate;
// comparison.hpp
struct Less;
struct LessEqual;
struct Greater;
struct GreaterEqual;
struct Equal;
struct NotEqual;
struct Where;
// shaping.hpp
struct Reshape;
struct BroadcastTo;
struct SumTo;
struct Permute;
// reductions.hpp
struct Sum;
struct Max;
struct Min;
struct Argmax;
struct Argmin;
struct NormL2;
// softmax.hpp
struct Softmax;
struct SoftmaxInputGradient;
struct LogSoftmax;
struct Logsumexp;
// normalization.hpp
struct BatchNormTrain;
struct BatchNormGradient;
struct LayerNorm;
struct LayerNormInputGradient;
// linear.hpp
struct Matmul;
struct Conv2d;
struct Conv2dInputGradient;
struct Conv2dWeightGradient;
// pooling.hpp
struct MaxPool2d;
struct MaxUnpool2d;
struct MaxPool2dGather;
// indexing.hpp
struct Gather;
struct ScatterAdd;
struct OneHot;
// control.hpp
struct StopGradient;
struct ReplaceGradient;
}  // namespace op

template <class... Ops>
struct OpList {};

// clang-format off
using AllOps = OpList<
    op::Add,
    op::Subtract,
    op::Multiply,
    op::Divide,
    op::Negate,
    op::Exp,
    op::Log,
    op::Sqrt,
    op::Square,
    op::Reciprocal,
    op::Sin,
    op::Cos,
    op::Power,
    op::Absolute,
    op::Sign,
    op::Floor,
    op::Round,
    op::Minimum,
    op::Maximum,
    op::Clamp,
    op::MultiplyAdd,
    op::Erf,
    op::Tanh,
    op::Sigmoid,
    op::Softplus,
    op::Relu,
    op::Relu6,
    op::Gelu,
    op::GeluDerivative,
    op::GeluTanh,
    op::GeluTanhDerivative,
    op::ApplyGate,
    op::Less,
    op::LessEqual,
    op::Greater,
    op::GreaterEqual,
    op::Equal,
    op::NotEqual,
    op::Where,
    op::Reshape,
    op::BroadcastTo,
    op::SumTo,
    op::Permute,
    op::Sum,
    op::Max,
    op::Min,
    op::Argmax,
    op::Argmin,
    op::NormL2,
    op::Softmax,
    op::SoftmaxInputGradient,
    op::LogSoftmax,
    op::Logsumexp,
    op::BatchNormTrain,
    op::BatchNormGradient,
    op::LayerNorm,
    op::LayerNormInputGradient,
    op::Matmul,
    op::Conv2d,
    op::Conv2dInputGradient,
    op::Conv2dWeightGradient,
    op::MaxPool2d,
    op::MaxUnpool2d,
    op::MaxPool2dGather,
    op::Gather,
    op::ScatterAdd,
    op::OneHot,
    op::StopGradient,
    op::ReplaceGradient
    >;
// clang-format on

}  // namespace microtome
