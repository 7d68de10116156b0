#include "autograd/describe.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/tape.hpp"

#include <algorithm>

namespace microtome {
namespace {

// What a function returned must be what was agreed; it is copied, because the caller may keep its tensors.
void take(const ExternalFunction& function, const Tensors& results, Tensors& out) {
    if (results.size() != out.size())
        throw ShapeError(function.name, str("expected ", out.size(), " outputs, got ", results.size()));
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (!results[i].defined() || !(results[i].spec() == out[i].spec()))
            throw ShapeError(function.name, str("expected ", out[i].spec(), " as output ", i, ", got ",
                                                results[i].defined() ? str(results[i].spec()) : "no tensor"));
        out[i].copy_from(results[i]);
    }
}

// y = x^2 in any floating type, as somebody else's code might calculate it.
ExternalFunction square_of_others() {
    return {.name = "square",
            .shape_rule = [](const Specs& in) { return in; },
            .forward =
                [](const Tensors& in) {
                    Tensor y = in[0].clone();
                    visit_floating("square", y.dtype(), [&]<class T>() {
                        for (T& element : y.mutable_data<T>()) element *= element;
                    });
                    return Tensors{y};
                },
            .vjp =
                [](const Tensors& in, const Tensors&, const Tensors& g) {
                    Tensor d = g[0].clone();
                    visit_floating("square", d.dtype(), [&]<class T>() {
                        auto x = in[0].data<T>();
                        auto elements = d.mutable_data<T>();
                        for (std::size_t i = 0; i < x.size(); ++i) elements[i] *= 2 * x[i];
                    });
                    return Tensors{d};
                }};
}

ExternalFunction swap_of_others() {
    return {.name = "swap",
            .shape_rule =
                [](const Specs& in) {
                    return Specs{in[1], in[0]};
                },
            .forward =
                [](const Tensors& in) {
                    return Tensors{in[1], in[0]};
                },
            .vjp =
                [](const Tensors&, const Tensors&, const Tensors& g) {
                    return Tensors{g[1], g[0]};
                }};
}

}  // namespace

struct op::External {
    static constexpr std::string_view name = "external";
    static constexpr std::string_view formula = "y = what the function says, dx = what its vjp says";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::none;
    static constexpr std::string_view second_order_reason =
        "an external function brings its first derivative only";
    static constexpr int kMostTensors = 32;  // as many as Saves has bits
    struct Attributes {
        ExternalFunction function;
        // A callable cannot be printed, so it goes by its name.
        void each(auto&& field) const { field("function", function.name); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        if (in.size() > kMostTensors)
            throw ShapeError(a.function.name,
                             str("expected at most ", kMostTensors, " inputs, got ", in.size()));
        Specs out = a.function.shape_rule(in);
        if (out.empty() || out.size() > kMostTensors)
            throw ShapeError(a.function.name,
                             str("expected 1 to ", kMostTensors, " outputs, got ", out.size()));
        return out;
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext&) {
        PauseTapes pause;  // what the function does inside is its own affair
        take(a.function, a.function.forward(in), out);
    }
    // The function may read all that it had and all that it made.
    static Saves saves(const Attributes&, Needs) {
        Saves all;
        for (int i = 0; i < kMostTensors; ++i) all.input(i).output(i);
        return all;
    }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        if (!a.function.vjp)
            throw TapeError(a.function.name, "has no gradient: it brings no vjp",
                            "replace_gradient() or stop_gradient() say what is meant instead");
        const auto inputs = static_cast<int>(record.input_specs.size()),
                   outputs = static_cast<int>(record.output_specs.size());
        const bool abstract =
            std::any_of(g.begin(), g.end(), [](const Tensor& x) { return x.is_abstract(); });
        Tensors x, y, cotangents, d(static_cast<std::size_t>(inputs));
        for (int i = 0; i < inputs; ++i) {
            if (abstract && record.needs(i)) d[i] = Tensor::abstract(record.input_specs[i]);
            x.push_back(record.input(i));
        }
        if (abstract) return d;
        for (int i = 0; i < outputs; ++i) {
            const Spec& spec = record.output_specs[i];
            y.push_back(record.output(i));
            cotangents.push_back(g[i].defined() ? g[i] : Tensor::zeros(spec.shape, spec.dtype, spec.device));
        }
        PauseTapes pause;
        const Tensors results = a.function.vjp(x, y, cotangents);
        if (results.size() != d.size())
            throw ShapeError(a.function.name,
                             str("expected ", d.size(), " gradients from its vjp, got ", results.size()));
        // Copies: a vjp that hands out its argument must not make one variable of two.
        for (int i = 0; i < inputs; ++i)
            if (record.needs(i) && results[i].defined()) d[i] = results[i].clone();
        return d;
    }
    static void samples(Samples<External>& s) {
        s.add("somebody's x^2", {square_of_others()}, {uniform({3, 5})});
        s.add("of nothing", {square_of_others()}, {uniform({0})});
        s.add("two in, two out", {swap_of_others()}, {uniform({3}), uniform({2}, -1, 1, 2)});
        s.fails("too many inputs", {square_of_others()}, Specs(33, f64({1})), "at most 32 inputs");
        s.fails("no output",
                {{.name = "nothing", .shape_rule = [](const Specs&) { return Specs(); }, .forward = nullptr}},
                {f64({1})}, "1 to 32 outputs");
    }
};

template <>
const OpInfo& op_info<op::External>() {
    return describe<op::External>();
}

Tensors external(const ExternalFunction& function, const Tensors& inputs) {
    if (function.name.empty() || !function.shape_rule || !function.forward)
        throw OptionsError(function.name.empty() ? "external" : function.name,
                           "expected a function with name, shape_rule and forward");
    return apply<op::External>({function}, inputs);
}

Tensor external(const std::string& name, const Tensor& x, const std::function<Tensor(const Tensor&)>& forward,
                const std::function<Tensor(const Tensor& x, const Tensor& g)>& vjp) {
    if (!forward) throw OptionsError(name, "expected a function, got none");
    ExternalFunction function{.name = name,
                              .shape_rule = [](const Specs& in) { return in; },
                              .forward = [forward](const Tensors& in) { return Tensors{forward(in[0])}; }};
    if (vjp)
        function.vjp = [vjp](const Tensors& in, const Tensors&, const Tensors& g) {
            return Tensors{vjp(in[0], g[0])};
        };
    return external(function, {x})[0];
}

}  // namespace microtome
