#include "tensor/kernels/attention.hpp"

#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/matmul.hpp"
#include "tensor/kernels/rows.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::kernels {
namespace {

// The matrices of n samples, H each. "Wide" ones (queries, keys, values and their gradients) lie in the
// packed tensor, "narrow" ones in y and g, "scores" one after another.
struct Geometry {
    int64_t n, t, h, d;

    explicit Geometry(const Shape& qkv) : n(qkv[0]), t(qkv[1]), h(qkv[3]), d(qkv[4]) {}

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

    // A few samples at a time, so that their scores stay in the cache.
    Geometry block() const {
        Geometry result = *this;
        result.n = std::clamp<int64_t>((int64_t{1} << 20) / (h * t * t), 1, std::max<int64_t>(n, 1));
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

// p = softmax(q k^T / sqrt(D)).
template <class T>
Tensor probabilities(const Geometry& at, const T* qkv, Dtype dtype, const KernelContext& context) {
    Tensor p({{at.n * at.h * at.t, at.t}, dtype, kCpu});
    matmul<T>(at.to_scores(at.wide()), qkv, qkv + at.h * at.d, p.mutable_data<T>().data(), context);
    binary(Binary::multiply, p, Tensor::scalar(1 / std::sqrt(static_cast<double>(at.d)), dtype), p, context);
    softmax(p, p, context);
    return p;
}

}  // namespace

void attention(const Tensor& qkv, Tensor& y, const KernelContext& context) {
    const Geometry all(qkv.shape());
    visit_floating("attention", qkv.dtype(), [&]<class T>() {
        const T* from = qkv.data<T>().data();
        T* to = y.mutable_data<T>().data();
        all.each_block([&](const Geometry& at, int64_t first) {
            const T* x = from + first * at.t * 3 * at.h * at.d;
            const Tensor p = probabilities(at, x, qkv.dtype(), context);
            matmul<T>(at.from_scores(at.scores(), at.wide(), at.narrow()), p.data<T>().data(),
                      x + 2 * at.h * at.d, to + first * at.t * at.h * at.d, context);
        });
    });
}

//     y = p v,  p = softmax(s),  s = q k^T / sqrt(D):
//     dv = p^T g,  dp = g v^T,  ds = p (dp - <p, dp>) / sqrt(D),  dq = ds k,  dk = ds^T q
void attention_input_gradient(const Tensor& g, const Tensor& qkv, Tensor& dqkv,
                              const KernelContext& context) {
    const Geometry all(qkv.shape());
    const Dtype dtype = qkv.dtype();
    visit_floating("attention", dtype, [&]<class T>() {
        all.each_block([&](const Geometry& at, int64_t first) {
            const int64_t part = at.h * at.d, offset = first * at.t * 3 * part;
            const T* x = qkv.data<T>().data() + offset;
            const T* gradient = g.data<T>().data() + first * at.t * part;
            T* dx = dqkv.mutable_data<T>().data() + offset;
            const MatrixLayout transposed_scores = Geometry::transposed(at.scores());

            const Tensor p = probabilities(at, x, dtype, context);
            matmul<T>(at.from_scores(transposed_scores, at.narrow(), at.wide()), p.data<T>().data(), gradient,
                      dx + 2 * part, context);
            Tensor ds(p.spec());
            matmul<T>(at.to_scores(at.narrow()), gradient, x + 2 * part, ds.mutable_data<T>().data(),
                      context);
            softmax_input_gradient(ds, p, ds, context);
            binary(Binary::multiply, ds, Tensor::scalar(1 / std::sqrt(static_cast<double>(at.d)), dtype), ds,
                   context);
            matmul<T>(at.from_scores(at.scores(), at.wide(), at.wide()), ds.data<T>().data(), x + part, dx,
                      context);
            matmul<T>(at.from_scores(transposed_scores, at.wide(), at.wide()), ds.data<T>().data(), x,
                      dx + part, context);
        });
    });
}

std::size_t attention_workspace(const Spec& qkv) {
    const Geometry at = Geometry(qkv.shape).block();
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
