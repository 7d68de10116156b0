#include "tensor/cuda/dnn.hpp"

#include "tensor/cuda/dnn_graph.hpp"
#include "tensor/cuda/library.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace microtome::cuda {
namespace {

using namespace cudnn;

constexpr int64_t kMostWorkspace = int64_t{1} << 30;
constexpr int64_t kWorkspaceAlignment = 256;  // what the driver's own memory has

// The padding of an axis if it may be taken for the same on both sides: where it is, or where so much behind
// makes no difference because no filter reaches it.
std::optional<int64_t> both_sides(int64_t size, int64_t before, int64_t after, int64_t taps, int64_t stride,
                                  int64_t dilation) {
    const int64_t reach = (taps - 1) * dilation + 1;
    const bool same = size + 2 * before >= reach &&
                      (size + 2 * before - reach) / stride == (size + before + after - reach) / stride;
    return same ? std::optional(before) : std::nullopt;
}

struct Operand {
    int64_t id;
    const void* data;
};

// A problem put to the library, and the plan that was made for it.
struct Prepared {
    std::vector<Owned> parts;   // what the plan was made of
    std::optional<Owned> plan;  // none where the problem was refused
    std::string refusal;        // why
    int64_t workspace = 0;
    bool has_run = false;
};

bool is_allowed(NumericalNote note, Precision precision) {
    return note == NumericalNote::strict_nan ||
           (note == NumericalNote::tensor_core && precision != Precision::f32);
}

}  // namespace

struct Dnn::Implementation {
    explicit Implementation(std::span<const std::string> files) : library(files) {
        library.find("cudnnGetVersion", functions.version);
        library.find("cudnnGetErrorString", functions.error_string);
        library.find("cudnnGetLastErrorString", functions.last_error_string);
        library.find("cudnnCreate", functions.create);
        library.find("cudnnDestroy", functions.destroy);
        library.find("cudnnSetStream", functions.set_stream);
        library.find("cudnnBackendCreateDescriptor", functions.create_descriptor);
        library.find("cudnnBackendDestroyDescriptor", functions.destroy_descriptor);
        library.find("cudnnBackendSetAttribute", functions.set_attribute);
        library.find("cudnnBackendFinalize", functions.finalize);
        library.find("cudnnBackendGetAttribute", functions.get_attribute);
        library.find("cudnnBackendExecute", functions.execute);
    }
    ~Implementation() {
        prepared.clear();
        for (auto& [device, handle] : handles)
            if (handle != nullptr) functions.destroy(handle);
    }
    Implementation(const Implementation&) = delete;
    Implementation& operator=(const Implementation&) = delete;

    // The device is the current one: its stream has been asked for. Null where the library cannot use it.
    Context* handle(int device) {
        const auto known = handles.find(device);
        if (known != handles.end()) return known->second;
        Context*& made = handles[device];
        const Status status = functions.create(&made);
        if (status != Status::success) {
            made = nullptr;
            say(str("it cannot use cuda:", device, ": ", functions.error_string(status)));
        }
        return made;
    }

    // Says why a plain kernel runs; the first reason is enough.
    void say(const std::string& reason) {
        if (!std::exchange(said, true))
            std::clog << "microtome: some convolutions run without cuDNN, which is slower: " << reason
                      << '\n';
    }
    bool refused(const Prepared* problem) {
        if (problem != nullptr) say(problem->refusal);
        return false;
    }

    // The allowed configurations among those of one mode of the heuristic, best first, as plans.
    bool choose(const Problem& problem, Context* context, const Descriptor* graph, HeuristicsMode mode,
                Prepared& result) {
        const Owned heuristics = Owned(functions, DescriptorType::heuristics)
                                     .set(Attribute::heuristics_graph, graph)
                                     .set(Attribute::heuristics_mode, ElementType::heuristics_mode, mode)
                                     .finalized();
        const int64_t most =
            heuristics.get(Attribute::heuristics_results, ElementType::descriptor, std::span<Descriptor*>());
        std::vector<Owned> configurations;
        std::vector<Descriptor*> places;
        for (int64_t i = 0; i < most; ++i) {
            configurations.emplace_back(functions, DescriptorType::engine_config);
            places.push_back(configurations.back().get());
        }
        const int64_t found = most == 0
                                  ? 0
                                  : heuristics.get(Attribute::heuristics_results, ElementType::descriptor,
                                                   std::span<Descriptor*>(places));
        for (int64_t i = 0; i < std::min(most, found); ++i) {
            Owned& configuration = configurations[static_cast<std::size_t>(i)];
            try {
                if (!allowed(configuration, problem.precision)) continue;
                Owned plan = Owned(functions, DescriptorType::plan)
                                 .set(Attribute::plan_handle, ElementType::handle, context)
                                 .set(Attribute::plan_engine_config, configuration.get())
                                 .finalized();
                int64_t workspace = 0;
                plan.get(Attribute::plan_workspace_size, ElementType::int64,
                         std::span<int64_t>(&workspace, 1));
                if (workspace > kMostWorkspace) continue;
                result.parts.push_back(std::move(configuration));
                result.plan.emplace(std::move(plan));
                result.workspace = workspace;
                return true;
            } catch (const Refusal&) {  // the heuristic promises nothing; the next one may do
            }
        }
        return false;
    }

