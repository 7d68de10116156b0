// describe<Op>(): checks at compile time that a struct keeps the contract of autograd/op.hpp, and erases its
// types into an OpInfo. Included by the ops' own .cpp files only.
#pragma once

#include "autograd/attributes.hpp"
#include "autograd/op.hpp"
#include "autograd/op_list.hpp"
#include "autograd/samples.hpp"

namespace microtome {

// clang-format off
namespace contract {
template <class Op> concept has_name = requires { { Op::name } -> std::convertible_to<std::string_view>; };
template <class Op> concept has_formula = requires { { Op::formula } -> std::convertible_to<std::string_view>; };
template <class Op> concept has_attributes = requires(const typename Op::Attributes& a, AttributePrinter& p) { a.each(p); };
template <class Op> concept has_shape_rule = requires(const typename Op::Attributes& a, const Specs& in) {
    { Op::shape_rule(a, in) } -> std::same_as<Specs>; };
template <class Op> concept has_forward = requires(const typename Op::Attributes& a, const Tensors& in, Tensors& out, KernelContext& k) {
    { Op::forward(a, in, out, k) } -> std::same_as<void>; };
template <class Op> concept has_view = requires(const typename Op::Attributes& a, const Tensors& in) {
    { Op::view(a, in) } -> std::same_as<Tensors>; };
template <class Op> concept has_gates = requires(const typename Op::Attributes& a, const Specs& in) {
    { Op::gates(a, in) } -> std::same_as<Specs>; };
template <class Op> concept has_workspace = requires(const typename Op::Attributes& a, const Specs& in) {
    { Op::workspace(a, in) } -> std::same_as<std::size_t>; };
template <class Op> concept has_in_place = requires { { Op::in_place } -> std::convertible_to<int>; };
template <class Op> concept has_reason = requires { { Op::not_differentiable } -> std::convertible_to<std::string_view>; };
template <class Op> concept has_saves = requires(const typename Op::Attributes& a, Needs n) {
    { Op::saves(a, n) } -> std::same_as<Saves>; };
template <class Op> concept has_vjp = requires(const typename Op::Attributes& a, const Recorded& r, const Tensors& g) {
    { Op::vjp(a, r, g) } -> std::same_as<Tensors>; };
template <class Op> concept has_kinks = requires { { Op::kinks } -> std::convertible_to<std::string_view>; };
template <class Op> concept has_second_order = requires { { Op::second_order } -> std::convertible_to<SecondOrder>; };
template <class Op> concept has_second_order_reason = requires { { Op::second_order_reason } -> std::convertible_to<std::string_view>; };
template <class Op> concept has_samples = requires(Samples<Op>& s) { { Op::samples(s) } -> std::same_as<void>; };
}  // namespace contract
// clang-format on

template <class Op>
const OpInfo& describe() {
    using namespace contract;
    static_assert(has_name<Op>, "this op has no name: static constexpr std::string_view name = \"...\"");
    static_assert(has_formula<Op>,
                  "this op has no formula: static constexpr std::string_view formula = \"y = ...\"");
    static_assert(has_attributes<Op>,
                  "this op has no Attributes with each(field): NoAttributes if it needs none");
    static_assert(has_shape_rule<Op>,
                  "this op has no Specs shape_rule(const Attributes&, const Specs& inputs)");
    static_assert(
        has_forward<Op> != has_view<Op>,
        "this op needs one of forward(attributes, inputs, outputs, context) and view(attributes, inputs)");
    static_assert(
        has_reason<Op> || (has_vjp<Op> && has_saves<Op>),
        "this op has no vjp(attributes, record, g) with saves(attributes, needs); an op without gradient "
        "says why in not_differentiable");
    static_assert(has_reason<Op> || has_kinks<Op>,
                  "this op does not say where it has kinks: kinks = \"\" if nowhere");
    static_assert(has_reason<Op> || has_second_order<Op>,
                  "this op does not say whether it has a second_order");
    static_assert(
        has_samples<Op>,
        "this op has no samples(Samples<Op>&): without them its gradient cannot be checked, and an op "
        "without a gradient check is not built");
    using Attributes = typename Op::Attributes;
    static const OpInfo info = [] {
        OpInfo op;
        static constexpr auto as = [](const void* a) -> const Attributes& {
            return *static_cast<const Attributes*>(a);
        };
        op.name = Op::name;
        op.formula = Op::formula;
        op.shape_rule = [](const void* a, const Specs& in) { return Op::shape_rule(as(a), in); };
        if constexpr (has_forward<Op>)
            op.forward = [](const void* a, const Tensors& in, Tensors& out, KernelContext& k) {
                Op::forward(as(a), in, out, k);
            };
        if constexpr (has_view<Op>)
            op.view = [](const void* a, const Tensors& in) { return Op::view(as(a), in); };
        if constexpr (has_gates<Op>)
            op.gates = [](const void* a, const Specs& in) { return Op::gates(as(a), in); };
        if constexpr (has_workspace<Op>)
            op.workspace = [](const void* a, const Specs& in) { return Op::workspace(as(a), in); };
        if constexpr (has_in_place<Op>) op.in_place = Op::in_place;
        if constexpr (has_reason<Op>) {
            op.not_differentiable = Op::not_differentiable;
        } else {
            op.kinks = Op::kinks;
            op.second_order = Op::second_order;
            op.saves = [](const void* a, Needs needs) { return Op::saves(as(a), needs); };
            op.vjp = [](const void* a, const Recorded& r, const Tensors& g) { return Op::vjp(as(a), r, g); };
            if constexpr (has_second_order_reason<Op>) op.second_order_reason = Op::second_order_reason;
            static_assert(Op::second_order != SecondOrder::none || has_second_order_reason<Op>,
                          "this op has no second order and does not say why: second_order_reason = \"...\"");
        }
        op.print = [](const void* a) {
            AttributePrinter printer;
            as(a).each(printer);
            return printer.text();
        };
        op.hash = [](const void* a) {
            AttributeHasher hasher;
            as(a).each(hasher);
            return hasher.hash();
        };
        op.samples = [] {
            Samples<Op> samples;
            Op::samples(samples);
            return static_cast<SampleSet>(samples);
        };
        return op;
    }();
    return info;
}

// An op from outside the list gets the same treatment: apply_user_op<Mine>({...}, {x}), and the gradient
// checker takes user_op<Mine>().
template <class Op>
const OpInfo& user_op() {
    return describe<Op>();
}

template <class Op>
Tensors apply_user_op(typename Op::Attributes attributes, const Tensors& inputs) {
    return apply(user_op<Op>(), std::make_shared<const typename Op::Attributes>(std::move(attributes)),
                 inputs);
}

}  // namespace microtome
