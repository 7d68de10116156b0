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
struct Relu;
struct ApplyGate;
// shaping.hpp
struct Reshape;
struct BroadcastTo;
struct SumTo;
struct Permute;
// reductions.hpp
struct Sum;
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
// control.hpp
struct StopGradient;
struct ReplaceGradient;
}  // namespace op

template <class... Ops>
struct OpList {};

using AllOps =
    OpList<op::Add, op::Subtract, op::Multiply, op::Divide, op::Negate, op::Exp, op::Log, op::Relu,
           op::ApplyGate, op::Reshape, op::BroadcastTo, op::SumTo, op::Permute, op::Sum, op::Matmul,
           op::Conv2d, op::Conv2dInputGradient, op::Conv2dWeightGradient, op::MaxPool2d, op::MaxUnpool2d,
           op::MaxPool2dGather, op::Gather, op::ScatterAdd, op::StopGradient, op::ReplaceGradient>;

}  // namespace microtome