    bool allowed(const Owned& configuration, Precision precision) const {
        const Owned engine(functions, DescriptorType::engine);
        Descriptor* place = engine.get();
        configuration.get(Attribute::engine_config_engine, ElementType::descriptor,
                          std::span<Descriptor*>(&place, 1));
        std::array<NumericalNote, 64> notes{};
        const int64_t count = engine.get(Attribute::engine_numerical_notes, ElementType::numerical_note,
                                         std::span<NumericalNote>(notes));
        const auto known = static_cast<std::size_t>(std::min<int64_t>(count, std::ssize(notes)));
        return std::all_of(notes.begin(), notes.begin() + known,
                           [&](NumericalNote note) { return is_allowed(note, precision); });
    }

    Prepared prepare(const Problem& problem, Context* context) {
        Prepared result;
        result.refusal = str("it has no allowed way for one of ", problem.n, " images of ", problem.h, "x",
                             problem.w, "x", problem.c);
        try {
            const Descriptor* graph = describe(functions, problem, context, result.parts);
            for (HeuristicsMode mode : {HeuristicsMode::a, HeuristicsMode::fallback}) try {
                    if (choose(problem, context, graph, mode, result)) return result;
                } catch (const Refusal& refusal) {
                    result.refusal = refusal.reason;
                }
        } catch (const Refusal& refusal) {
            result.refusal = refusal.reason;
        }
        result.parts.clear();
        return result;
    }

    // What the library has for a problem; null where it cannot use the device.
    Prepared* prepared_for(const Problem& problem) {
        Context* const context = handle(problem.device);
        if (context == nullptr) return nullptr;
        auto known = prepared.find(problem);
        if (known == prepared.end()) known = prepared.emplace(problem, prepare(problem, context)).first;
        return &known->second;
    }

    // False, and nothing has been done, where there is no plan or the library has thought better of it.
    bool execute(const Queue& queue, Prepared& now, std::span<const Operand> operands) {
        if (!now.plan) return false;
        const int device = queue.stream.device;
        Tensor workspace;
        std::byte* scratch_memory = nullptr;
        if (now.workspace > 0) {
            workspace = Tensor(Spec{{now.workspace + kWorkspaceAlignment},
                                    Dtype::u8,
                                    {Device::Kind::cuda, static_cast<int16_t>(device)}});
            scratch_memory = workspace.mutable_raw();
            scratch_memory +=
                kWorkspaceAlignment - reinterpret_cast<std::uintptr_t>(scratch_memory) % kWorkspaceAlignment;
        }
        std::vector<int64_t> ids;
        std::vector<const void*> pointers;
        for (const Operand& operand : operands) {
            ids.push_back(operand.id);
            pointers.push_back(operand.data);
        }
        Status status{};
        try {
            const Owned pack =
                Owned(functions, DescriptorType::variant_pack)
                    .set(Attribute::variant_pack_ids, ElementType::int64, std::span<const int64_t>(ids))
                    .set(Attribute::variant_pack_pointers, ElementType::void_pointer,
                         std::span<const void* const>(pointers))
                    .set(Attribute::variant_pack_workspace, ElementType::void_pointer, scratch_memory)
                    .finalized();
            Context* const context = handle(device);
            status = functions.set_stream(context, queue.stream.handle);
            if (status == Status::success) status = functions.execute(context, now.plan->get(), pack.get());
        } catch (const Refusal& refusal) {
            throw DeviceError("cuDNN", str("expected it to take addresses, got: ", refusal.reason));
        }
        if (status != Status::success) {
            const std::string reason = reason_of(functions, status);
            if (!is_not_supported(status) || now.has_run)
                throw DeviceError("cuDNN", str("expected it to convolve, got: ", reason));
            now.refusal = reason;
            now.plan.reset();
            return false;
        }
        now.has_run = true;
        ++calls;
        return true;
    }

    bool convolve(const Queue& queue, Kind kind, const ConvShape& shape, Precision precision,
                  const std::array<Id, 3>& ids, const Tensor& a, const Tensor& b, Tensor& y,
                  const ConvEpilogue& epilogue);

