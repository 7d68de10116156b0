// What the shape rules of many ops ask of their inputs.
#pragma once

#include "base/text.hpp"
#include "tensor/tensor.hpp"

#include <string_view>

namespace microtome {

inline void require_floating(std::string_view op, const Spec& x) {
    if (!is_floating(x.dtype))
        throw DtypeError(op, str("expected a floating tensor, got ", x), "cast() it to f32");
}

inline void require_same_dtype(std::string_view op, const Specs& in) {
    for (std::size_t i = 1; i < in.size(); ++i)
        if (in[i].dtype != in[0].dtype)
            throw DtypeError(op, str("expected inputs of one type, got ", in[0], " and ", in[i]),
                             "cast() one of them");
}

// Numbers, and where to find or put them.
inline void require_indexed(std::string_view op, const Spec& x, const Spec& index) {
    if (!is_floating(x.dtype) || index.dtype != Dtype::i64)
        throw DtypeError(op, str("expected a floating tensor and i64 indices, got ", x, " and ", index));
}

}  // namespace microtome
