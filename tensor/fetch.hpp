// Numbers that the host wants to look at later than it asks for them, so that a GPU which still has work is
// not waited for: the losses of a training step are read when the next step is on its way.
#pragma once

#include "tensor/tensor.hpp"

#include <memory>
#include <vector>

namespace microtome {

// The elements that the tensors have now, on their way to the CPU. On the CPU already, a tensor is itself.
class Fetch {
  public:
    Fetch();  // of nothing
    explicit Fetch(const std::vector<Tensor>& tensors);
    ~Fetch();
    Fetch(Fetch&&) noexcept;
    Fetch& operator=(Fetch&&) noexcept;

    // In their order, on the CPU; undefined ones stay so. Waits until the device has come so far, and no
    // longer. Throws what its work threw.
    const std::vector<Tensor>& get();

  private:
    struct Way;
    std::vector<Tensor> here_;
    std::unique_ptr<Way> way_;  // null: arrived
};

}  // namespace microtome
