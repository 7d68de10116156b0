#include "tensor/kernels/attention.hpp"

#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/matmul.hpp"
#include "tensor/kernels/rows.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::kernels {
namespace {

constexpr int64_t kInTheCache = int64_t{1} << 20;
constexpr int64_t kToFillAGpu = int64_t{1} << 26;  // a quarter of a gigabyte

// The matrices of n samples, H each. "Wide" ones (queries, keys, values and their gradients) lie in the
// packed tensor, "narrow" ones in y and g, "scores" one after another.
struct Geometry {
    int64_t n, t, h, d;
    int64_t most_scores;  // at a time

    explicit Geometry(const Spec& qkv)
        : n(qkv.shape[0]),
          t(qkv.shape[1]),
          h(qkv.shape[3]),
          d(qkv.shape[4]),
          most_scores(qkv.device == kCpu ? kInTheCache : kToFillAGpu) {}

    MatrixLayout wide() const { return {3 * h * d, false, t * 3 * h * d, d}; }
    MatrixLayout narrow() const { return {h * d, false, t * h * d, d}; }
    MatrixLayout scores() const { return {t, false, h * t * t, t * t}; }

    static MatrixLayout transposed(MatrixLayout layout) {
        layout.transposed = !layout.transposed;
        return layout;
    }
    // (T, T) from (T, D) and (D, T); (T, D) from (T, T) and (T, D).
    MatmulShape to_scores(const MatrixLayout& left) const {
        return {n, h, t, t, d, left, transposed(wide()), scores()};
    }
    MatmulShape from_scores(const MatrixLayout& left, const MatrixLayout& right,
                            const MatrixLayout& to) const {
        return {n, h, t, d, t, left, right, to};
    }

    // A few samples at a time.
    Geometry block() const {
        Geometry result = *this;
        result.n = std::clamp<int64_t>(most_scores / (h * t * t), 1, std::max<int64_t>(n, 1));
        return result;
    }
    template <class Body>
    void each_block(const Body& body) const {
        const int64_t most = block().n;
        for (int64_t first = 0; first < n; first += most) {
            Geometry some = *this;
            some.n = std::min(most, n - first);
            body(some, first);
        }
    }
};

// 1 / sqrt(D), in the type and on the device of x.
Tensor scale_of(const Geometry& at, const Tensor& x) {
    return Tensor::scalar(1 / std::sqrt(static_cast<double>(at.d)), x.dtype(), x.device());
}

// From element `offset` on.
Tensor from(const Tensor& x, int64_t offset) {
    return x.view({x.elements() - offset}, offset);
}

// p = softmax(q k^T / sqrt(D)).
Tensor probabilities(const Geometry& at, const Tensor& qkv, const KernelContext& context) {
    Tensor p({{at.n * at.h * at.t, at.t}, qkv.dtype(), qkv.device()});
    matmul(at.to_scores(at.wide()), qkv, from(qkv, at.h * at.d), p, context);
    binary(Binary::multiply, p, scale_of(at, qkv), p, context);
    softmax(p, p, context);
    return p;
}

}  // namespace

void attention(const Tensor& qkv, Tensor& y, const KernelContext& context) {
    const Geometry all(qkv.spec());
    all.each_block([&](const Geometry& at, int64_t first) {
        const Tensor x = from(qkv, first * at.t * 3 * at.h * at.d);
        Tensor to = from(y, first * at.t * at.h * at.d);
        const Tensor p = probabilities(at, x, context);
        matmul(at.from_scores(at.scores(), at.wide(), at.narrow()), p, from(x, 2 * at.h * at.d), to, context);
    });
}

//     y = p v,  p = softmax(s),  s = q k^T / sqrt(D):
//     dv = p^T g,  dp = g v^T,  ds = p (dp - <p, dp>) / sqrt(D),  dq = ds k,  dk = ds^T q
void attention_input_gradient(const Tensor& g, const Tensor& qkv, Tensor& dqkv,
                              const KernelContext& context) {
    const Geometry all(qkv.spec());
    all.each_block([&](const Geometry& at, int64_t first) {
        const int64_t part = at.h * at.d, offset = first * at.t * 3 * part;
        const Tensor x = from(qkv, offset), gradient = from(g, first * at.t * part);
        Tensor dq = from(dqkv, offset), dk = from(dq, part), dv = from(dq, 2 * part);
        const MatrixLayout transposed_scores = Geometry::transposed(at.scores());

        const Tensor p = probabilities(at, x, context);
        matmul(at.from_scores(transposed_scores, at.narrow(), at.wide()), p, gradient, dv, context);
        Tensor ds(p.spec());
        matmul(at.to_scores(at.narrow()), gradient, from(x, 2 * part), ds, context);
        softmax_input_gradient(ds, p, ds, context);
        binary(Binary::multiply, ds, scale_of(at, qkv), ds, context);
        matmul(at.from_scores(at.scores(), at.wide(), at.wide()), ds, from(x, part), dq, context);
        matmul(at.from_scores(transposed_scores, at.wide(), at.wide()), ds, x, dk, context);
    });
}

std::size_t attention_workspace(const Spec& qkv) {
    const Geometry at = Geometry(qkv).block();
    const MatrixLayout transposed_scores = Geometry::transposed(at.scores());
    return visit_floating("attention", qkv.dtype, [&]<class T>() {
        return std::max({matmul_workspace<T>(at.to_scores(at.wide())),
                         matmul_workspace<T>(at.to_scores(at.narrow())),
                         matmul_workspace<T>(at.from_scores(at.scores(), at.wide(), at.narrow())),
                         matmul_workspace<T>(at.from_scores(at.scores(), at.wide(), at.wide())),
                         matmul_workspace<T>(at.from_scores(transposed_scores, at.narrow(), at.wide())),
                         matmul_workspace<T>(at.from_scores(transposed_scores, at.wide(), at.wide()))});
    });
}

}  // namespace microtome::kernels
