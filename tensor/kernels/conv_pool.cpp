#include "tensor/kernels/conv_pool.hpp"

#include "tensor/cpu/sparse_weights.hpp"
#include "tensor/cuda/dnn.hpp"
#include "tensor/dual.hpp"
#include "tensor/kernels/conv2d.hpp"
#include "tensor/kernels/conv_stage.hpp"

#include <algorithm>
#include <type_traits>

namespace microtome::kernels {
namespace {

constexpr uint8_t kShut = 4;

std::size_t aligned(std::size_t bytes) {
    return (bytes + 63) / 64 * 64;
}
KernelContext behind(const KernelContext& context, std::size_t bytes) {
    return {context.threads, context.workspace.subspan(bytes)};
}

ConvStage stage_of(const ConvShape& shape) {
    return {.conv = shape, .relu = true, .pool = true};
}

// The convolution's output as a whole, in front of the workspace proper: for types and geometries without a
// kernel of their own.
template <class T>
std::size_t whole_bytes(const ConvShape& s) {
    return aligned(static_cast<std::size_t>(s.output().elements()) * sizeof(T));
}
template <class T>
T* whole_of(const KernelContext& context) {
    return reinterpret_cast<T*>(context.workspace.data());
}

// body(place in y, places of the window's four pixels) for every element of y.
template <class Body>
void for_windows(const ConvShape& s, Body body) {
    for (int64_t n = 0, at = 0; n < s.n; ++n)
        for (int64_t i = 0; i < s.oh / 2; ++i)
            for (int64_t j = 0; j < s.ow / 2; ++j)
                for (int64_t o = 0; o < s.o; ++o, ++at) {
                    const int64_t first = ((n * s.oh + 2 * i) * s.ow + 2 * j) * s.o + o, below = s.ow * s.o;
                    const int64_t pixels[] = {first, first + s.o, first + below, first + below + s.o};
                    body(at, pixels);
                }
}

template <class T>
void pool(const ConvShape& s, const T* whole, T* y, uint8_t* gate) {
    for_windows(s, [&](int64_t at, const int64_t* pixels) {
        uint8_t winner = 0;
        for (uint8_t pixel = 1; pixel < 4; ++pixel) {
            const T& z = whole[pixels[pixel]];
            if (z > whole[pixels[winner]] || z != z) winner = pixel;
        }
        y[at] = whole[pixels[winner]];
        if (gate != nullptr) gate[at] = y[at] > T(0) ? winner : kShut;
    });
}

template <class T>
void unpool(const ConvShape& s, const T* g, const uint8_t* gate, T* whole) {
    std::fill_n(whole, s.output().elements(), T(0));
    for_windows(s, [&](int64_t at, const int64_t* pixels) {
        if (gate[at] < kShut) whole[pixels[gate[at]]] = g[at];
    });
}

}  // namespace

bool is_conv_pool_gate(const uint8_t* gate, int64_t count) {
    uint8_t most = 0;
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < count; ++i) most = gate[i] > most ? gate[i] : most;
    return most <= kShut;
}

template <class T>
void conv_pool(const ConvShape& shape, const T* x, const T* w, const T* bias, T* y, uint8_t* gate,
               const KernelContext& context) {
    require_workspace("conv_pool", context, conv_pool_workspace<T>(shape, context.threads));
    if constexpr (std::is_same_v<T, float>) {
        const ConvStage stage = stage_of(shape);
        const std::size_t floats = conv_stage_filters(stage);
        float* packed = reinterpret_cast<float*>(context.workspace.data());
        if (floats > 0) pack_conv_stage_filters(stage, w, packed);
        conv_stage(stage, x, floats > 0 ? packed : w, bias, nullptr, y, gate,
                   behind(context, aligned(floats * sizeof(float))));
    } else {
        conv2d(shape, x, w, whole_of<T>(context), behind(context, whole_bytes<T>(shape)),
               Epilogue<T>{.bias = bias, .relu = true});
        pool(shape, whole_of<T>(context), y, gate);
    }
}

