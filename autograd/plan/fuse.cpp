#include "autograd/plan/fuse.hpp"

#include "autograd/op_list.hpp"
#include "autograd/ops/conv2d_op.hpp"
#include "autograd/ops/matmul_op.hpp"
#include "autograd/ops/pool_op.hpp"
#include "autograd/plan/rewriter.hpp"
#include "autograd/plan/stages.hpp"
#include "tensor/hash.hpp"
#include "tensor/kernels/matmul.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace microtome::plan {
namespace {

bool is_f32_constant(const Graph& graph, int v) {
    return graph.is_constant(v) && graph.spec(v).dtype == Dtype::f32;
}
// A constant with an element for each of `channels`, aligned with the last axis.
bool is_channel_constant(const Graph& graph, int v, int64_t channels) {
    return is_f32_constant(graph, v) && graph.spec(v).shape == Shape{channels};
}

const float* floats(const Graph& graph, int v) {
    return graph.values[v].data<float>().data();
}

// filters (O, ...) with those of channel o times scale[o], where they were. Each trace calculates the scale
// anew, so that it is known by its elements.
Tensor scaled_filters(const Tensor& filters, const Tensor& scale_there, Prepared& prepared) {
    const Tensor scale = scale_there.to(kCpu);
    return prepared.on_the_way(str("scaled ", filters.id(), " ", hex(hash_of(scale))), [&] {
        Tensor result = filters.to(kCpu).clone();
        auto w = result.mutable_data<float>();
        const auto s = scale.data<float>();
        const std::size_t each = s.empty() ? 0 : w.size() / s.size();
        for (std::size_t i = 0; i < w.size(); ++i) w[i] *= s[i / each];
        return result.to(filters.device());
    });
}

// conv2d, perhaps a bias, then multiply_add with a constant for each channel.
void fold_forward(Graph& graph, Prepared& prepared) {
    Rewriter rewriter(graph);
    for (std::size_t i = 0; i < graph.steps.size(); ++i) {
        const int conv = static_cast<int>(i);
        if (!rewriter.is(conv, op_info<op::Conv2d>()) || !is_f32_constant(graph, graph.steps[i].inputs[1]))
            continue;
        const int64_t channels = graph.spec(graph.steps[i].outputs[0]).shape[3];
        int scaled = rewriter.only_reader(graph.steps[i].outputs[0], conv), bias = -1;
        if (rewriter.is(scaled, op_info<op::Add>()) &&
            is_channel_constant(graph, rewriter.step(scaled).inputs[1], channels)) {
            bias = scaled;
            scaled = rewriter.only_reader(rewriter.step(bias).outputs[0], conv);
        }
        if (!rewriter.is(scaled, op_info<op::MultiplyAdd>())) continue;
        Step& norm = rewriter.step(scaled);
        if (rewriter.maker(norm.inputs[0]) != (bias >= 0 ? bias : conv) ||
            !is_channel_constant(graph, norm.inputs[1], channels) ||
            !is_channel_constant(graph, norm.inputs[2], channels))
            continue;
        const Tensor scale = graph.values[norm.inputs[1]].to(kCpu);
        Tensor shift = graph.values[norm.inputs[2]].to(kCpu).clone();
        if (bias >= 0) {
            auto sum = shift.mutable_data<float>();
            const Tensor added = graph.values[rewriter.step(bias).inputs[1]].to(kCpu);
            const auto b = added.data<float>();
            for (std::size_t c = 0; c < sum.size(); ++c)
                sum[c] = std::fma(b[c], scale.data<float>()[c], sum[c]);
            rewriter.absorb(bias);
        }
        graph.steps[i].inputs[1] =
            graph.add(scaled_filters(graph.values[graph.steps[i].inputs[1]], scale, prepared));
        const Device device = graph.spec(graph.steps[i].outputs[0]).device;
        norm.op = &op_info<op::Add>();
        norm.inputs = {graph.steps[i].outputs[0], graph.add(shift.to(device))};
    }
}

// multiply with a constant for each channel, then conv2d_input_gradient.
void fold_backward(Graph& graph, Prepared& prepared) {
    Rewriter rewriter(graph);
    for (std::size_t i = 0; i < graph.steps.size(); ++i) {
        const int conv = static_cast<int>(i);
        if (!rewriter.is(conv, op_info<op::Conv2dInputGradient>())) continue;
        Step& gradient = graph.steps[i];
        const int scale = rewriter.maker(gradient.inputs[0]);
        if (!rewriter.is(scale, op_info<op::Multiply>()) || !is_f32_constant(graph, gradient.inputs[1]) ||
            rewriter.only_reader(gradient.inputs[0], conv) != conv)
            continue;
        const std::vector<int>& factors = rewriter.step(scale).inputs;
        if (!is_channel_constant(graph, factors[1], graph.spec(gradient.inputs[0]).shape[3]) ||
            !(graph.spec(factors[0]) == graph.spec(gradient.inputs[0])))
            continue;
        gradient.inputs[1] =
            graph.add(scaled_filters(graph.values[gradient.inputs[1]], graph.values[factors[1]], prepared));
        gradient.inputs[0] = factors[0];
        rewriter.absorb(scale);
    }
}

// The constant that a stage reads as its filters; `direction` tells forward from back.
int packed_filters(Graph& graph, int w, const kernels::ConvStage& stage, std::string_view direction,
                   std::size_t count, void (*pack)(const kernels::ConvStage&, const float*, float*),
                   Prepared& prepared) {
    if (count == 0) return w;
    kernels::ConvStage one = stage;  // the form does not depend on how many images there are
    one.conv.n = 1;
    AttributePrinter geometry;
    ConvStageGradientAttributes{one}.each(geometry);
    return graph.add(
        prepared.get(str(direction, " ", prepared.name_of(graph.values[w]), " ", geometry.text()), [&] {
            Tensor packed(Spec{{static_cast<int64_t>(count)}, Dtype::f32, kCpu});
            pack(stage, floats(graph, w), packed.mutable_data<float>().data());
            return packed;
        }));
}

// Scaled filters that nobody reads any more, now that all is made of them, make room.
void drop_unread(Graph& graph, const Tensor filters, Prepared& prepared) {
    const auto is_read = [&](int v) { return graph.values[v].id() == filters.id(); };
    for (const Step& step : graph.steps)
        if (std::any_of(step.inputs.begin(), step.inputs.end(), is_read)) return;
    if (!prepared.drop(filters)) return;
    for (Tensor& value : graph.values)  // forward and back they have a number each
        if (value.id() == filters.id()) value = Tensor::abstract(value.spec());
}

bool halves_2x2(const PoolOptions& options) {
    return options == PoolOptions{};  // 2x2, 2 apart, no padding
}

// The winner's byte of a pool stage, for the winners of the max_pool2d that it absorbed.
using PoolGates = std::map<int, int>;

class ForwardFusion {
  public:
    ForwardFusion(Graph& graph, bool exact, Prepared& prepared, PoolGates& gates)
        : graph_(graph), exact_(exact), prepared_(prepared), gates_(gates) {}

