// What tensor/cuda/cublaslt.hpp declares is what NVIDIA's header says, where there is one. All of it is
// checked by the compiler.
#include "tensor/cuda/cublaslt.hpp"
#include "tests/tensor/same_function.hpp"

#include <catch2/catch.hpp>

#if defined(MICROTOME_CUBLASLT_HEADER)
#include <cublasLt.h>

namespace {
namespace ours = microtome::cuda::cublaslt;

using microtome::test::same_function;

static_assert(same_function<ours::Create, decltype(cublasLtCreate)>);
static_assert(same_function<ours::Destroy, decltype(cublasLtDestroy)>);
static_assert(same_function<ours::GetStatusString, decltype(cublasLtGetStatusString)>);
static_assert(same_function<ours::MatmulDescCreate, decltype(cublasLtMatmulDescCreate)>);
static_assert(same_function<ours::MatmulDescDestroy, decltype(cublasLtMatmulDescDestroy)>);
static_assert(same_function<ours::MatmulDescSetAttribute, decltype(cublasLtMatmulDescSetAttribute)>);
static_assert(same_function<ours::MatrixLayoutCreate, decltype(cublasLtMatrixLayoutCreate)>);
static_assert(same_function<ours::MatrixLayoutDestroy, decltype(cublasLtMatrixLayoutDestroy)>);
static_assert(same_function<ours::MatrixLayoutSetAttribute, decltype(cublasLtMatrixLayoutSetAttribute)>);
static_assert(same_function<ours::PreferenceCreate, decltype(cublasLtMatmulPreferenceCreate)>);
static_assert(same_function<ours::PreferenceDestroy, decltype(cublasLtMatmulPreferenceDestroy)>);
static_assert(same_function<ours::PreferenceSetAttribute, decltype(cublasLtMatmulPreferenceSetAttribute)>);
static_assert(same_function<ours::AlgoGetHeuristic, decltype(cublasLtMatmulAlgoGetHeuristic)>);
static_assert(same_function<ours::Matmul, decltype(cublasLtMatmul)>);

template <class Ours, class Theirs>
constexpr bool same_value(Ours ours, Theirs theirs) {
    return static_cast<int64_t>(ours) == static_cast<int64_t>(theirs);
}
static_assert(same_value(ours::Status::success, CUBLAS_STATUS_SUCCESS));
static_assert(same_value(ours::Status::not_initialized, CUBLAS_STATUS_NOT_INITIALIZED));
static_assert(same_value(ours::Status::alloc_failed, CUBLAS_STATUS_ALLOC_FAILED));
static_assert(same_value(ours::Status::invalid_value, CUBLAS_STATUS_INVALID_VALUE));
static_assert(same_value(ours::Status::arch_mismatch, CUBLAS_STATUS_ARCH_MISMATCH));
static_assert(same_value(ours::Status::execution_failed, CUBLAS_STATUS_EXECUTION_FAILED));
static_assert(same_value(ours::Status::internal_error, CUBLAS_STATUS_INTERNAL_ERROR));
static_assert(same_value(ours::Status::not_supported, CUBLAS_STATUS_NOT_SUPPORTED));
static_assert(same_value(ours::DataType::f32, CUDA_R_32F));
static_assert(same_value(ours::DataType::bf16, CUDA_R_16BF));
static_assert(same_value(ours::ComputeType::f32, CUBLAS_COMPUTE_32F));
static_assert(same_value(ours::ComputeType::f32_pedantic, CUBLAS_COMPUTE_32F_PEDANTIC));
static_assert(same_value(ours::ComputeType::f32_fast_tf32, CUBLAS_COMPUTE_32F_FAST_TF32));
static_assert(same_value(ours::Operation::none, CUBLAS_OP_N));
static_assert(same_value(ours::Operation::transpose, CUBLAS_OP_T));
static_assert(same_value(ours::Epilogue::none, CUBLASLT_EPILOGUE_DEFAULT));
static_assert(same_value(ours::Epilogue::bias, CUBLASLT_EPILOGUE_BIAS));
static_assert(same_value(ours::kNoReduction, CUBLASLT_REDUCTION_SCHEME_NONE));
static_assert(same_value(ours::kReductionInPlace, CUBLASLT_REDUCTION_SCHEME_INPLACE));
static_assert(same_value(ours::kReductionOfPartials, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
static_assert(same_value(ours::kReductionOfOutputs, CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE));
static_assert(same_value(ours::MatmulAttribute::transpose_a, CUBLASLT_MATMUL_DESC_TRANSA));
static_assert(same_value(ours::MatmulAttribute::transpose_b, CUBLASLT_MATMUL_DESC_TRANSB));
static_assert(same_value(ours::MatmulAttribute::epilogue, CUBLASLT_MATMUL_DESC_EPILOGUE));
static_assert(same_value(ours::MatmulAttribute::bias_pointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER));
static_assert(same_value(ours::LayoutAttribute::batch_count, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT));
static_assert(same_value(ours::LayoutAttribute::batch_stride, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET));
static_assert(same_value(ours::PreferenceAttribute::most_workspace,
                         CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES));
static_assert(same_value(ours::PreferenceAttribute::reduction_schemes,
                         CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK));
static_assert(same_value(ours::PreferenceAttribute::alignment_a, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES));
static_assert(same_value(ours::PreferenceAttribute::alignment_b, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES));
static_assert(same_value(ours::PreferenceAttribute::alignment_c, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES));
static_assert(same_value(ours::PreferenceAttribute::alignment_d, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES));

static_assert(sizeof(ours::Algorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(ours::HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(ours::HeuristicResult, algorithm) == offsetof(cublasLtMatmulHeuristicResult_t, algo));
static_assert(offsetof(ours::HeuristicResult, workspace) ==
              offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(ours::HeuristicResult, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(offsetof(ours::HeuristicResult, waves) ==
              offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));

}  // namespace
#endif

TEST_CASE("cuBLASLt's interface is declared as its header has it", "[cuda][blas]") {
#if !defined(MICROTOME_CUBLASLT_HEADER)
    WARN("there is no cublasLt.h to compare with");
#endif
    CHECK(sizeof(microtome::cuda::cublaslt::HeuristicResult) == 96);
}
