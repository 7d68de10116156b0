// An op at one of its samples, as a function of flat vectors of doubles: what a gradient checker wants.
#pragma once

#include "autograd/gradcheck/gradcheck.hpp"
#include "autograd/samples.hpp"

namespace microtome::gradcheck {

// The variables x are the distinct tensors among the checked inputs, one after another (the same tensor in
// two places is one variable); the outputs are the floating ones, one after another.
class OpFunction {
  public:
    OpFunction(const OpInfo& op, const OpSample& sample);

    const OpInfo& op() const { return *op_; }
    const void* attributes() const { return sample_.attributes.get(); }
    const Vector& point() const { return point_; }  // the sample's own x
    std::size_t outputs() const { return outputs_; }
    std::size_t variables() const { return specs_.size(); }
    const Specs& variable_specs() const { return specs_; }
    const Specs& output_specs() const { return output_specs_; }  // all of them
    bool double_only() const;  // every variable and every output is f64 or dual

    // The op's inputs with the variables at x, and the variables themselves.
    struct Inputs {
        Tensors all, variables;
    };
    Inputs at(View x) const;
    Inputs abstract() const;

    // Cotangents for the floating outputs from one flat vector, and back from tensors to a flat vector.
    Tensors cotangents(View v) const;
    Tensors floating(const Tensors& outputs) const;
    static Vector flat(const Tensors& tensors);

    // A point and a direction, and what a function makes of them: f(x) and J u.
    struct Moving {
        Vector values, tangents;
    };

    Vector forward(View x) const;
    Vector vjp(View x, View v) const;

    // The vjp as a function of (x, v), and its own vjp for a cotangent w of the gradients. `strict` asks
    // every gradient's gradient, and lets the tape's TapeError through where there is none; otherwise a
    // gradient that depends on neither x nor v counts as constant.
    Vector gradient_of(View x_and_v) const;
    Vector second(View x_and_v, View w, bool strict = false) const;

    // The same two functions run on dual numbers, in every floating input: exact derivatives along a
    // direction. DtypeError where the op does not take them.
    Moving forward(const Moving& x) const;
    Moving gradient_of(const Moving& x_and_v) const;
    bool keeps_duals() const;  // dual inputs give dual outputs; a cast to f64 loses the tangent

  private:
    const OpInfo* op_;
    OpSample sample_;
    Inputs duals_at(const Moving& x) const;

    std::vector<int> variable_of_;  // input to variable, -1: none
    Specs specs_, output_specs_;
    Vector point_;
    std::size_t outputs_ = 0;
};

// The sample with floating inputs of type `from` converted, equal tensors staying one.
OpSample converted(const OpSample& sample, Dtype from, Dtype to);

// The samples with all their tensors on a device, but for those that give dual numbers, which stay on the
// CPU.
SampleSet on_device(const OpInfo& op, const SampleSet& set, Device device);

// The elements as doubles (a dual number's value), and a tensor from doubles.
Vector to_doubles(const Tensor& x);
Tensor from_doubles(View values, const Spec& spec);

}  // namespace microtome::gradcheck
