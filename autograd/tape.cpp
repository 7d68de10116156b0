#include "autograd/tape.hpp"

#include "autograd/ops/arithmetic.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace microtome {
namespace {

// Tapes alive on this thread, outermost first. Each has a number that says when it was made, and those up to
// `paused` are paused.
thread_local std::vector<Tape*> tapes;
thread_local uint64_t tapes_made = 0;
thread_local uint64_t paused = 0;
thread_local std::vector<OpObserver*> observers;

class Flag {
  public:
    explicit Flag(bool& flag) : flag_(flag) { flag_ = true; }
    ~Flag() { flag_ = false; }
    Flag(const Flag&) = delete;
    Flag& operator=(const Flag&) = delete;

  private:
    bool& flag_;
};

GradientStatistics statistics(const Tensor& g) {
    GradientStatistics result;
    result.reached = true;
    const Tensor here = g.to(kCpu);
    visit_floating("statistics", here.dtype(), [&]<class T>() {
        double squares = 0;
        int64_t zeros = 0;
        for (T element : here.data<T>()) {
            double x = static_cast<double>(element);
            if (!std::isfinite(x)) {
                ++result.not_finite;
                continue;
            }
            squares = std::fma(x, x, squares);
            zeros += x == 0;
            result.largest = std::max(result.largest, std::abs(x));
        }
        result.norm = std::sqrt(squares);
        result.zero_share = g.elements() ? static_cast<double>(zeros) / static_cast<double>(g.elements()) : 0;
    });
    return result;
}

Device common_device(const OpInfo& op, const Tensors& inputs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!inputs[i].defined())
            throw ShapeError(op.name, str("expected a tensor as input ", i, ", got an undefined one"));
        if (!(inputs[i].device() == inputs[0].device()))
            throw DeviceError(op.name,
                              str("expected all inputs on ", inputs[0].device(), ", got input ", i, " on ",
                                  inputs[i].device()),
                              "copy it there first");
    }
    return inputs.empty() ? kCpu : inputs[0].device();
}

Specs specs_of(const Tensors& tensors) {
    Specs specs;
    specs.reserve(tensors.size());
    for (const Tensor& tensor : tensors) specs.push_back(tensor.spec());
    return specs;
}

Tensors allocate(const Specs& specs, bool abstract) {
    Tensors tensors;
    tensors.reserve(specs.size());
    for (const Spec& spec : specs) tensors.push_back(abstract ? Tensor::abstract(spec) : Tensor(spec));
    return tensors;
}

// What a vjp without second order gave, as a function of all that it read, for the tapes around: they may
// follow it, but asking them for a gradient through it is an error and not the silent zero it would be.
const OpInfo& opaque_gradient() {
    static const OpInfo info = [] {
        OpInfo op;
        op.name = "opaque_gradient";
        op.formula = "y = what a vjp without second order gave";
        op.second_order = SecondOrder::none;
        op.shape_rule = [](const void*, const Specs& in) -> Specs { return {in[0]}; };
        op.view = [](const void*, const Tensors& in) -> Tensors { return {in[0].view(in[0].shape())}; };
        op.saves = [](const void*, Needs) { return Saves(); };
        op.vjp = [](const void* attributes, const Recorded&, const Tensors&) -> Tensors {
            const OpInfo& opaque = *static_cast<const OpInfo*>(attributes);
            throw TapeError(opaque.name, str("has no second order: ", opaque.second_order_reason));
        };
        op.print = [](const void* attributes) {
            return str("of=", static_cast<const OpInfo*>(attributes)->name);
        };
        op.hash = [](const void* attributes) {
            return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(attributes));
        };
        return op;
    }();
    return info;
}

