#include "tensor/kernels/conv2d.hpp"

#include "tensor/cpu/conv2d.hpp"
#include "tensor/cpu/direct_stage.hpp"
#include "tensor/cpu/double_product.hpp"
#include "tensor/cuda/dnn.hpp"
#include "tensor/dual_math.hpp"
#include "tensor/reference/conv2d.hpp"

#include <algorithm>
#include <type_traits>

namespace microtome::kernels {
namespace {

// The direct kernel has the bits of the product of matrices and is faster, once packing the filters anew in
// each call has been paid for by enough positions.
constexpr int64_t kPositionsThatPay = 1024;

ConvStage stage_of(const ConvShape& shape) {
    return {.conv = shape, .exact = true};
}
bool goes_direct(const ConvShape& s) {
    return s.n * s.oh * s.ow >= kPositionsThatPay && cpu::is_direct_stage(stage_of(s));
}
bool gradient_goes_direct(const ConvShape& s) {
    return s.n * s.h * s.w >= kPositionsThatPay && cpu::is_direct_gradient(stage_of(s));
}

// Room for packed filters in front of the workspace proper, and what is left behind them.
std::size_t filter_bytes(std::size_t floats) {
    return (floats * sizeof(float) + 63) / 64 * 64;
}
KernelContext behind(const KernelContext& context, std::size_t bytes) {
    return {context.threads, context.workspace.subspan(bytes)};
}

}  // namespace

template <class T>
void conv2d(const ConvShape& shape, const T* x, const T* w, T* y, const KernelContext& context,
            const Epilogue<T>& epilogue) {
    require_workspace("conv2d", context, conv2d_workspace<T>(shape, context.threads));
    if constexpr (std::is_same_v<T, float>) {
        if (!goes_direct(shape) || epilogue.accumulate) return cpu::conv2d(shape, x, w, y, context, epilogue);
        ConvStage stage = stage_of(shape);
        stage.relu = epilogue.relu;
        float* filters = reinterpret_cast<float*>(context.workspace.data());
        cpu::pack_direct_stage_filters(stage, w, filters);
        cpu::direct_stage(stage, x, filters, epilogue.bias, epilogue.residual, y, nullptr,
                          behind(context, filter_bytes(cpu::direct_stage_filters(stage))));
    } else if (cpu::double_product_pays(shape) && !epilogue.accumulate &&
               (std::is_same_v<T, double> || epilogue.empty())) {
        cpu::double_conv2d(shape, x, w, y, context, epilogue);
    } else {
        reference::conv2d(shape, x, w, y, epilogue);
    }
}

template <class T>
void conv2d_input_gradient(const ConvShape& shape, const T* g, const T* w, T* dx,
                           const KernelContext& context) {
    require_workspace("conv2d_input_gradient", context,
                      conv2d_input_gradient_workspace<T>(shape, context.threads));
    if constexpr (std::is_same_v<T, float>) {
        if (!gradient_goes_direct(shape)) return cpu::conv2d_input_gradient(shape, g, w, dx, context);
        const ConvStage stage = stage_of(shape);
        float* filters = reinterpret_cast<float*>(context.workspace.data());
        cpu::pack_direct_gradient_filters(stage, w, filters);
        cpu::direct_gradient(stage, g, nullptr, filters, dx, nullptr,
                             behind(context, filter_bytes(cpu::direct_gradient_filters(stage))));
    } else if (cpu::double_product_pays(shape)) {
        cpu::double_conv2d_input_gradient(shape, g, w, dx, context);
    } else {
        reference::conv2d_input_gradient(shape, g, w, dx);
    }
}

template <class T>
void conv2d_weight_gradient(const ConvShape& shape, const T* x, const T* g, T* dw,
                            const KernelContext& context) {
    require_workspace("conv2d_weight_gradient", context,
                      conv2d_weight_gradient_workspace<T>(shape, context.threads));
    if constexpr (std::is_same_v<T, float>)
        cpu::conv2d_weight_gradient(shape, x, g, dw, context);
    else
        reference::conv2d_weight_gradient(shape, x, g, dw);
}

void conv2d(const ConvShape& shape, const Tensor& x, const Tensor& w, Tensor& y,
            const KernelContext& context) {
    if (cuda::on_cuda(y)) return cuda::conv2d(shape, x, w, y);
    visit_floating("conv2d", y.dtype(), [&]<class T>() {
        conv2d<T>(shape, x.data<T>().data(), w.data<T>().data(), y.mutable_data<T>().data(), context);
    });
}
void conv2d_input_gradient(const ConvShape& shape, const Tensor& g, const Tensor& w, Tensor& dx,
                           const KernelContext& context) {
    if (cuda::on_cuda(dx)) return cuda::conv2d_input_gradient(shape, g, w, dx);
    visit_floating("conv2d_input_gradient", dx.dtype(), [&]<class T>() {
        conv2d_input_gradient<T>(shape, g.data<T>().data(), w.data<T>().data(), dx.mutable_data<T>().data(),
                                 context);
    });
}
void conv2d_weight_gradient(const ConvShape& shape, const Tensor& x, const Tensor& g, Tensor& dw,
                            const KernelContext& context) {
    if (cuda::on_cuda(dw)) return cuda::conv2d_weight_gradient(shape, x, g, dw);
    visit_floating("conv2d_weight_gradient", dw.dtype(), [&]<class T>() {
        conv2d_weight_gradient<T>(shape, x.data<T>().data(), g.data<T>().data(), dw.mutable_data<T>().data(),
                                  context);
    });
}

template <class T>
std::size_t conv2d_workspace(const ConvShape& shape, int threads) {
    if (!std::is_same_v<T, float>) return cpu::double_conv2d_workspace(shape, threads);
    const std::size_t product = cpu::conv2d_workspace(shape, threads);
    if (!goes_direct(shape)) return product;
    const ConvStage stage = stage_of(shape);
    return std::max(product, filter_bytes(cpu::direct_stage_filters(stage)) +
                                 cpu::direct_stage_workspace(stage, threads));
}
template <class T>
std::size_t conv2d_input_gradient_workspace(const ConvShape& shape, int threads) {
    if (!std::is_same_v<T, float>) return cpu::double_conv2d_input_gradient_workspace(shape, threads);
    if (!gradient_goes_direct(shape)) return cpu::conv2d_input_gradient_workspace(shape, threads);
    const ConvStage stage = stage_of(shape);
    return filter_bytes(cpu::direct_gradient_filters(stage)) + cpu::direct_gradient_workspace(stage, threads);
}
template <class T>
std::size_t conv2d_weight_gradient_workspace(const ConvShape& shape, int threads) {
    return std::is_same_v<T, float> ? cpu::conv2d_weight_gradient_workspace(shape, threads) : 0;
}

template void conv2d(const ConvShape&, const float*, const float*, float*, const KernelContext&,
                     const Epilogue<float>&);
template void conv2d(const ConvShape&, const double*, const double*, double*, const KernelContext&,
                     const Epilogue<double>&);
template void conv2d(const ConvShape&, const Dual*, const Dual*, Dual*, const KernelContext&,
                     const Epilogue<Dual>&);
template void conv2d_input_gradient(const ConvShape&, const float*, const float*, float*,
                                    const KernelContext&);
template void conv2d_input_gradient(const ConvShape&, const double*, const double*, double*,
                                    const KernelContext&);
template void conv2d_input_gradient(const ConvShape&, const Dual*, const Dual*, Dual*, const KernelContext&);
template void conv2d_weight_gradient(const ConvShape&, const float*, const float*, float*,
                                     const KernelContext&);
template void conv2d_weight_gradient(const ConvShape&, const double*, const double*, double*,
                                     const KernelContext&);
template void conv2d_weight_gradient(const ConvShape&, const Dual*, const Dual*, Dual*, const KernelContext&);
template std::size_t conv2d_workspace<float>(const ConvShape&, int);
template std::size_t conv2d_workspace<double>(const ConvShape&, int);
template std::size_t conv2d_workspace<Dual>(const ConvShape&, int);
template std::size_t conv2d_input_gradient_workspace<float>(const ConvShape&, int);
template std::size_t conv2d_input_gradient_workspace<double>(const ConvShape&, int);
template std::size_t conv2d_input_gradient_workspace<Dual>(const ConvShape&, int);
template std::size_t conv2d_weight_gradient_workspace<float>(const ConvShape&, int);
template std::size_t conv2d_weight_gradient_workspace<double>(const ConvShape&, int);
template std::size_t conv2d_weight_gradient_workspace<Dual>(const ConvShape&, int);

}  // namespace microtome::kernels
