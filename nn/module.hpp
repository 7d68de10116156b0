// Module: a function of a tensor with parameters, made of other modules.
//
//     class TwoLayers : public Module {
//         std::string_view kind() const override { return "TwoLayers"; }
//         Tensor forward(const Tensor& x, const Pass& pass) override {
//             return second_(relu(first_(x, pass)), pass);
//         }
//         Linear& first_ = add<Linear>("first", 784, 64);  // parameters first.weight and first.bias
//         Linear& second_ = add<Linear>("second", 64, 10);
//     };
//
//     TwoLayers model;
//     model.initialize(seed);
//     model.train();
//     Sgd optimizer(model, {.learning_rate = 0.1});
//
//     Tape tape;
//     tape.watch(model.parameters());
//     Tensor loss = mean(cross_entropy(model(x), y));
//     optimizer.step(tape.gradient(loss, model.parameters()));
//
// A new module is in eval mode, because nothing about a model may change unless somebody asked for it; it has
// shapes but no numbers until initialize() or load() gives it some. Names, of parameters and of layers, are
// PyTorch's, and so are the layouts that state() and load() speak.
#pragma once

#include "nn/initializers.hpp"
#include "tensor/tensor.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microtome {

// How the elements lie in a file, where PyTorch decides, compared with in memory.
enum class DiskLayout {
    same,
    channels_first,  // (O, H, W, C) here, (O, C, H, W) there
};

// Something a module owns: a weight, which an optimizer changes, or a buffer, which the module itself does.
// Held by pointer, so that two modules can share one.
struct Parameter {
    enum class Kind { weight, buffer };

    Tensor value;  // abstract until it is given elements
    Initializer initializer;
    Kind kind = Kind::weight;
    bool frozen = false;
    DiskLayout layout = DiskLayout::same;
    Shape images;  // (O, H, W, C) as which a matrix is laid out in files; rank 0: its own shape
};

struct NamedParameter {
    std::string name;  // the dotted path from the root
    std::shared_ptr<Parameter> parameter;
};

struct NamedTensor {
    std::string name;
    Tensor tensor;
};
using NamedTensors = std::vector<NamedTensor>;

class Module;

// What one run of a model is told besides its input. Everything random in a run (dropout, drop path) depends
// on the seed, the step, the restart and each sample's own id, so the same pass gives the same numbers in
// whatever batch an image sits.
struct Pass {
    uint64_t seed = 0;
    int64_t step = -1;           // -1: not said, and then a module that draws refuses to
    int64_t restart = 0;         // of an attack
    std::vector<int64_t> ids{};  // one per sample; empty: their places in the batch

    // The same as tensors, so that they can be inputs of a plan and differ from replay to replay. Where they
    // are given, they count.
    Tensor key{};         // i64 (4) from key_tensor(), for seed, step and restart; its purpose is not used
    Tensor sample_ids{};  // i64 (N)

    // Called before each module runs and after it has, inner modules in between.
    std::function<void(const Module&, const Tensor& x)> before{};
    std::function<void(const Module&, const Tensor& x, const Tensor& y)> after{};
};

class Module {
  public:
    Module() = default;
    virtual ~Module() = default;
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    Tensor operator()(const Tensor& x, const Pass& pass = {});
    virtual std::string_view kind() const = 0;          // "Conv2d": the layer's name in PyTorch
    virtual std::string options() const { return ""; }  // "3x3, 32 to 64": for summaries and messages

    // Train mode turns dropout on and lets batch norm use and record the batch's own statistics. Reaches all
    // modules below, as do the members that follow.
    void train(bool on = true);
    void eval() { train(false); }
    bool training() const { return training_; }

    // Freezes (or thaws) each weight and buffer whose name the pattern (nn/pattern.hpp) covers: it gets no
    // gradient, no update, and a frozen batch norm uses its running statistics in train mode too. Throws
    // OptionsError when the pattern covers nothing.
    void freeze(std::string_view pattern, bool frozen = true);

    // The weights that are not frozen: what a tape watches and an optimizer updates, always in this order,
    // which is that of declaration.
    Tensors parameters() const;
    std::vector<NamedParameter> trainable() const;
    // All of them, weights and buffers.
    std::vector<NamedParameter> named_parameters() const;
    // This module, under "", and all below it.
    std::vector<std::pair<std::string, Module*>> named_modules() const;
    int64_t parameter_count() const;  // elements of weights and buffers, as Keras counts
    int64_t trainable_count() const;

    // Gives every weight and buffer its first value.
    void initialize(uint64_t seed);
    // f32 to f64 and back.
    void convert(Dtype dtype);
    // Moves every weight and buffer, as new tensors: before an optimizer's first step, and not while a tape
    // or plan looks at them. Inputs have to be on the same device then.
    void to(Device device);
    // Where they are; a module without any is on the CPU.
    Device device() const;

    // Names and values as they are in files: PyTorch's names, PyTorch's layouts, copies on the CPU.
    NamedTensors state() const;
    // Takes over such values, all or none. Throws FormatError naming the key that is missing, left over, or
    // of another shape or type, with what was expected and what came; `where`: the file that they are from.
    void load(const NamedTensors& state, std::string_view where = "load");

  protected:
    virtual Tensor forward(const Tensor& x, const Pass& pass) = 0;

    template <class M, class... Args>
    M& add(std::string name, Args&&... args) {
        auto module = std::make_shared<M>(std::forward<Args>(args)...);
        M& result = *module;
        add_module(std::move(name), std::move(module));
        return result;
    }
    void add_module(std::string name, std::shared_ptr<Module> module);
    Parameter& add_weight(std::string name, const Shape& shape, const Initializer& initializer,
                          DiskLayout layout = DiskLayout::same, const Shape& images = {});
    Parameter& add_buffer(std::string name, const Shape& shape, const Initializer& initializer);

    // The dotted path from the root: what a layer that draws random numbers is known by.
    const std::string& path() const { return path_; }

  private:
    std::string path_;
    std::vector<std::pair<std::string, std::shared_ptr<Parameter>>> own_;
    std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
    bool training_ = false;
};

// A tensor between the layout in memory and that in files; the one place that knows both.
Tensor to_disk(const Tensor& value, const Parameter& parameter);
Tensor from_disk(const Tensor& value, const Parameter& parameter);

}  // namespace microtome
