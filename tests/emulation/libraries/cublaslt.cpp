// A stand-in for libcublasLt: the functions that tensor/cuda/blas.cpp calls, as NVIDIA's manual and header
// describe them, on the memory of the emulated device. It refuses what they say is refused, and where they
// leave something open it does what would hurt a caller most: it reads no memory that it was not told of,
// asks for workspace and alignment, lists algorithms that cannot be used before those that can, cuts factors
// off to tf32 without rounding, and lets sums joined in place come out differently each time.
#include "tensor/cuda/cublaslt.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

namespace microtome::cuda::cublaslt {

constexpr uint64_t kAlive = 0x6375626c61734c74, kDead = 0;

struct Context {
    uint64_t alive = kAlive;
};
struct MatmulDescription {
    uint64_t alive = kAlive;
    ComputeType sums{};
    Operation transpose[2] = {Operation::none, Operation::none};
    Epilogue epilogue = Epilogue::none;
    const void* bias = nullptr;
};
struct MatrixDescription {
    uint64_t alive = kAlive;
    DataType type{};
    int64_t rows = 0, columns = 0, leading_dimension = 0, stride = 0;
    int32_t count = 1;

    std::size_t element() const { return type == DataType::bf16 ? 2 : 4; }
    bool operator==(const MatrixDescription&) const = default;
};
struct Preference {
    uint64_t alive = kAlive;
    uint64_t most_workspace = 0;
    uint32_t reductions = 7;
    uint32_t alignment[4] = {256, 256, 256, 256};
};

namespace {

template <class T>
bool lives(const T* x) {
    return x != nullptr && x->alive == kAlive;
}

template <class T>
Status destroy(T* x) {
    if (!lives(x)) return Status::invalid_value;
    x->alive = kDead;
    delete x;
    return Status::success;
}

template <class T>
Status assign(T& to, const void* value, std::size_t bytes) {
    if (value == nullptr || bytes != sizeof(T)) return Status::invalid_value;
    std::memcpy(&to, value, bytes);
    return Status::success;
}

struct Product {
    const MatmulDescription* how;
    const MatrixDescription *a, *b, *c, *d;

