// The tape: a record of which operations made which results from which inputs, walked backwards for
// gradients.
//
//     Tape tape;
//     Tensor x = tape.watch(image);                 // what we want the gradient of
//     Tensor loss = cross_entropy(model(x), label); // ordinary code; the tape takes notes
//     Tensor g = tape.gradient(loss, x);            // the attack's raw material
//
// Nothing is recorded outside a tape. Inside one, an op is recorded only if it depends on something watched,
// and what its vjp will want is decided at that moment: an attack, which watches the image, saves nothing for
// weight gradients and computes none; training, which watches the weights, never makes the gradient of its
// images.
//
// Tapes nest. While an inner tape computes a gradient, an outer one records that computation if it depends on
// what the outer one watches, so its gradient can be taken in turn, to any order.
//
// A tape belongs to the thread that made it.
#pragma once

#include "autograd/op.hpp"

#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace microtome {

// What flowed back through a record's first output in the last backward pass.
struct GradientStatistics {
    bool reached = false;    // false: no gradient came this way
    double norm = 0;         // Euclidean
    double largest = 0;      // max |g|
    double zero_share = 0;   // elements that are exactly 0, as a share of all
    int64_t not_finite = 0;  // NaN or infinite elements
};

class Tape {
  public:
    struct Record {
        Recorded run;
        std::vector<int> inputs;  // each input's variable on this tape; -1: not followed
        int first_output = 0;     // variables first_output, first_output + 1, ... are the outputs
        GradientStatistics gradient;
    };

    enum class After { keep, release };  // whether saved tensors stay once a backward pass has used them

    Tape();
    ~Tape();
    Tape(const Tape&) = delete;
    Tape& operator=(const Tape&) = delete;

    // Follows x from here on and returns it. Throws DtypeError unless x is floating.
    const Tensor& watch(const Tensor& x);
    void watch(const Tensors& xs);
    bool follows(const Tensor& x) const;

    // d(sum of y's elements)/dx, of x's shape: for per-sample losses y of shape (N) each image's own
    // gradient. Zeros when y does not depend on x. Throws TapeError when x is not followed, or y depends on
    // nothing that is, which is nearly always a mistake (a model run before the tape began, a stop_gradient
    // too many).
    Tensor gradient(const Tensor& y, const Tensor& x, After after = After::keep);
    Tensors gradient(const Tensor& y, const Tensors& xs, After after = After::keep);

    // The same with a cotangent for each output: sum over outputs of cotangent^T dy/dx. May be called again
    // and again on one tape (rows of a Jacobian) unless it was released.
    Tensors vjp(const Tensors& ys, const Tensors& cotangents, const Tensors& xs, After after = After::keep);

    // Collect each record's GradientStatistics during backward passes. Off by default: it reads every
    // gradient.
    void observe_gradients(bool on) { observing_ = on; }

    std::span<const Record> records() const { return records_; }
    std::size_t saved_bytes() const;  // of the distinct storages kept for the vjps

    // The tape for people and programs: one line, node or object a record, with op, attributes, shapes, what
    // is saved, and the gradient's statistics once observed.
    void print(std::ostream& out) const;
    void print_dot(std::ostream& out) const;  // for Graphviz
    void print_json(std::ostream& out) const;

  private:
    friend Tensors apply(const OpInfo&, std::shared_ptr<const void>, const Tensors&);
    Needs needs_of(const Tensors& inputs) const;
    void note(const OpInfo& op, const std::shared_ptr<const void>& attributes, const Tensors& inputs,
              const Tensors& outputs, const Tensors& gates);
    int variable(const Tensor& x, const char* role) const;

    const uint64_t number_;  // of the tapes this thread has made, from 1
    std::vector<Record> records_;
    std::unordered_map<uint64_t, int> variables_;  // a tensor's id to its variable
    int variable_count_ = 0;
    bool walking_ = false;  // this tape does not record its own backward pass
    bool observing_ = false;
    bool released_ = false;
};

// While one of these is in scope, nothing is recorded on the tapes that were there before it. A tape made
// inside records as always: what calculates gradients for itself, like the vjp of a fused op, does not notice
// a pause around it.
class PauseTapes {
  public:
    PauseTapes();
    ~PauseTapes();
    PauseTapes(const PauseTapes&) = delete;
    PauseTapes& operator=(const PauseTapes&) = delete;

  private:
    const uint64_t paused_before_;
};

// y = f(x) and the directional derivative J v, by reverse mode twice: u -> J^T u is linear, and the transpose
// of that linear map is J. Throws TapeError where an op inside f has no second order.
std::pair<Tensor, Tensor> jvp(const std::function<Tensor(const Tensor&)>& f, const Tensor& x,
                              const Tensor& v);

}  // namespace microtome
