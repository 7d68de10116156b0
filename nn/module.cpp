#include "nn/module.hpp"

#include "autograd/ops/shaping.hpp"
#include "autograd/tape.hpp"
#include "nn/pattern.hpp"
#include "tensor/kernels/elementwise.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace microtome {
namespace {

std::string join(std::string_view path, std::string_view name) {
    return str(path, path.empty() || name.empty() ? "" : ".", name);
}

// (O, H, W, C) to (O, C, H, W) or back, under the parameter's own shape on that side.
Tensor rearrange(const Tensor& value, const Parameter& parameter, bool to_file) {
    if (parameter.layout == DiskLayout::same) return value;
    PauseTapes pause;
    const Shape here = parameter.images.rank() ? parameter.images : parameter.value.shape();
    const Shape there{here[0], here[3], here[1], here[2]};
    Tensor moved =
        to_file ? permute(value.view(here), {0, 3, 1, 2}) : permute(value.view(there), {0, 2, 3, 1});
    return parameter.images.rank() ? moved.view(value.shape()) : moved;
}

}  // namespace

Tensor to_disk(const Tensor& value, const Parameter& parameter) {
    return rearrange(value, parameter, true);
}

Tensor from_disk(const Tensor& value, const Parameter& parameter) {
    return rearrange(value, parameter, false);
}

Tensor Module::operator()(const Tensor& x, const Pass& pass) {
    if (pass.before) pass.before(*this, x);
    Tensor y = forward(x, pass);
    if (pass.after) pass.after(*this, x, y);
    return y;
}

void Module::add_module(std::string name, std::shared_ptr<Module> module) {
    for (const auto& [other, child] : children_)
        if (other == name) throw OptionsError("module", str("expected a new name, got a second ", name));
    children_.emplace_back(std::move(name), std::move(module));
    // Also those added before this module had a parent of its own: the root is right for all in the end.
    for (const auto& [path, below] : named_modules()) below->path_ = join(path_, path);
}

Parameter& Module::add_weight(std::string name, const Shape& shape, const Initializer& initializer,
                              DiskLayout layout, const Shape& images) {
    auto parameter = std::make_shared<Parameter>();
    parameter->value = Tensor::abstract({shape, Dtype::f32, kCpu});
    parameter->initializer = initializer;
    parameter->layout = layout;
    parameter->images = images;
    own_.emplace_back(std::move(name), parameter);
    return *parameter;
}

Parameter& Module::add_buffer(std::string name, const Shape& shape, const Initializer& initializer) {
    Parameter& buffer = add_weight(std::move(name), shape, initializer);
    buffer.kind = Parameter::Kind::buffer;
    return buffer;
}

std::vector<std::pair<std::string, Module*>> Module::named_modules() const {
    std::vector<std::pair<std::string, Module*>> result;
    std::vector<std::pair<std::string, Module*>> open{{"", const_cast<Module*>(this)}};
    while (!open.empty()) {
        auto [path, module] = std::move(open.back());
        open.pop_back();
        for (auto child = module->children_.rbegin(); child != module->children_.rend(); ++child)
            open.emplace_back(join(path, child->first), child->second.get());
        result.emplace_back(std::move(path), module);
    }
    return result;
}

std::vector<NamedParameter> Module::named_parameters() const {
    std::vector<NamedParameter> result;
    std::set<const Parameter*> seen;  // one that modules share goes by its first name
    for (const auto& [path, module] : named_modules())
        for (const auto& [name, parameter] : module->own_)
            if (seen.insert(parameter.get()).second) result.push_back({join(path, name), parameter});
    return result;
}

std::vector<NamedParameter> Module::trainable() const {
    std::vector<NamedParameter> result = named_parameters();
    std::erase_if(result, [](const NamedParameter& named) {
        return named.parameter->frozen || named.parameter->kind == Parameter::Kind::buffer;
    });
    return result;
}

Tensors Module::parameters() const {
    Tensors result;
    for (const NamedParameter& named : trainable()) result.push_back(named.parameter->value);
    return result;
}

int64_t Module::parameter_count() const {
    int64_t count = 0;
    for (const NamedParameter& named : named_parameters()) count += named.parameter->value.elements();
    return count;
}