    int64_t m() const { return d->rows; }
    int64_t n() const { return d->columns; }
    int64_t k() const { return how->transpose[0] == Operation::none ? a->columns : a->rows; }
};

// Whether the descriptions belong together and are ones that the library knows.
Status check(const Product& p) {
    if (!lives(p.how)) return Status::invalid_value;
    for (const MatrixDescription* x : {p.a, p.b, p.c, p.d}) {
        if (!lives(x)) return Status::invalid_value;
        if (x->rows < 1 || x->columns < 1 || x->count < 1 || x->leading_dimension < x->rows)
            return Status::invalid_value;
        if (x->rows > INT32_MAX || x->columns > INT32_MAX) return Status::not_supported;
        if (x->count != p.d->count) return Status::invalid_value;
    }
    const bool flat_a = p.how->transpose[0] == Operation::none,
               flat_b = p.how->transpose[1] == Operation::none;
    for (Operation operation : p.how->transpose)
        if (operation != Operation::none && operation != Operation::transpose) return Status::invalid_value;
    if ((flat_a ? p.a->rows : p.a->columns) != p.m() || (flat_b ? p.b->columns : p.b->rows) != p.n() ||
        (flat_b ? p.b->rows : p.b->columns) != p.k() || p.c->rows != p.m() || p.c->columns != p.n())
        return Status::invalid_value;
    // Several results in one place.
    if (p.d->count > 1 && p.d->stride == 0) return Status::invalid_value;

    if (p.a->type != p.b->type || p.c->type != p.d->type) return Status::not_supported;
    const bool f32 = p.a->type == DataType::f32 && p.d->type == DataType::f32;
    const bool bf16 = p.a->type == DataType::bf16;
    switch (p.how->sums) {
        case ComputeType::f32: break;
        case ComputeType::f32_pedantic:
        case ComputeType::f32_fast_tf32:
            if (!f32) return Status::not_supported;
            break;
        default: return Status::invalid_value;
    }
    if (!f32 && !bf16) return Status::not_supported;
    // Rows of 16-bit factors have to begin at multiples of 16 bytes.
    if (bf16)
        for (const MatrixDescription* x : {p.a, p.b})
            if (x->leading_dimension % 8 != 0 || x->stride % 8 != 0) return Status::not_supported;
    switch (p.how->epilogue) {
        case Epilogue::none: break;
        case Epilogue::bias:
            if (p.how->bias == nullptr) return Status::invalid_value;
            if (p.m() == 13) return Status::not_supported;  // there may be sizes without such a kernel
            break;
        default: return Status::not_supported;
    }
    return Status::success;
}

// In the order in which the heuristic lists them.
enum Kind : uint64_t { unusable = 1, greedy, vectorised, in_place, split, simple };

uint64_t hash(const Product& p) {
    uint64_t result = 1469598103934665603u;
    auto add = [&](auto value) { result = (result ^ static_cast<uint64_t>(value)) * 1099511628211u; };
    add(p.how->sums), add(p.how->transpose[0]), add(p.how->transpose[1]), add(p.how->epilogue);
    for (const MatrixDescription* x : {p.a, p.b, p.c, p.d})
        add(x->type), add(x->rows), add(x->columns), add(x->leading_dimension), add(x->stride), add(x->count);
    return result;
}

std::size_t workspace_of(Kind kind, const Product& p) {
    const auto results = static_cast<std::size_t>(p.m() * p.n() * p.d->count);
    switch (kind) {
        case greedy: return std::size_t{1} << 40;
        case in_place: return 64;
        case split: return 2 * results * sizeof(float);
        default: return 0;
    }
}
uint32_t alignment_of(Kind kind) {
    return kind == vectorised ? 16 : 4;
}
// Whether it multiplies what the heuristic, which sees no addresses, thought it could.
bool runs(Kind kind, const Product& p, bool in_one_place) {
    return kind != unusable && (kind != vectorised || (p.k() % 8 == 0 && in_one_place));
}

float load(const MatrixDescription& x, const void* data, int64_t z, int64_t row, int64_t column) {
    const int64_t at = z * x.stride + column * x.leading_dimension + row;
    if (x.type == DataType::f32) return static_cast<const float*>(data)[at];
    const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(data)[at]) << 16;
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
float cut_to_tf32(float x) {
    uint32_t bits = 0;
    std::memcpy(&bits, &x, sizeof bits);
    bits &= 0xffffe000u;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

std::atomic<int> sums_in_place{0};

}  // namespace
}  // namespace microtome::cuda::cublaslt

using namespace microtome::cuda::cublaslt;

extern "C" {

Status cublasLtCreate(Context** handle) {
    if (handle == nullptr) return Status::invalid_value;
    *handle = new Context;
    return Status::success;
}
Status cublasLtDestroy(Context* handle) {
    return lives(handle) ? destroy(handle) : Status::not_initialized;
}
const char* cublasLtGetStatusString(Status status) {
    return status == Status::success ? "success" : "refused by the library of the tests";
}

Status cublasLtMatmulDescCreate(MatmulDescription** description, ComputeType sums, DataType of_scalars) {
    if (description == nullptr || of_scalars != DataType::f32) return Status::invalid_value;
    *description = new MatmulDescription;
    (*description)->sums = sums;
    return Status::success;
}
Status cublasLtMatmulDescDestroy(MatmulDescription* description) {
    return destroy(description);
}
Status cublasLtMatmulDescSetAttribute(MatmulDescription* x, MatmulAttribute attribute, const void* value,
                                      std::size_t bytes) {
    if (!lives(x)) return Status::invalid_value;
    switch (attribute) {
        case MatmulAttribute::transpose_a: return assign(x->transpose[0], value, bytes);
        case MatmulAttribute::transpose_b: return assign(x->transpose[1], value, bytes);
        case MatmulAttribute::epilogue: return assign(x->epilogue, value, bytes);
        case MatmulAttribute::bias_pointer: return assign(x->bias, value, bytes);
    }
    return Status::invalid_value;
}

Status cublasLtMatrixLayoutCreate(MatrixDescription** description, DataType type, uint64_t rows,
                                  uint64_t columns, int64_t leading_dimension) {
    if (description == nullptr) return Status::invalid_value;
    *description = new MatrixDescription;
    (*description)->type = type;
    (*description)->rows = static_cast<int64_t>(rows);
    (*description)->columns = static_cast<int64_t>(columns);
    (*description)->leading_dimension = leading_dimension;
    return Status::success;
}
Status cublasLtMatrixLayoutDestroy(MatrixDescription* description) {
    return destroy(description);
}
Status cublasLtMatrixLayoutSetAttribute(MatrixDescription* x, LayoutAttribute attribute, const void* value,
                                        std::size_t bytes) {
    if (!lives(x)) return Status::invalid_value;
    switch (attribute) {
        case LayoutAttribute::batch_count: return assign(x->count, value, bytes);
        case LayoutAttribute::batch_stride: return assign(x->stride, value, bytes);
    }
    return Status::invalid_value;
}

Status cublasLtMatmulPreferenceCreate(Preference** preference) {
    if (preference == nullptr) return Status::invalid_value;
    *preference = new Preference;
    return Status::success;
}
Status cublasLtMatmulPreferenceDestroy(Preference* preference) {
    return destroy(preference);
}
Status cublasLtMatmulPreferenceSetAttribute(Preference* x, PreferenceAttribute attribute, const void* value,
                                            std::size_t bytes) {
    if (!lives(x)) return Status::invalid_value;
    switch (attribute) {
        case PreferenceAttribute::most_workspace: return assign(x->most_workspace, value, bytes);
        case PreferenceAttribute::reduction_schemes: return assign(x->reductions, value, bytes);
        case PreferenceAttribute::alignment_a: return assign(x->alignment[0], value, bytes);
        case PreferenceAttribute::alignment_b: return assign(x->alignment[1], value, bytes);
        case PreferenceAttribute::alignment_c: return assign(x->alignment[2], value, bytes);
        case PreferenceAttribute::alignment_d: return assign(x->alignment[3], value, bytes);
    }
    return Status::invalid_value;
}

Status cublasLtMatmulAlgoGetHeuristic(Context* handle, MatmulDescription* how, MatrixDescription* a,
                                      MatrixDescription* b, MatrixDescription* c, MatrixDescription* d,
                                      Preference* preference, int requested, HeuristicResult* results,
                                      int* returned) {
    if (!lives(handle)) return Status::not_initialized;
    if (requested < 1 || results == nullptr || returned == nullptr || !lives(preference))
        return Status::invalid_value;
    *returned = 0;
    const Product p{how, a, b, c, d};
    if (const Status status = check(p); status != Status::success) return status;
    for (Kind kind : {unusable, greedy, vectorised, in_place, split, simple}) {
        if (*returned == requested) break;
        bool listed = true;
        for (uint32_t alignment : preference->alignment) listed = listed && alignment >= alignment_of(kind);
        if (kind == in_place) listed = (preference->reductions & kReductionInPlace) != 0 && p.k() > 1;
        if (kind == split) listed = (preference->reductions & kReductionOfPartials) != 0 && p.k() >= 64;
        // The first is listed with a state that says not to use it; the second whatever it asks for.
        if (kind != greedy) listed = listed && workspace_of(kind, p) <= preference->most_workspace;
        if (!listed) continue;
        HeuristicResult& result = results[(*returned)++];
        std::memset(&result, 0xee, sizeof result);
        result.state = kind == unusable || kind == greedy ? Status::not_supported : Status::success;
        if (result.state != Status::success) continue;
        result.algorithm = {{kind, hash(p)}};
        result.workspace = workspace_of(kind, p);
    }
    return *returned > 0 ? Status::success : Status::not_supported;
}

Status cublasLtMatmul(Context* handle, MatmulDescription* how, const void* alpha, const void* a,
                      MatrixDescription* a_layout, const void* b, MatrixDescription* b_layout,
                      const void* beta, const void* c, MatrixDescription* c_layout, void* d,
                      MatrixDescription* d_layout, const Algorithm* algorithm, void* workspace,
                      std::size_t workspace_bytes, void*) {
    if (!lives(handle)) return Status::not_initialized;
    for (const void* pointer : {alpha, a, b, beta, c, static_cast<const void*>(d)})
        if (pointer == nullptr) return Status::invalid_value;
    const Product p{how, a_layout, b_layout, c_layout, d_layout};
    if (const Status status = check(p); status != Status::success) return status;
    if (algorithm == nullptr || algorithm->data[1] != hash(p)) return Status::invalid_value;
    const auto kind = static_cast<Kind>(algorithm->data[0]);
    if (c == d && !(*c_layout == *d_layout)) return Status::invalid_value;
    auto address = [](const void* x) { return reinterpret_cast<std::uintptr_t>(x); };
    for (const void* pointer : {a, b, c, static_cast<const void*>(d)})
        if (address(pointer) % (pointer == a || pointer == b ? a_layout->element() : 4) != 0 ||
            (alignment_of(kind) > 4 && address(pointer) % alignment_of(kind) != 0))
            return Status::invalid_value;
    if (workspace_bytes < workspace_of(kind, p) || (workspace_of(kind, p) > 0 && workspace == nullptr) ||
        address(workspace) % 256 != 0)
        return Status::invalid_value;
    const bool adds_bias = how->epilogue == Epilogue::bias;
    if (adds_bias && address(how->bias) % 4 != 0) return Status::invalid_value;
    if (!runs(kind, p, c == d)) return Status::not_supported;

    float scale = 0, keep = 0;
    std::memcpy(&scale, alpha, sizeof scale);
    std::memcpy(&keep, beta, sizeof keep);
    const bool cut = how->sums == ComputeType::f32_fast_tf32;
    auto factor = [&](const MatrixDescription& x, const void* data, bool transposed, int64_t z, int64_t row,
                      int64_t column) {
        const float value = transposed ? load(x, data, z, column, row) : load(x, data, z, row, column);
        return cut ? cut_to_tf32(value) : value;
    };
    const bool transpose_a = how->transpose[0] == Operation::transpose,
               transpose_b = how->transpose[1] == Operation::transpose;
    auto sum = [&](int64_t z, int64_t i, int64_t j, int64_t begin, int64_t end) {
        float total = 0;
        for (int64_t k = begin; k < end; ++k)
            total = std::fma(factor(*a_layout, a, transpose_a, z, i, k),
                             factor(*b_layout, b, transpose_b, z, k, j), total);
        return total;
    };
    // Split sums pass through the workspace, all of them before the first is joined.
    auto* parts = static_cast<float*>(workspace);
    const int64_t half = p.k() / 2, results = p.m() * p.n();
    if (kind == split)
        for (int64_t z = 0; z < d_layout->count; ++z)
            for (int64_t at = 0; at < results; ++at)
                for (int part = 0; part < 2; ++part)
                    parts[2 * (z * results + at) + part] =
                        sum(z, at % p.m(), at / p.m(), part == 0 ? 0 : half, part == 0 ? half : p.k());
    const bool backwards = kind == in_place && ++sums_in_place % 2 == 0;
    for (int64_t z = 0; z < d_layout->count; ++z)
        for (int64_t j = 0; j < p.n(); ++j)
            for (int64_t i = 0; i < p.m(); ++i) {
                float total = 0;
                if (kind == split) {
                    const float* two = parts + 2 * (z * results + j * p.m() + i);
                    total = two[0] + two[1];
                } else if (backwards) {
                    for (int64_t k = p.k() - 1; k >= 0; --k) total += sum(z, i, j, k, k + 1);
                } else {
                    total = sum(z, i, j, 0, p.k());
                }
                total *= scale;
                if (keep != 0) total += keep * load(*c_layout, c, z, i, j);
                if (adds_bias) total += static_cast<const float*>(how->bias)[i];
                static_cast<float*>(d)[z * d_layout->stride + j * d_layout->leading_dimension + i] = total;
            }
    return Status::success;
}

}  // extern "C"
