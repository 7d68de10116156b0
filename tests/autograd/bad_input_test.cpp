// Whatever an op is given, it gives a result or one of our errors, and never a crash or somebody else's
// exception. What each refuses in particular its samples and the tests of its family say.
#include "autograd/ops.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

// What else somebody might pass instead of x.
std::vector<std::pair<std::string, Tensor>> variants(const Tensor& x) {
    std::vector<std::pair<std::string, Tensor>> result{{"a scalar", Tensor::zeros({}, x.dtype())}};
    for (Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::u8, Dtype::i64})
        if (dtype != x.dtype()) result.emplace_back(str("as ", dtype), Tensor::zeros(x.shape(), dtype));
    auto zeros = [&](const char* what, std::vector<int64_t> sizes) {
        if (sizes.size() <= Shape::kMaxRank)
            result.emplace_back(what, Tensor::zeros(Shape(std::span<const int64_t>(sizes)), x.dtype()));
    };
    const std::vector<int64_t> sizes(x.shape().begin(), x.shape().end());
    for (std::size_t axis = 0; axis < sizes.size(); ++axis)
        for (int64_t size : {int64_t{0}, int64_t{1}, sizes[axis] - 1, sizes[axis] + 1, 2 * sizes[axis] + 1}) {
            if (size < 0 || size == sizes[axis]) continue;
            std::vector<int64_t> changed = sizes;
            changed[axis] = size;
            zeros("another size", changed);
        }
    std::vector<int64_t> more = sizes, fewer = sizes;
    more.insert(more.begin(), 1);
    zeros("an axis more in front", more);
    more.erase(more.begin());
    more.push_back(1);
    zeros("an axis more behind", more);
    if (!fewer.empty()) fewer.pop_back();
    zeros("an axis fewer", fewer);
    zeros("all in a row", {x.elements()});
    if (x.dtype() == Dtype::i64)
        for (int64_t value : {int64_t{-1}, int64_t{1000}, kHuge, -kHuge - 1}) {
            Tensor indices = x.clone();
            for (int64_t& index : indices.mutable_data<int64_t>()) index = value;
            result.emplace_back(str("all ", value), indices);
        }
    if (x.dtype() == Dtype::u8) {
        Tensor bytes = x.clone();
        for (uint8_t& byte : bytes.mutable_data<uint8_t>()) byte = 255;
        result.emplace_back("all 255", bytes);
    }
    if (is_floating(x.dtype()))
        for (double value : {HUGE_VAL, std::numeric_limits<double>::quiet_NaN()})
            result.emplace_back(str("all ", value), Tensor::full(x.shape(), value, x.dtype()));
    return result;
}

// Runs the op and, where it took the inputs, its gradient.
void run(const OpInfo& op, const std::shared_ptr<const void>& attributes, const Tensors& inputs) {
    Tape tape;
    for (const Tensor& x : inputs)
        if (x.dtype() == Dtype::f32 || x.dtype() == Dtype::f64) tape.watch(x);
    Tensors outputs;
    try {
        outputs = apply(op, attributes, inputs);
    } catch (const ShapeError&) {
        return;
    } catch (const DtypeError&) {
        return;
    } catch (const OptionsError&) {
        return;
    }
    for (const Tensor& y : outputs) {
        if (!tape.follows(y)) continue;
        for (const Tensor& x : inputs)
            if (tape.follows(x)) CHECK(tape.gradient(y, x).spec() == x.spec());
    }
}

}  // namespace

TEST_CASE("every op gives a result or one of our errors, whatever comes in", "[bad_input]") {
    for (const OpInfo* op : all_ops()) {
        INFO(op->name);
        for (const OpSample& sample : op->samples().samples) {
            INFO(sample.name);
            for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
                Tensors inputs = sample.inputs;
                inputs[i] = Tensor();
                CHECK_THROWS_AS(apply(*op, sample.attributes, inputs), ShapeError);
                Spec elsewhere = sample.inputs[i].spec();
                elsewhere.device = {Device::Kind::cuda, 0};
                inputs[i] = Tensor::abstract(elsewhere);
                if (inputs.size() > 1) CHECK_THROWS_AS(apply(*op, sample.attributes, inputs), DeviceError);
                for (const auto& [what, variant] : variants(sample.inputs[i])) {
                    INFO("input " << i << ": " << what << ", " << variant.spec());
                    inputs[i] = variant;
                    CHECK_NOTHROW(run(*op, sample.attributes, inputs));
                }
            }
        }
    }
}

