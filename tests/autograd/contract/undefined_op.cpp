// A list of ops, made as in autograd/op_list.cpp, with one that no file defines. Compiles; must not link.
#include "autograd/op.hpp"

namespace microtome {

namespace op {
struct Forgotten;
}

const std::vector<const OpInfo*>& all_ops() {
    static const std::vector<const OpInfo*> ops{&op_info<op::Forgotten>()};
    return ops;
}

}  // namespace microtome

int main() {
    return microtome::all_ops().empty();
}