    void run() {
        Rewriter rewriter(graph_);
        for (std::size_t i = 0; i < graph_.steps.size(); ++i)
            if (rewriter.is(static_cast<int>(i), op_info<op::Conv2d>()))
                fuse_at(rewriter, static_cast<int>(i));
    }

  private:
    void fuse_at(Rewriter& rewriter, int conv) {
        const Step first = rewriter.step(conv);
        if (!is_f32_constant(graph_, first.inputs[1])) return;
        ConvStageAttributes a;
        a.stage.exact = exact_;
        a.stage.conv = conv_shape(graph_.spec(first.inputs[0]).shape, graph_.spec(first.inputs[1]).shape,
                                  attributes_of<Conv2dAttributes>(first).options);
        std::vector<int> chain{conv};
        int y = first.outputs[0], bias = -1, residual = -1, gate = -1;
        auto next = [&] { return rewriter.only_reader(y, conv); };
        auto take = [&](int s) { chain.push_back(s), y = rewriter.step(s).outputs[0]; };

        int s = next();
        if (rewriter.is(s, op_info<op::Add>()) && rewriter.step(s).inputs[0] == y &&
            is_channel_constant(graph_, rewriter.step(s).inputs[1], a.stage.conv.o)) {
            bias = rewriter.step(s).inputs[1];
            take(s), s = next();
        }
        if (rewriter.is(s, op_info<op::Add>())) {
            const std::vector<int>& terms = rewriter.step(s).inputs;
            const int other = terms[0] == y ? terms[1] : terms[0];
            if (graph_.spec(other) == graph_.spec(y) && !graph_.is_constant(other)) {
                residual = other;
                take(s), s = next();
            }
        }
        if (rewriter.is(s, op_info<op::Relu>())) {
            a.stage.relu = true;
            if (rewriter.step(s).outputs.size() > 1) gate = rewriter.step(s).outputs[1];
            take(s), s = next();
            if (residual < 0 && rewriter.is(s, op_info<op::MaxPool2d>()) &&
                halves_2x2(attributes_of<MaxPool2dAttributes>(rewriter.step(s)).options)) {
                const std::vector<int>& outputs = rewriter.step(s).outputs;
                const int winner = outputs.size() > 1 ? outputs[1] : -1;
                if (only_for_the_gradient(rewriter, gate, winner)) {
                    a.stage.pool = true;
                    take(s);
                    gate = winner < 0 ? -1 : graph_.add(Tensor::abstract({a.stage.gate(), Dtype::u8, kCpu}));
                    if (winner >= 0) gates_[winner] = gate;
                }
            }
        }

        a.bias = bias >= 0, a.residual = residual >= 0;
        Step fused{&conv_stage(), nullptr, {first.inputs[0]}, {y}, first.phase};
        fused.inputs.push_back(packed_filters(graph_, first.inputs[1], a.stage, "forward",
                                              kernels::conv_stage_filters(a.stage),
                                              kernels::pack_conv_stage_filters, prepared_));
        if (a.bias) fused.inputs.push_back(bias);
        if (a.residual) fused.inputs.push_back(residual);
        if (gate >= 0) fused.outputs.push_back(gate);
        fused.attributes = std::make_shared<const ConvStageAttributes>(a);
        // At the place of the last, where the residual has been calculated.
        for (int absorbed : chain) rewriter.absorb(absorbed);
        rewriter.replace(chain.back(), std::move(fused));
    }