TEST_CASE("functions of tensors refuse an undefined one", "[bad_input]") {
    const Tensor x = uniform({2, 4, 4, 3}), rows = uniform({2, 3}), labels = integers({2}, 3), none;
    const Tensor channels = uniform({3}, 0.5, 1), ids = integers({2}, 5), key = key_tensor({});
    const Tensor filters = uniform({2, 3, 3, 3}), winner = Tensor::zeros({2, 2, 2, 3}, Dtype::u8);
    const Tensor theta = uniform({2, 2, 3});
    CHECK_THROWS_AS(add(none, x), ShapeError);
    CHECK_THROWS_AS(add(x, none), ShapeError);
    CHECK_THROWS_AS(none + 1.0, ShapeError);
    CHECK_THROWS_AS(-none, ShapeError);
    CHECK_THROWS_AS(less(none, 1), ShapeError);
    CHECK_THROWS_AS(where(none, x, x), ShapeError);
    CHECK_THROWS_AS(where(x, none, 1.0), ShapeError);
    CHECK_THROWS_AS(stop_gradient(none), ShapeError);
    CHECK_THROWS_AS(replace_gradient(none, x), ShapeError);
    CHECK_THROWS_AS(replace_gradient(x, none), ShapeError);
    CHECK_THROWS_AS(replace_gradient(
                        x, [](const Tensor&) { return Tensor(); }, [](const Tensor& t) { return t; }),
                    ShapeError);
    CHECK_THROWS_AS(cast(none, Dtype::f64), ShapeError);
    CHECK_THROWS_AS(cast(none, Dtype::f32), ShapeError);
    CHECK_THROWS_AS(cast(none, Dtype::i64), ShapeError);
    CHECK_THROWS_AS(external(
                        "f", none, [](const Tensor& t) { return t; }, nullptr),
                    ShapeError);
    CHECK_THROWS_AS(exp(none), ShapeError);
    CHECK_THROWS_AS(power(none, 2), ShapeError);
    CHECK_THROWS_AS(clamp(none, 0, 1), ShapeError);
    CHECK_THROWS_AS(multiply_add(x, x, none), ShapeError);
    CHECK_THROWS_AS(relu(none), ShapeError);
    CHECK_THROWS_AS(gelu(none), ShapeError);
    CHECK_THROWS_AS(apply_gate(x, none), ShapeError);
    CHECK_THROWS_AS(resize_bilinear(none, 2, 2), ShapeError);
    CHECK_THROWS_AS(resize_bicubic(none, 2, 2), ShapeError);
    CHECK_THROWS_AS(gaussian_blur(none, 1, 2), ShapeError);
    CHECK_THROWS_AS(affine_warp(none, theta), ShapeError);
    CHECK_THROWS_AS(affine_warp(x, none), ShapeError);
    CHECK_THROWS_AS(total_variation(none), ShapeError);
    CHECK_THROWS_AS(gather(none, labels, 0), ShapeError);
    CHECK_THROWS_AS(gather(x, none, 0), ShapeError);
    CHECK_THROWS_AS(scatter_add(none, labels, 0, 2), ShapeError);
    CHECK_THROWS_AS(take(none, labels), ShapeError);
    CHECK_THROWS_AS(take(x, none), ShapeError);
    CHECK_THROWS_AS(add_rows(none, labels, 3), ShapeError);
    CHECK_THROWS_AS(sort(none), ShapeError);
    CHECK_THROWS_AS(top_k(none, 1), ShapeError);
    CHECK_THROWS_AS(matmul(none, rows), ShapeError);
    CHECK_THROWS_AS(matmul(rows, none), ShapeError);
    CHECK_THROWS_AS(conv2d(none, filters), ShapeError);
    CHECK_THROWS_AS(conv2d(x, none), ShapeError);
    CHECK_THROWS_AS(conv2d_input_gradient(none, filters, 4, 4), ShapeError);
    CHECK_THROWS_AS(conv2d_weight_gradient(x, none, 3, 3), ShapeError);
    CHECK_THROWS_AS(cross_entropy(none, labels), ShapeError);
    CHECK_THROWS_AS(cross_entropy(rows, none), ShapeError);
    CHECK_THROWS_AS(binary_cross_entropy_with_logits(none, rows), ShapeError);
    CHECK_THROWS_AS(binary_cross_entropy_with_logits(rows, none), ShapeError);
    CHECK_THROWS_AS(kl_divergence(none, rows), ShapeError);
    CHECK_THROWS_AS(kl_divergence(rows, none), ShapeError);
    CHECK_THROWS_AS(margin(none, labels), ShapeError);
    CHECK_THROWS_AS(margin(rows, none), ShapeError);
    CHECK_THROWS_AS(mean_squared_error(none, rows), ShapeError);
    CHECK_THROWS_AS(one_hot(none, 3), ShapeError);
    CHECK_THROWS_AS(smooth_labels(none, 3, 0.1), ShapeError);
    CHECK_THROWS_AS(batch_norm_train(none, channels, channels, 1e-5), ShapeError);
    CHECK_THROWS_AS(batch_norm_train(x, channels, none, 1e-5), ShapeError);
    CHECK_THROWS_AS(batch_norm_inference(none, channels, channels, channels, channels, 1e-5), ShapeError);
    CHECK_THROWS_AS(batch_norm_inference(x, channels, channels, channels, none, 1e-5), ShapeError);
    CHECK_THROWS_AS(layer_norm(none, channels, channels, 1e-5), ShapeError);
    CHECK_THROWS_AS(layer_norm(x, none, channels, 1e-5), ShapeError);
    CHECK_THROWS_AS(attention(none, 2), ShapeError);
    CHECK_THROWS_AS(scaled_dot_product(none, rows, rows), ShapeError);
    CHECK_THROWS_AS(scaled_dot_product(rows, rows, none), ShapeError);
    CHECK_THROWS_AS(max_pool2d(none), ShapeError);
    CHECK_THROWS_AS(max_unpool2d(none, winner, 4, 4), ShapeError);
    CHECK_THROWS_AS(max_pool2d_gather(none, winner), ShapeError);
    CHECK_THROWS_AS(average_pool2d(none), ShapeError);
    CHECK_THROWS_AS(adaptive_average_pool2d(none, 1, 1), ShapeError);
    CHECK_THROWS_AS(adaptive_max_pool2d(none, 1, 1), ShapeError);
    CHECK_THROWS_AS(global_average_pool2d(none), ShapeError);
    CHECK_THROWS_AS(sum(none), ShapeError);
    CHECK_THROWS_AS(sum(none, {0}), ShapeError);
    CHECK_THROWS_AS(mean(none), ShapeError);
    CHECK_THROWS_AS(mean(none, {0}), ShapeError);
    CHECK_THROWS_AS(variance(none), ShapeError);
    CHECK_THROWS_AS(max(none), ShapeError);
    CHECK_THROWS_AS(max(none, 0), ShapeError);
    CHECK_THROWS_AS(argmax(none, 0), ShapeError);
    CHECK_THROWS_AS(norm_l1(none), ShapeError);
    CHECK_THROWS_AS(norm_l2(none), ShapeError);
    CHECK_THROWS_AS(norm_linf(none), ShapeError);
    CHECK_THROWS_AS(reshape(none, Shape{1}), ShapeError);
    CHECK_THROWS_AS(reshape(none, {-1}), ShapeError);
    CHECK_THROWS_AS(flatten(none), ShapeError);
    CHECK_THROWS_AS(broadcast_to(none, Shape{2}), ShapeError);
    CHECK_THROWS_AS(broadcast_to(none, Shape{}), ShapeError);
    CHECK_THROWS_AS(sum_to(none, Shape{}), ShapeError);
    CHECK_THROWS_AS(permute(none, {0}), ShapeError);
    CHECK_THROWS_AS(permute(none, {}), ShapeError);
    CHECK_THROWS_AS(transpose(none), ShapeError);
    CHECK_THROWS_AS(slice(none, 0, 0, 1), ShapeError);
    CHECK_THROWS_AS(slice(none, std::vector<int64_t>{}, std::vector<int64_t>{}), ShapeError);
    CHECK_THROWS_AS(slice_rows(none, 0, 1), ShapeError);
    CHECK_THROWS_AS(split(none, 0, {1}), ShapeError);
    CHECK_THROWS_AS(pad(none, {}), ShapeError);
    CHECK_THROWS_AS(pad_images(none, {1, 1}, {1, 1}), ShapeError);
    CHECK_THROWS_AS(concat({none}, 0), ShapeError);
    CHECK_THROWS_AS(concat({x, none}, 0), ShapeError);
    CHECK_THROWS_AS(stack({none, x}, 0), ShapeError);
    CHECK_THROWS_AS(stack({none}, 0), ShapeError);
    CHECK_THROWS_AS(flip(none, 0), ShapeError);
    CHECK_THROWS_AS(softmax(none), ShapeError);
    CHECK_THROWS_AS(log_softmax(none), ShapeError);
    CHECK_THROWS_AS(logsumexp(none), ShapeError);
    CHECK_THROWS_AS(dropout(none, 0.5, key, ids), ShapeError);
    CHECK_THROWS_AS(dropout(x, 0.5, none, ids), ShapeError);
    CHECK_THROWS_AS(dropout(x, 0.5, key, none), ShapeError);
    CHECK_THROWS_AS(drop_path(none, 0.5, key, ids), ShapeError);
}

