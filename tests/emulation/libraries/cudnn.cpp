// A stand-in for libcudnn: the functions that tensor/cuda/dnn.cpp calls, as NVIDIA's manual and header
// describe them, on the memory of the emulated device. It refuses what they say is refused, and where they
// leave something open it does what would hurt a caller most: virtual tensors have no memory, what nobody
// wrote is NaN, workspace is overwritten, engines that a caller should not choose come first, one of them
// differs from run to run, and some problems are refused late.
#include "tests/emulation/libraries/cudnn_node.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace microtome::cuda::cudnn {

struct Context {
    bool has_stream = false;
};

namespace {

std::mutex mutex;
std::set<const void*> alive;  // handles and descriptors
thread_local std::string message;

Status fail(Status status, std::string why) {
    message = std::move(why);
    return status;
}

// What belongs to a descriptor: its elements' type and their number, and whether it has to be set.
struct Rule {
    ElementType type;
    int64_t least, most;
    bool required;
};
using Rules = std::map<Attribute, Rule>;

const Rules& rules_of(DescriptorType type) {
    using A = Attribute;
    using E = ElementType;
    constexpr int64_t kMany = 64, kAxes = 8;
    static const std::map<DescriptorType, Rules> all{
        {DescriptorType::pointwise,
         {{A::pointwise_mode, {E::pointwise_mode, 1, 1, true}},
          {A::pointwise_precision, {E::data_type, 1, 1, true}},
          {A::pointwise_nan, {E::nan_propagation, 1, 1, false}}}},
        {DescriptorType::convolution,
         {{A::convolution_precision, {E::data_type, 1, 1, true}},
          {A::convolution_mode, {E::convolution_mode, 1, 1, true}},
          {A::convolution_spatial_dims, {E::int64, 1, 1, true}},
          {A::convolution_dilations, {E::int64, 1, kAxes, true}},
          {A::convolution_strides, {E::int64, 1, kAxes, true}},
          {A::convolution_pre_paddings, {E::int64, 1, kAxes, true}},
          {A::convolution_post_paddings, {E::int64, 1, kAxes, true}}}},
        {DescriptorType::engine, {}},
        {DescriptorType::engine_config, {}},
        {DescriptorType::heuristics,
         {{A::heuristics_graph, {E::descriptor, 1, 1, true}},
          {A::heuristics_mode, {E::heuristics_mode, 1, 1, true}}}},
        {DescriptorType::plan,
         {{A::plan_handle, {E::handle, 1, 1, true}}, {A::plan_engine_config, {E::descriptor, 1, 1, true}}}},
        {DescriptorType::forward,
         {{A::forward_alpha, {E::float32, 1, 1, true}},
          {A::forward_beta, {E::float32, 1, 1, true}},
          {A::forward_convolution, {E::descriptor, 1, 1, true}},
          {A::forward_w, {E::descriptor, 1, 1, true}},
          {A::forward_x, {E::descriptor, 1, 1, true}},
          {A::forward_y, {E::descriptor, 1, 1, true}}}},
        {DescriptorType::input_gradient,
         {{A::input_gradient_alpha, {E::float32, 1, 1, true}},
          {A::input_gradient_beta, {E::float32, 1, 1, true}},
          {A::input_gradient_convolution, {E::descriptor, 1, 1, true}},
          {A::input_gradient_w, {E::descriptor, 1, 1, true}},
          {A::input_gradient_dx, {E::descriptor, 1, 1, true}},
          {A::input_gradient_dy, {E::descriptor, 1, 1, true}}}},
        {DescriptorType::weight_gradient,
         {{A::weight_gradient_alpha, {E::float32, 1, 1, true}},
          {A::weight_gradient_beta, {E::float32, 1, 1, true}},
          {A::weight_gradient_convolution, {E::descriptor, 1, 1, true}},
          {A::weight_gradient_dw, {E::descriptor, 1, 1, true}},
          {A::weight_gradient_x, {E::descriptor, 1, 1, true}},
          {A::weight_gradient_dy, {E::descriptor, 1, 1, true}}}},
        {DescriptorType::pointwise_operation,
         {{A::pointwise_operation_descriptor, {E::descriptor, 1, 1, true}},
          {A::pointwise_operation_x, {E::descriptor, 1, 1, true}},
          {A::pointwise_operation_b, {E::descriptor, 1, 1, false}},
          {A::pointwise_operation_y, {E::descriptor, 1, 1, true}}}},
        {DescriptorType::graph,
         {{A::graph_handle, {E::handle, 1, 1, true}},
          {A::graph_operations, {E::descriptor, 1, kMany, true}}}},
        {DescriptorType::variant_pack,
         {{A::variant_pack_ids, {E::int64, 0, kMany, true}},
          {A::variant_pack_pointers, {E::void_pointer, 0, kMany, true}},
          {A::variant_pack_workspace, {E::void_pointer, 1, 1, true}}}},
        {DescriptorType::tensor,
         {{A::tensor_alignment, {E::int64, 1, 1, true}},
          {A::tensor_type, {E::data_type, 1, 1, true}},
          {A::tensor_dimensions, {E::int64, 1, kAxes, true}},
          {A::tensor_strides, {E::int64, 1, kAxes, true}},
          {A::tensor_id, {E::int64, 1, 1, true}},
          {A::tensor_is_virtual, {E::boolean, 1, 1, false}}}},
    };
    static const Rules none;
    const auto found = all.find(type);
    return found == all.end() ? none : found->second;
}

std::size_t size_of(ElementType type) {
    switch (type) {
        case ElementType::boolean: return 1;
        case ElementType::handle:
        case ElementType::int64:
        case ElementType::void_pointer:
        case ElementType::descriptor: return 8;
        default: return 4;
    }
}

bool lives(const void* x) {
    return alive.contains(x);
}

Status check_operation(const Convolution& c) {
    const auto dx = c.x->dimensions(), dw = c.w->dimensions(), dy = c.y->dimensions();
    for (const Node* tensor : {c.how, c.x, c.w, c.y})
        if (tensor == c.how ? tensor->type != DescriptorType::convolution
                            : tensor->type != DescriptorType::tensor || tensor->dimensions().size() != 4)
            return fail(Status::bad_param, "an operand of another kind");
    if (dx[0] != dy[0] || dw[0] != dy[1] || dx[1] % dw[1] != 0 || dw[0] % (dx[1] / dw[1]) != 0)
        return fail(Status::bad_param_shape_mismatch, "images, channels or groups");
    for (std::size_t i = 0; i < 2; ++i) {
        const int64_t reach = (dw[2 + i] - 1) * c.axis(Attribute::convolution_dilations, i) + 1,
                      room = dx[2 + i] + c.axis(Attribute::convolution_pre_paddings, i) +
                             c.axis(Attribute::convolution_post_paddings, i) - reach;
        if (room < 0 || room / c.axis(Attribute::convolution_strides, i) + 1 != dy[2 + i])
            return fail(Status::bad_param_shape_mismatch, "height or width of the response");
    }
    return Status::success;
}

Status check_tensor(const Node& tensor) {
    const auto d = tensor.dimensions(), s = tensor.strides();
    if (d.size() != s.size() || std::any_of(d.begin(), d.end(), [](int64_t v) { return v < 1; }) ||
        std::any_of(s.begin(), s.end(), [](int64_t v) { return v < 1; }))
        return fail(Status::bad_param, "a dimension or stride that is not positive");
    const int64_t size = tensor.data_type() == DataType::bf16 ? 2 : 4,
                  alignment = tensor.one<int64_t>(Attribute::tensor_alignment);
    if (alignment < 1 || alignment % size != 0)
        return fail(Status::bad_param, "an alignment that is not a multiple of an element");
    return Status::success;
}

Status check_convolution(const Node& how) {
    const auto axes = static_cast<std::size_t>(how.one<int64_t>(Attribute::convolution_spatial_dims));
    for (Attribute name : {Attribute::convolution_dilations, Attribute::convolution_strides,
                           Attribute::convolution_pre_paddings, Attribute::convolution_post_paddings})
        if (how.all<int64_t>(name).size() != axes)
            return fail(Status::bad_param, "other spatial dimensions than were said");
    return Status::success;
}

Status check_pointwise(const Node& operation) {
    const bool binary = operation.node(Attribute::pointwise_operation_descriptor)
                            .one<PointwiseMode>(Attribute::pointwise_mode) == PointwiseMode::add;
    if (binary != operation.has(Attribute::pointwise_operation_b))
        return fail(Status::bad_param, "a second operand where none belongs, or none");
    const auto x = operation.node(Attribute::pointwise_operation_x).dimensions(),
               y = operation.node(Attribute::pointwise_operation_y).dimensions();
    if (x != y) return fail(Status::bad_param, "a result of another shape");
    if (!binary) return Status::success;
    const auto b = operation.node(Attribute::pointwise_operation_b).dimensions();
    for (std::size_t i = 0; i < y.size(); ++i)
        if (b.size() != y.size() || (b[i] != y[i] && b[i] != 1))
            return fail(Status::bad_param, "an operand that cannot be broadcast");
    return Status::success;
}

// One convolution, and behind a forward one, in this order: a residual, a bias, a ReLU. Virtual tensors lead
// from each to the next.
Status check_graph(const Node& graph) {
    const auto operations = graph.all<const Node*>(Attribute::graph_operations);
    if (!lives(graph.one<const void*>(Attribute::graph_handle))) return fail(Status::bad_param, "no handle");
    if (!Convolution::is(*operations[0])) return fail(Status{3001}, "no convolution first");
    const Convolution convolution(*operations[0]);
    if (operations.size() > 1 && operations[0]->type != DescriptorType::forward)
        return fail(Status{3001}, "a gradient with something behind it");
    const Node* last = convolution.result;
    std::vector<const Node*> tensors{convolution.x, convolution.w, convolution.y};
    int stage = 0;
    for (std::size_t i = 1; i < operations.size(); ++i) {
        const Node& operation = *operations[i];
        if (operation.type != DescriptorType::pointwise_operation) return fail(Status{3001}, "no pointwise");
        if (&operation.node(Attribute::pointwise_operation_x) != last || !last->is_virtual())
            return fail(Status{3001}, "not one behind the other");
        last = &operation.node(Attribute::pointwise_operation_y);
        tensors.push_back(last);
        int next = 3;
        if (operation.has(Attribute::pointwise_operation_b)) {
            tensors.push_back(&operation.node(Attribute::pointwise_operation_b));
            if (tensors.back()->is_virtual()) return fail(Status{3001}, "an operand from nowhere");
            next = tensors.back()->dimensions() == last->dimensions() && stage == 0 ? 1 : 2;
        }
        if (next <= stage) return fail(Status{3001}, "an order that there is no kernel for");
        stage = next;
    }
    std::set<int64_t> ids;
    for (const Node* tensor : tensors)
        if (!ids.insert(tensor->id()).second) return fail(Status::bad_param, "two tensors of one name");
    if (last->is_virtual()) return fail(Status::bad_param, "a result without memory");
    return Status::success;
}

Status check_pack(const Node& pack) {
    const auto ids = pack.all<int64_t>(Attribute::variant_pack_ids);
    const auto pointers = pack.all<const void*>(Attribute::variant_pack_pointers);
    if (ids.size() != pointers.size() || std::set<int64_t>(ids.begin(), ids.end()).size() != ids.size())
        return fail(Status::bad_param, "names that are not one for each address");
    return Status::success;
}

// The engines that a mode lists, for what they say they can do.
std::vector<int64_t> engines_for(const Node& heuristics) {
    const Node& graph = heuristics.node(Attribute::heuristics_graph);
    const Convolution c(*graph.all<const Node*>(Attribute::graph_operations)[0]);
    for (const Node* tensor : {c.x, c.w, c.y})
        if (!tensor->is_packed()) return {};
    if (c.x->data_type() != c.w->data_type() || (!c.y->is_virtual() && c.x->data_type() != c.y->data_type()))
        return {};
    if (c.axis(Attribute::convolution_dilations, 0) > 3) return {};
    // There are kernels for what follows a convolution if a bias is part of it, and not for every shape.
    const auto operations = graph.all<const Node*>(Attribute::graph_operations);
    const bool has_bias = std::any_of(operations.begin(), operations.end(), [&](const Node* operation) {
        return operation->has(Attribute::pointwise_operation_b) &&
               operation->node(Attribute::pointwise_operation_b).dimensions()[0] == 1;
    });
    if (operations.size() > 1 && (!has_bias || c.x->dimensions()[1] == 5)) return {};
    const bool grouped = c.x->dimensions()[1] != c.w->dimensions()[1];
    if (heuristics.one<HeuristicsMode>(Attribute::heuristics_mode) == HeuristicsMode::fallback)
        return {kWinograd, kPlain};
    if (grouped) return {kNondeterministic, kUnavailable};
    return {kNondeterministic, kWinograd, kDownConverting, kGreedy, kUnavailable, kTensorCore, kPlain};
}

int64_t workspace_of(const Node& plan) {
    if (plan.engine == kGreedy) return int64_t{1} << 40;
    return plan.graph->all<const Node*>(Attribute::graph_operations).size() > 1 ? 0 : 333;
}

Status check(const Node& node) {
    for (const auto& [name, rule] : rules_of(node.type))
        if (rule.required && !node.has(name)) return fail(Status::bad_param, "an attribute that was not set");
    switch (node.type) {
        case DescriptorType::tensor: return check_tensor(node);
        case DescriptorType::convolution: return check_convolution(node);
        case DescriptorType::forward:
        case DescriptorType::input_gradient:
        case DescriptorType::weight_gradient: return check_operation(Convolution(node));
        case DescriptorType::pointwise_operation: return check_pointwise(node);
        case DescriptorType::graph: return check_graph(node);
        case DescriptorType::variant_pack: return check_pack(node);
        case DescriptorType::engine:
        case DescriptorType::engine_config:
            return fail(Status::not_supported, "engines come from the heuristic here");
        default: return Status::success;
    }
}

// Fills descriptors that the caller has created.
Status give(const std::vector<Node>& nodes, int64_t room, int64_t* found, void* elements) {
    if (room == 0) {
        *found = static_cast<int64_t>(nodes.size()) + 1;  // never less than there are
        return Status::success;
    }
    const int64_t count = std::min<int64_t>(room, static_cast<int64_t>(nodes.size()));
    Node* const* places = static_cast<Node**>(elements);
    for (int64_t i = 0; i < count; ++i) {
        const Node& node = nodes[static_cast<std::size_t>(i)];
        if (!lives(places[i]) || places[i]->finalized || places[i]->type != node.type)
            return fail(Status::bad_param, "no room for a descriptor");
        *places[i] = node;
    }
    *found = count;
    return Status::success;
}

template <class T>
Status give(const std::vector<T>& values, int64_t room, int64_t* found, void* elements) {
    *found = static_cast<int64_t>(values.size());
    if (room < *found) return fail(Status::bad_param_size_insufficient, "too little room");
    std::copy(values.begin(), values.end(), static_cast<T*>(elements));
    return Status::success;
}

}  // namespace

