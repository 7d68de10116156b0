#include "tensor/cpu/isa.hpp"

#include "base/error.hpp"

#include <atomic>
#include <cstdlib>

namespace microtome::cpu {
namespace {

Isa widest_isa() {
    if (isa_available(Isa::avx512)) return Isa::avx512;
    if (isa_available(Isa::avx2)) return Isa::avx2;
    return Isa::reference;
}

Isa isa_from_environment() {
    const char* wanted = std::getenv("MICROTOME_ISA");
    if (wanted == nullptr || *wanted == '\0') return widest_isa();
    for (Isa isa : {Isa::reference, Isa::avx2, Isa::avx512}) {
        if (isa_name(isa) != wanted) continue;
        if (isa_available(isa)) return isa;
        throw OptionsError("MICROTOME_ISA", str("this processor has no ", wanted),
                           str("unset it to use ", isa_name(widest_isa())));
    }
    throw OptionsError("MICROTOME_ISA", str("expected reference, avx2 or avx512, got '", wanted, "'"));
}

std::atomic<Isa>& current() {
    static std::atomic<Isa> isa{isa_from_environment()};
    return isa;
}

}  // namespace

Isa active_isa() {
    return current().load(std::memory_order_relaxed);
}

std::string_view isa_name(Isa isa) {
    switch (isa) {
        case Isa::avx512: return "avx512";
        case Isa::avx2: return "avx2";
        case Isa::reference: break;
    }
    return "reference";
}

bool isa_available([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
    switch (isa) {
        case Isa::avx512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("fma");
        case Isa::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                   __builtin_cpu_supports("bmi2");
        case Isa::reference: break;
    }
    return true;
#else
    return isa == Isa::reference;
#endif
}

ForceIsa::ForceIsa(Isa isa) : previous_(active_isa()) {
    if (!isa_available(isa)) throw OptionsError("ForceIsa", str("this processor has no ", isa_name(isa)));
    current() = isa;
}

ForceIsa::~ForceIsa() {
    current() = previous_;
}

}  // namespace microtome::cpu