// Runs a record's vjp, opaque ones behind a barrier.
Tensors run_vjp(const Recorded& run, const Tensors& g) {
    const OpInfo& op = *run.op;
    if (op.second_order != SecondOrder::none) return op.vjp(run.attributes.get(), run, g);
    Tensors gradients = [&] {
        PauseTapes pause;
        return op.vjp(run.attributes.get(), run, g);
    }();
    Tensors read(1);
    for (const Tensor& cotangent : g)
        if (cotangent.defined()) read.push_back(cotangent);
    for (const auto* saved : {&run.inputs, &run.outputs})
        for (const SavedTensor& kept : *saved)
            if (kept.tensor.defined()) read.push_back(kept.tensor);
    for (Tensor& gradient : gradients) {
        if (!gradient.defined()) continue;
        read[0] = gradient;
        // The op outlives every record of it: descriptions are static.
        gradient = apply(opaque_gradient(), std::shared_ptr<const void>(std::shared_ptr<const void>(), &op),
                         read)[0];
    }
    return gradients;
}

}  // namespace

const Tensor& Recorded::read(const std::vector<SavedTensor>& saved, int i, const char* what) const {
    if (i >= static_cast<int>(saved.size()) || !saved[i].tensor.defined())
        throw TapeError(op->name, str("its vjp reads ", what, " ", i, ", which was not saved"),
                        "saves() must name what vjp() reads; a tape released once cannot be used again");
    if (saved[i].tensor.version() != saved[i].version)
        throw TapeError(op->name,
                        str(what, " ", i, " ", saved[i].tensor.spec(),
                            " was written to after it was recorded; "
                            "a gradient from the new values would be wrong"),
                        "take the gradient before updating in place, or write to a clone()");
    return saved[i].tensor;
}

Tensors apply(const OpInfo& op, std::shared_ptr<const void> attributes, const Tensors& inputs) {
    Device device = common_device(op, inputs);
    const Specs input_specs = specs_of(inputs);
    const bool abstract =
        std::any_of(inputs.begin(), inputs.end(), [](const Tensor& x) { return x.is_abstract(); });

    std::vector<Tape*> recording;
    bool want_gates = false;
    if (op.vjp != nullptr) {
        for (Tape* tape : tapes) {
            if (tape->walking_ || tape->number_ <= paused) continue;
            Needs needs = tape->needs_of(inputs);
            if (!needs.any()) continue;
            recording.push_back(tape);
            want_gates = want_gates || op.saves(attributes.get(), needs).has_gates();
        }
    }

    Tensors outputs, gates;
    if (op.view != nullptr) {
        op.shape_rule(attributes.get(), input_specs);
        outputs = op.view(attributes.get(), inputs);
    } else {
        Specs specs = op.shape_rule(attributes.get(), input_specs);
        const std::size_t count = specs.size();
        if (want_gates) {
            Specs more = op.gates(attributes.get(), input_specs);
            specs.insert(specs.end(), more.begin(), more.end());
        }
        for (Spec& spec : specs) spec.device = device;
        outputs = allocate(specs, abstract);
        if (!abstract) {
            KernelContext context;
            Tensor workspace;
            if (op.workspace != nullptr && device.kind == Device::Kind::cpu) {  // GPUs allocate in order
                std::size_t bytes = op.workspace(attributes.get(), input_specs);
                workspace = Tensor(Spec{{static_cast<int64_t>(bytes)}, Dtype::u8, device});
                context.workspace = {workspace.mutable_raw(), bytes};
            }
            op.forward(attributes.get(), inputs, outputs, context);
        }
        gates.assign(outputs.begin() + static_cast<std::ptrdiff_t>(count), outputs.end());
        outputs.resize(count);
    }

    for (Tape* tape : recording) tape->note(op, attributes, inputs, outputs, gates);
    for (OpObserver* observer : observers) observer->ran(op, attributes, inputs, outputs, gates);
    return outputs;
}

ObserveOps::ObserveOps(OpObserver& observer) {
    observers.push_back(&observer);
}

ObserveOps::~ObserveOps() {
    observers.pop_back();
}

Tape::Tape() : number_(++tapes_made) {
    tapes.push_back(this);
}

Tape::~Tape() {
    std::erase(tapes, this);
}

PauseTapes::PauseTapes() : paused_before_(std::exchange(paused, tapes_made)) {}

