#include "tensor/cuda/blas.hpp"

#include "tensor/cuda/cublaslt.hpp"
#include "tensor/cuda/library.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace microtome::cuda {
namespace {

using namespace cublaslt;

constexpr uint64_t kMostWorkspace = uint64_t{32} << 20;  // what the library's manual advises for Hopper
constexpr std::uintptr_t kWorkspaceAlignment = 256;
constexpr int kCandidates = 8;  // algorithms to ask for
constexpr std::size_t kMostProblems = 4096;

// --- one call of the library

// Equally spaced matrices, column-major.
struct Matrices {
    int64_t rows = 0, columns = 0, leading_dimension = 0, stride = 0;
    bool aligned = true;  // whether the first begins at a multiple of 16 bytes

    friend auto operator<=>(const Matrices&, const Matrices&) = default;
};

// Everything that the library is told. Row-major data reach the column-major library as they lie: a row-major
// matrix is, column-major, its transpose, and the transpose of c = a b is c^T = b^T a^T. So the library's A
// is our b, its B our a, and its D our c; a bias for each of our columns is one for each row of D.
struct Problem {
    int device = 0;
    Precision precision = Precision::f32;
    Matrices a, b, d, c;  // the library's
    bool transpose_a = false, transpose_b = false;
    int64_t batch = 1;
    bool bias = false, bias_aligned = true;
    bool adds_c = false, c_is_d = true;  // not every algorithm takes a C that is not D

    friend auto operator<=>(const Problem&, const Problem&) = default;
};

bool is_aligned(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

// A matrix of our `rows` x `columns`, or the one that it is the transpose of, as the library sees it. Nothing
// where rows overlap.
std::optional<Matrices> seen(const MatrixLayout& layout, int64_t rows, int64_t columns, int64_t stride) {
    if (layout.transposed) std::swap(rows, columns);
    int64_t leading_dimension = layout.leading_dimension;
    if (rows == 1) leading_dimension = std::max(leading_dimension, columns);
    if (leading_dimension < columns) return std::nullopt;
    return Matrices{columns, rows, leading_dimension, stride, true};
}

// How a batch with two axes is counted by calls of one axis each.
struct Batching {
    int64_t calls = 1, count = 1;
    bool outer = false;  // whether a call goes along the outer axis; else along the inner one or both

    explicit Batching(const MatmulShape& s) {
        auto one_axis = [&](const MatrixLayout& layout) {
            return layout.outer_stride == layout.inner_stride * s.batch_inner;
        };
        const bool merged =
            s.batch_outer == 1 || (one_axis(s.a) && one_axis(s.b) && one_axis(s.c) && s.batch_inner > 1);
        outer = !merged && (s.batch_inner == 1 || s.batch_outer > s.batch_inner);
        calls = merged ? 1 : outer ? s.batch_inner : s.batch_outer;
        count = s.batch_outer * s.batch_inner / calls;
    }
    int64_t stride(const MatrixLayout& layout) const {
        return outer ? layout.outer_stride : layout.inner_stride;
    }
    // Where call number `call` begins.
    int64_t offset(const MatrixLayout& layout, int64_t call) const {
        return call * (outer ? layout.inner_stride : layout.outer_stride);
    }
};

struct Delete {
    const Functions* library = nullptr;
    void operator()(MatmulDescription* x) const { library->matmul_destroy(x); }
    void operator()(MatrixDescription* x) const { library->layout_destroy(x); }
    void operator()(Preference* x) const { library->preference_destroy(x); }
};
template <class T>
using Owned = std::unique_ptr<T, Delete>;

// A problem put to the library, and what it chose for it.
struct Prepared {
    Owned<MatmulDescription> product;
    Owned<MatrixDescription> a, b, c, d;
    std::vector<std::pair<Algorithm, std::size_t>> candidates;  // and their workspace; best first
    bool chosen = false;                                        // whether the first is known to run
};

struct Operands {
    const void *a, *b;  // the library's
    const float *c, *bias;
    float* d;
};

}  // namespace

struct Blas::Implementation {
    explicit Implementation(std::span<const std::string> files) : library(files) {
        library.find("cublasLtCreate", functions.create);
        library.find("cublasLtDestroy", functions.destroy);
        library.find("cublasLtGetStatusString", functions.status_string);
        library.find("cublasLtMatmulDescCreate", functions.matmul_create);
        library.find("cublasLtMatmulDescDestroy", functions.matmul_destroy);
        library.find("cublasLtMatmulDescSetAttribute", functions.matmul_set);
        library.find("cublasLtMatrixLayoutCreate", functions.layout_create);
        library.find("cublasLtMatrixLayoutDestroy", functions.layout_destroy);
        library.find("cublasLtMatrixLayoutSetAttribute", functions.layout_set);
        library.find("cublasLtMatmulPreferenceCreate", functions.preference_create);
        library.find("cublasLtMatmulPreferenceDestroy", functions.preference_destroy);
        library.find("cublasLtMatmulPreferenceSetAttribute", functions.preference_set);
        library.find("cublasLtMatmulAlgoGetHeuristic", functions.get_heuristic);
        library.find("cublasLtMatmul", functions.matmul);
    }
    ~Implementation() {
        prepared.clear();
        for (auto& [device, handle] : handles) functions.destroy(handle);
    }
    Implementation(const Implementation&) = delete;
    Implementation& operator=(const Implementation&) = delete;