TEST_CASE("shapes, axes and indices that do not fit", "[bad_input]") {
    const Tensor x = uniform({2, 4, 4, 3}), rows = uniform({2, 3}), row = uniform({3});
    const Tensor labels = integers({2}, 3), filters = uniform({2, 3, 3, 3});
    CHECK_THROWS_AS(reshape(x, {-1, -1}), ShapeError);
    CHECK_THROWS_AS(reshape(x, {-2, 3}), ShapeError);
    CHECK_THROWS_AS(reshape(x, {-1, 5}), ShapeError);
    CHECK_THROWS_AS(reshape(Tensor::zeros({0, 2}), {-1, 0}), ShapeError);
    CHECK_THROWS_AS(reshape(x, {kHuge, kHuge}), ShapeError);
    CHECK_THROWS_AS(reshape(x, {-1, kHuge, kHuge}), ShapeError);
    CHECK_THROWS_AS(flatten(Tensor::scalar(1)), ShapeError);
    CHECK_THROWS_AS(transpose(row), ShapeError);
    CHECK_THROWS_AS(permute(rows, {0, 0}), ShapeError);
    CHECK_THROWS_AS(permute(rows, {0, 2}), ShapeError);
    CHECK_THROWS_AS(slice(rows, 1, 2, 1), ShapeError);
    CHECK_THROWS_AS(slice(rows, 1, -1, 1), ShapeError);
    CHECK_THROWS_AS(slice(rows, 2, 0, 1), ShapeError);
    CHECK_THROWS_AS(slice(rows, 0, kHuge - 1, kHuge), ShapeError);
    CHECK_THROWS_AS(split(rows, 1, {2, 2}), ShapeError);
    CHECK_THROWS_AS(split(rows, 1, {2}), ShapeError);
    CHECK_THROWS_AS(split(rows, 1, {4, -1}), ShapeError);
    CHECK_THROWS_AS(split(rows, 1, {kHuge, kHuge, 5}), ShapeError);
    CHECK_THROWS_AS(concat({}, 0), ShapeError);
    CHECK_THROWS_AS(stack({}, 0), ShapeError);
    CHECK_THROWS_AS(stack({rows, row}, 0), ShapeError);
    CHECK_THROWS_AS(stack({rows, rows}, 4), ShapeError);
    CHECK_THROWS_AS(stack({Tensor::zeros({1, 1, 1, 1, 1, 1, 1, 1})}, 0), ShapeError);
    CHECK_THROWS_AS(sum(rows, {0, -2}), ShapeError);
    CHECK_THROWS_AS(mean(rows, {2}), ShapeError);
    CHECK_THROWS_AS(max(Tensor::zeros({0})), ShapeError);
    CHECK_THROWS_AS(max(Tensor::zeros({2, 0}), 1), ShapeError);
    CHECK_THROWS_AS(argmax(rows, -3), ShapeError);
    CHECK_THROWS_AS(gather(rows, labels, 2), ShapeError);
    CHECK_THROWS_AS(scatter_add(row, integers({3}, 2), 0, -1), ShapeError);
    CHECK_THROWS_AS(scatter_add(row, integers({3}, 2), 0, kHuge), ShapeError);
    CHECK_THROWS_AS(add_rows(rows, labels, -1), ShapeError);
    CHECK_THROWS_AS(add_rows(rows, labels, kHuge), ShapeError);
    CHECK_THROWS_AS(top_k(rows, 4), ShapeError);
    CHECK_THROWS_AS(top_k(rows, -1), ShapeError);
    CHECK_THROWS_AS(sort(rows, 2), ShapeError);
    CHECK_THROWS_AS(cross_entropy(rows, Tensor::of<int64_t>({0, 3}, {2})), ShapeError);
    CHECK_THROWS_AS(adaptive_average_pool2d(x, kHuge, 1), ShapeError);
    CHECK_THROWS_AS(margin(rows, Tensor::of<int64_t>({-1, 0}, {2})), ShapeError);
    CHECK_THROWS_AS(cross_entropy(rows, Tensor::of<int64_t>({0}, {1})), ShapeError);
    CHECK_THROWS_AS(cross_entropy(rows, uniform({2, 4})), ShapeError);
    CHECK_THROWS_AS(cross_entropy(row, labels), ShapeError);
    CHECK_THROWS_AS(binary_cross_entropy_with_logits(rows, row), ShapeError);
    CHECK_THROWS_AS(kl_divergence(rows, uniform({1, 3})), ShapeError);
    CHECK_THROWS_AS(mean_squared_error(rows, row), ShapeError);
    CHECK_THROWS_AS(margin(uniform({2, 1}), Tensor::zeros({2}, Dtype::i64)), ShapeError);
    CHECK_THROWS_AS(one_hot(labels, kHuge), ShapeError);
    CHECK_THROWS_AS(resize_bilinear(x, 0, 4), ShapeError);
    CHECK_THROWS_AS(resize_bicubic(x, kHuge, 4), ShapeError);
    CHECK_THROWS_AS(resize_bilinear(rows, 2, 2), ShapeError);
    CHECK_THROWS_AS(gaussian_blur(rows, 1, 2), ShapeError);
    CHECK_THROWS_AS(affine_warp(x, uniform({3, 2, 3})), ShapeError);
    CHECK_THROWS_AS(affine_warp(x, uniform({2, 3, 2})), ShapeError);
    CHECK_THROWS_AS(total_variation(rows), ShapeError);
    CHECK_THROWS_AS(conv2d_input_gradient(x, filters, -1, 4), ShapeError);
    CHECK_THROWS_AS(conv2d_input_gradient(x, filters, kHuge, 4), ShapeError);
    CHECK_THROWS_AS(conv2d_weight_gradient(x, x, 0, 3), ShapeError);
    CHECK_THROWS_AS(conv2d_weight_gradient(x, x, kHuge, 3), ShapeError);
    CHECK_THROWS_AS(max_unpool2d(x, Tensor::zeros({2, 4, 4, 3}, Dtype::u8), -8, 8), ShapeError);
    CHECK_THROWS_AS(matmul(rows, rows), ShapeError);
    CHECK_THROWS_AS(matmul(row, row), ShapeError);
    CHECK_THROWS_AS(attention(Tensor::zeros({2, 0, 12}), 2), ShapeError);
    CHECK_THROWS_AS(attention(Tensor::zeros({2, 2, 2, 2, 12}), 2), ShapeError);
    CHECK_THROWS_AS(scaled_dot_product(rows, rows, uniform({4, 3})), ShapeError);
    CHECK_THROWS_AS(norm_linf(Tensor::scalar(1)), ShapeError);
    CHECK_THROWS_AS(norm_l1(Tensor::scalar(1)), ShapeError);
    CHECK_THROWS_AS(cross_entropy(rows, Tensor::zeros({2, 3}, Dtype::f32)), ShapeError);
}

