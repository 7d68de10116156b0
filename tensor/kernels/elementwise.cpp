#include "tensor/kernels/elementwise.hpp"

#include "tensor/convert.hpp"
#include "tensor/cpu/elementwise_table.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/broadcast.hpp"
#include "tensor/reference/elementwise.hpp"

#include <cmath>
#include <limits>

namespace microtome::kernels {
namespace {

template <class T>
const cpu::ElementwiseTable<T>& table();
template <>
const cpu::ElementwiseTable<float>& table() {
    return cpu::pick(cpu::reference::elementwise_table, cpu::avx2::elementwise_table,
                     cpu::avx512::elementwise_table);
}
template <class T>
constexpr cpu::ElementwiseTable<T> kTextbook{reference::unary<T>, reference::binary<T>, reference::ternary<T>,
                                             reference::range_gate<T>, reference::apply_gate<T>};
template <>
const cpu::ElementwiseTable<double>& table() {
    return kTextbook<double>;
}
template <>
const cpu::ElementwiseTable<Dual>& table() {
    return kTextbook<Dual>;
}

// A thread more is worth while from about so many elements on.
constexpr int64_t kElementsPerThread = 16384;

int threads_for(int64_t elements, const KernelContext& context) {
    return static_cast<int>(std::clamp<int64_t>(elements / kElementsPerThread, 1, context.threads));
}

// Calls body(begin, count) for blocks of up to `size` elements, in parallel.
template <class Body>
void for_blocks(int64_t elements, int64_t size, const KernelContext& context, Body body) {
    int64_t blocks = (elements + size - 1) / size;
#pragma omp parallel for num_threads(threads_for(elements, context)) schedule(static)
    for (int64_t i = 0; i < blocks; ++i) body(i * size, std::min(size, elements - i * size));
}

void require_broadcasts(const char* where, const Tensor& x, const Tensor& y) {
    const Shape &from = x.shape(), &to = y.shape();
    bool fits = from.rank() <= to.rank();
    for (int axis = 1; fits && axis <= from.rank(); ++axis)
        fits = from[-axis] == to[-axis] || from[-axis] == 1;
    if (!fits) throw ShapeError(where, str("expected a shape that broadcasts to ", to, ", got ", from));
}

void require_same(const char* where, const Tensor& x, const Tensor& y) {
    if (x.shape() != y.shape())
        throw ShapeError(where,
                         str("expected input and output of one shape, got ", x.shape(), " and ", y.shape()));
}

void require_gate(const char* where, const Tensor& x, const Tensor& gate) {
    int64_t bytes = (x.elements() + 7) / 8;
    if (gate.elements() != bytes)
        throw ShapeError(where,
                         str("expected a gate of ", bytes, " bytes for ", x.shape(), ", got ", gate.spec()));
}

// Runs body(begin, count, blocks of the inputs...) over the output's order.
template <class T, class Body, class... Inputs>
void for_broadcast_blocks(int64_t elements, const KernelContext& context, Body body,
                          const Inputs&... inputs) {
    constexpr int64_t size = BroadcastInput<T>::kBlock;
    int64_t blocks = (elements + size - 1) / size;
#pragma omp parallel num_threads(threads_for(elements, context))
    {
        std::array<typename BroadcastInput<T>::Buffer, sizeof...(Inputs)> buffers;
        std::size_t k = 0;
        (inputs.prepare(buffers[k++]), ...);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < blocks; ++i) {
            int64_t begin = i * size, count = std::min(size, elements - begin);
            std::size_t j = 0;
            // braces: the arguments are evaluated from left to right
            std::array<const T*, sizeof...(Inputs)> pointers{inputs.block(begin, count, buffers[j++])...};
            body(begin, count, pointers);
        }
    }
}

template <class T>
BroadcastInput<T> input(const Tensor& x, const Tensor& y) {
    return BroadcastInput<T>(x.data<T>().data(), x.shape(), y.shape());
}

}  // namespace

Shape broadcast_shape(std::string_view where, const Shape& a, const Shape& b) {
    int rank = std::max(a.rank(), b.rank());
    std::array<int64_t, Shape::kMaxRank> sizes{};
    for (int axis = 1; axis <= rank; ++axis) {
        int64_t size_a = axis <= a.rank() ? a[-axis] : 1;
        int64_t size_b = axis <= b.rank() ? b[-axis] : 1;
        if (size_a != size_b && size_a != 1 && size_b != 1)
            throw ShapeError(where, str("expected shapes that broadcast, got ", a, " and ", b),
                             "axes are matched from the last; sizes must be equal or 1");
        sizes[rank - axis] = size_a == 1 ? size_b : size_a;
    }
    return Shape(std::span<const int64_t>(sizes.data(), rank));
}

void unary(Unary operation, const Tensor& x, Tensor& y, const KernelContext& context) {
    require_same("unary", x, y);
    if (cuda::on_cuda(y))
        return cuda::run("unary", y, {&x}, [&](auto gpu) {
            gpu->unary(gpu.stream, operation, gpu.in(x), gpu.out(y), y.elements());
        });
    visit_floating("unary", y.dtype(), [&]<class T>() {
        const T* from = x.data<T>().data();
        T* to = y.mutable_data<T>().data();
        auto kernel = table<T>().unary;
        for_blocks(y.elements(), 4096, context,
                   [=](int64_t begin, int64_t n) { kernel(operation, from + begin, to + begin, n); });
    });
}

