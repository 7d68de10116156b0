// A model as a table of its layers.
#pragma once

#include "nn/module.hpp"

#include <iosfwd>

namespace microtome {

struct LayerRow {
    std::string name;     // dotted path
    std::string kind;     // "Conv2d"
    std::string options;  // "32 to 64, 3x3, padding 1"
    Shape output;
    int64_t parameters = 0;     // elements of its own weights and buffers
    int64_t multiply_adds = 0;  // of matrix products, convolutions and attention
};

struct Summary {
    std::vector<LayerRow> rows;  // in the order in which the layers run; a layer that runs twice comes twice
    int64_t parameters = 0, trainable = 0, multiply_adds = 0;
};

// Runs the model on shapes alone: no element is calculated, and a model without numbers will do.
Summary summary(Module& model, const Shape& input);

std::ostream& operator<<(std::ostream& out, const Summary& summary);

}  // namespace microtome
