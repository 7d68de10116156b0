// What tensor/cuda/cudnn.hpp declares is what NVIDIA's header says, where there is one. All of it is checked
// by the compiler.
#include "tensor/cuda/cudnn.hpp"
#include "tests/tensor/same_function.hpp"

#include <catch2/catch.hpp>

#if defined(MICROTOME_CUDNN_HEADER)
#include <cudnn.h>

namespace {
namespace ours = microtome::cuda::cudnn;

using microtome::test::same_function;

static_assert(same_function<ours::GetVersion, decltype(cudnnGetVersion)>);
static_assert(same_function<ours::GetErrorString, decltype(cudnnGetErrorString)>);
static_assert(same_function<ours::GetLastErrorString, decltype(cudnnGetLastErrorString)>);
static_assert(same_function<ours::Create, decltype(cudnnCreate)>);
static_assert(same_function<ours::Destroy, decltype(cudnnDestroy)>);
static_assert(same_function<ours::SetStream, decltype(cudnnSetStream)>);
static_assert(same_function<ours::BackendCreateDescriptor, decltype(cudnnBackendCreateDescriptor)>);
static_assert(same_function<ours::BackendDestroyDescriptor, decltype(cudnnBackendDestroyDescriptor)>);
static_assert(same_function<ours::BackendSetAttribute, decltype(cudnnBackendSetAttribute)>);
static_assert(same_function<ours::BackendFinalize, decltype(cudnnBackendFinalize)>);
static_assert(same_function<ours::BackendGetAttribute, decltype(cudnnBackendGetAttribute)>);
static_assert(same_function<ours::BackendExecute, decltype(cudnnBackendExecute)>);

template <class Ours, class Theirs>
constexpr bool same(Ours ours, Theirs theirs) {
    return sizeof(Ours) == sizeof(Theirs) && static_cast<int64_t>(ours) == static_cast<int64_t>(theirs);
}
using ours::Status;
static_assert(same(Status::success, CUDNN_STATUS_SUCCESS));
static_assert(same(Status::not_initialized, CUDNN_STATUS_NOT_INITIALIZED));
static_assert(same(Status::bad_param, CUDNN_STATUS_BAD_PARAM));
static_assert(same(Status::bad_param_null_pointer, CUDNN_STATUS_BAD_PARAM_NULL_POINTER));
static_assert(same(Status::bad_param_misaligned_pointer, CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER));
static_assert(same(Status::bad_param_not_finalized, CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED));
static_assert(same(Status::bad_param_size_insufficient, CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT));
static_assert(same(Status::bad_param_shape_mismatch, CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH));
static_assert(same(Status::bad_param_attribute_type, CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE));
static_assert(same(Status::not_supported, CUDNN_STATUS_NOT_SUPPORTED));
static_assert(same(Status::execution_failed, CUDNN_STATUS_EXECUTION_FAILED));
static_assert(CUDNN_STATUS_CATEGORY(CUDNN_STATUS_NOT_SUPPORTED_LAYOUT) == CUDNN_STATUS_NOT_SUPPORTED);

using ours::DescriptorType;
static_assert(same(DescriptorType::pointwise, CUDNN_BACKEND_POINTWISE_DESCRIPTOR));
static_assert(same(DescriptorType::convolution, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR));
static_assert(same(DescriptorType::engine, CUDNN_BACKEND_ENGINE_DESCRIPTOR));
static_assert(same(DescriptorType::engine_config, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
static_assert(same(DescriptorType::heuristics, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR));
static_assert(same(DescriptorType::plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR));
static_assert(same(DescriptorType::forward, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR));
static_assert(same(DescriptorType::weight_gradient,
                   CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR));
static_assert(same(DescriptorType::input_gradient,
                   CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR));
static_assert(same(DescriptorType::pointwise_operation, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
static_assert(same(DescriptorType::graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR));
static_assert(same(DescriptorType::variant_pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR));
static_assert(same(DescriptorType::tensor, CUDNN_BACKEND_TENSOR_DESCRIPTOR));

using ours::Attribute;
static_assert(same(Attribute::pointwise_mode, CUDNN_ATTR_POINTWISE_MODE));
static_assert(same(Attribute::pointwise_precision, CUDNN_ATTR_POINTWISE_MATH_PREC));
static_assert(same(Attribute::pointwise_nan, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION));
static_assert(same(Attribute::convolution_precision, CUDNN_ATTR_CONVOLUTION_COMP_TYPE));
static_assert(same(Attribute::convolution_mode, CUDNN_ATTR_CONVOLUTION_CONV_MODE));
static_assert(same(Attribute::convolution_dilations, CUDNN_ATTR_CONVOLUTION_DILATIONS));
static_assert(same(Attribute::convolution_strides, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES));
static_assert(same(Attribute::convolution_post_paddings, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS));
static_assert(same(Attribute::convolution_pre_paddings, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS));
static_assert(same(Attribute::convolution_spatial_dims, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS));
static_assert(same(Attribute::heuristics_mode, CUDNN_ATTR_ENGINEHEUR_MODE));
static_assert(same(Attribute::heuristics_graph, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH));
static_assert(same(Attribute::heuristics_results, CUDNN_ATTR_ENGINEHEUR_RESULTS));
static_assert(same(Attribute::engine_config_engine, CUDNN_ATTR_ENGINECFG_ENGINE));
static_assert(same(Attribute::plan_handle, CUDNN_ATTR_EXECUTION_PLAN_HANDLE));
static_assert(same(Attribute::plan_engine_config, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
static_assert(same(Attribute::plan_workspace_size, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
static_assert(same(Attribute::forward_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA));
static_assert(same(Attribute::forward_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA));
static_assert(same(Attribute::forward_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC));
static_assert(same(Attribute::forward_w, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W));
static_assert(same(Attribute::forward_x, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X));
static_assert(same(Attribute::forward_y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y));
static_assert(same(Attribute::input_gradient_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA));
static_assert(same(Attribute::input_gradient_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA));
static_assert(same(Attribute::input_gradient_convolution,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC));
static_assert(same(Attribute::input_gradient_w, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W));
static_assert(same(Attribute::input_gradient_dx, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX));
static_assert(same(Attribute::input_gradient_dy, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY));
static_assert(same(Attribute::weight_gradient_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA));
static_assert(same(Attribute::weight_gradient_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA));
static_assert(same(Attribute::weight_gradient_convolution,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC));
static_assert(same(Attribute::weight_gradient_dw, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW));
static_assert(same(Attribute::weight_gradient_x, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X));
static_assert(same(Attribute::weight_gradient_dy, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY));
static_assert(same(Attribute::pointwise_operation_descriptor, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR));
static_assert(same(Attribute::pointwise_operation_x, CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
static_assert(same(Attribute::pointwise_operation_b, CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
static_assert(same(Attribute::pointwise_operation_y, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
static_assert(same(Attribute::graph_handle, CUDNN_ATTR_OPERATIONGRAPH_HANDLE));
static_assert(same(Attribute::graph_operations, CUDNN_ATTR_OPERATIONGRAPH_OPS));
static_assert(same(Attribute::tensor_alignment, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT));
static_assert(same(Attribute::tensor_type, CUDNN_ATTR_TENSOR_DATA_TYPE));
static_assert(same(Attribute::tensor_dimensions, CUDNN_ATTR_TENSOR_DIMENSIONS));
static_assert(same(Attribute::tensor_strides, CUDNN_ATTR_TENSOR_STRIDES));
static_assert(same(Attribute::tensor_id, CUDNN_ATTR_TENSOR_UNIQUE_ID));
static_assert(same(Attribute::tensor_is_virtual, CUDNN_ATTR_TENSOR_IS_VIRTUAL));
static_assert(same(Attribute::variant_pack_ids, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS));
static_assert(same(Attribute::variant_pack_pointers, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS));
static_assert(same(Attribute::variant_pack_workspace, CUDNN_ATTR_VARIANT_PACK_WORKSPACE));
static_assert(same(Attribute::engine_index, CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
static_assert(same(Attribute::engine_numerical_notes, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE));

using ours::ElementType;
static_assert(same(ElementType::handle, CUDNN_TYPE_HANDLE));
static_assert(same(ElementType::data_type, CUDNN_TYPE_DATA_TYPE));
static_assert(same(ElementType::boolean, CUDNN_TYPE_BOOLEAN));
static_assert(same(ElementType::int64, CUDNN_TYPE_INT64));
static_assert(same(ElementType::float32, CUDNN_TYPE_FLOAT));
static_assert(same(ElementType::void_pointer, CUDNN_TYPE_VOID_PTR));
static_assert(same(ElementType::convolution_mode, CUDNN_TYPE_CONVOLUTION_MODE));
static_assert(same(ElementType::heuristics_mode, CUDNN_TYPE_HEUR_MODE));
static_assert(same(ElementType::nan_propagation, CUDNN_TYPE_NAN_PROPOGATION));
static_assert(same(ElementType::numerical_note, CUDNN_TYPE_NUMERICAL_NOTE));
static_assert(same(ElementType::pointwise_mode, CUDNN_TYPE_POINTWISE_MODE));
static_assert(same(ElementType::descriptor, CUDNN_TYPE_BACKEND_DESCRIPTOR));
static_assert(std::is_pointer_v<cudnnBackendDescriptor_t>);

static_assert(same(ours::DataType::f32, CUDNN_DATA_FLOAT));
static_assert(same(ours::DataType::bf16, CUDNN_DATA_BFLOAT16));
static_assert(same(ours::ConvolutionMode::convolution, CUDNN_CONVOLUTION));
static_assert(same(ours::ConvolutionMode::cross_correlation, CUDNN_CROSS_CORRELATION));
static_assert(same(ours::NanPropagation::no, CUDNN_NOT_PROPAGATE_NAN));
static_assert(same(ours::NanPropagation::yes, CUDNN_PROPAGATE_NAN));
static_assert(same(ours::PointwiseMode::add, CUDNN_POINTWISE_ADD));
static_assert(same(ours::PointwiseMode::relu, CUDNN_POINTWISE_RELU_FWD));
static_assert(same(ours::HeuristicsMode::fallback, CUDNN_HEUR_MODE_FALLBACK));
static_assert(same(ours::HeuristicsMode::a, CUDNN_HEUR_MODE_A));

using ours::NumericalNote;
static_assert(same(NumericalNote::tensor_core, CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
static_assert(same(NumericalNote::down_convert_inputs, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
static_assert(same(NumericalNote::reduced_precision_reduction,
                   CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION));
static_assert(same(NumericalNote::fft, CUDNN_NUMERICAL_NOTE_FFT));
static_assert(same(NumericalNote::nondeterministic, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
static_assert(same(NumericalNote::winograd, CUDNN_NUMERICAL_NOTE_WINOGRAD));
static_assert(same(NumericalNote::winograd_4x4, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4));
static_assert(same(NumericalNote::winograd_6x6, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6));
static_assert(same(NumericalNote::winograd_13x13, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13));
static_assert(same(NumericalNote::strict_nan, CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP));
static_assert(CUDNN_MAJOR == 9);

}  // namespace
#endif

TEST_CASE("cuDNN's interface is declared as its header has it", "[cuda][dnn]") {
#if !defined(MICROTOME_CUDNN_HEADER)
    WARN("there is no cudnn.h to compare with");
#endif
    using microtome::cuda::cudnn::is_not_supported;
    using microtome::cuda::cudnn::Status;
    CHECK(is_not_supported(Status{3011}));
    CHECK_FALSE(is_not_supported(Status::bad_param));
    CHECK_FALSE(is_not_supported(Status::success));
}