TEST_CASE("options out of their range", "[bad_input]") {
    const Tensor x = uniform({2, 4, 4, 3}), rows = uniform({2, 3}), row = uniform({3});
    const Tensor labels = integers({2}, 3), filters = uniform({2, 3, 3, 3});
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_AS(clamp(x, 1, 0), OptionsError);
    CHECK_THROWS_AS(clamp(x, nan, 1), OptionsError);
    CHECK_THROWS_AS(one_hot(labels, 0), OptionsError);
    CHECK_THROWS_AS(smooth_labels(labels, 0, 0.1), OptionsError);
    CHECK_THROWS_AS(pad(row, {{kHuge, kHuge}}), OptionsError);
    CHECK_THROWS_AS(pad(row, {{kHuge, 0}}), OptionsError);
    CHECK_THROWS_AS(pad(row, {{-1, 0}}), OptionsError);
    CHECK_THROWS_AS(conv2d(x, filters, {.stride_h = 0}), OptionsError);
    CHECK_THROWS_AS(conv2d(x, filters, {.pad_top = kHuge}), OptionsError);
    CHECK_THROWS_AS(conv2d(x, filters, {.pad_left = -1}), OptionsError);
    CHECK_THROWS_AS(conv2d(x, filters, {.groups = 0}), OptionsError);
    CHECK_THROWS_AS(max_pool2d(x, {.kernel_h = 0}), OptionsError);
    CHECK_THROWS_AS(average_pool2d(x, {.kernel_h = kHuge, .pad_top = kHuge - 1}), OptionsError);
    CHECK_THROWS_AS(average_pool2d(x, {.stride_w = 0}), OptionsError);
    CHECK_THROWS_AS(max_pool2d(x, {.pad_top = 2}), OptionsError);
    CHECK_THROWS_AS(average_pool2d(x, {.stride_h = kHuge, .pad_top = 1}), OptionsError);
    CHECK_THROWS_AS(adaptive_max_pool2d(x, 0, 1), OptionsError);
    CHECK_THROWS_AS(gaussian_blur(x, 0, 2), OptionsError);
    CHECK_THROWS_AS(gaussian_blur(x, nan, 2), OptionsError);
    CHECK_THROWS_AS(gaussian_blur(x, 1, -1), OptionsError);
    CHECK_THROWS_AS(gaussian_blur(x, 1, kHuge), OptionsError);
    CHECK_THROWS_AS(smooth_labels(labels, 3, 1.5), OptionsError);
    CHECK_THROWS_AS(smooth_labels(labels, 3, nan), OptionsError);
    CHECK_THROWS_AS(layer_norm(rows, row, row, 0), OptionsError);
    CHECK_THROWS_AS(batch_norm_train(rows, row, row, nan), OptionsError);
    CHECK_THROWS_AS(batch_norm_inference(rows, row, row, row, row, -1), OptionsError);
    CHECK_THROWS_AS(attention(Tensor::zeros({2, 2, 12}), 0), OptionsError);
    CHECK_THROWS_AS(attention(Tensor::zeros({2, 2, 12}), 5), OptionsError);
    CHECK_THROWS_AS(dropout(rows, 1, key_tensor({}), labels), OptionsError);
    CHECK_THROWS_AS(drop_path(rows, nan, key_tensor({}), labels), OptionsError);
    CHECK_THROWS_AS(external("f", x, nullptr, nullptr), OptionsError);
}