void binary(Binary operation, const Tensor& a, const Tensor& b, Tensor& y, const KernelContext& context) {
    require_broadcasts("binary", a, y);
    require_broadcasts("binary", b, y);
    if (cuda::on_cuda(y))
        return cuda::run("binary", y, {&a, &b}, [&](auto gpu) {
            gpu->binary(gpu.stream, operation, cuda::broadcast(y.shape(), a.shape(), b.shape()), gpu.in(a),
                        gpu.in(b), gpu.out(y));
        });
    visit_floating("binary", y.dtype(), [&]<class T>() {
        auto first = input<T>(a, y), second = input<T>(b, y);
        T* to = y.mutable_data<T>().data();
        auto kernel = table<T>().binary;
        for_broadcast_blocks<T>(
            y.elements(), context,
            [=](int64_t begin, int64_t n, auto& from) { kernel(operation, from[0], from[1], to + begin, n); },
            first, second);
    });
}

void ternary(Ternary operation, const Tensor& a, const Tensor& b, const Tensor& c, Tensor& y,
             const KernelContext& context) {
    require_broadcasts("ternary", a, y);
    require_broadcasts("ternary", b, y);
    require_broadcasts("ternary", c, y);
    if (cuda::on_cuda(y))
        return cuda::run("ternary", y, {&a, &b, &c}, [&](auto gpu) {
            gpu->ternary(gpu.stream, operation, cuda::broadcast(y.shape(), a.shape(), b.shape(), c.shape()),
                         gpu.in(a), gpu.in(b), gpu.in(c), gpu.out(y));
        });
    visit_floating("ternary", y.dtype(), [&]<class T>() {
        auto first = input<T>(a, y), second = input<T>(b, y), third = input<T>(c, y);
        T* to = y.mutable_data<T>().data();
        auto kernel = table<T>().ternary;
        for_broadcast_blocks<T>(
            y.elements(), context,
            [=](int64_t begin, int64_t n, auto& from) {
                kernel(operation, from[0], from[1], from[2], to + begin, n);
            },
            first, second, third);
    });
}

void broadcast_to(const Tensor& x, Tensor& y, const KernelContext& context) {
    require_broadcasts("broadcast_to", x, y);
    if (cuda::on_cuda(y))
        return cuda::copy_elements("broadcast_to", cuda::broadcast(y.shape(), y.shape(), x.shape()), x, y);
    visit_dtype(y.dtype(), [&]<class T>() {
        auto from = input<T>(x, y);
        T* to = y.mutable_data<T>().data();
        for_broadcast_blocks<T>(
            y.elements(), context,
            [=](int64_t begin, int64_t n, auto& block) { std::copy_n(block[0], n, to + begin); }, from);
    });
}

void relu_gate(const Tensor& x, Tensor& y, Tensor& gate, const KernelContext& context) {
    range_gate(x, 0, std::numeric_limits<double>::infinity(), y, gate, context);
}

void range_gate(const Tensor& x, double low, double high, Tensor& y, Tensor& gate,
                const KernelContext& context) {
    require_same("range_gate", x, y);
    require_gate("range_gate", x, gate);
    if (cuda::on_cuda(y))
        return cuda::run("range_gate", y, {&x, &gate}, [&](auto gpu) {
            gpu->range_gate(gpu.stream, gpu.in(x), gpu.number(low), gpu.number(high), gpu.out(y),
                            cuda::out<uint8_t>(gate), y.elements());
        });
    visit_floating("range_gate", x.dtype(), [&]<class T>() {
        const T* from = x.data<T>().data();
        T* to = y.mutable_data<T>().data();
        uint8_t* bits = gate.mutable_data<uint8_t>().data();
        T first = static_cast<T>(low), last = static_cast<T>(high);
        auto kernel = table<T>().range_gate;
        for_blocks(x.elements(), 4096, context, [=](int64_t begin, int64_t n) {
            kernel(from + begin, first, last, to + begin, bits + begin / 8, n);
        });
    });
}

void apply_gate(const Tensor& g, const Tensor& gate, Tensor& dx, const KernelContext& context) {
    require_same("apply_gate", g, dx);
    require_gate("apply_gate", g, gate);
    if (cuda::on_cuda(dx))
        return cuda::run("apply_gate", dx, {&g, &gate}, [&](auto gpu) {
            gpu->apply_gate(gpu.stream, gpu.in(g), cuda::in<uint8_t>(gate), gpu.out(dx), dx.elements());
        });
    visit_floating("apply_gate", g.dtype(), [&]<class T>() {
        const T* from = g.data<T>().data();
        const uint8_t* bits = gate.data<uint8_t>().data();
        T* to = dx.mutable_data<T>().data();
        auto kernel = table<T>().apply_gate;
        for_blocks(g.elements(), 4096, context,
                   [=](int64_t begin, int64_t n) { kernel(from + begin, bits + begin / 8, to + begin, n); });
    });
}

void convert(const Tensor& x, Tensor& y, const KernelContext& context) {
    require_same("convert", x, y);
    if (cuda::on_cuda(y)) {
        const cuda::Queue queue = cuda::queue_of("convert", y, {&x});
        if (x.dtype() == Dtype::dual || y.dtype() == Dtype::dual)
            throw DtypeError("convert",
                             str("expected types that GPUs have, got ", x.spec(), " and ", y.spec()));
        if (y.elements() > 0)
            queue.memory().convert(queue.stream, x.dtype(), y.dtype(), x.raw(), y.mutable_raw(),
                                   y.elements());
        return;
    }
    visit_dtype(x.dtype(), [&]<class From>() {
        const From* from = x.data<From>().data();
        visit_dtype(y.dtype(), [&]<class To>() {
            To* to = y.mutable_data<To>().data();
            for_blocks(x.elements(), 4096, context, [=](int64_t begin, int64_t n) {
                for (int64_t i = begin; i < begin + n; ++i) to[i] = convert_one<To>(from[i]);
            });
        });
    });
}

}  // namespace microtome::kernels
