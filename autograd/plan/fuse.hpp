// Rewrites a traced computation into one that does the same with fewer, larger steps.
#pragma once

#include "autograd/plan/graph.hpp"

#include <functional>
#include <map>
#include <string>

namespace microtome::plan {

// What has been made of weights, by what it was made of, so that plans of one model share it.
class Prepared {
  public:
    const Tensor& get(const std::string& key, const std::function<Tensor()>& make) {
        Tensor& found = made_[key];
        if (!found.defined()) found = make();
        return found;
    }

  private:
    std::map<std::string, Tensor> made_;
};

// Where channels are scaled behind a convolution of constant filters (a batch norm in eval mode), scales the
// filters instead; on the way back likewise. Rounds differently.
void fold_scales(Graph& graph, Prepared& prepared);

// Convolution, bias, residual, ReLU and 2x2 max-pooling become one stage; unpooling, gate and the
// convolution's input gradient another; products with a constant matrix take bias and residual along, and the
// matrix is packed once. `exact`: the stages have the bits of the ops they replace.
void fuse(Graph& graph, bool exact, Prepared& prepared);

}  // namespace microtome::plan
