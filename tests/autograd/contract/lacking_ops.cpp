// Ops that lack one member each, in one file because compiling is slow. None may compile, and the compiler
// must say in words what each lacks; check.cmake reads what it says.
#include "autograd/describe.hpp"

using namespace microtome;

// clang-format off
struct Name        { static constexpr std::string_view name = "lacking"; };
struct Formula     { static constexpr std::string_view formula = "y = x"; };
struct Kinks       { static constexpr std::string_view kinks = ""; };
struct Second      { static constexpr SecondOrder second_order = SecondOrder::closed; };
struct SecondNone  { static constexpr SecondOrder second_order = SecondOrder::none; };
struct Attribute   { using Attributes = NoAttributes; };
struct ShapeRule   { static Specs shape_rule(const NoAttributes&, const Specs& in) { return {in[0]}; } };
struct Forward     { static void forward(const NoAttributes&, const Tensors&, Tensors&, KernelContext&) {} };
struct View        { static Tensors view(const NoAttributes&, const Tensors& in) { return in; } };
struct SavesMember { static Saves saves(const NoAttributes&, Needs) { return {}; } };
struct Vjp         { static Tensors vjp(const NoAttributes&, const Recorded&, const Tensors& g) { return g; } };
template <class Op> struct Samplers { static void samples(Samples<Op>&) {} };

struct LacksName        : Formula, Kinks, Second, Attribute, ShapeRule, Forward, SavesMember, Vjp, Samplers<LacksName> {};
struct LacksFormula     : Name, Kinks, Second, Attribute, ShapeRule, Forward, SavesMember, Vjp, Samplers<LacksFormula> {};
struct LacksKinks       : Name, Formula, Second, Attribute, ShapeRule, Forward, SavesMember, Vjp, Samplers<LacksKinks> {};
struct LacksSecondOrder : Name, Formula, Kinks, Attribute, ShapeRule, Forward, SavesMember, Vjp, Samplers<LacksSecondOrder> {};
struct LacksReason      : Name, Formula, Kinks, SecondNone, Attribute, ShapeRule, Forward, SavesMember, Vjp, Samplers<LacksReason> {};
struct LacksShapeRule   : Name, Formula, Kinks, Second, Attribute, Forward, SavesMember, Vjp, Samplers<LacksShapeRule> {};
struct LacksForward     : Name, Formula, Kinks, Second, Attribute, ShapeRule, SavesMember, Vjp, Samplers<LacksForward> {};
struct HasBothForwards  : Name, Formula, Kinks, Second, Attribute, ShapeRule, Forward, View, SavesMember, Vjp, Samplers<HasBothForwards> {};
struct LacksVjp         : Name, Formula, Kinks, Second, Attribute, ShapeRule, Forward, SavesMember, Samplers<LacksVjp> {};
struct LacksSaves       : Name, Formula, Kinks, Second, Attribute, ShapeRule, Forward, Vjp, Samplers<LacksSaves> {};
struct LacksSamples     : Name, Formula, Kinks, Second, Attribute, ShapeRule, Forward, SavesMember, Vjp {};
// clang-format on

template <class... Ops>
std::vector<const OpInfo*> all() {
    return {&user_op<Ops>()...};
}

std::vector<const OpInfo*> lacking() {
    return all<LacksName, LacksFormula, LacksKinks, LacksSecondOrder, LacksReason, LacksShapeRule,
               LacksForward, HasBothForwards, LacksVjp, LacksSaves, LacksSamples>();
}
