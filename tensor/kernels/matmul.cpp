#include "tensor/kernels/matmul.hpp"

#include "tensor/reference/matmul.hpp"

namespace microtome::kernels {

template <class T>
void matmul(const MatmulShape& shape, const T* a, const T* b, T* c, const KernelContext&,
            const Epilogue<T>& epilogue) {
    reference::matmul(shape, a, b, c, epilogue);
}

template <class T>
std::size_t matmul_workspace(const MatmulShape&, int) {
    return 0;
}

template void matmul(const MatmulShape&, const float*, const float*, float*, const KernelContext&,
                     const Epilogue<float>&);
template void matmul(const MatmulShape&, const double*, const double*, double*, const KernelContext&,
                     const Epilogue<double>&);
template std::size_t matmul_workspace<float>(const MatmulShape&, int);
template std::size_t matmul_workspace<double>(const MatmulShape&, int);

}  // namespace microtome::kernels
