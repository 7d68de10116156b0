// The part of cuBLASLt's C interface that blas.cpp calls, declared here so that every build compiles it,
// with NVIDIA's headers or without. tests/tensor/cublaslt_interface_test.cpp holds all of it against
// <cublasLt.h> where there is one. The same in versions 12 and 13.
//
// Matrices are column-major; D = epilogue(alpha op(A) op(B) + beta C).
#pragma once

#include <cstddef>
#include <cstdint>

namespace microtome::cuda::cublaslt {

enum class Status : int32_t {
    success = 0,
    not_initialized = 1,
    alloc_failed = 3,
    invalid_value = 7,
    arch_mismatch = 8,
    execution_failed = 13,
    internal_error = 14,
    not_supported = 15,
};
enum class DataType : int32_t { f32 = 0, bf16 = 14 };
enum class ComputeType : int32_t {
    f32 = 68,
    f32_pedantic = 69,   // f32 in all steps, no tensor cores, nothing rearranged
    f32_fast_tf32 = 77,  // f32 inputs may be rounded to tf32
};
enum class Operation : int32_t { none = 0, transpose = 1 };
enum class Epilogue : uint32_t { none = 1, bias = 4 };
// How sums that were split along k are joined.
enum ReductionScheme : uint32_t {
    kNoReduction = 0,
    kReductionInPlace = 1,     // in the result itself, in turn
    kReductionOfPartials = 2,  // from the workspace, by a kernel of its own
    kReductionOfOutputs = 4,   // the same, rounded to the result's type before
};

enum class MatmulAttribute : int32_t {  // of these types:
    transpose_a = 3,                    // Operation
    transpose_b = 4,                    // Operation
    epilogue = 7,                       // Epilogue
    bias_pointer = 8,                   // const void*, one for each row of D
};
enum class LayoutAttribute : int32_t {
    batch_count = 5,   // int32_t
    batch_stride = 6,  // int64_t, in elements
};
enum class PreferenceAttribute : int32_t {
    most_workspace = 1,     // uint64_t, in bytes
    reduction_schemes = 3,  // uint32_t, a mask
    alignment_a = 5,        // uint32_t, in bytes, and so on
    alignment_b = 6,
    alignment_c = 7,
    alignment_d = 8,
};

struct Context;
struct MatmulDescription;
struct MatrixDescription;
struct Preference;

struct Algorithm {
    uint64_t data[8];
};
struct HeuristicResult {
    Algorithm algorithm;
    std::size_t workspace;  // that it needs, in bytes
    Status state;           // the rest means something where this is success
    float waves;
    int32_t reserved[4];
};

extern "C" {
using Create = Status(Context** handle);
using Destroy = Status(Context* handle);
using GetStatusString = const char*(Status status);
using MatmulDescCreate = Status(MatmulDescription** description, ComputeType, DataType of_scalars);
using MatmulDescDestroy = Status(MatmulDescription* description);
using MatmulDescSetAttribute = Status(MatmulDescription* description, MatmulAttribute, const void* value,
                                      std::size_t bytes);
using MatrixLayoutCreate = Status(MatrixDescription** description, DataType, uint64_t rows, uint64_t columns,
                                  int64_t leading_dimension);
using MatrixLayoutDestroy = Status(MatrixDescription* description);
using MatrixLayoutSetAttribute = Status(MatrixDescription* description, LayoutAttribute, const void* value,
                                        std::size_t bytes);
using PreferenceCreate = Status(Preference** preference);
using PreferenceDestroy = Status(Preference* preference);
using PreferenceSetAttribute = Status(Preference* preference, PreferenceAttribute, const void* value,
                                      std::size_t bytes);
using AlgoGetHeuristic = Status(Context* handle, MatmulDescription* description, MatrixDescription* a,
                                MatrixDescription* b, MatrixDescription* c, MatrixDescription* d,
                                Preference* preference, int requested, HeuristicResult* results,
                                int* returned);
using Matmul = Status(Context* handle, MatmulDescription* description, const void* alpha, const void* a,
                      MatrixDescription* a_layout, const void* b, MatrixDescription* b_layout,
                      const void* beta, const void* c, MatrixDescription* c_layout, void* d,
                      MatrixDescription* d_layout, const Algorithm* algorithm, void* workspace,
                      std::size_t workspace_bytes, void* stream);
}

// What the library exports under cublasLt and these names.
struct Functions {
    Create* create = nullptr;
    Destroy* destroy = nullptr;
    GetStatusString* status_string = nullptr;
    MatmulDescCreate* matmul_create = nullptr;
    MatmulDescDestroy* matmul_destroy = nullptr;
    MatmulDescSetAttribute* matmul_set = nullptr;
    MatrixLayoutCreate* layout_create = nullptr;
    MatrixLayoutDestroy* layout_destroy = nullptr;
    MatrixLayoutSetAttribute* layout_set = nullptr;
    PreferenceCreate* preference_create = nullptr;
    PreferenceDestroy* preference_destroy = nullptr;
    PreferenceSetAttribute* preference_set = nullptr;
    AlgoGetHeuristic* get_heuristic = nullptr;
    Matmul* matmul = nullptr;
};

}  // namespace microtome::cuda::cublaslt