    void require(Status status, const char* what) const {
        if (status != Status::success)
            throw DeviceError("cuBLASLt",
                              str("expected it to ", what, ", got: ", functions.status_string(status)));
    }

    // The device is the current one: its stream has been asked for.
    Context* handle(int device) {
        Context*& found = handles[device];
        if (found == nullptr) require(functions.create(&found), "start");
        return found;
    }

    template <class Value>
    void set(Owned<MatmulDescription>& x, MatmulAttribute attribute, const Value& value) const {
        require(functions.matmul_set(x.get(), attribute, &value, sizeof value), "describe a product");
    }
    template <class Value>
    void set(Owned<Preference>& x, PreferenceAttribute attribute, const Value& value) const {
        require(functions.preference_set(x.get(), attribute, &value, sizeof value), "take preferences");
    }

    Owned<MatrixDescription> describe(const Matrices& x, DataType type, int64_t batch) const {
        MatrixDescription* made = nullptr;
        require(functions.layout_create(&made, type, static_cast<uint64_t>(x.rows),
                                        static_cast<uint64_t>(x.columns), x.leading_dimension),
                "describe a matrix");
        Owned<MatrixDescription> result(made, Delete{&functions});
        const auto count = static_cast<int32_t>(batch);
        require(functions.layout_set(made, LayoutAttribute::batch_count, &count, sizeof count),
                "describe a batch");
        require(functions.layout_set(made, LayoutAttribute::batch_stride, &x.stride, sizeof x.stride),
                "describe a batch");
        return result;
    }

