// Convolutions on GPUs: by NVIDIA's cuDNN where it is found at run time, else by the plain kernels of
// product.cu.
//
// The library's graph API is used, which its version 9 recommends over the older functions, with activations
// NHWC and filters OHWI as they lie. What it is asked for depends on the problem alone: the shape, the
// precision, what follows the convolution, and the alignment of addresses. Of the configurations that its
// heuristic A lists, then of those it falls back on, the first is taken that is allowed and can be prepared,
// and kept; nothing is timed. Allowed are engines that are not noted as nondeterministic (their sums are not
// added atomically, in whatever order blocks end) and calculate sums of products: neither FFT nor Winograd,
// whose errors have another bound, nor sums in less than f32; for f32 no tensor cores either. So two runs, in
// two processes, on one kind of GPU with one version of the library give the same bits. They are not the
// CPU's bits, and an image's may change with the number of images in its batch; ProductMode::libraries says
// who wants the CPU's.
//
// In bf16, factors are rounded by our kernels, sums are f32, and the library rounds their results to bf16
// once more before they become f32 again: it has no gradients of convolutions from bf16 to f32.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/precision.hpp"
#include "tensor/tensor.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace microtome::cuda {

// What Epilogue is to the CPU's kernels (kernels/epilogue.hpp).
struct ConvEpilogue {
    Tensor bias{};      // (O), or undefined
    Tensor residual{};  // laid out as y, or undefined
    bool relu = false;
};

// The three convolutions of kernels/conv2d.hpp on the device of their results, in f32 or f64, as
// product_mode() says.
void conv2d(const ConvShape& shape, const Tensor& x, const Tensor& w, Tensor& y,
            const ConvEpilogue& epilogue = {});
void conv2d_input_gradient(const ConvShape& shape, const Tensor& g, const Tensor& w, Tensor& dx);
void conv2d_weight_gradient(const ConvShape& shape, const Tensor& x, const Tensor& g, Tensor& dw);

// cuDNN. Safe to use from several threads.
class Dnn {
  public:
    // Opens the first of these files that is there. Null where there is none that has all we call; it is
    // said on the log stream then, so open once.
    static std::unique_ptr<Dnn> open(std::span<const std::string> files);
    ~Dnn();
    Dnn(const Dnn&) = delete;
    Dnn& operator=(const Dnn&) = delete;

    // The functions above in f32. False where the library has no way to do it, and then nothing was done:
    // tensors without elements, padding that differs from side to side and matters, and what it refuses, the
    // first of which is said on the log stream. Workspace, at most 1 GiB, and rounded factors are scratch
    // memory of the allocator, taken and given back within the call; so where launches are captured as a
    // graph, whatever keeps the graph's scratch memory keeps these. The first call for a problem and the
    // first for a device may not be captured: the library loads what it needs. Throws DeviceError when the
    // library or the device failed.
    bool conv2d(const Queue& queue, const ConvShape& shape, Precision precision, const Tensor& x,
                const Tensor& w, Tensor& y, const ConvEpilogue& epilogue = {});
    bool conv2d_input_gradient(const Queue& queue, const ConvShape& shape, Precision precision,
                               const Tensor& g, const Tensor& w, Tensor& dx);
    bool conv2d_weight_gradient(const Queue& queue, const ConvShape& shape, Precision precision,
                                const Tensor& x, const Tensor& g, Tensor& dw);

    // How many convolutions the library was given.
    int64_t calls() const;

  private:
    struct Implementation;
    explicit Dnn(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace microtome::cuda
