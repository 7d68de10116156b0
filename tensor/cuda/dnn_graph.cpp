#include "tensor/cuda/dnn_graph.hpp"

namespace microtome::cuda::cudnn {
namespace {

class GraphOf {
  public:
    GraphOf(const Functions& library, const Problem& problem, std::vector<Owned>& parts)
        : library_(library), p_(problem), parts_(parts) {}

    const Descriptor* make(Context* handle) {
        const DataType stored = p_.precision == Precision::bf16 ? DataType::bf16 : DataType::f32;
        const bool more = p_.bias || p_.residual || p_.relu;
        const Descriptor *x = image(kX, p_.h, p_.w, p_.c, stored),
                         *w = tensor(kW, {p_.o, p_.c / p_.groups, p_.kh, p_.kw}, stored, false),
                         *y = more ? result(kSum, true) : image(kY, p_.oh, p_.ow, p_.o, stored);
        switch (p_.kind) {
            case Kind::forward:
                convolve(DescriptorType::forward, Attribute::forward_alpha, Attribute::forward_beta,
                         Attribute::forward_convolution, {Attribute::forward_x, x}, {Attribute::forward_w, w},
                         {Attribute::forward_y, y});
                break;
            case Kind::input_gradient:
                convolve(DescriptorType::input_gradient, Attribute::input_gradient_alpha,
                         Attribute::input_gradient_beta, Attribute::input_gradient_convolution,
                         {Attribute::input_gradient_dx, x}, {Attribute::input_gradient_w, w},
                         {Attribute::input_gradient_dy, y});
                break;
            case Kind::weight_gradient:
                convolve(DescriptorType::weight_gradient, Attribute::weight_gradient_alpha,
                         Attribute::weight_gradient_beta, Attribute::weight_gradient_convolution,
                         {Attribute::weight_gradient_x, x}, {Attribute::weight_gradient_dw, w},
                         {Attribute::weight_gradient_dy, y});
        }
        // In the order for which there are compiled kernels: the residual first.
        if (p_.residual) {
            const Descriptor* sum = p_.bias || p_.relu ? result(kBiased, true) : result(kY, false);
            pointwise(PointwiseMode::add, y, result(kResidual, false), sum);
            y = sum;
        }
        if (p_.bias) {
            const Descriptor* sum = p_.relu ? result(kResult, true) : result(kY, false);
            pointwise(PointwiseMode::add, y, tensor(kBias, {1, p_.o, 1, 1}, DataType::f32, false), sum);
            y = sum;
        }
        if (p_.relu) pointwise(PointwiseMode::relu, y, nullptr, result(kY, false));
        return keep(Owned(library_, DescriptorType::graph)
                        .set(Attribute::graph_handle, ElementType::handle, handle)
                        .set(Attribute::graph_operations, ElementType::descriptor,
                             std::span<const Descriptor* const>(operations_))
                        .finalized());
    }

  private:
    using Argument = std::pair<Attribute, const Descriptor*>;

    const Descriptor* keep(Owned finalized) {
        parts_.push_back(std::move(finalized));
        return parts_.back().get();
    }

    // Of the library's dimensions N, C, H, W; C lies innermost.
    const Descriptor* tensor(int64_t id, const std::array<int64_t, 4>& d, DataType type, bool is_virtual) {
        const std::array<int64_t, 4> strides{d[1] * d[2] * d[3], 1, d[3] * d[1], d[1]};
        return keep(Owned(library_, DescriptorType::tensor)
                        .set(Attribute::tensor_type, ElementType::data_type, type)
                        .set(Attribute::tensor_dimensions, ElementType::int64, std::span<const int64_t>(d))
                        .set(Attribute::tensor_strides, ElementType::int64, std::span<const int64_t>(strides))
                        .set(Attribute::tensor_id, ElementType::int64, id)
                        .set(Attribute::tensor_alignment, ElementType::int64, p_.alignment)
                        .set(Attribute::tensor_is_virtual, ElementType::boolean, is_virtual)
                        .finalized());
    }
    const Descriptor* image(int64_t id, int64_t h, int64_t w, int64_t c, DataType type) {
        return tensor(id, {p_.n, c, h, w}, type, false);
    }
    // What lies as y does, in f32.
    const Descriptor* result(int64_t id, bool is_virtual) {
        return tensor(id, {p_.n, p_.o, p_.oh, p_.ow}, DataType::f32, is_virtual);
    }

    void convolve(DescriptorType type, Attribute alpha, Attribute beta, Attribute convolution, Argument x,
                  Argument w, Argument y) {
        const Descriptor* how =
            keep(Owned(library_, DescriptorType::convolution)
                     .set(Attribute::convolution_spatial_dims, ElementType::int64, int64_t{2})
                     .set(Attribute::convolution_precision, ElementType::data_type, DataType::f32)
                     .set(Attribute::convolution_mode, ElementType::convolution_mode,
                          ConvolutionMode::cross_correlation)
                     .set(Attribute::convolution_pre_paddings, ElementType::int64, axes(p_.paddings))
                     .set(Attribute::convolution_post_paddings, ElementType::int64, axes(p_.paddings))
                     .set(Attribute::convolution_dilations, ElementType::int64, axes(p_.dilations))
                     .set(Attribute::convolution_strides, ElementType::int64, axes(p_.strides))
                     .finalized());
        Owned operation(library_, type);
        operation.set(convolution, how)
            .set(alpha, ElementType::float32, 1.0f)
            .set(beta, ElementType::float32, 0.0f);
        for (const auto& [name, operand] : {x, w, y}) operation.set(name, operand);
        operations_.push_back(keep(operation.finalized()));
    }

    void pointwise(PointwiseMode mode, const Descriptor* x, const Descriptor* b, const Descriptor* y) {
        Owned what(library_, DescriptorType::pointwise);
        what.set(Attribute::pointwise_mode, ElementType::pointwise_mode, mode)
            .set(Attribute::pointwise_precision, ElementType::data_type, DataType::f32);
        if (mode == PointwiseMode::relu)  // of NaN be NaN, as ours is
            what.set(Attribute::pointwise_nan, ElementType::nan_propagation, NanPropagation::yes);
        const Descriptor* how = keep(what.finalized());
        Owned operation(library_, DescriptorType::pointwise_operation);
        operation.set(Attribute::pointwise_operation_descriptor, how)
            .set(Attribute::pointwise_operation_x, x)
            .set(Attribute::pointwise_operation_y, y);
        if (b != nullptr) operation.set(Attribute::pointwise_operation_b, b);
        operations_.push_back(keep(operation.finalized()));
    }

    static std::span<const int64_t> axes(const std::array<int64_t, 2>& values) { return values; }

    const Functions& library_;
    const Problem& p_;
    std::vector<Owned>& parts_;
    std::vector<const Descriptor*> operations_;
};

}  // namespace

const Descriptor* describe(const Functions& library, const Problem& problem, Context* handle,
                           std::vector<Owned>& parts) {
    return GraphOf(library, problem, parts).make(handle);
}

}  // namespace microtome::cuda::cudnn