    // Descriptions, and the heuristic's algorithms for them.
    Prepared prepare(const Problem& problem) {
        const bool bf16 = problem.precision == Precision::bf16;
        const DataType factors = bf16 ? DataType::bf16 : DataType::f32;
        const ComputeType sums = bf16                                   ? ComputeType::f32
                                 : problem.precision == Precision::tf32 ? ComputeType::f32_fast_tf32
                                                                        : ComputeType::f32_pedantic;
        Prepared result;
        MatmulDescription* product = nullptr;
        require(functions.matmul_create(&product, sums, DataType::f32), "describe a product");
        result.product = Owned<MatmulDescription>(product, Delete{&functions});
        auto operation = [](bool transpose) { return transpose ? Operation::transpose : Operation::none; };
        set(result.product, MatmulAttribute::transpose_a, operation(problem.transpose_a));
        set(result.product, MatmulAttribute::transpose_b, operation(problem.transpose_b));
        set(result.product, MatmulAttribute::epilogue, problem.bias ? Epilogue::bias : Epilogue::none);
        // The heuristic asks the address for its alignment, and must see no more of it than the key holds.
        if (problem.bias)
            set(result.product, MatmulAttribute::bias_pointer,
                reinterpret_cast<const void*>(std::uintptr_t{problem.bias_aligned ? 16u : 4u}));
        result.a = describe(problem.a, factors, problem.batch);
        result.b = describe(problem.b, factors, problem.batch);
        result.c = describe(problem.c, DataType::f32, problem.batch);
        result.d = describe(problem.d, DataType::f32, problem.batch);

        Preference* wishes = nullptr;
        require(functions.preference_create(&wishes), "take preferences");
        Owned<Preference> preference(wishes, Delete{&functions});
        set(preference, PreferenceAttribute::most_workspace, kMostWorkspace);
        set(preference, PreferenceAttribute::reduction_schemes, uint32_t{kReductionOfPartials});
        for (auto [attribute, matrices] : {std::pair{PreferenceAttribute::alignment_a, &problem.a},
                                           std::pair{PreferenceAttribute::alignment_b, &problem.b},
                                           std::pair{PreferenceAttribute::alignment_c, &problem.c},
                                           std::pair{PreferenceAttribute::alignment_d, &problem.d}})
            set(preference, attribute, uint32_t{matrices->aligned ? 16u : 4u});

        HeuristicResult found[kCandidates] = {};
        int count = 0;
        const Status status = functions.get_heuristic(
            handle(problem.device), result.product.get(), result.a.get(), result.b.get(), result.c.get(),
            result.d.get(), preference.get(), kCandidates, found, &count);
        if (status != Status::not_supported && status != Status::invalid_value)
            require(status, "choose an algorithm");
        if (status == Status::success)
            for (int i = 0; i < count; ++i)
                if (found[i].state == Status::success && found[i].workspace <= kMostWorkspace)
                    result.candidates.emplace_back(found[i].algorithm, found[i].workspace);
        return result;
    }

    Prepared& prepared_for(const Problem& problem) {
        if (const auto known = prepared.find(problem); known != prepared.end()) return known->second;
        if (prepared.size() >= kMostProblems) prepared.clear();
        return prepared.emplace(problem, prepare(problem)).first->second;
    }

    // False, and nothing has been done, where no algorithm takes the problem.
    bool run(const Queue& queue, const Problem& problem, const Operands& x) {
        Prepared& now = prepared_for(problem);
        if (problem.bias) set(now.product, MatmulAttribute::bias_pointer, static_cast<const void*>(x.bias));
        const float one = 1, beta = problem.adds_c ? 1.0f : 0.0f;
        while (!now.candidates.empty()) {
            const auto& [algorithm, bytes] = now.candidates.front();
            Tensor workspace;
            std::byte* memory = nullptr;
            if (bytes > 0) {
                workspace = Tensor(Spec{{static_cast<int64_t>(bytes + kWorkspaceAlignment)},
                                        Dtype::u8,
                                        {Device::Kind::cuda, static_cast<int16_t>(problem.device)}});
                memory = workspace.mutable_raw();
                memory +=
                    (kWorkspaceAlignment - reinterpret_cast<std::uintptr_t>(memory)) % kWorkspaceAlignment;
            }
            const Status status = functions.matmul(
                handle(problem.device), now.product.get(), &one, x.a, now.a.get(), x.b, now.b.get(), &beta,
                x.c, now.c.get(), x.d, now.d.get(), &algorithm, memory, bytes, queue.stream.handle);
            if (status == Status::success) {
                now.chosen = true;
                ++calls;
                return true;
            }
            const bool refused = status == Status::not_supported || status == Status::invalid_value ||
                                 status == Status::arch_mismatch;
            if (!refused || now.chosen) require(status, "multiply matrices");
            now.candidates.erase(now.candidates.begin());
        }
        return false;
    }

