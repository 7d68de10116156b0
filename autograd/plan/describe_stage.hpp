// The description of a stage: what a plan needs of an op.
#pragma once

#include "autograd/attributes.hpp"
#include "autograd/op.hpp"

namespace microtome::plan {

// What a stage tells of itself, from its functions on attributes of type A.
template <class A>
OpInfo describe_stage(std::string_view name, std::string_view formula) {
    OpInfo info;
    info.name = name;
    info.formula = formula;
    info.not_differentiable = "a stage of a plan is what fusion makes of ops and of their gradients";
    info.print = [](const void* a) {
        AttributePrinter printer;
        static_cast<const A*>(a)->each(printer);
        return printer.text();
    };
    info.hash = [](const void* a) {
        AttributeHasher hasher;
        static_cast<const A*>(a)->each(hasher);
        return hasher.hash();
    };
    return info;
}

}  // namespace microtome::plan
