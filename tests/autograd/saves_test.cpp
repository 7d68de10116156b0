// What a tape keeps for a vjp costs memory for as long as the tape lives. The gradient check sees that enough
// is saved; this, that no more is.
#include "autograd/gradcheck/op_function.hpp"
#include "autograd/op_list.hpp"
#include "autograd/tape.hpp"
#include "base/text.hpp"

#include <catch2/catch.hpp>

using namespace microtome;

namespace {

template <class... Ops>
std::vector<const OpInfo*> infos_of(OpList<Ops...>) {
    return {&op_info<Ops>()...};
}

// Whether the record's vjp misses saved tensor number i of a kind when that is taken away.
bool misses(Recorded record, std::vector<SavedTensor> Recorded::*kind, std::size_t i, const Tensors& g) {
    (record.*kind)[i].tensor = {};
    try {
        record.op->vjp(record.attributes.get(), record, g);
    } catch (const TapeError&) {
        return true;
    }
    return false;
}

void require_all_read(const Recorded& record, const Tensors& g) {
    for (auto kind : {&Recorded::inputs, &Recorded::outputs, &Recorded::gates})
        for (std::size_t i = 0; i < (record.*kind).size(); ++i) {
            if (!(record.*kind)[i].tensor.defined()) continue;
            INFO((kind == &Recorded::inputs    ? "input "
                  : kind == &Recorded::outputs ? "output "
                                               : "gate ")
                 << i << " was saved for needs " << record.wanted.bits());
            CHECK(misses(record, kind, i, g));
        }
}

}  // namespace

TEST_CASE("a vjp reads all that was saved for it, whatever is watched", "[tape][saves]") {
    for (const OpInfo* op : infos_of(AllOps{})) {
        if (op->vjp == nullptr) continue;
        for (const OpSample& sample : op->samples().samples) {
            INFO(op->name << ", " << sample.name);
            const gradcheck::OpFunction function(*op, sample);
            const auto inputs = function.at(function.point());
            REQUIRE(inputs.variables.size() <= 5);
            for (uint32_t mask = 1; mask < 1u << inputs.variables.size(); ++mask) {
                Tape tape;
                for (std::size_t i = 0; i < inputs.variables.size(); ++i)
                    if ((mask >> i & 1u) != 0) tape.watch(inputs.variables[i]);
                Tensors g;
                for (const Tensor& y : apply(*op, sample.attributes, inputs.all))
                    g.push_back(is_floating(y.dtype()) ? Tensor::full(y.shape(), 1, y.dtype()) : Tensor());
                REQUIRE(tape.records().size() == 1);
                PauseTapes pause;
                require_all_read(tape.records()[0].run, g);
            }
        }
    }
}