    mutable std::mutex mutex;
    Library library;
    Functions functions{};
    std::map<int, Context*> handles;  // by device
    std::map<Problem, Prepared> prepared;
    int64_t calls = 0;
};

Blas::Blas(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Blas::~Blas() = default;

std::unique_ptr<Blas> Blas::open(std::span<const std::string> files) {
    auto implementation = std::make_unique<Implementation>(files);
    if (implementation->library.complete()) return std::unique_ptr<Blas>(new Blas(std::move(implementation)));
    std::clog << "microtome: products of matrices run without cuBLASLt, which is slower: "
              << implementation->library.problem() << ". LD_LIBRARY_PATH says where to look\n";
    return nullptr;
}

int64_t Blas::calls() const {
    std::lock_guard lock(implementation_->mutex);
    return implementation_->calls;
}

namespace {

// A batch of factors in bf16, one after another, with rows at multiples of 16 bytes; an axis along which all
// are the same is one matrix still.
struct RoundedFactor {
    Tensor data;
    MatrixLayout layout;

    RoundedFactor(const Queue& queue, const MatmulShape& s, MatrixLayout from, int64_t rows, int64_t columns,
                  const Tensor& x) {
        if (from.transposed) std::swap(rows, columns);
        const int64_t outer = from.outer_stride == 0 ? 1 : s.batch_outer,
                      inner = from.inner_stride == 0 ? 1 : s.batch_inner;
        const int64_t leading_dimension = (columns + 7) / 8 * 8, size = rows * leading_dimension;
        layout = {leading_dimension, from.transposed, outer == 1 ? 0 : inner * size, inner == 1 ? 0 : size};
        data = Tensor(Spec{{outer * inner * size}, Dtype::bf16, x.device()});
        const int64_t strides[2][kMaxRank] = {
            {inner * size, size, leading_dimension, 1},
            {from.outer_stride, from.inner_stride, from.leading_dimension, 1}};
        queue.memory().copy_bf16(queue.stream, strided<2>(Shape{outer, inner, rows, columns}, strides),
                                 in<float>(x), out<bfloat16>(data));
    }
};

// What follows a product, of sums that lie in `rows` rows of n.
void add_terms(const Queue& queue, int64_t rows, int64_t n, const MatmulEpilogue& epilogue, float* sums) {
    const Shape shape{rows, n};
    for (const auto& [term, its_shape] :
         {std::pair{&epilogue.bias, Shape{n}}, std::pair{&epilogue.residual, shape}})
        if (term->defined())
            queue.backend.kernels.f32.binary(queue.stream, kernels::Binary::add,
                                             broadcast(shape, shape, its_shape), sums, in<float>(*term),
                                             sums);
}

bool fits(int64_t size) {
    return size <= std::numeric_limits<int32_t>::max();
}

}  // namespace

bool Blas::matmul(const Queue& queue, const MatmulShape& shape, Precision precision, const Tensor& a,
                  const Tensor& b, Tensor& c, const MatmulEpilogue& epilogue) {
    if (shape.c.transposed) return matmul(queue, transposed(shape), precision, b, a, c, epilogue);
    MatmulShape s = shape;
    if (s.batch_outer * s.batch_inner * s.m * s.n * s.k == 0) return false;
    if (epilogue.residual.defined() && epilogue.accumulate) return false;
    const Batching whole(s);
    const bool dense = s.c.leading_dimension == s.n && whole.calls == 1 &&
                       (whole.count == 1 || whole.stride(s.c) == s.m * s.n);
    // What ReLU does to NaN is not in the library's documentation. Ours keeps it.
    if (epilogue.relu && !dense) return false;
    if (!seen(s.a, s.m, s.k, 0) || !seen(s.b, s.k, s.n, 0) || !seen(s.c, s.m, s.n, 0)) return false;

    Tensor left = a, right = b;
    if (precision == Precision::bf16) {
        const RoundedFactor rounded_a(queue, s, s.a, s.m, s.k, a), rounded_b(queue, s, s.b, s.k, s.n, b);
        left = rounded_a.data, s.a = rounded_a.layout;
        right = rounded_b.data, s.b = rounded_b.layout;
    }
    const Batching batching(s);
    const auto at_a = seen(s.a, s.m, s.k, batching.stride(s.a)),
               at_b = seen(s.b, s.k, s.n, batching.stride(s.b)),
               at_c = seen(s.c, s.m, s.n, batching.stride(s.c));
    for (const Matrices* x : {&*at_a, &*at_b, &*at_c})
        if (!fits(x->rows) || !fits(x->columns) || !fits(batching.count)) return false;

    Problem problem{queue.stream.device, precision, *at_b, *at_a, *at_c, *at_c};
    problem.transpose_a = s.b.transposed;
    problem.transpose_b = s.a.transposed;
    problem.batch = batching.count;
    const auto element = static_cast<int64_t>(size_of(left.dtype()));
    const float *bias = in<float>(epilogue.bias), *residual = in<float>(epilogue.residual);
    float* result = out<float>(c);
    // All calls are one problem: aligned where every one of them is.
    auto aligned = [&](const void* first, const MatrixLayout& layout, int64_t bytes) {
        return is_aligned(first) && (batching.calls == 1 || batching.offset(layout, 1) * bytes % 16 == 0);
    };
    problem.a.aligned = aligned(right.raw(), s.b, element);
    problem.b.aligned = aligned(left.raw(), s.a, element);
    problem.d.aligned = aligned(result, s.c, 4);
    // False where the library refuses the first call; it takes all or none.
    auto multiply = [&](const float* with_bias, const float* with_residual) {
        problem.bias = with_bias != nullptr;
        problem.bias_aligned = is_aligned(with_bias);
        problem.adds_c = with_residual != nullptr || epilogue.accumulate;
        problem.c_is_d = with_residual == nullptr;
        problem.c.aligned = problem.c_is_d ? problem.d.aligned : aligned(with_residual, s.c, 4);
        for (int64_t call = 0; call < batching.calls; ++call) {
            float* d = result + batching.offset(s.c, call);
            const Operands operands{right.raw() + batching.offset(s.b, call) * element,
                                    left.raw() + batching.offset(s.a, call) * element,
                                    problem.c_is_d ? d : with_residual + batching.offset(s.c, call),
                                    with_bias, d};
            if (!implementation_->run(queue, problem, operands)) return false;
        }
        return true;
    };
    std::lock_guard lock(implementation_->mutex);
    if (!multiply(bias, residual)) {
        // Without what follows, perhaps.
        if ((bias == nullptr && residual == nullptr) || !dense || !multiply(nullptr, nullptr)) return false;
        add_terms(queue, s.batch_outer * s.batch_inner * s.m, s.n, epilogue, result);
    }
    if (epilogue.relu)
        queue.backend.kernels.f32.unary(queue.stream, kernels::Unary::relu, result, result,
                                        s.batch_outer * s.batch_inner * s.m * s.n);
    return true;
}

void matmul(const MatmulShape& s, const Tensor& a, const Tensor& b, Tensor& c,
            const MatmulEpilogue& epilogue) {
    const ProductMode mode = product_mode();
    const Queue queue = queue_of("matmul", c, {&a, &b, &epilogue.bias, &epilogue.residual});
    if (mode.libraries && c.dtype() == Dtype::f32 && queue.backend.blas != nullptr)
        if (Blas* blas = queue.backend.blas();
            blas != nullptr && blas->matmul(queue, s, mode.precision, a, b, c, epilogue))
            return;
    Tensor parts = scratch(c, matmul_parts(s));
    run("matmul", c, {&a, &b}, [&](auto gpu) {
        gpu->matmul(gpu.stream, s, mode.precision, gpu.in(a), gpu.in(b), gpu.out(c),
                    {gpu.in(epilogue.bias), gpu.in(epilogue.residual), epilogue.relu, epilogue.accumulate},
                    gpu.out(parts));
    });
}

}  // namespace microtome::cuda
