#include "tensor/kernels/resample.hpp"

#include "autograd/describe.hpp"
#include "autograd/ops/image.hpp"
#include "autograd/ops/require.hpp"

namespace microtome {
namespace {

enum class Filter { bilinear, bilinear_antialias, bicubic, bicubic_antialias, gaussian };

std::string_view filter_name(Filter filter) {
    switch (filter) {
        case Filter::bilinear: return "bilinear";
        case Filter::bilinear_antialias: return "bilinear_antialias";
        case Filter::bicubic: return "bicubic";
        case Filter::bicubic_antialias: return "bicubic_antialias";
        case Filter::gaussian: break;
    }
    return "gaussian";
}

}  // namespace

// y = A x along one axis, or A^T x: its own adjoint. Resizing and blurring an image is this twice.
struct op::Resample {
    static constexpr std::string_view name = "resample";
    static constexpr std::string_view formula = "y = A x along an axis, or its adjoint, A^T x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int axis = 0;
        Filter filter = Filter::bilinear;
        int64_t from = 0, to = 0;  // sizes of the map A, also where its adjoint is taken
        double sigma = 0;          // of gaussian
        int64_t radius = 0;
        bool adjoint = false;
        // The matrix where it was last needed on a GPU: a plan's step finds it there again.
        mutable std::shared_ptr<const kernels::DeviceMatrix> there{};

        void each(auto&& field) const {
            field("axis", axis);
            field("filter", filter_name(filter));
            field("from", from);
            field("to", to);
            if (filter == Filter::gaussian) {
                field("sigma", sigma);
                field("radius", radius);
            }
            field("adjoint", adjoint);
        }
    };

    static SparseMatrix matrix(const Attributes& a) {
        switch (a.filter) {
            case Filter::bilinear: return resize_matrix(a.from, a.to, Interpolation::bilinear, false);
            case Filter::bilinear_antialias:
                return resize_matrix(a.from, a.to, Interpolation::bilinear, true);
            case Filter::bicubic: return resize_matrix(a.from, a.to, Interpolation::bicubic, false);
            case Filter::bicubic_antialias: return resize_matrix(a.from, a.to, Interpolation::bicubic, true);
            case Filter::gaussian: break;
        }
        return blur_matrix(a.from, a.sigma, a.radius);
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_floating(name, in[0]);
        const int64_t before = a.adjoint ? a.to : a.from, after = a.adjoint ? a.from : a.to;
        if (in[0].shape[a.axis] != before)
            throw ShapeError(name, str("expected ", before, " elements on axis ", a.axis, ", got ", in[0]));
        if (a.filter != Filter::gaussian && (before < 1 || after < 1))
            throw ShapeError(
                name, str("expected at least one pixel before and after, got ", before, " and ", after));
        return {{in[0].shape.with(a.axis, after), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        if (out[0].elements() == 0) return;
        const Spec& spec = out[0].spec();
        const bool on_gpu = spec.device.kind == Device::Kind::cuda;
        if (!on_gpu || a.there == nullptr || !(a.there->weight.device() == spec.device) ||
            a.there->weight.dtype() != spec.dtype) {
            SparseMatrix map = matrix(a);
            if (a.adjoint) map = map.transposed();
            if (!on_gpu) return kernels::apply_along_axis(map, in[0], a.axis, out[0], context);
            a.there =
                std::make_shared<kernels::DeviceMatrix>(kernels::matrix_on(spec.device, map, spec.dtype));
        }
        kernels::apply_along_axis(*a.there, in[0], a.axis, out[0]);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded&, const Tensors& g) {
        Attributes turned = a;
        turned.adjoint = !a.adjoint;
        turned.there = nullptr;
        return apply<op::Resample>(turned, g);
    }
    static void samples(Samples<Resample>& s) {
        for (bool adjoint : {false, true}) {
            auto add = [&](std::string text, Attributes a, Shape x) {
                a.adjoint = adjoint;
                x = x.with(a.axis, adjoint ? a.to : a.from);
                s.add((adjoint ? "adjoint of " : "") + std::move(text), a, {uniform(x)});
            };
            for (Filter filter :
                 {Filter::bilinear, Filter::bilinear_antialias, Filter::bicubic, Filter::bicubic_antialias}) {
                const std::string which(filter_name(filter));
                add(which + ", smaller", {1, filter, 7, 3}, {2, 0, 3});
                add(which + ", larger", {0, filter, 3, 8}, {0, 2});
                add(which + ", from one pixel", {1, filter, 1, 3}, {2, 0});
                add(which + ", to one pixel", {1, filter, 5, 1}, {2, 0});
            }
            add("blur", {1, Filter::gaussian, 7, 7, 1.2, 2}, {2, 0, 2});
            add("blur wider than the image", {0, Filter::gaussian, 3, 3, 2, 5}, {0, 2});
            add("no images", {1, Filter::bilinear, 2, 3}, {0, 0, 1});
        }
        s.fails("another size", {1, Filter::bilinear, 4, 2}, {f64({2, 5})}, "expected 4 elements on axis 1");
        s.fails("to nothing", {0, Filter::bilinear, 4, 0}, {f64({4})}, "at least one pixel");
        s.fails("integers", {0, Filter::bilinear, 4, 2}, {i64({4})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Resample>() {
    return describe<op::Resample>();
}

namespace {

Tensor resize(const char* where, const Tensor& x, int64_t oh, int64_t ow, Filter filter) {
    if (x.rank() != 4) throw ShapeError(where, str("expected x (N, H, W, C), got ", x.spec()));
    if (x.size(1) < 1 || x.size(2) < 1 || oh < 1 || ow < 1)
        throw ShapeError(where, str("expected images of at least one pixel before and after, got ", x.spec(),
                                    " to ", oh, "x", ow));
    Tensor y = x;
    if (oh != x.size(1)) y = apply<op::Resample>({1, filter, x.size(1), oh}, {y})[0];
    if (ow != x.size(2)) y = apply<op::Resample>({2, filter, x.size(2), ow}, {y})[0];
    return y;
}

}  // namespace

Tensor resize_bilinear(const Tensor& x, int64_t oh, int64_t ow, Antialias antialias) {
    return resize("resize_bilinear", x, oh, ow,
                  antialias == Antialias::yes ? Filter::bilinear_antialias : Filter::bilinear);
}

Tensor resize_bicubic(const Tensor& x, int64_t oh, int64_t ow, Antialias antialias) {
    return resize("resize_bicubic", x, oh, ow,
                  antialias == Antialias::yes ? Filter::bicubic_antialias : Filter::bicubic);
}

Tensor gaussian_blur(const Tensor& x, double sigma, int64_t radius) {
    if (x.rank() != 4) throw ShapeError("gaussian_blur", str("expected x (N, H, W, C), got ", x.spec()));
    require_blur(sigma, radius);
    const int64_t h = x.size(1), w = x.size(2);
    const Tensor y = apply<op::Resample>({1, Filter::gaussian, h, h, sigma, radius}, {x})[0];
    return apply<op::Resample>({2, Filter::gaussian, w, w, sigma, radius}, {y})[0];
}

}  // namespace microtome