TEST_CASE("types that an op does not take", "[bad_input]") {
    const Tensor x = uniform({2, 4, 4, 3}), rows = uniform({2, 3}), row = uniform({3});
    const Tensor labels = integers({2}, 3), filters = uniform({2, 3, 3, 3});
    CHECK_THROWS_AS(add(x, Tensor::zeros({}, Dtype::f32)), DtypeError);
    CHECK_THROWS_AS(exp(labels), DtypeError);
    CHECK_THROWS_AS(labels * 2.0, DtypeError);
    CHECK_THROWS_AS(less(labels, labels), DtypeError);
    CHECK_THROWS_AS(one_hot(uniform({2}), 3), DtypeError);
    CHECK_THROWS_AS(one_hot(labels, 3, Dtype::i64), DtypeError);
    CHECK_THROWS_AS(gather(row, uniform({2}), 0), DtypeError);
    CHECK_THROWS_AS(sum(labels), DtypeError);
    CHECK_THROWS_AS(max(labels, 0), DtypeError);
    CHECK_THROWS_AS(where(labels, labels, labels), DtypeError);
    CHECK_THROWS_AS(matmul(rows, Tensor::zeros({3, 2}, Dtype::f32)), DtypeError);
    CHECK_THROWS_AS(conv2d(x, Tensor::zeros({2, 3, 3, 3}, Dtype::f32)), DtypeError);
    CHECK_THROWS_AS(layer_norm(rows, Tensor::zeros({3}, Dtype::f32), row, 1e-5), DtypeError);
    CHECK_THROWS_AS(softmax(Tensor::zeros({2, 3}, Dtype::i64)), DtypeError);
    CHECK_THROWS_AS(concat({row, Tensor::zeros({3}, Dtype::f32)}, 0), DtypeError);
    CHECK_THROWS_AS(exp(Tensor::zeros({2}, Dtype::bf16)), DtypeError);
    CHECK_THROWS_AS(max_pool2d(Tensor::zeros({1, 2, 2, 1}, Dtype::u8)), DtypeError);
}
