// What the benchmarks of layers share: each measured forward, for the input's gradient and for the weights'.
#pragma once

#include "apps/measure.hpp"
#include "tensor/storage.hpp"

#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace microtome::apps {

// 64-byte aligned memory with different floats of both signs in it.
class BenchFloats {
  public:
    explicit BenchFloats(int64_t count);
    float* data() { return reinterpret_cast<float*>(storage_->data()); }

  private:
    std::shared_ptr<Storage> storage_;
};

// One layer: the operations of each direction (a multiply-add counts as two), and its fastest runs in
// seconds; 0: a direction that there is not.
struct LayerTimes {
    std::string name;
    double operations = 0;
    double forward = 0, input_gradient = 0, weight_gradient = 0;
};

// A line for each layer: ms, GF/s and share of `peak`. Appends its rows.
void print_layers(const std::string& suite, int threads, double peak, const std::vector<LayerTimes>& layers,
                  std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