PauseTapes::~PauseTapes() {
    paused = paused_before_;
}

const Tensor& Tape::watch(const Tensor& x) {
    if (!x.defined()) throw TapeError("watch", "expected a tensor, got an undefined one");
    if (!is_floating(x.dtype()))
        throw DtypeError("watch", str("expected a floating tensor, got ", x.spec()), "cast() it to f32");
    if (variables_.emplace(x.id(), variable_count_).second) ++variable_count_;
    return x;
}

void Tape::watch(const Tensors& xs) {
    for (const Tensor& x : xs) watch(x);
}

bool Tape::follows(const Tensor& x) const {
    return variables_.contains(x.id());
}

Needs Tape::needs_of(const Tensors& inputs) const {
    Needs needs;
    for (std::size_t i = 0; i < inputs.size(); ++i)
        if (follows(inputs[i])) needs.set(static_cast<int>(i));
    return needs;
}

void Tape::note(const OpInfo& op, const std::shared_ptr<const void>& attributes, const Tensors& inputs,
                const Tensors& outputs, const Tensors& gates) {
    Record record;
    record.run.op = &op;
    record.run.attributes = attributes;
    record.run.wanted = needs_of(inputs);
    record.run.input_specs = specs_of(inputs);
    record.run.output_specs = specs_of(outputs);

    const Saves saves = op.saves(attributes.get(), record.run.wanted);
    auto keep = [](std::vector<SavedTensor>& saved, const Tensors& tensors, auto wanted) {
        saved.resize(tensors.size());
        for (std::size_t i = 0; i < tensors.size(); ++i)
            if (wanted(static_cast<int>(i))) saved[i] = {tensors[i], tensors[i].version()};
    };
    keep(record.run.inputs, inputs, [&](int i) { return saves.has_input(i); });
    keep(record.run.outputs, outputs, [&](int i) { return saves.has_output(i); });
    if (saves.has_gates()) keep(record.run.gates, gates, [](int) { return true; });

    for (const Tensor& input : inputs) {
        auto found = variables_.find(input.id());
        record.inputs.push_back(found == variables_.end() ? -1 : found->second);
    }
    record.first_output = variable_count_;
    for (const Tensor& output : outputs) variables_[output.id()] = variable_count_++;
    records_.push_back(std::move(record));
}

int Tape::variable(const Tensor& x, const char* role) const {
    if (!x.defined())
        throw TapeError("gradient", str("expected a tensor as ", role, ", got an undefined one"));
    auto found = variables_.find(x.id());
    if (found == variables_.end())
        throw TapeError(
            "gradient",
            str("expected ", role, " that this tape follows, got ", x.spec(),
                ", which depends on nothing watched"),
            "watch() the input before the first operation on it; copies made by clone(), and results of "
            "stop_gradient() and of ops without gradient, are not followed");
    return found->second;
}

Tensor Tape::gradient(const Tensor& y, const Tensor& x, After after) {
    return gradient(y, Tensors{x}, after)[0];
}

Tensors Tape::gradient(const Tensor& y, const Tensors& xs, After after) {
    if (!y.defined()) throw TapeError("gradient", "expected a tensor, got an undefined one");
    Tensor ones = Tensor::full(y.shape(), 1, y.dtype(), y.device());
    return vjp({y}, {ones}, xs, after);
}

