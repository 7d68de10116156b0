#include "tensor/kernels/conv2d.hpp"

#include "tensor/cpu/conv2d.hpp"
#include "tensor/reference/conv2d.hpp"

#include <type_traits>

namespace microtome::kernels {

template <class T>
void conv2d(const ConvShape& shape, const T* x, const T* w, T* y, const KernelContext& context,
            const Epilogue<T>& epilogue) {
    require_workspace("conv2d", context, conv2d_workspace<T>(shape, context.threads));
    if constexpr (std::is_same_v<T, float>)
        cpu::conv2d(shape, x, w, y, context, epilogue);
    else
        reference::conv2d(shape, x, w, y, epilogue);
}

template <class T>
void conv2d_input_gradient(const ConvShape& shape, const T* g, const T* w, T* dx,
                           const KernelContext& context) {
    require_workspace("conv2d_input_gradient", context,
                      conv2d_input_gradient_workspace<T>(shape, context.threads));
    if constexpr (std::is_same_v<T, float>)
        cpu::conv2d_input_gradient(shape, g, w, dx, context);
    else
        reference::conv2d_input_gradient(shape, g, w, dx);
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

template <class T>
std::size_t conv2d_workspace(const ConvShape& shape, int threads) {
    return std::is_same_v<T, float> ? cpu::conv2d_workspace(shape, threads) : 0;
}
template <class T>
std::size_t conv2d_input_gradient_workspace(const ConvShape& shape, int threads) {
    return std::is_same_v<T, float> ? cpu::conv2d_input_gradient_workspace(shape, threads) : 0;
}
template <class T>
std::size_t conv2d_weight_gradient_workspace(const ConvShape& shape, int threads) {
    return std::is_same_v<T, float> ? cpu::conv2d_weight_gradient_workspace(shape, threads) : 0;
}

template void conv2d(const ConvShape&, const float*, const float*, float*, const KernelContext&,
                     const Epilogue<float>&);
template void conv2d(const ConvShape&, const double*, const double*, double*, const KernelContext&,
                     const Epilogue<double>&);
template void conv2d_input_gradient(const ConvShape&, const float*, const float*, float*,
                                    const KernelContext&);
template void conv2d_input_gradient(const ConvShape&, const double*, const double*, double*,
                                    const KernelContext&);
template void conv2d_weight_gradient(const ConvShape&, const float*, const float*, float*,
                                     const KernelContext&);
template void conv2d_weight_gradient(const ConvShape&, const double*, const double*, double*,
                                     const KernelContext&);
template std::size_t conv2d_workspace<float>(const ConvShape&, int);
template std::size_t conv2d_workspace<double>(const ConvShape&, int);
template std::size_t conv2d_input_gradient_workspace<float>(const ConvShape&, int);
template std::size_t conv2d_input_gradient_workspace<double>(const ConvShape&, int);
template std::size_t conv2d_weight_gradient_workspace<float>(const ConvShape&, int);
template std::size_t conv2d_weight_gradient_workspace<double>(const ConvShape&, int);

}  // namespace microtome::kernels
