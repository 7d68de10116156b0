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

    // The same for what is read only while more is made of it: kept until it is dropped, then made anew. Its
    // name stays what it was made of, so what was made of it is found again.
    Tensor on_the_way(const std::string& key, const std::function<Tensor()>& make) {
        Tensor& found = on_the_way_[key];
        if (!found.defined()) names_[(found = make()).id()] = key;
        return found;
    }
    std::string name_of(const Tensor& x) const {
        const auto found = names_.find(x.id());
        return found == names_.end() ? std::to_string(x.id()) : found->second;
    }
    // Whether it was there to be dropped.
    bool drop(const Tensor& x) {
        const auto found = names_.find(x.id());
        return found != names_.end() && on_the_way_.erase(found->second) > 0;
    }

  private:
    std::map<std::string, Tensor> made_, on_the_way_;
    std::map<uint64_t, std::string> names_;
};

// Where channels are scaled behind a convolution of constant filters (a batch norm in eval mode), scales the
// filters instead; on the way back likewise. Rounds differently.
void fold_scales(Graph& graph, Prepared& prepared);

// Convolution, bias, residual, ReLU and 2x2 max-pooling become one stage; unpooling, gate and the
// convolution's input gradient another; products with a constant matrix take bias and residual along, and the
// matrix is packed once. `exact`: the stages have the bits of the ops they replace.
void fuse(Graph& graph, bool exact, Prepared& prepared);

// On a GPU: products of two matrices, and convolutions, take a bias for each column or channel, a residual
// and a ReLU along. With plain kernels the stages have the bits of the ops they replace.
void fuse_on_device(Graph& graph);

}  // namespace microtome::plan