template <class T>
void conv_pool_input_gradient(const ConvShape& shape, const T* g, const uint8_t* gate, const T* w, T* dx,
                              const KernelContext& context) {
    require_workspace("conv_pool_input_gradient", context,
                      conv_pool_input_gradient_workspace<T>(shape, context.threads));
    if constexpr (std::is_same_v<T, float>) {
        const ConvStage stage = stage_of(shape);
        const std::size_t floats = conv_stage_gradient_filters(stage);
        float* packed = reinterpret_cast<float*>(context.workspace.data());
        if (floats > 0) pack_conv_stage_gradient_filters(stage, w, packed);
        conv_stage_gradient(stage, g, gate, floats > 0 ? packed : w, dx, nullptr,
                            behind(context, aligned(floats * sizeof(float))));
    } else {
        unpool(shape, g, gate, whole_of<T>(context));
        conv2d_input_gradient(shape, whole_of<T>(context), w, dx, behind(context, whole_bytes<T>(shape)));
    }
}

template <class T>
void conv_pool_weight_gradient(const ConvShape& shape, const T* x, const T* g, const uint8_t* gate, T* dw,
                               T* dbias, const KernelContext& context) {
    require_workspace("conv_pool_weight_gradient", context,
                      conv_pool_weight_gradient_workspace<T>(shape, context.threads));
    if constexpr (std::is_same_v<T, float>)
        if (cpu::is_sparse_weight_gradient(shape))
            return cpu::sparse_weight_gradient(shape, x, g, gate, dw, dbias, context);
    unpool(shape, g, gate, whole_of<T>(context));
    conv2d_weight_gradient(shape, x, whole_of<T>(context), dw, behind(context, whole_bytes<T>(shape)));
    // A line of windows at a time, so that long sums stay as exact as those of dw.
    std::fill_n(dbias, shape.o, T(0));
    const int64_t windows = shape.ow / 2, lines = shape.n * (shape.oh / 2);
    for (int64_t o = 0; o < shape.o; ++o)
        for (int64_t line = 0; line < lines; ++line) {
            T sum(0);
            for (int64_t at = line * windows * shape.o + o; at < (line + 1) * windows * shape.o;
                 at += shape.o)
                if (gate[at] < kShut) sum += g[at];
            dbias[o] += sum;
        }
}

void conv_pool(const ConvShape& shape, const Tensor& x, const Tensor& w, const Tensor& bias, Tensor& y,
               Tensor* gate, const KernelContext& context) {
    if (cuda::on_cuda(y)) {
        Tensor gates = gate ? *gate : Tensor(), whole(Spec{shape.output(), y.dtype(), y.device()});
        cuda::queue_of("conv_pool", y, {&x, &w, &bias, &gates});
        cuda::conv2d(shape, x, w, whole, {.bias = bias, .relu = true});
        return cuda::run("conv_pool", y, {}, [&](auto gpu) {
            gpu->gated_pool(gpu.stream, shape, gpu.in(whole), gpu.out(y), cuda::out<uint8_t>(gates));
        });
    }
    visit_floating("conv_pool", y.dtype(), [&]<class T>() {
        conv_pool<T>(shape, x.data<T>().data(), w.data<T>().data(), bias.data<T>().data(),
                     y.mutable_data<T>().data(), gate ? gate->mutable_data<uint8_t>().data() : nullptr,
                     context);
    });
}

void conv_pool_input_gradient(const ConvShape& shape, const Tensor& g, const Tensor& gate, const Tensor& w,
                              Tensor& dx, const KernelContext& context) {
    if (cuda::on_cuda(dx)) {
        Tensor whole(Spec{shape.output(), g.dtype(), g.device()});
        cuda::run("conv_pool_input_gradient", dx, {&g, &gate, &w}, [&](auto gpu) {
            gpu->gated_unpool(gpu.stream, shape, gpu.in(g), cuda::in<uint8_t>(gate), gpu.out(whole));
        });
        return cuda::conv2d_input_gradient(shape, whole, w, dx);
    }
    visit_floating("conv_pool_input_gradient", dx.dtype(), [&]<class T>() {
        conv_pool_input_gradient<T>(shape, g.data<T>().data(), gate.data<uint8_t>().data(),
                                    w.data<T>().data(), dx.mutable_data<T>().data(), context);
    });
}

