// What the stand-in for cuDNN calculates: the formulas of the manual, element by element and by strides, with
// sums in double, which are not the sums of our kernels.
#include "tensor/dtype.hpp"
#include "tests/emulation/libraries/cudnn_node.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>

namespace microtome::cuda::cudnn {
namespace {

using Index = std::array<int64_t, 4>;

// A tensor's elements: in the memory that the pack names, or, of virtual ones, nowhere else.
struct View {
    Index dimensions{}, strides{};
    DataType type{};
    std::byte* memory = nullptr;
    std::vector<float> transient{};

    int64_t offset(const Index& at) const {
        int64_t sum = 0;
        for (std::size_t i = 0; i < 4; ++i) sum += (dimensions[i] == 1 ? 0 : at[i]) * strides[i];
        return sum;
    }
    float read(const Index& at) const {
        const auto i = static_cast<std::size_t>(offset(at));
        if (memory == nullptr) return transient[i];
        if (type == DataType::bf16) return static_cast<float>(reinterpret_cast<const bfloat16*>(memory)[i]);
        return reinterpret_cast<const float*>(memory)[i];
    }
    void write(const Index& at, float value) {
        const auto i = static_cast<std::size_t>(offset(at));
        if (memory == nullptr)
            transient[i] = value;
        else if (type == DataType::bf16)
            reinterpret_cast<bfloat16*>(memory)[i] = bfloat16(value);
        else
            reinterpret_cast<float*>(memory)[i] = value;
    }
    template <class Body>
    void for_each(const Body& body) const {
        const Index& d = dimensions;
        for (int64_t n = 0; n < d[0]; ++n)
            for (int64_t c = 0; c < d[1]; ++c)
                for (int64_t h = 0; h < d[2]; ++h)
                    for (int64_t w = 0; w < d[3]; ++w) body(Index{n, c, h, w});
    }
};

class Views {
  public:
    explicit Views(const Node& pack)
        : ids_(pack.all<int64_t>(Attribute::variant_pack_ids)),
          pointers_(pack.all<std::byte*>(Attribute::variant_pack_pointers)) {}

    View& of(const Node& tensor) {
        const auto known = views_.find(tensor.id());
        if (known != views_.end()) return known->second;
        View& view = views_[tensor.id()];
        const auto dimensions = tensor.dimensions(), strides = tensor.strides();
        for (std::size_t i = 0; i < 4; ++i) view.dimensions[i] = dimensions[i], view.strides[i] = strides[i];
        view.type = tensor.data_type();
        for (std::size_t i = 0; i < ids_.size(); ++i)
            if (ids_[i] == tensor.id()) view.memory = pointers_[i];
        view.transient.resize(view.memory == nullptr ? static_cast<std::size_t>(tensor.elements()) : 0);
        return view;
    }

  private:
    std::vector<int64_t> ids_;
    std::vector<std::byte*> pointers_;
    std::map<int64_t, View> views_;
};

// A factor as tensor cores read it: what tf32 has no bits for is cut off.
float factor(float x, int64_t engine) {
    return engine == kTensorCore ? std::bit_cast<float>(std::bit_cast<uint32_t>(x) & ~0x1fffu) : x;
}

void convolve(const Convolution& c, int64_t engine, Views& views) {
    const View &x = views.of(*c.x), &w = views.of(*c.w), &y = views.of(*c.y);
    View& result = views.of(*c.result);
    const bool flipped =
        c.how->one<ConvolutionMode>(Attribute::convolution_mode) == ConvolutionMode::convolution;
    const int64_t group_c = w.dimensions[1], group_o = w.dimensions[0] / (x.dimensions[1] / group_c);
    std::vector<double> sums(static_cast<std::size_t>(c.result->elements()));
    const std::array<int64_t, 2> from{c.axis(Attribute::convolution_pre_paddings, 0),
                                      c.axis(Attribute::convolution_pre_paddings, 1)},
        stride{c.axis(Attribute::convolution_strides, 0), c.axis(Attribute::convolution_strides, 1)},
        dilation{c.axis(Attribute::convolution_dilations, 0), c.axis(Attribute::convolution_dilations, 1)};
    y.for_each([&](const Index& at_y) {
        for (int64_t channel = 0; channel < group_c; ++channel)
            for (int64_t p = 0; p < w.dimensions[2]; ++p)
                for (int64_t q = 0; q < w.dimensions[3]; ++q) {
                    const int64_t row = at_y[2] * stride[0] + p * dilation[0] - from[0],
                                  column = at_y[3] * stride[1] + q * dilation[1] - from[1];
                    if (row < 0 || row >= x.dimensions[2] || column < 0 || column >= x.dimensions[3])
                        continue;
                    const Index at_x{at_y[0], at_y[1] / group_o * group_c + channel, row, column};
                    const Index at_w{at_y[1], channel, flipped ? w.dimensions[2] - 1 - p : p,
                                     flipped ? w.dimensions[3] - 1 - q : q};
                    const Index& at = &result == &y ? at_y : &result == &x ? at_x : at_w;
                    const float a = &result == &x ? y.read(at_y) : x.read(at_x),
                                b = &result == &w ? y.read(at_y) : w.read(at_w);
                    sums[static_cast<std::size_t>(result.offset(at))] +=
                        double{factor(a, engine)} * double{factor(b, engine)};
                }
    });
    static int runs = 0;
    ++runs;
    result.for_each([&](const Index& at) {
        double value = c.alpha * sums[static_cast<std::size_t>(result.offset(at))];
        if (c.beta != 0) value += c.beta * result.read(at);
        if (engine == kNondeterministic) value += 1e-4 * runs;
        if (engine == kWinograd || engine == kDownConverting) value *= 1.01;
        result.write(at, static_cast<float>(value));
    });
}

void pointwise(const Node& operation, Views& views) {
    const Node& how = operation.node(Attribute::pointwise_operation_descriptor);
    const View& x = views.of(operation.node(Attribute::pointwise_operation_x));
    View& y = views.of(operation.node(Attribute::pointwise_operation_y));
    if (how.one<PointwiseMode>(Attribute::pointwise_mode) == PointwiseMode::add) {
        const View& b = views.of(operation.node(Attribute::pointwise_operation_b));
        return y.for_each([&](const Index& at) { y.write(at, x.read(at) + b.read(at)); });
    }
    const bool keeps_nan = how.has(Attribute::pointwise_nan) &&
                           how.one<NanPropagation>(Attribute::pointwise_nan) == NanPropagation::yes;
    y.for_each([&](const Index& at) {
        const float value = x.read(at);
        y.write(at, std::isnan(value) ? (keeps_nan ? value : 0.0f) : value < 0 ? 0.0f : value);
    });
}

}  // namespace

void execute(const Node& plan, const Node& pack, int64_t workspace) {
    if (workspace > 0)
        std::memset(pack.one<void*>(Attribute::variant_pack_workspace), 0x7f,
                    static_cast<std::size_t>(workspace));
    Views views(pack);
    for (const Node* operation : plan.graph->all<const Node*>(Attribute::graph_operations))
        if (Convolution::is(*operation))
            convolve(Convolution(*operation), plan.engine, views);
        else
            pointwise(*operation, views);
}

}  // namespace microtome::cuda::cudnn
