#include "autograd/gradcheck/op_function.hpp"

#include "autograd/tape.hpp"

#include <map>

namespace microtome::gradcheck {

Vector to_doubles(const Tensor& x) {
    Vector result;
    result.reserve(static_cast<std::size_t>(x.elements()));
    const Tensor here = x.to(kCpu);
    visit_dtype(here.dtype(), [&]<class T>() {
        for (T element : here.data<T>()) {
            if constexpr (std::is_same_v<T, bfloat16>)
                result.push_back(static_cast<double>(static_cast<float>(element)));
            else
                result.push_back(static_cast<double>(element));
        }
    });
    return result;
}

Tensor from_doubles(View values, const Spec& spec) {
    Tensor result(Spec{spec.shape, spec.dtype, kCpu});
    visit_dtype(spec.dtype, [&]<class T>() {
        auto elements = result.mutable_data<T>();
        for (std::size_t i = 0; i < elements.size(); ++i) {
            if constexpr (std::is_same_v<T, bfloat16>)
                elements[i] = bfloat16(static_cast<float>(values[i]));
            else
                elements[i] = static_cast<T>(values[i]);
        }
    });
    return result.to(spec.device);
}

SampleSet on_device(const OpInfo& op, const SampleSet& set, Device device) {
    if (device == kCpu) return set;
    SampleSet result = set;
    auto gives_duals = [&op](const OpSample& sample) {
        Specs inputs;
        for (const Tensor& input : sample.inputs) inputs.push_back(input.spec());
        const Specs outputs = op.shape_rule(sample.attributes.get(), inputs);
        return std::any_of(outputs.begin(), outputs.end(),
                           [](const Spec& spec) { return spec.dtype == Dtype::dual; });
    };
    std::erase_if(result.samples, gives_duals);
    std::erase_if(result.extremes, gives_duals);
    auto move = [device](Tensors& tensors) {
        std::map<uint64_t, Tensor> moved;  // a tensor in two places stays one
        for (Tensor& tensor : tensors) {
            Tensor& there = moved[tensor.id()];
            if (!there.defined()) there = tensor.to(device);
            tensor = there;
        }
    };
    for (auto* samples : {&result.samples, &result.extremes})
        for (OpSample& sample : *samples) move(sample.inputs);
    for (KinkCase& kink : result.kinks) move(kink.inputs), move(kink.cotangents), move(kink.expected);
    return result;
}

OpSample converted(const OpSample& sample, Dtype from, Dtype to) {
    OpSample result = sample;
    std::map<uint64_t, Tensor> done;
    for (Tensor& input : result.inputs) {
        if (input.dtype() != from) continue;
        Tensor& copy = done[input.id()];
        if (!copy.defined()) {
            Spec spec = input.spec();
            spec.dtype = to;
            copy = from_doubles(to_doubles(input), spec);
        }
        input = copy;
    }
    return result;
}

OpFunction::OpFunction(const OpInfo& op, const OpSample& sample) : op_(&op), sample_(sample) {
    std::map<uint64_t, int> known;
    Specs input_specs;
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
        const Tensor& input = sample.inputs[i];
        input_specs.push_back(input.spec());
        if (!sample.checked[static_cast<int>(i)]) {
            variable_of_.push_back(-1);
            continue;
        }
        auto [place, is_new] = known.emplace(input.id(), static_cast<int>(specs_.size()));
        variable_of_.push_back(place->second);
        if (!is_new) continue;
        specs_.push_back(input.spec());
        const Vector values = to_doubles(input);
        point_.insert(point_.end(), values.begin(), values.end());
    }
    output_specs_ = op.shape_rule(attributes(), input_specs);
    for (const Spec& spec : output_specs_)
        if (is_floating(spec.dtype)) outputs_ += static_cast<std::size_t>(spec.shape.elements());
}

bool OpFunction::double_only() const {
    auto is_double = [](const Spec& spec) {
        return spec.dtype == Dtype::f64 || spec.dtype == Dtype::dual || !is_floating(spec.dtype);
    };
    return std::all_of(specs_.begin(), specs_.end(), is_double) &&
           std::all_of(output_specs_.begin(), output_specs_.end(), is_double);
}

OpFunction::Inputs OpFunction::at(View x) const {
    Inputs result{sample_.inputs, {}};
    std::size_t begin = 0;
    for (const Spec& spec : specs_) {
        const auto count = static_cast<std::size_t>(spec.shape.elements());
        result.variables.push_back(from_doubles(x.subspan(begin, count), spec));
        begin += count;
    }
    for (std::size_t i = 0; i < result.all.size(); ++i)
        if (variable_of_[i] >= 0) result.all[i] = result.variables[static_cast<std::size_t>(variable_of_[i])];
    return result;
}

OpFunction::Inputs OpFunction::abstract() const {
    Inputs result;
    for (const Spec& spec : specs_) result.variables.push_back(Tensor::abstract(spec));
    for (std::size_t i = 0; i < variable_of_.size(); ++i)
        result.all.push_back(variable_of_[i] >= 0
                                 ? result.variables[static_cast<std::size_t>(variable_of_[i])]
                                 : Tensor::abstract(sample_.inputs[i].spec()));
    return result;
}

