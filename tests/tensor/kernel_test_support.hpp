// What the kernel tests share: awkward random data and a comparison of bits.
#pragma once

#include "tensor/cpu/isa.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <vector>

namespace microtome::test {

// Values with full significands and a few orders of magnitude, so that every change of order shows.
template <class T>
std::vector<T> random_values(int64_t count, std::mt19937& random) {
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& value : values) {
        double unit = (static_cast<double>(random()) - 2147483648.0) / 2147483648.0;
        value = static_cast<T>(unit * static_cast<double>(1 << (random() % 8)));
    }
    return values;
}

inline int64_t random_between(std::mt19937& random, int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random() % static_cast<uint32_t>(most - least + 1));
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// Memory for a kernel: 64-byte aligned, filled with NaN so that nothing is read before it is written.
class Workspace {
  public:
    explicit Workspace(std::size_t bytes) : memory_(bytes + 64, std::byte{0xff}), bytes_(bytes) {}
    std::span<std::byte> span() {
        void* start = memory_.data();
        std::size_t room = memory_.size();
        return {static_cast<std::byte*>(std::align(64, bytes_, start, room)), bytes_};
    }

  private:
    std::vector<std::byte> memory_;
    std::size_t bytes_;
};

inline std::vector<cpu::Isa> available_isas() {
    std::vector<cpu::Isa> result;
    for (cpu::Isa isa : {cpu::Isa::reference, cpu::Isa::avx2, cpu::Isa::avx512})
        if (cpu::isa_available(isa)) result.push_back(isa);
    return result;
}

}  // namespace microtome::test
