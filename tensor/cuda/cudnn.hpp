// The part of cuDNN's C interface (version 9, its graph API) that dnn.cpp calls, declared here so that it
// takes neither header nor library to build. Numbers and signatures are those of the library's binary
// interface; tests/tensor/cudnn_interface_test.cpp holds them against NVIDIA's header where there is one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace microtome::cuda::cudnn {

struct Context;           // cudnnContext
using Descriptor = void;  // what cudnnBackendDescriptor_t points to

enum class Status : uint32_t {
    success = 0,
    not_initialized = 1001,
    bad_param = 2000,
    bad_param_null_pointer = 2002,
    bad_param_misaligned_pointer = 2003,
    bad_param_not_finalized = 2004,
    bad_param_size_insufficient = 2006,
    bad_param_shape_mismatch = 2008,
    bad_param_attribute_type = 2010,
    not_supported = 3000,
    execution_failed = 5000,
};
// Thousands are a kind of error: 2 wrong use, 3 not supported.
constexpr bool is_not_supported(Status status) {
    return static_cast<uint32_t>(status) / 1000 == 3;
}

enum class DescriptorType : uint32_t {
    pointwise = 0,
    convolution = 1,
    engine = 2,
    engine_config = 3,
    heuristics = 4,
    plan = 5,
    forward = 10,
    weight_gradient = 11,
    input_gradient = 12,
    pointwise_operation = 13,
    graph = 15,
    variant_pack = 16,
    tensor = 17,
};

enum class Attribute : uint32_t {
    pointwise_mode = 0,
    pointwise_precision = 1,
    pointwise_nan = 2,

    convolution_precision = 100,
    convolution_mode = 101,
    convolution_dilations = 102,
    convolution_strides = 103,
    convolution_post_paddings = 104,
    convolution_pre_paddings = 105,
    convolution_spatial_dims = 106,

    heuristics_mode = 200,
    heuristics_graph = 201,
    heuristics_results = 202,
    engine_config_engine = 300,
    plan_handle = 400,
    plan_engine_config = 401,
    plan_workspace_size = 402,

    forward_alpha = 700,
    forward_beta = 701,
    forward_convolution = 702,
    forward_w = 703,
    forward_x = 704,
    forward_y = 705,
    input_gradient_alpha = 706,
    input_gradient_beta = 707,
    input_gradient_convolution = 708,
    input_gradient_w = 709,
    input_gradient_dx = 710,
    input_gradient_dy = 711,
    weight_gradient_alpha = 712,
    weight_gradient_beta = 713,
    weight_gradient_convolution = 714,
    weight_gradient_dw = 715,
    weight_gradient_x = 716,
    weight_gradient_dy = 717,

    pointwise_operation_descriptor = 750,
    pointwise_operation_x = 751,
    pointwise_operation_b = 752,
    pointwise_operation_y = 753,

    graph_handle = 800,
    graph_operations = 801,

    tensor_alignment = 900,
    tensor_type = 901,
    tensor_dimensions = 902,
    tensor_strides = 903,
    tensor_id = 906,
    tensor_is_virtual = 907,

    variant_pack_ids = 1000,
    variant_pack_pointers = 1001,
    variant_pack_workspace = 1003,

    engine_index = 1301,
    engine_numerical_notes = 1303,
};

// What an attribute's elements are. Enumerations are 32 bits, int64 64, booleans one byte.
enum class ElementType : uint32_t {
    handle = 0,
    data_type = 1,
    boolean = 2,
    int64 = 3,
    float32 = 4,
    void_pointer = 6,
    convolution_mode = 7,
    heuristics_mode = 8,
    nan_propagation = 10,
    numerical_note = 11,
    pointwise_mode = 14,
    descriptor = 15,
};

enum class DataType : uint32_t { f32 = 0, bf16 = 9 };
enum class ConvolutionMode : uint32_t { convolution = 0, cross_correlation = 1 };
enum class NanPropagation : uint32_t { no = 0, yes = 1 };
enum class PointwiseMode : uint32_t { add = 0, relu = 100 };
enum class HeuristicsMode : uint32_t { fallback = 2, a = 3 };

// What is said of an engine's numbers.
enum class NumericalNote : uint32_t {
    tensor_core = 0,
    down_convert_inputs = 1,
    reduced_precision_reduction = 2,
    fft = 3,
    nondeterministic = 4,
    winograd = 5,
    winograd_4x4 = 6,
    winograd_6x6 = 7,
    winograd_13x13 = 8,
    strict_nan = 9,
};

using GetVersion = std::size_t();
using GetErrorString = const char*(Status);
using GetLastErrorString = void(char* message, std::size_t size);
using Create = Status(Context** handle);
using Destroy = Status(Context* handle);
using SetStream = Status(Context* handle, void* stream);
using BackendCreateDescriptor = Status(DescriptorType type, Descriptor** descriptor);
using BackendDestroyDescriptor = Status(Descriptor* descriptor);
using BackendSetAttribute = Status(Descriptor* descriptor, Attribute name, ElementType type, int64_t count,
                                   const void* elements);
using BackendFinalize = Status(Descriptor* descriptor);
// `found` becomes the number there are; descriptors among `elements` must have been created before.
using BackendGetAttribute = Status(Descriptor* descriptor, Attribute name, ElementType type, int64_t room,
                                   int64_t* found, void* elements);
using BackendExecute = Status(Context* handle, Descriptor* plan, Descriptor* variant_pack);

struct Functions {
    GetVersion* version;
    GetErrorString* error_string;
    GetLastErrorString* last_error_string;
    Create* create;
    Destroy* destroy;
    SetStream* set_stream;
    BackendCreateDescriptor* create_descriptor;
    BackendDestroyDescriptor* destroy_descriptor;
    BackendSetAttribute* set_attribute;
    BackendFinalize* finalize;
    BackendGetAttribute* get_attribute;
    BackendExecute* execute;
};

}  // namespace microtome::cuda::cudnn