void conv_pool_weight_gradient(const ConvShape& shape, const Tensor& x, const Tensor& g, const Tensor& gate,
                               Tensor& dw, Tensor& dbias, const KernelContext& context) {
    if (cuda::on_cuda(dw)) {
        Tensor whole(Spec{shape.output(), g.dtype(), g.device()});
        Tensor lines(Spec{{shape.n * (shape.oh / 2) * shape.o}, g.dtype(), g.device()});
        cuda::run("conv_pool_weight_gradient", dw, {&x, &g, &gate, &dbias}, [&](auto gpu) {
            if (whole.elements() > 0)
                gpu->gated_unpool(gpu.stream, shape, gpu.in(g), cuda::in<uint8_t>(gate), gpu.out(whole));
            gpu->gated_sum(gpu.stream, shape, gpu.in(g), cuda::in<uint8_t>(gate), gpu.out(lines),
                           gpu.out(dbias));
        });
        return cuda::conv2d_weight_gradient(shape, x, whole, dw);
    }
    visit_floating("conv_pool_weight_gradient", dw.dtype(), [&]<class T>() {
        conv_pool_weight_gradient<T>(shape, x.data<T>().data(), g.data<T>().data(),
                                     gate.data<uint8_t>().data(), dw.mutable_data<T>().data(),
                                     dbias.mutable_data<T>().data(), context);
    });
}

template <class T>
std::size_t conv_pool_workspace(const ConvShape& shape, int threads) {
    if (!std::is_same_v<T, float>) return whole_bytes<T>(shape) + conv2d_workspace<T>(shape, threads);
    const ConvStage stage = stage_of(shape);
    return aligned(conv_stage_filters(stage) * sizeof(float)) + conv_stage_workspace(stage, threads);
}

template <class T>
std::size_t conv_pool_input_gradient_workspace(const ConvShape& shape, int threads) {
    if (!std::is_same_v<T, float>)
        return whole_bytes<T>(shape) + conv2d_input_gradient_workspace<T>(shape, threads);
    const ConvStage stage = stage_of(shape);
    return aligned(conv_stage_gradient_filters(stage) * sizeof(float)) +
           conv_stage_gradient_workspace(stage, threads);
}

template <class T>
std::size_t conv_pool_weight_gradient_workspace(const ConvShape& shape, int threads) {
    if (std::is_same_v<T, float> && cpu::is_sparse_weight_gradient(shape))
        return cpu::sparse_weight_gradient_workspace(shape, threads);
    return whole_bytes<T>(shape) + conv2d_weight_gradient_workspace<T>(shape, threads);
}

template void conv_pool(const ConvShape&, const float*, const float*, const float*, float*, uint8_t*,
                        const KernelContext&);
template void conv_pool_input_gradient(const ConvShape&, const float*, const uint8_t*, const float*, float*,
                                       const KernelContext&);
template void conv_pool_weight_gradient(const ConvShape&, const float*, const float*, const uint8_t*, float*,
                                        float*, const KernelContext&);
template std::size_t conv_pool_workspace<float>(const ConvShape&, int);
template std::size_t conv_pool_input_gradient_workspace<float>(const ConvShape&, int);
template std::size_t conv_pool_weight_gradient_workspace<float>(const ConvShape&, int);
template void conv_pool(const ConvShape&, const double*, const double*, const double*, double*, uint8_t*,
                        const KernelContext&);
template void conv_pool_input_gradient(const ConvShape&, const double*, const uint8_t*, const double*,
                                       double*, const KernelContext&);
template void conv_pool_weight_gradient(const ConvShape&, const double*, const double*, const uint8_t*,
                                        double*, double*, const KernelContext&);
template std::size_t conv_pool_workspace<double>(const ConvShape&, int);
template std::size_t conv_pool_input_gradient_workspace<double>(const ConvShape&, int);
template std::size_t conv_pool_weight_gradient_workspace<double>(const ConvShape&, int);
template void conv_pool(const ConvShape&, const Dual*, const Dual*, const Dual*, Dual*, uint8_t*,
                        const KernelContext&);
template void conv_pool_input_gradient(const ConvShape&, const Dual*, const uint8_t*, const Dual*, Dual*,
                                       const KernelContext&);
template void conv_pool_weight_gradient(const ConvShape&, const Dual*, const Dual*, const uint8_t*, Dual*,
                                        Dual*, const KernelContext&);
template std::size_t conv_pool_workspace<Dual>(const ConvShape&, int);
template std::size_t conv_pool_input_gradient_workspace<Dual>(const ConvShape&, int);
template std::size_t conv_pool_weight_gradient_workspace<Dual>(const ConvShape&, int);

}  // namespace microtome::kernels
