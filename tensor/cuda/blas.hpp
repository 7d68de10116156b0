// Products of matrices on GPUs: by NVIDIA's cuBLASLt where it is found at run time, else by the plain kernels
// of product.cu.
//
// What the library is asked for depends on the problem alone: its shape, strides and precision, and whether
// addresses are multiples of 16. Of its heuristic's algorithms, which come in an order that it documents as
// estimated from the problem, the first that runs is taken, and kept; nothing is timed. Sums split along k
// are joined from a workspace by a kernel of their own, never in the order in which blocks happen to end. So
// two runs, in two processes, on one kind of GPU with one version of the library give the same bits. They are
// not the CPU's bits; ProductMode::libraries says who wants those.
#pragma once

#include "tensor/cuda/backend.hpp"
#include "tensor/matmul_shape.hpp"
#include "tensor/precision.hpp"
#include "tensor/tensor.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace microtome::cuda {

// What Epilogue is to the CPU's kernels (kernels/epilogue.hpp).
struct MatmulEpilogue {
    Tensor bias{};      // (N), or undefined
    Tensor residual{};  // laid out as c, or undefined
    bool relu = false;
    bool accumulate = false;  // the sum starts from what c holds
};

// c = a b for every matrix of the batch, then the epilogue, on the device of c, in f32 or f64, as
// product_mode() says. a, b and c begin with their tensors' first elements.
void matmul(const MatmulShape& shape, const Tensor& a, const Tensor& b, Tensor& c,
            const MatmulEpilogue& epilogue = {});

// cuBLASLt. Safe to use from several threads.
class Blas {
  public:
    // Opens the first of these files that is there. Null where there is none that has all we call; it is
    // said on the log stream then, so open once.
    static std::unique_ptr<Blas> open(std::span<const std::string> files);
    ~Blas();
    Blas(const Blas&) = delete;
    Blas& operator=(const Blas&) = delete;

    // matmul() above in f32. False where the library has no way to do it, and then nothing was done: matrices
    // without elements, those that overlap, and what it refuses. Workspace and rounded factors are scratch
    // memory of the allocator, taken and given back within the call; so where launches are captured as a
    // graph, whatever keeps the graph's scratch memory keeps these. The first call for a problem and the
    // first for a device may not be captured: the library loads what it needs. Throws DeviceError when the
    // library or the device failed.
    bool matmul(const Queue& queue, const MatmulShape& shape, Precision precision, const Tensor& a,
                const Tensor& b, Tensor& c, const MatmulEpilogue& epilogue);

    // How many products the library was given.
    int64_t calls() const;

  private:
    struct Implementation;
    explicit Blas(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace microtome::cuda