int64_t Module::trainable_count() const {
    int64_t count = 0;
    for (const NamedParameter& named : trainable()) count += named.parameter->value.elements();
    return count;
}

void Module::train(bool on) {
    for (const auto& [path, module] : named_modules()) module->training_ = on;
}

void Module::freeze(std::string_view pattern, bool frozen) {
    bool any = false;
    const std::vector<NamedParameter> all = named_parameters();
    for (const NamedParameter& named : all) {
        if (!matches(pattern, named.name)) continue;
        named.parameter->frozen = frozen;
        any = true;
    }
    if (!any)
        throw OptionsError("freeze", str("expected a pattern that covers some parameter, got ", pattern),
                           all.empty() ? "this model has none" : str("the first is ", all.front().name));
}

void Module::initialize(uint64_t seed) {
    for (const NamedParameter& named : named_parameters()) {
        Parameter& parameter = *named.parameter;
        Tensor value = initial_value(parameter.initializer, parameter.value.spec(), seed, named.name);
        if (parameter.value.is_abstract())
            parameter.value = value;
        else
            parameter.value.copy_from(value);
    }
}

void Module::convert(Dtype dtype) {
    visit_floating("convert", dtype, [&]<class T>() {
        for (const NamedParameter& named : named_parameters()) {
            Tensor& value = named.parameter->value;
            const Spec spec{value.shape(), dtype_of<T>(), value.device()};
            if (spec == value.spec()) continue;
            if (value.is_abstract()) {
                value = Tensor::abstract(spec);
                continue;
            }
            Tensor converted(spec);
            kernels::convert(value, converted);
            value = converted;
        }
    });
}

void Module::to(Device device) {
    for (const NamedParameter& named : named_parameters())
        named.parameter->value = named.parameter->value.to(device);
}

Device Module::device() const {
    const std::vector<NamedParameter> all = named_parameters();
    return all.empty() ? kCpu : all.front().parameter->value.device();
}

NamedTensors Module::state() const {
    NamedTensors result;
    for (const NamedParameter& named : named_parameters())
        result.push_back({named.name, to_disk(named.parameter->value.to(kCpu), *named.parameter).clone()});
    return result;
}

void Module::load(const NamedTensors& state, std::string_view where) {
    std::unordered_map<std::string_view, const Tensor*> given;
    for (const NamedTensor& entry : state)
        if (!given.emplace(entry.name, &entry.tensor).second)
            throw FormatError(where, str("expected each key once, got a second ", entry.name));

    // All checks come first, so that a state that does not fit leaves the model as it was.
    const std::vector<NamedParameter> own = named_parameters();
    for (const NamedParameter& named : own) {
        const Parameter& parameter = *named.parameter;
        const Spec& here = parameter.value.spec();
        Shape shape = here.shape;
        if (parameter.layout == DiskLayout::channels_first && !parameter.images.rank())
            shape = {shape[0], shape[3], shape[1], shape[2]};
        const Spec expected{shape, here.dtype, kCpu};
        auto found = given.find(named.name);
        if (found == given.end())
            throw FormatError(where, str("expected key ", named.name, " ", expected, ", got none"),
                              "the file is of another architecture, or other options");
        if (!(found->second->spec() == expected))
            throw FormatError(
                where, str("expected key ", named.name, " as ", expected, ", got ", found->second->spec()),
                "the file is of another architecture, or other options");
    }
    if (given.size() > own.size()) {
        for (const NamedParameter& named : own) given.erase(named.name);
        std::string_view first = given.begin()->first;
        for (const auto& [name, tensor] : given) first = std::min(first, name);
        throw FormatError(
            where, str("expected no key ", first, ", which the model lacks, got ", given.size(), " such"),
            "the file is of another architecture, or other options");
    }

    for (const NamedParameter& named : own) {
        Parameter& parameter = *named.parameter;
        Tensor value = from_disk(*given.at(named.name), parameter);
        if (parameter.value.is_abstract())
            parameter.value = value.clone().to(parameter.value.device());
        else
            parameter.value.copy_from(value);
    }
}

}  // namespace microtome
