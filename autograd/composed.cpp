#include "autograd/composed.hpp"

#include "autograd/ops/shaping.hpp"
#include "autograd/tape.hpp"

namespace microtome {

Tensors composed_vjp(const Recorded& record, const Tensors& g,
                     const std::function<Tensors(const Tensors& inputs)>& formula) {
    // One tensor may stand in two places. A reshape to the shape it has makes each a variable of its own,
    // which the tapes around us follow back to the original.
    Tensors inputs;
    for (std::size_t i = 0; i < record.input_specs.size(); ++i)
        inputs.push_back(reshape(record.input(static_cast<int>(i)), record.input_specs[i].shape));

    Tape tape;
    Tensors watched;
    for (std::size_t i = 0; i < inputs.size(); ++i)
        if (record.needs(static_cast<int>(i))) watched.push_back(tape.watch(inputs[i]));
    const Tensors all = formula(inputs);
    Tensors outputs, cotangents;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (g[i].defined() && tape.follows(all[i])) {
            outputs.push_back(all[i]);
            cotangents.push_back(g[i]);
        }

    Tensors gradients(inputs.size());
    if (outputs.empty()) return gradients;
    const Tensors found = tape.vjp(outputs, cotangents, watched, Tape::After::release);
    auto next = found.begin();
    for (std::size_t i = 0; i < inputs.size(); ++i)
        if (record.needs(static_cast<int>(i))) gradients[i] = *next++;
    return gradients;
}

}  // namespace microtome