    std::mutex mutex;
    Library library;
    Functions functions{};
    std::map<int, Context*> handles;       // by device
    std::map<Problem, Prepared> prepared;  // kept for good: graphs were captured of kernels that are theirs
    int64_t calls = 0;
    bool said = false;
};

Dnn::Dnn(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Dnn::~Dnn() = default;

std::unique_ptr<Dnn> Dnn::open(std::span<const std::string> files) {
    auto implementation = std::make_unique<Implementation>(files);
    std::string problem = implementation->library.problem();
    if (problem.empty()) {
        const std::size_t version = implementation->functions.version();
        if (version / 10000 == 9) return std::unique_ptr<Dnn>(new Dnn(std::move(implementation)));
        problem = str("expected version 9, got ", version);
    }
    std::clog << "microtome: convolutions run without cuDNN, which is slower: " << problem
              << ". LD_LIBRARY_PATH says where to look\n";
    return nullptr;
}

int64_t Dnn::calls() const {
    std::lock_guard lock(implementation_->mutex);
    return implementation_->calls;
}

namespace {

// The problem as the library is told it; nothing where that cannot be.
std::optional<Problem> problem_of(const Queue& queue, Kind kind, const ConvShape& s, Precision precision) {
    if (s.n * s.h * s.w * s.c * s.o == 0) return std::nullopt;
    const auto down = both_sides(s.h, s.pad_top, s.pad_bottom, s.kh, s.stride_h, s.dilation_h),
               across = both_sides(s.w, s.pad_left, s.pad_right, s.kw, s.stride_w, s.dilation_w);
    if (!down || !across) return std::nullopt;
    Problem p;
    p.device = queue.stream.device;
    p.kind = kind;
    p.precision = precision;
    p.n = s.n, p.h = s.h, p.w = s.w, p.c = s.c;
    p.oh = s.oh, p.ow = s.ow, p.o = s.o;
    p.kh = s.kh, p.kw = s.kw, p.groups = s.groups;
    p.strides = {s.stride_h, s.stride_w};
    p.dilations = {s.dilation_h, s.dilation_w};
    p.paddings = {*down, *across};
    return p;
}

// The widest alignment that all addresses have, as far as it matters.
int64_t alignment_of(std::span<const Operand> operands) {
    int64_t alignment = kMostAlignment;
    for (const Operand& operand : operands)
        while (reinterpret_cast<std::uintptr_t>(operand.data) % static_cast<std::uintptr_t>(alignment) != 0)
            alignment /= 2;
    return alignment;
}

// x with its elements rounded to bf16.
Tensor rounded_to_bf16(const Queue& queue, const Tensor& x) {
    Tensor result(Spec{x.shape(), Dtype::bf16, x.device()});
    queue.memory().convert(queue.stream, Dtype::f32, Dtype::bf16, in<float>(x), out<bfloat16>(result),
                           x.elements());
    return result;
}

// What follows a convolution, of sums that y holds.
void finish(const Queue& queue, Tensor& y, const ConvEpilogue& epilogue) {
    const Kernels<float>& kernels = queue.backend.kernels.f32;
    float* data = out<float>(y);
    for (const Tensor* term : {&epilogue.bias, &epilogue.residual})
        if (term->defined())
            kernels.binary(queue.stream, kernels::Binary::add, broadcast(y.shape(), y.shape(), term->shape()),
                           data, in<float>(*term), data);
    if (epilogue.relu) kernels.unary(queue.stream, kernels::Unary::relu, data, data, y.elements());
}

}  // namespace

// Two factors and their result, each under the name that it has in the graph.
bool Dnn::Implementation::convolve(const Queue& queue, Kind kind, const ConvShape& shape, Precision precision,
                                   const std::array<Id, 3>& ids, const Tensor& a, const Tensor& b, Tensor& y,
                                   const ConvEpilogue& epilogue) {
    std::optional<Problem> problem = problem_of(queue, kind, shape, precision);
    if (!problem) return false;
    std::lock_guard lock(mutex);
    Prepared* now = nullptr;
    if (precision == Precision::bf16) {  // in memory of the allocator's, which is aligned
        now = prepared_for(*problem);
        if (now == nullptr || !now->plan) return refused(now);
        const Tensor left = rounded_to_bf16(queue, a), right = rounded_to_bf16(queue, b);
        Tensor sums(Spec{y.shape(), Dtype::bf16, y.device()});
        const Operand operands[] = {
            {ids[0], left.raw()}, {ids[1], right.raw()}, {ids[2], sums.mutable_raw()}};
        if (!execute(queue, *now, operands)) return refused(now);
        queue.memory().convert(queue.stream, Dtype::bf16, Dtype::f32, in<bfloat16>(sums), out<float>(y),
                               y.elements());
        finish(queue, y, epilogue);
        return true;
    }
    std::vector<Operand> operands{{ids[0], in<float>(a)}, {ids[1], in<float>(b)}, {ids[2], out<float>(y)}};
    if (epilogue.bias.defined()) {  // without one there are no compiled kernels for what follows
        Problem whole = *problem;
        std::vector<Operand> all = operands;
        all.push_back({kBias, in<float>(epilogue.bias)});
        if (epilogue.residual.defined()) all.push_back({kResidual, in<float>(epilogue.residual)});
        whole.bias = true;
        whole.residual = epilogue.residual.defined();
        whole.relu = epilogue.relu;
        whole.alignment = alignment_of(all);
        now = prepared_for(whole);
        if (now != nullptr && execute(queue, *now, all)) return true;
    }
    problem->alignment = alignment_of(operands);
    now = prepared_for(*problem);
    if (now == nullptr || !execute(queue, *now, operands)) return refused(now);
    finish(queue, y, epilogue);
    return true;
}

bool Dnn::conv2d(const Queue& queue, const ConvShape& shape, Precision precision, const Tensor& x,
                 const Tensor& w, Tensor& y, const ConvEpilogue& epilogue) {
    return implementation_->convolve(queue, Kind::forward, shape, precision, {kX, kW, kY}, x, w, y, epilogue);
}
bool Dnn::conv2d_input_gradient(const Queue& queue, const ConvShape& shape, Precision precision,
                                const Tensor& g, const Tensor& w, Tensor& dx) {
    return implementation_->convolve(queue, Kind::input_gradient, shape, precision, {kY, kW, kX}, g, w, dx,
                                     {});
}
bool Dnn::conv2d_weight_gradient(const Queue& queue, const ConvShape& shape, Precision precision,
                                 const Tensor& x, const Tensor& g, Tensor& dw) {
    return implementation_->convolve(queue, Kind::weight_gradient, shape, precision, {kX, kY, kW}, x, g, dw,
                                     {});
}

namespace {

// What the calling thread may ask for a result like y; null: nothing.
Dnn* library_for(const Queue& queue, const Tensor& y) {
    const bool wanted = product_mode().libraries && y.dtype() == Dtype::f32 && queue.backend.dnn != nullptr;
    return wanted ? queue.backend.dnn() : nullptr;
}

}  // namespace

void conv2d(const ConvShape& shape, const Tensor& x, const Tensor& w, Tensor& y,
            const ConvEpilogue& epilogue) {
    const Precision precision = product_mode().precision;
    const Queue queue = queue_of("conv2d", y, {&x, &w, &epilogue.bias, &epilogue.residual});
    if (Dnn* dnn = library_for(queue, y); dnn && dnn->conv2d(queue, shape, precision, x, w, y, epilogue))
        return;
    Tensor parts = scratch(y, conv2d_parts(shape));
    run("conv2d", y, {&x, &w}, [&](auto gpu) {
        gpu->conv2d(gpu.stream, shape, precision, gpu.in(x), gpu.in(w), gpu.out(y),
                    {gpu.in(epilogue.bias), gpu.in(epilogue.residual), epilogue.relu}, gpu.out(parts));
    });
}

void conv2d_input_gradient(const ConvShape& shape, const Tensor& g, const Tensor& w, Tensor& dx) {
    const Precision precision = product_mode().precision;
    const Queue queue = queue_of("conv2d_input_gradient", dx, {&g, &w});
    if (Dnn* dnn = library_for(queue, dx);
        dnn && dnn->conv2d_input_gradient(queue, shape, precision, g, w, dx))
        return;
    Tensor parts = scratch(dx, conv2d_input_gradient_parts(shape));
    run("conv2d_input_gradient", dx, {&g, &w}, [&](auto gpu) {
        gpu->conv2d_input_gradient(gpu.stream, shape, precision, gpu.in(g), gpu.in(w), gpu.out(dx),
                                   gpu.out(parts));
    });
}

void conv2d_weight_gradient(const ConvShape& shape, const Tensor& x, const Tensor& g, Tensor& dw) {
    const Precision precision = product_mode().precision;
    const Queue queue = queue_of("conv2d_weight_gradient", dw, {&x, &g});
    if (Dnn* dnn = library_for(queue, dw);
        dnn && dnn->conv2d_weight_gradient(queue, shape, precision, x, g, dw))
        return;
    Tensor parts = scratch(dw, conv2d_weight_gradient_parts(shape));
    run("conv2d_weight_gradient", dw, {&x, &g}, [&](auto gpu) {
        gpu->conv2d_weight_gradient(gpu.stream, shape, precision, gpu.in(x), gpu.in(g), gpu.out(dw),
                                    gpu.out(parts));
    });
}

}  // namespace microtome::cuda
