// Which instruction set the CPU kernels use. All sets give the same bits; they differ in speed only.
#pragma once

#include <string_view>

namespace microtome::cpu {

enum class Isa { reference, avx2, avx512 };

// The set in use: the widest this processor has, or the one that MICROTOME_ISA=reference|avx2|avx512 forces.
// Throws OptionsError when the variable names an unknown set or one that the processor lacks.
Isa active_isa();
std::string_view isa_name(Isa isa);
bool isa_available(Isa isa);

// Forces one set for the lifetime of this object, for tests that compare bits. Affects the whole process.
class ForceIsa {
  public:
    explicit ForceIsa(Isa isa);
    ~ForceIsa();
    ForceIsa(const ForceIsa&) = delete;
    ForceIsa& operator=(const ForceIsa&) = delete;

  private:
    Isa previous_;
};

// Picks the member of a family of kernel tables that belongs to the active set.
template <class Table>
const Table& pick([[maybe_unused]] const Table& reference, [[maybe_unused]] const Table& avx2,
                  [[maybe_unused]] const Table& avx512) {
    switch (active_isa()) {
        case Isa::avx512: return avx512;
        case Isa::avx2: return avx2;
        case Isa::reference: break;
    }
    return reference;
}

}  // namespace microtome::cpu