    // Whether gate and winner go where the gradient stage will absorb them: unpool, apply the gate, then the
    // convolution's input gradient, each the only reader of the one before; or nobody reads them.
    bool only_for_the_gradient(const Rewriter& rewriter, int gate, int winner) const {
        if (!rewriter.is_read(gate) && !rewriter.is_read(winner)) return true;
        const int unpool = rewriter.single_reader(winner), apply = rewriter.single_reader(gate);
        if (!rewriter.is(unpool, op_info<op::MaxUnpool2d>()) || !rewriter.is(apply, op_info<op::ApplyGate>()))
            return false;
        if (rewriter.only_reader(graph_.steps[unpool].outputs[0], unpool) != apply) return false;
        if (graph_.steps[apply].inputs[1] != gate) return false;
        const int gradient = rewriter.only_reader(graph_.steps[apply].outputs[0], apply);
        return rewriter.is(gradient, op_info<op::Conv2dInputGradient>()) &&
               graph_.steps[gradient].inputs[0] == graph_.steps[apply].outputs[0] &&
               is_f32_constant(graph_, graph_.steps[gradient].inputs[1]);
    }

    Graph& graph_;
    bool exact_;
    Prepared& prepared_;
    PoolGates& gates_;
};

void fuse_gradients(Graph& graph, bool exact, Prepared& prepared, const PoolGates& gates) {
    Rewriter rewriter(graph);
    for (std::size_t i = 0; i < graph.steps.size(); ++i) {
        const int conv = static_cast<int>(i);
        if (!rewriter.is(conv, op_info<op::Conv2dInputGradient>())) continue;
        const Step first = graph.steps[i];
        if (!is_f32_constant(graph, first.inputs[1])) continue;
        const auto& options = attributes_of<Conv2dInputGradientAttributes>(first);
        const Shape &g = graph.spec(first.inputs[0]).shape, &w = graph.spec(first.inputs[1]).shape;
        ConvStageGradientAttributes a;
        a.stage.exact = exact;
        a.stage.conv =
            conv_shape(Shape{g[0], options.h, options.w, w[3] * options.options.groups}, w, options.options);
        Step fused{&conv_stage_gradient(), nullptr, {first.inputs[0], -1}, first.outputs, first.phase};
        const int apply = rewriter.maker(first.inputs[0]);
        if (rewriter.is(apply, op_info<op::ApplyGate>()) &&
            rewriter.only_reader(first.inputs[0], conv) == conv && graph.steps[apply].phase == first.phase) {
            a.stage.relu = true;
            fused.inputs = {graph.steps[apply].inputs[0], -1, graph.steps[apply].inputs[1]};
            rewriter.absorb(apply);
            const int unpool = rewriter.maker(fused.inputs[0]);
            if (rewriter.is(unpool, op_info<op::MaxUnpool2d>())) {
                const auto pooled = gates.find(graph.steps[unpool].inputs[1]);
                if (pooled != gates.end()) {
                    a.stage.pool = true;
                    fused.inputs = {graph.steps[unpool].inputs[0], -1, pooled->second};
                    rewriter.absorb(unpool);
                }
            }
        }
        fused.inputs[1] = packed_filters(graph, first.inputs[1], a.stage, "back",
                                         kernels::conv_stage_gradient_filters(a.stage),
                                         kernels::pack_conv_stage_gradient_filters, prepared);
        fused.attributes = std::make_shared<const ConvStageGradientAttributes>(a);
        rewriter.absorb(conv);
        rewriter.replace(conv, std::move(fused));
        drop_unread(graph, graph.values[first.inputs[1]], prepared);
    }
}

// Products of anything with one constant matrix.
void fuse_linear(Graph& graph, Prepared& prepared) {
    Rewriter rewriter(graph);
    for (std::size_t i = 0; i < graph.steps.size(); ++i) {
        const int product = static_cast<int>(i);
        if (!rewriter.is(product, op_info<op::Matmul>())) continue;
        const Step first = graph.steps[i];
        const auto& options = attributes_of<MatmulAttributes>(first);
        const Shape& w = graph.spec(first.inputs[1]).shape;
        if (options.transpose_a || w.rank() != 2 || !is_f32_constant(graph, first.inputs[1])) continue;
        LinearStageAttributes a;
        a.n = w[options.transpose_b ? 0 : 1], a.k = w[options.transpose_b ? 1 : 0];

        std::vector<int> chain{product};
        int y = first.outputs[0], bias = -1, residual = -1;
        auto next = [&](std::vector<int>& passed, int& x) {
            const int s = rewriter.only_reader(y, product, &passed);
            x = passed.empty() ? y : graph.steps[passed.back()].outputs[0];
            return s;
        };
        auto take = [&](const std::vector<int>& passed, int s) {
            chain.insert(chain.end(), passed.begin(), passed.end());
            chain.push_back(s);
            y = graph.steps[s].outputs[0];
        };
        std::vector<int> passed;
        int x = y, s = next(passed, x);
        if (rewriter.is(s, op_info<op::Add>()) && graph.steps[s].inputs[0] == x &&
            is_channel_constant(graph, graph.steps[s].inputs[1], a.n) && graph.spec(x).shape[-1] == a.n) {
            bias = graph.steps[s].inputs[1];
            take(passed, s);
            passed.clear();
            s = next(passed, x);
        }
        if (rewriter.is(s, op_info<op::Add>())) {
            const std::vector<int>& terms = graph.steps[s].inputs;
            const int other = terms[0] == x ? terms[1] : terms[0];
            if (graph.spec(other) == graph.spec(x) && !graph.is_constant(other)) {
                residual = other;
                take(passed, s);
            }
        }
        a.bias = bias >= 0, a.residual = residual >= 0;
        a.output = graph.spec(y).shape;

        const Tensor& matrix = graph.values[first.inputs[1]];
        const Tensor packed =
            prepared.get(str("matrix ", matrix.id(), options.transpose_b ? " transposed" : ""), [&] {
                Tensor result(
                    Spec{{static_cast<int64_t>(kernels::packed_matrix_floats(a.n, a.k))}, Dtype::f32, kCpu});
                kernels::pack_matrix(a.n, a.k, matrix.data<float>().data(), options.transpose_b,
                                     result.mutable_data<float>().data());
                return result;
            });
        Step fused{&linear_stage(), nullptr, {first.inputs[0], graph.add(packed)}, {y}, first.phase};
        if (a.bias) fused.inputs.push_back(bias);
        if (a.residual) fused.inputs.push_back(residual);
        fused.attributes = std::make_shared<const LinearStageAttributes>(a);
        for (int absorbed : chain) rewriter.absorb(absorbed);
        rewriter.replace(chain.back(), std::move(fused));
    }
}

}  // namespace

void fold_scales(Graph& graph, Prepared& prepared) {
    fold_forward(graph, prepared);
    fold_backward(graph, prepared);
}

void fuse(Graph& graph, bool exact, Prepared& prepared) {
    PoolGates gates;
    ForwardFusion(graph, exact, prepared, gates).run();
    fuse_gradients(graph, exact, prepared, gates);
    fuse_linear(graph, prepared);
}

}  // namespace microtome::plan
