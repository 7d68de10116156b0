// A plan: a computation run once on shapes alone, then replayed without deciding anything again.
//
//     Plan plan = Plan::trace({image_spec, label_spec}, [&](const Tensors& in) -> Tensors {
//         Tape tape;
//         tape.watch(in[0]);
//         Tensor loss = cross_entropy(model(in[0]), in[1]);
//         return {loss, tape.gradient(loss, in[0])};
//     });
//     for (...) Tensors loss_and_gradient = plan.run({images, labels});
//
// The function is ordinary code, tape included; there is no second front end. It is called once with abstract
// tensors, and the ops it runs, those of the backward pass among them, are noted. What depends on no input
// (the weights' share of a batch norm, say) is calculated then and there. What leads to no result is dropped.
// The rest gets a place in one block of memory, chosen so that values that do not live at the same time share
// it, and run() calls the same kernels on the same arguments as the tape would: the bits are the same.
//
// A plan holds the weights it was traced with by reference. It notices when one of them was written to since
// and refuses to run, because what it calculated from them in advance no longer holds.
//
// What is not an op cannot be replayed: a function that looks at elements (data(), item()) or branches on
// them fails while tracing, since abstract tensors have none, and what it does besides its result, like a
// batch norm in train mode that updates its running statistics, happens in the trace and not again.
#pragma once

#include "autograd/op.hpp"

#include <functional>
#include <iosfwd>

namespace microtome {

namespace plan {
struct Graph;
struct Placement;
}  // namespace plan

class Plan {
  public:
    using Function = std::function<Tensors(const Tensors&)>;

    // Throws whatever `function` throws on such inputs.
    static Plan trace(const Specs& inputs, const Function& function);

    // The results for these inputs. Throws ShapeError when their specs are not the traced ones, TapeError
    // when a tensor that the trace used has been written to since.
    Tensors run(const Tensors& inputs);

    // The same without the copies: write the inputs, replay, read the results in place. They are good until
    // the next replay.
    Tensor& input(int i);
    void replay();
    const Tensor& result(int i) const;

    int64_t steps() const;
    std::size_t arena_bytes() const;      // all values of a run together
    std::size_t value_bytes() const;      // what they would take without sharing
    void print(std::ostream& out) const;  // a line a step: op, attributes, shapes, places

  private:
    Plan() = default;
    void allocate_workspace();

    std::shared_ptr<const plan::Graph> graph_;
    std::shared_ptr<const plan::Placement> placement_;
    Tensors tensors_;  // by value, in the arena or a constant
    Tensor workspace_;
    int workspace_threads_ = 0;
};

}  // namespace microtome
