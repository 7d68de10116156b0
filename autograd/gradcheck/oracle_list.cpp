#include "autograd/gradcheck/oracles.hpp"

namespace microtome::gradcheck {
namespace {

std::string always(const OpInfo&, const SampleSet&) {
    return "";
}

std::string differentiable(const OpInfo& op, const SampleSet&) {
    return op.vjp ? "" : str("no gradient: ", op.not_differentiable);
}

std::string not_differentiable(const OpInfo& op, const SampleSet&) {
    return op.vjp ? "has a gradient" : "";
}

std::string kinked(const OpInfo& op, const SampleSet& set) {
    const std::string hole = differentiable(op, set);
    return !hole.empty() ? hole : set.kinks.empty() ? "smooth" : "";
}

std::string on_duals(const OpInfo& op, const SampleSet& set) {
    const std::string hole = differentiable(op, set);
    return hole.empty() ? reason_without_dual(op, set) : hole;
}

std::string twice_on_duals(const OpInfo& op, const SampleSet& set) {
    if (op.vjp && op.second_order == SecondOrder::none)
        return str("no second order: ", op.second_order_reason);
    return on_duals(op, set);
}

std::string linear(const OpInfo& op, const SampleSet& set) {
    const std::string hole = differentiable(op, set);
    return hole.empty() ? reason_without_adjoint(op, set) : hole;
}

std::string refuses(const OpInfo&, const SampleSet& set) {
    return set.errors.empty() ? "takes any input" : "";
}

}  // namespace

const std::vector<OracleInfo>& oracles() {
    static const std::vector<OracleInfo> list{
        {"samples", false, always, check_samples},
        {"attributes", false, always, check_attributes},
        {"forward", false, always, check_forward},
        {"finite differences", true, differentiable, check_first_order},
        {"second order", true, differentiable, check_second_order},
        {"dual", true, on_duals, check_dual, true},
        {"dual second order", true, twice_on_duals, check_dual_second_order, true},
        {"symmetry", true, twice_on_duals, check_symmetry, true},
        {"adjoint", true, linear, check_adjoint},
        {"needs", false, differentiable, check_needs},
        {"cotangents", true, differentiable, check_cotangents},
        {"kink", true, kinked, check_kinks},
        {"errors", false, refuses, check_errors},
        {"f32", false, always, check_f32},
        {"abstract", false, always, check_abstract},
        {"not followed", false, not_differentiable, check_not_followed},
    };
    return list;
}

}  // namespace microtome::gradcheck
