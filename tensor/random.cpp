#include "tensor/random.hpp"

#include "base/hash.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/cpu/random_table.hpp"
#include "tensor/cuda/backend.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

namespace microtome {
namespace {

const cpu::RandomTable& table() {
    return cpu::pick(cpu::reference::random_table, cpu::avx2::random_table, cpu::avx512::random_table);
}

random::StreamKey stream_of(const RandomKey& key) {
    return random::stream_key(key.seed, key.purpose, key.sample);
}

// body(begin, count) for pieces of the elements, in parallel; each piece begins with a block.
constexpr int64_t kPiece = 4096;
template <class Body>
void for_pieces(std::size_t size, const KernelContext& context, Body body) {
    int64_t n = static_cast<int64_t>(size);
    int threads = static_cast<int>(std::clamp<int64_t>(n / (4 * kPiece), 1, context.threads));
    cpu::parallel_tasks((n + kPiece - 1) / kPiece, threads,
                        [&](int64_t i, int) { body(i * kPiece, std::min(kPiece, n - i * kPiece)); });
}

using Kernel = void (*)(random::StreamKey, uint32_t, uint32_t, uint64_t, float*, int64_t);

void fill(Kernel kernel, const RandomKey& key, std::span<float> y, const KernelContext& context) {
    random::StreamKey stream = stream_of(key);
    for_pieces(y.size(), context, [&](int64_t begin, int64_t n) {
        kernel(stream, key.restart, key.step, static_cast<uint64_t>(begin / 4), y.data() + begin, n);
    });
}

void fill(Kernel kernel, const RandomKey& key, std::span<double> y, const KernelContext& context) {
    random::StreamKey stream = stream_of(key);
    for_pieces(y.size(), context, [&](int64_t begin, int64_t n) {
        std::array<float, kPiece> narrow;
        kernel(stream, key.restart, key.step, static_cast<uint64_t>(begin / 4), narrow.data(), n);
        std::copy_n(narrow.data(), n, y.data() + begin);
    });
}

}  // namespace

namespace {

cuda::DrawKey draw_key(const RandomKey& key) {
    return {key.seed, key.purpose, key.sample, key.restart, key.step};
}

}  // namespace

uint64_t purpose_of(std::string_view name) {
    return hash_bytes(name);
}

void fill_uniform(const RandomKey& key, std::span<float> y, double low, double high,
                  const KernelContext& context) {
    fill(table().uniform, key, y, context);
    if (low == 0 && high == 1) return;
    float width = static_cast<float>(high - low), start = static_cast<float>(low);
    float last = std::nextafter(static_cast<float>(high), start);
    for (float& x : y) x = std::min(std::fma(x, width, start), last);  // rounding must not reach high
}

void fill_uniform(const RandomKey& key, std::span<double> y, double low, double high,
                  const KernelContext& context) {
    random::StreamKey stream = stream_of(key);
    double last = std::nextafter(high, low);
    for_pieces(y.size(), context, [&](int64_t begin, int64_t n) {
        for (int64_t i = begin; i < begin + n; i += 2) {
            random::Words words =
                random::block_of(stream, key.restart, key.step, static_cast<uint64_t>(i / 2));
            for (int64_t j = i; j < std::min(i + 2, begin + n); ++j) {
                double u = random::uniform_double(words.word[2 * (j - i)], words.word[2 * (j - i) + 1]);
                y[static_cast<std::size_t>(j)] = std::min(std::fma(u, high - low, low), last);
            }
        }
    });
}

void fill_normal(const RandomKey& key, std::span<float> y, const KernelContext& context) {
    fill(table().normal, key, y, context);
}
void fill_normal(const RandomKey& key, std::span<double> y, const KernelContext& context) {
    fill(table().normal, key, y, context);
}
void fill_signs(const RandomKey& key, std::span<float> y, const KernelContext& context) {
    fill(table().signs, key, y, context);
}
void fill_signs(const RandomKey& key, std::span<double> y, const KernelContext& context) {
    fill(table().signs, key, y, context);
}

void fill_uniform(const RandomKey& key, Tensor& y, double low, double high, const KernelContext& context) {
    if (cuda::on_cuda(y))
        return cuda::run("fill_uniform", y, {}, [&](auto gpu) {
            const auto width = gpu.number(high - low), start = gpu.number(low),
                       last = std::nextafter(gpu.number(high), start);
            gpu->uniform(gpu.stream, draw_key(key), start, width, last, gpu.out(y), y.elements());
        });
    visit_f32_f64("fill_uniform", y.dtype(),
                  [&]<class T>() { fill_uniform(key, y.mutable_data<T>(), low, high, context); });
}
void fill_normal(const RandomKey& key, Tensor& y, const KernelContext& context) {
    if (cuda::on_cuda(y))
        return cuda::run("fill_normal", y, {},
                         [&](auto gpu) { gpu->normal(gpu.stream, draw_key(key), gpu.out(y), y.elements()); });
    visit_f32_f64("fill_normal", y.dtype(),
                  [&]<class T>() { fill_normal(key, y.mutable_data<T>(), context); });
}
void fill_signs(const RandomKey& key, Tensor& y, const KernelContext& context) {
    if (cuda::on_cuda(y))
        return cuda::run("fill_signs", y, {},
                         [&](auto gpu) { gpu->signs(gpu.stream, draw_key(key), gpu.out(y), y.elements()); });
    visit_f32_f64("fill_signs", y.dtype(), [&]<class T>() { fill_signs(key, y.mutable_data<T>(), context); });
}

void fill_gate(const Tensor& key, const Tensor& ids, int64_t elements, double rate, Tensor& gate,
               const KernelContext& context) {
    const float limit = static_cast<float>(rate);
    if (cuda::on_cuda(gate)) {
        const cuda::Queue queue = cuda::queue_of("fill_gate", gate, {&key, &ids});
        if (gate.elements() > 0)
            queue.memory().random_gate(queue.stream, cuda::in<int64_t>(key), cuda::in<int64_t>(ids),
                                       ids.elements(), elements, limit, cuda::out<uint8_t>(gate));
        return;
    }
    const std::span<const int64_t> name = key.data<int64_t>();
    const std::span<uint8_t> bytes = gate.mutable_data<uint8_t>();
    std::fill(bytes.begin(), bytes.end(), uint8_t{0});
    std::vector<float> drawn(static_cast<std::size_t>(elements));
    std::size_t bit = 0;
    for (int64_t id : ids.data<int64_t>()) {
        const RandomKey named{std::bit_cast<uint64_t>(name[0]), std::bit_cast<uint64_t>(name[1]),
                              std::bit_cast<uint64_t>(id), static_cast<uint32_t>(name[2]),
                              static_cast<uint32_t>(name[3])};
        fill_uniform(named, std::span<float>(drawn), 0, 1, context);
        for (float number : drawn) {
            bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] | ((number >= limit) << (bit % 8)));
            ++bit;
        }
    }
}

