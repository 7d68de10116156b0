// What average pooling and its adjoint share.
#pragma once

#include "autograd/ops/pool_op.hpp"

namespace microtome {

// Windows of a fixed size, or, where oh is not 0, of whatever size makes oh x ow of them.
struct AverageWindows {
    PoolOptions options{};
    int64_t oh = 0, ow = 0;

    void each(auto&& field) const {
        each_pool_option(options, field);
        field("oh", oh);
        field("ow", ow);
    }
    PoolWindows windows(const char* op, const Shape& x) const {
        return oh != 0 ? adaptive_windows(op, x, oh, ow) : pool_windows(pool_shape(op, x, options));
    }
};

struct AverageUnpoolAttributes {
    AverageWindows pooling{};
    int64_t h = 0, w = 0;

    void each(auto&& field) const {
        pooling.each(field);
        field("h", h);
        field("w", w);
    }
};

// The two ops, each the other's vjp.
Tensor average_pool(const Tensor& x, const AverageWindows& windows);
Tensor average_unpool(const Tensor& g, const AverageUnpoolAttributes& attributes);

// sample(name, x shape, windows)
template <class Sample>
void average_pool_geometries(const Sample& sample) {
    pool_geometries([&](std::string text, const Shape& x, const PoolOptions& options) {
        sample(std::move(text), x, AverageWindows{options});
    });
    sample("adaptive, evenly", Shape{2, 4, 6, 2}, AverageWindows{.oh = 2, .ow = 3});
    sample("adaptive, with overlap", Shape{1, 5, 7, 1}, AverageWindows{.oh = 3, .ow = 4});
    sample("adaptive, more windows than pixels", Shape{1, 2, 3, 2}, AverageWindows{.oh = 3, .ow = 5});
}

}  // namespace microtome