Tensors OpFunction::cotangents(View v) const {
    Tensors result;
    std::size_t begin = 0;
    for (const Spec& spec : output_specs_) {
        if (!is_floating(spec.dtype)) continue;
        const auto count = static_cast<std::size_t>(spec.shape.elements());
        result.push_back(from_doubles(v.subspan(begin, count), spec));
        begin += count;
    }
    return result;
}

Tensors OpFunction::floating(const Tensors& outputs) const {
    Tensors result;
    for (const Tensor& output : outputs)
        if (is_floating(output.dtype())) result.push_back(output);
    return result;
}

Vector OpFunction::flat(const Tensors& tensors) {
    Vector result;
    for (const Tensor& tensor : tensors) {
        const Vector values = to_doubles(tensor);
        result.insert(result.end(), values.begin(), values.end());
    }
    return result;
}

Vector OpFunction::forward(View x) const {
    return flat(floating(apply(*op_, sample_.attributes, at(x).all)));
}

Vector OpFunction::vjp(View x, View v) const {
    const Inputs inputs = at(x);
    Tape tape;
    tape.watch(inputs.variables);
    const Tensors outputs = floating(apply(*op_, sample_.attributes, inputs.all));
    return flat(tape.vjp(outputs, cotangents(v), inputs.variables));
}

Vector OpFunction::gradient_of(View x_and_v) const {
    return vjp(x_and_v.first(point_.size()), x_and_v.subspan(point_.size()));
}

namespace {

Spec dual_spec(Spec spec) {
    if (is_floating(spec.dtype)) spec.dtype = Dtype::dual;
    return spec;
}

// Tensors of these shapes from flat vectors, one after another.
Tensors duals_from(const OpFunction::Moving& x, const Specs& specs, std::size_t begin = 0) {
    Tensors result;
    for (const Spec& spec : specs) {
        if (!is_floating(spec.dtype)) continue;
        result.emplace_back(dual_spec(spec));
        for (Dual& element : result.back().mutable_data<Dual>()) {
            element = {x.values[begin], x.tangents[begin]};
            ++begin;
        }
    }
    return result;
}

OpFunction::Moving parts_of(const Tensors& duals) {
    OpFunction::Moving result;
    for (const Tensor& tensor : duals)
        for (const Dual& element : tensor.data<Dual>()) {
            result.values.push_back(element.value);
            result.tangents.push_back(element.tangent);
        }
    return result;
}

}  // namespace

bool OpFunction::keeps_duals() const {
    Specs inputs;
    for (const Tensor& input : sample_.inputs) inputs.push_back(dual_spec(input.spec()));
    for (const Spec& spec : op_->shape_rule(attributes(), inputs))
        if (is_floating(spec.dtype) && spec.dtype != Dtype::dual) return false;
    return true;
}

OpFunction::Inputs OpFunction::duals_at(const Moving& x) const {
    Inputs result{{}, duals_from(x, specs_)};
    for (std::size_t i = 0; i < sample_.inputs.size(); ++i) {
        const Tensor& input = sample_.inputs[i];
        if (variable_of_[i] >= 0)
            result.all.push_back(result.variables[static_cast<std::size_t>(variable_of_[i])]);
        else
            result.all.push_back(is_floating(input.dtype())
                                     ? from_doubles(to_doubles(input), dual_spec(input.spec()))
                                     : input);
    }
    return result;
}

OpFunction::Moving OpFunction::forward(const Moving& x) const {
    return parts_of(floating(apply(*op_, sample_.attributes, duals_at(x).all)));
}

OpFunction::Moving OpFunction::gradient_of(const Moving& x_and_v) const {
    const Inputs inputs = duals_at(x_and_v);
    Tape tape;
    tape.watch(inputs.variables);
    const Tensors outputs = floating(apply(*op_, sample_.attributes, inputs.all));
    return parts_of(tape.vjp(outputs, duals_from(x_and_v, output_specs_, point_.size()), inputs.variables));
}

Vector OpFunction::second(View x_and_v, View w, bool strict) const {
    const Inputs inputs = at(x_and_v.first(point_.size()));
    const Tensors v = cotangents(x_and_v.subspan(point_.size()));
    Tape outer;
    outer.watch(inputs.variables);
    outer.watch(v);
    Tape inner;
    inner.watch(inputs.variables);
    const Tensors outputs = floating(apply(*op_, sample_.attributes, inputs.all));
    const Tensors gradients = inner.vjp(outputs, v, inputs.variables);

    Tensors followed, followed_w;
    std::size_t begin = 0;
    for (const Tensor& gradient : gradients) {
        const auto count = static_cast<std::size_t>(gradient.elements());
        if (strict || outer.follows(gradient)) {
            followed.push_back(gradient);
            followed_w.push_back(from_doubles(w.subspan(begin, count), gradient.spec()));
        }
        begin += count;
    }
    Tensors wanted = inputs.variables;
    wanted.insert(wanted.end(), v.begin(), v.end());
    return flat(outer.vjp(followed, followed_w, wanted));
}

}  // namespace microtome::gradcheck