uint64_t random_below(const RandomKey& key, uint64_t i, uint64_t n) {
    if (n == 0) throw OptionsError("random_below", "expected a bound of 1 or more, got 0");
    random::StreamKey stream = stream_of(key);
    const uint64_t uneven = (0 - n) % n;  // 2^64 mod n: so many low halves are one too many
    for (uint64_t attempt = 0;; ++attempt) {
        random::Words words = random::block_of(stream, key.restart, key.step, i + (attempt / 2 << 48));
        uint64_t bits = uint64_t{words.word[2 * (attempt % 2) + 1]} << 32 | words.word[2 * (attempt % 2)];
        // bits * n as 128 bits, from 32-bit halves
        uint64_t low = (bits & 0xffffffffu) * (n & 0xffffffffu);
        uint64_t middle = (bits >> 32) * (n & 0xffffffffu) + (low >> 32);
        uint64_t cross = (bits & 0xffffffffu) * (n >> 32) + (middle & 0xffffffffu);
        uint64_t upper = (bits >> 32) * (n >> 32) + (middle >> 32) + (cross >> 32);
        if (bits * n >= uneven) return upper;
    }
}

std::vector<int64_t> random_permutation(const RandomKey& key, int64_t n) {
    if (n < 0) throw OptionsError("random_permutation", str("expected 0 or more, got ", n));
    std::vector<int64_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), int64_t{0});
    for (uint64_t i = order.size(); i-- > 1;) std::swap(order[i], order[random_below(key, i, i + 1)]);
    return order;
}

}  // namespace microtome
