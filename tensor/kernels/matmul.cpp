#include "tensor/kernels/matmul.hpp"

#include "tensor/cpu/double_product.hpp"
#include "tensor/cpu/gemm.hpp"
#include "tensor/cuda/blas.hpp"
#include "tensor/dual_math.hpp"
#include "tensor/reference/matmul.hpp"

#include <type_traits>
#include <utility>

namespace microtome::kernels {
namespace {

cpu::Factor factor(const MatrixLayout& layout, const float* data) {
    return {data,    layout.leading_dimension, layout.transposed,
            nullptr, layout.outer_stride,      layout.inner_stride};
}

}  // namespace

template <class T>
void matmul(const MatmulShape& s, const T* a, const T* b, T* c, const KernelContext& context,
            const Epilogue<T>& epilogue) {
    if (s.c.transposed) return matmul(transposed(s), b, a, c, context, epilogue);
    if constexpr (std::is_same_v<T, float>) {
        require_workspace("matmul", context, matmul_workspace<float>(s, context.threads));
        cpu::Gemm g{s.batch_outer,
                    s.batch_inner,
                    s.m,
                    s.n,
                    s.k,
                    factor(s.a, a),
                    factor(s.b, b),
                    cpu::Result::matrix(c, s.m, s.c.leading_dimension),
                    epilogue};
        g.c.outer_stride = s.c.outer_stride, g.c.inner_stride = s.c.inner_stride;
        cpu::gemm(g, context);
    } else if (cpu::double_product_pays(s) && !epilogue.accumulate &&
               (std::is_same_v<T, double> || epilogue.empty())) {
        require_workspace("matmul", context, matmul_workspace<T>(s, context.threads));
        cpu::double_matmul(s, a, b, c, context, epilogue);
    } else {
        reference::matmul(s, a, b, c, epilogue);
    }
}

void matmul(const MatmulShape& s, const Tensor& a, const Tensor& b, Tensor& c, const KernelContext& context,
            bool accumulate) {
    if (cuda::on_cuda(c)) return cuda::matmul(s, a, b, c, {.accumulate = accumulate});
    visit_floating("matmul", c.dtype(), [&]<class T>() {
        matmul<T>(s, a.data<T>().data(), b.data<T>().data(), c.mutable_data<T>().data(), context,
                  {.accumulate = accumulate});
    });
}

template <class T>
std::size_t matmul_workspace(const MatmulShape& s, int threads) {
    if constexpr (!std::is_same_v<T, float>)
        return cpu::double_matmul_workspace(s.c.transposed ? transposed(s) : s, threads);
    return s.c.transposed ? cpu::gemm_workspace(s.n, s.m, s.k, threads)
                          : cpu::gemm_workspace(s.m, s.n, s.k, threads);
}

std::size_t packed_matrix_floats(int64_t n, int64_t k) {
    return cpu::right_factor_floats(n, k);
}

void pack_matrix(int64_t n, int64_t k, const float* b, bool transposed, float* packed) {
    cpu::pack_right_factor({.data = b, .leading_dimension = transposed ? k : n, .by_columns = transposed}, n,
                           k, packed);
}

void matmul_packed(int64_t m, int64_t n, int64_t k, const float* a, const float* packed, float* c,
                   const KernelContext& context, const Epilogue<float>& epilogue) {
    require_workspace("matmul", context, cpu::gemm_workspace(m, n, k, context.threads));
    cpu::Gemm g{.m = m,
                .n = n,
                .k = k,
                .a = {.data = a, .leading_dimension = k},
                .b = {.packed = packed},
                .c = cpu::Result::matrix(c, m, n),
                .epilogue = epilogue};
    cpu::gemm(g, context);
}

template void matmul(const MatmulShape&, const float*, const float*, float*, const KernelContext&,
                     const Epilogue<float>&);
template void matmul(const MatmulShape&, const double*, const double*, double*, const KernelContext&,
                     const Epilogue<double>&);
template void matmul(const MatmulShape&, const Dual*, const Dual*, Dual*, const KernelContext&,
                     const Epilogue<Dual>&);
template std::size_t matmul_workspace<float>(const MatmulShape&, int);
template std::size_t matmul_workspace<double>(const MatmulShape&, int);
template std::size_t matmul_workspace<Dual>(const MatmulShape&, int);

}  // namespace microtome::kernels
