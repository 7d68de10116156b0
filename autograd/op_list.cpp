// Gathers the descriptions of all ops. An op in the list that no file in autograd/ops defines fails to link
// here.
#include "autograd/op_list.hpp"

#include "autograd/op.hpp"

namespace microtome {
namespace {

template <class... Ops>
std::vector<const OpInfo*> describe_all(OpList<Ops...>) {
    return {&op_info<Ops>()...};
}

}  // namespace

const std::vector<const OpInfo*>& all_ops() {
    static const std::vector<const OpInfo*> ops = describe_all(AllOps{});
    return ops;
}

}  // namespace microtome