// Of handles and descriptors that were made and not destroyed: for tests.
extern "C" int64_t stand_in_alive() {
    std::lock_guard lock(mutex);
    return static_cast<int64_t>(alive.size());
}

extern "C" {

std::size_t cudnnGetVersion() {
    return 90000;
}
const char* cudnnGetErrorString(Status status) {
    return is_not_supported(status) ? "NOT_SUPPORTED" : "BAD_PARAM";
}
void cudnnGetLastErrorString(char* text, std::size_t size) {
    if (size == 0) return;
    const std::size_t length = std::min(size - 1, message.size());
    std::memcpy(text, message.data(), length);
    text[length] = 0;
}

Status cudnnCreate(Context** handle) {
    std::lock_guard lock(mutex);
    if (handle == nullptr) return fail(Status::bad_param_null_pointer, "handle");
    *handle = new Context;
    alive.insert(*handle);
    return Status::success;
}
Status cudnnDestroy(Context* handle) {
    std::lock_guard lock(mutex);
    if (alive.erase(handle) == 0) return fail(Status::bad_param, "handle");
    delete handle;
    return Status::success;
}
Status cudnnSetStream(Context* handle, void*) {
    std::lock_guard lock(mutex);
    if (!lives(handle)) return fail(Status::bad_param, "handle");
    handle->has_stream = true;
    return Status::success;
}

Status cudnnBackendCreateDescriptor(DescriptorType type, Descriptor** descriptor) {
    std::lock_guard lock(mutex);
    if (descriptor == nullptr) return fail(Status::bad_param_null_pointer, "descriptor");
    auto* node = new Node{type};
    alive.insert(node);
    *descriptor = node;
    return Status::success;
}
Status cudnnBackendDestroyDescriptor(Descriptor* descriptor) {
    std::lock_guard lock(mutex);
    if (alive.erase(descriptor) == 0) return fail(Status::bad_param, "descriptor");
    delete static_cast<Node*>(descriptor);
    return Status::success;
}
Status cudnnBackendSetAttribute(Descriptor* descriptor, Attribute name, ElementType type, int64_t count,
                                const void* elements) {
    std::lock_guard lock(mutex);
    if (!lives(descriptor)) return fail(Status::bad_param_null_pointer, "descriptor");
    Node& node = *static_cast<Node*>(descriptor);
    if (node.finalized) return fail(Status::bad_param, "a descriptor that is finalized");
    const Rules& rules = rules_of(node.type);
    const auto rule = rules.find(name);
    if (rule == rules.end()) return fail(Status::bad_param, "an attribute of another descriptor");
    if (type != rule->second.type) return fail(Status::bad_param_attribute_type, "elements");
    if (count < rule->second.least || count > rule->second.most)
        return fail(Status::bad_param, "the number of elements");
    if (elements == nullptr && count > 0) return fail(Status::bad_param_null_pointer, "elements");
    const auto* bytes = static_cast<const std::byte*>(elements);
    std::vector<std::byte> value(bytes, bytes + static_cast<std::size_t>(count) * size_of(type));
    node.values[name] = std::move(value);
    if (type == ElementType::descriptor)
        for (const Node* other : node.all<const Node*>(name))
            if (!lives(other) || !other->finalized) {
                node.values.erase(name);
                return fail(Status::bad_param_not_finalized, "a descriptor that is not finalized");
            }
    return Status::success;
}
Status cudnnBackendFinalize(Descriptor* descriptor) {
    std::lock_guard lock(mutex);
    if (!lives(descriptor)) return fail(Status::bad_param_null_pointer, "descriptor");
    Node& node = *static_cast<Node*>(descriptor);
    if (const Status status = check(node); status != Status::success) return status;
    if (node.type == DescriptorType::plan) {
        const Node& configuration = node.node(Attribute::plan_engine_config);
        if (configuration.engine == kUnavailable) return fail(Status{3008}, "something is missing");
        node.graph = configuration.graph;
        node.engine = configuration.engine;
    }
    node.finalized = true;
    return Status::success;
}
Status cudnnBackendGetAttribute(Descriptor* descriptor, Attribute name, ElementType type, int64_t room,
                                int64_t* found, void* elements) {
    std::lock_guard lock(mutex);
    if (!lives(descriptor) || found == nullptr || (room > 0 && elements == nullptr))
        return fail(Status::bad_param_null_pointer, "get");
    const Node& node = *static_cast<const Node*>(descriptor);
    if (!node.finalized) return fail(Status::bad_param_not_finalized, "get");
    if (node.type == DescriptorType::heuristics && name == Attribute::heuristics_results &&
        type == ElementType::descriptor) {
        std::vector<Node> configurations;
        for (int64_t engine : engines_for(node))
            configurations.push_back(
                {DescriptorType::engine_config, true, {}, &node.node(Attribute::heuristics_graph), engine});
        return give(configurations, room, found, elements);
    }
    if (node.type == DescriptorType::engine_config && name == Attribute::engine_config_engine &&
        type == ElementType::descriptor)
        return give(std::vector<Node>{{DescriptorType::engine, true, {}, node.graph, node.engine}}, room,
                    found, elements);
    if (node.type == DescriptorType::engine && name == Attribute::engine_numerical_notes &&
        type == ElementType::numerical_note)
        return give(notes_of(node.engine), room, found, elements);
    if (node.type == DescriptorType::plan && name == Attribute::plan_workspace_size &&
        type == ElementType::int64)
        return give(std::vector<int64_t>{workspace_of(node)}, room, found, elements);
    return fail(Status::bad_param, "an attribute that cannot be got");
}
Status cudnnBackendExecute(Context* handle, Descriptor* descriptor, Descriptor* variant_pack) {
    std::lock_guard lock(mutex);
    if (!lives(handle) || !lives(descriptor) || !lives(variant_pack))
        return fail(Status::bad_param_null_pointer, "execute");
    const Node &plan = *static_cast<Node*>(descriptor), &pack = *static_cast<Node*>(variant_pack);
    if (plan.type != DescriptorType::plan || pack.type != DescriptorType::variant_pack || !plan.finalized ||
        !pack.finalized)
        return fail(Status::bad_param_not_finalized, "execute");
    if (plan.one<Context*>(Attribute::plan_handle) != handle)
        return fail(Status::bad_param, "the plan of another handle");
    if (!handle->has_stream) return fail(Status::execution_failed, "work for a stream that nobody waits for");
    if (workspace_of(plan) > 0 && pack.one<const void*>(Attribute::variant_pack_workspace) == nullptr)
        return fail(Status::bad_param_null_pointer, "workspace");
    if (reinterpret_cast<std::uintptr_t>(pack.one<const void*>(Attribute::variant_pack_workspace)) % 256 != 0)
        return fail(Status::bad_param_misaligned_pointer, "workspace");
    // Every tensor with memory has its address, aligned as was promised; nothing else has one.
    std::set<const Node*> tensors;
    for (const Node* operation : plan.graph->all<const Node*>(Attribute::graph_operations))
        for (const auto& [name, rule] : rules_of(operation->type))
            if (rule.type == ElementType::descriptor && operation->has(name))
                if (const Node& part = operation->node(name);
                    part.type == DescriptorType::tensor && !part.is_virtual())
                    tensors.insert(&part);
    const auto ids = pack.all<int64_t>(Attribute::variant_pack_ids);
    const auto pointers = pack.all<const void*>(Attribute::variant_pack_pointers);
    if (ids.size() != tensors.size()) return fail(Status::bad_param, "addresses for other tensors");
    for (const Node* tensor : tensors) {
        const auto place = std::find(ids.begin(), ids.end(), tensor->id());
        if (place == ids.end()) return fail(Status::bad_param, "a tensor without an address");
        const void* address = pointers[static_cast<std::size_t>(place - ids.begin())];
        if (address == nullptr) return fail(Status::bad_param_null_pointer, "address");
        if (reinterpret_cast<std::uintptr_t>(address) %
                static_cast<std::uintptr_t>(tensor->one<int64_t>(Attribute::tensor_alignment)) !=
            0)
            return fail(Status::bad_param_misaligned_pointer, "address");
    }
    const Convolution c(*plan.graph->all<const Node*>(Attribute::graph_operations)[0]);
    if (c.w->dimensions()[2] == 5) return fail(Status{3012}, "five rows of taps, which are found out late");
    execute(plan, pack, workspace_of(plan));
    return Status::success;
}

}  // extern "C"
}  // namespace microtome::cuda::cudnn
