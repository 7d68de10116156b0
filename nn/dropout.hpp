// Layers that leave something out at random in train mode and do nothing in eval mode. What is left out
// depends on the pass's seed, step and restart, on the layer's name and on each sample's id: not on the
// batch. A plan needs these as inputs, in the pass's key: one traced without is refused, because each replay
// would leave out the same.
#pragma once

#include "nn/module.hpp"

namespace microtome {

// Each element is 0 with probability `rate` and divided by 1 - rate otherwise (Srivastava et al. 2014, in the
// inverted form). Throws OptionsError for a rate outside [0, 1), and in train mode for a pass that does not
// say its step; ShapeError for a key that is none, and for ids that are not one per sample.
class Dropout : public Module {
  public:
    explicit Dropout(double rate);
    std::string_view kind() const override { return "Dropout"; }
    std::string options() const override;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    double rate_;
};

// Stochastic depth (Huang et al. 2016): a sample is 0 as a whole with probability `rate`, else divided by
// 1 - rate. Stands behind the branch of a residual block.
class DropPath : public Module {
  public:
    explicit DropPath(double rate);
    std::string_view kind() const override { return "DropPath"; }
    std::string options() const override;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    double rate_;
};

}  // namespace microtome