Tensors Tape::vjp(const Tensors& ys, const Tensors& cotangents, const Tensors& xs, After after) {
    if (released_)
        throw TapeError("gradient",
                        "expected a tape whose saved tensors are there, got one that was released",
                        "pass After::keep to every backward pass but the last");
    if (ys.size() != cotangents.size())
        throw TapeError(
            "vjp", str("expected a cotangent for each of ", ys.size(), " outputs, got ", cotangents.size()));

    // Which variables depend on one of the xs? Only their gradients are computed.
    std::vector<char> depends(variable_count_, 0);
    std::vector<int> wanted;
    for (const Tensor& x : xs) {
        wanted.push_back(variable(x, "an input"));
        depends[wanted.back()] = 1;
    }
    for (const Record& record : records_) {
        bool any = std::any_of(record.inputs.begin(), record.inputs.end(),
                               [&](int v) { return v >= 0 && depends[v]; });
        for (std::size_t i = 0; any && i < record.run.output_specs.size(); ++i)
            depends[record.first_output + i] = 1;
    }

    Flag walking(walking_);
    Tensors gradients(variable_count_);
    auto accumulate = [&](int v, const Tensor& g) {
        gradients[v] = gradients[v].defined() ? gradients[v] + g : g;
    };
    for (std::size_t i = 0; i < ys.size(); ++i) {
        int v = variable(ys[i], "an output");
        if (!(cotangents[i].spec() == ys[i].spec()))
            throw ShapeError("vjp", str("expected a cotangent ", ys[i].spec(), " like output ", i, ", got ",
                                        cotangents[i].spec()));
        accumulate(v, cotangents[i]);
    }

    for (auto record = records_.rbegin(); record != records_.rend(); ++record) {
        const OpInfo& op = *record->run.op;
        if (observing_) record->gradient = {};
        Tensors g(record->run.output_specs.size());
        bool reached = false;
        for (std::size_t i = 0; i < g.size(); ++i) {
            int v = record->first_output + static_cast<int>(i);
            reached = reached || (gradients[v].defined() && depends[v]);
            g[i] = gradients[v];
            // An output's gradient is complete here; unless it was asked for, its memory is free to go.
            if (std::find(wanted.begin(), wanted.end(), v) == wanted.end()) gradients[v] = {};
        }
        if (reached) {
            if (observing_ && g[0].defined() && !g[0].is_abstract()) record->gradient = statistics(g[0]);
            // The record with the narrower wish list: only what leads to the xs.
            Needs narrow;
            for (std::size_t i = 0; i < record->inputs.size(); ++i)
                if (record->inputs[i] >= 0 && depends[record->inputs[i]]) narrow.set(static_cast<int>(i));
            const Needs all = record->run.wanted, used = all & narrow;
            record->run.wanted = used;
            Tensors input_gradients;
            try {
                input_gradients = run_vjp(record->run, g);
            } catch (...) {
                record->run.wanted = all;
                throw;
            }
            record->run.wanted = all;
            for (std::size_t i = 0; i < record->inputs.size(); ++i) {
                if (!used[static_cast<int>(i)] || i >= input_gradients.size() ||
                    !input_gradients[i].defined())
                    continue;
                if (!(input_gradients[i].spec() == record->run.input_specs[i]))
                    throw TapeError(
                        op.name, str("its vjp gave ", input_gradients[i].spec(), " as the gradient of input ",
                                     i, ", which is ", record->run.input_specs[i]));
                accumulate(record->inputs[i], input_gradients[i]);
            }
        }
        if (after == After::release) record->run.inputs = record->run.outputs = record->run.gates = {};
    }
    released_ = after == After::release;

    Tensors result;
    for (std::size_t i = 0; i < xs.size(); ++i) {
        const Tensor& g = gradients[wanted[i]];
        result.push_back(g.defined() ? g : Tensor::zeros(xs[i].shape(), xs[i].dtype(), xs[i].device()));
    }
    return result;
}

std::pair<Tensor, Tensor> jvp(const std::function<Tensor(const Tensor&)>& f, const Tensor& x,
                              const Tensor& v) {
    Tape outer;
    Tape inner;
    inner.watch(x);
    Tensor y = f(x);
    if (!inner.follows(y)) return {y, Tensor::zeros(y.shape(), y.dtype(), y.device())};
    Tensor u = Tensor::zeros(y.shape(), y.dtype(), y.device());
    outer.watch(u);
    Tensor g = inner.vjp({y}, {u}, {x})[0];  // J^T u, as a function of u
    if (!outer.follows(g)) return {y, Tensor::zeros(y.shape(), y.dtype(), y.device())};
    return {y, outer.vjp({g}, {v}, {u})[0]};
}

}  // namespace microtome
