// Whether a C function as we declare it is called as its library's header says.
#pragma once

#include <type_traits>

namespace microtome::test {

// Pointers are passed as pointers, enumerations as integers of one size.
template <class Ours, class Theirs>
constexpr bool same_parameter() {
    if constexpr (std::is_pointer_v<Ours> || std::is_pointer_v<Theirs>)
        return std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>;
    else if constexpr (std::is_enum_v<Ours>)
        return (std::is_enum_v<Theirs> || std::is_integral_v<Theirs>)&&sizeof(Ours) == sizeof(Theirs);
    else
        return std::is_same_v<Ours, Theirs>;
}
template <class Ours, class Theirs>
struct SameFunction;
template <class R, class... P, class S, class... Q>
struct SameFunction<R(P...), S(Q...)> {
    static constexpr bool check() {
        if constexpr (sizeof...(P) != sizeof...(Q))
            return false;
        else
            return same_parameter<R, S>() && (same_parameter<P, Q>() && ...);
    }
};
template <class Ours, class Theirs>
constexpr bool same_function = SameFunction<Ours, Theirs>::check();

}  // namespace microtome::test
