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
struct Slice;
struct SliceRows;
struct Pad;
struct Concat;
struct Flip;
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
struct Conv2dReluPool;
struct Conv2dReluPoolInputGradient;
struct Conv2dReluPoolWeightGradient;
// dropout.hpp
struct RandomGate;
// attention.hpp
struct Attention;
struct AttentionInputGradient;
// pooling.hpp
struct MaxPool2d;
struct MaxUnpool2d;
struct MaxPool2dGather;
struct AveragePool2d;
struct AverageUnpool2d;
struct AdaptiveMaxPool2d;
// indexing.hpp
struct Gather;
struct ScatterAdd;
struct Take;
struct AddRows;
struct Sort;
struct OneHot;
// image.hpp
struct Resample;
// control.hpp
struct StopGradient;
struct ReplaceGradient;
struct Cast;
struct External;
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
    op::Slice,
    op::SliceRows,
    op::Pad,
    op::Concat,
    op::Flip,
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
    op::Conv2dReluPool,
    op::Conv2dReluPoolInputGradient,
    op::Conv2dReluPoolWeightGradient,
    op::RandomGate,
    op::Attention,
    op::AttentionInputGradient,
    op::MaxPool2d,
    op::MaxUnpool2d,
    op::MaxPool2dGather,
    op::AveragePool2d,
    op::AverageUnpool2d,
    op::AdaptiveMaxPool2d,
    op::Gather,
    op::ScatterAdd,
    op::Take,
    op::AddRows,
    op::Sort,
    op::OneHot,
    op::Resample,
    op::StopGradient,
    op::ReplaceGradient,
    op::Cast,
    op::External
    >;
// clang-format on

}  // namespace microtome
