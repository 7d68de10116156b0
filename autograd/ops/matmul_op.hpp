#pragma once

namespace microtome {

// Here for the plan too, which looks at them to fuse.
struct MatmulAttributes {
    bool transpose_a = false, transpose_b = false;
    void each(auto&& field) const {
        field("transpose_a", transpose_a);
        field("transpose_b", transpose_b);
    }
};

}  // namespace microtome
