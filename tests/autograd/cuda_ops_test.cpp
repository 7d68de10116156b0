// Every op on the device, on its own samples: the CPU's bits, forward, backward and twice backward, in f64
// and f32. And checked for itself there, oracle by oracle.
#include "autograd/gradcheck/check_op.hpp"
#include "autograd/gradcheck/op_function.hpp"
#include "autograd/op_list.hpp"
#include "autograd/tape.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using namespace microtome::testing;
using gradcheck::OpFunction;
using gradcheck::Vector;

namespace {

// Why an op has nothing to do with devices.
std::string excuse(const OpInfo& op) {
    return op.name == "external" ? "its callables are the caller's" : "";
}

// Whose f32 kernels on the CPU are within a bound and not exact.
bool exact_in(Dtype dtype, const OpInfo& op) {
    return dtype == Dtype::f64 || op.name.find("conv2d_relu_pool") == std::string_view::npos;
}

bool close(const Tensor& a, const Tensor& b) {
    const Vector x = gradcheck::to_doubles(a), y = gradcheck::to_doubles(b);
    double largest = 0, apart = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        largest = std::max(largest, std::abs(x[i]));
        apart = std::max(apart, std::abs(x[i] - y[i]));
    }
    return x.size() == y.size() && apart <= 1e-5 * largest;
}

// All that a sample gives: outputs, gradients, and, where there is a second order, gradients of those.
Tensors everything(const OpInfo& op, const OpSample& sample) {
    Tensors all = apply(op, sample.attributes, sample.inputs);
    if (op.vjp == nullptr) return all;
    const OpFunction function(op, sample);
    const OpFunction::Inputs inputs = function.at(function.point());
    if (inputs.variables.empty()) return all;
    Vector direction(function.outputs());
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] = 0.25 + static_cast<double>(i % 7) / 8;
    const Tensors cotangents = function.cotangents(direction);
    Tape outer;
    outer.watch(inputs.variables);
    outer.watch(cotangents);
    Tensors gradients;
    {
        Tape tape;
        tape.watch(inputs.variables);
        const Tensors outputs = function.floating(apply(op, sample.attributes, inputs.all));
        gradients = tape.vjp(outputs, cotangents, inputs.variables);
    }
    all.insert(all.end(), gradients.begin(), gradients.end());
    if (op.second_order == SecondOrder::none) return all;
    Tensors followed;
    for (const Tensor& gradient : gradients)
        if (outer.follows(gradient)) followed.push_back(gradient);
    if (followed.empty()) return all;
    const Tensors second = outer.vjp(followed, followed, inputs.variables);
    all.insert(all.end(), second.begin(), second.end());
    return all;
}

}  // namespace

TEST_CASE("every op has the CPU's bits on the device", "[cuda][ops]") {
    EmulatedDevice device;
    for (const OpInfo* op : all_ops()) {
        if (!excuse(*op).empty()) continue;
        SampleSet set = op->samples();
        set.samples.insert(set.samples.end(), set.extremes.begin(), set.extremes.end());
        for (const OpSample& sample : set.samples)
            for (Dtype dtype : {Dtype::f64, Dtype::f32}) {
                SampleSet here;
                here.samples = {gradcheck::converted(sample, Dtype::f64, dtype)};
                SampleSet there = gradcheck::on_device(*op, here, kCuda);
                if (there.samples.empty()) continue;
                INFO(op->name << ", " << sample.name << ", " << dtype);
                const int overruns = EmulatedDevice::overruns();
                const Tensors expected = everything(*op, here.samples[0]);
                Tensors actual;
                REQUIRE_NOTHROW(actual = everything(*op, there.samples[0]));
                REQUIRE(actual.size() == expected.size());
                for (std::size_t i = 0; i < actual.size(); ++i) {
                    INFO("result " << i << ": " << expected[i] << " and " << actual[i]);
                    CHECK(actual[i].device() == kCuda);
                    CHECK((exact_in(dtype, *op) ? agree(expected[i], actual[i])
                                                : close(expected[i], actual[i])));
                }
                actual.clear();
                there = {};
                CHECK(EmulatedDevice::overruns() == overruns);
            }
    }
}

// Finite differences take a minute on the emulated device; with the CPU's bits they cannot say anything else
// than there. They run with the hidden tests below, one for each op.
TEST_CASE("every op keeps its contract on the device", "[cuda][ops]") {
    EmulatedDevice device;
    for (const OpInfo* op : all_ops()) {
        if (!excuse(*op).empty()) continue;
        for (const char* oracle : {"forward", "needs", "kink", "abstract", "not followed"}) {
            gradcheck::Selection selection;
            selection.device = kCuda;
            selection.oracle = oracle;
            selection.explain = false;
            for (const gradcheck::Row& row : gradcheck::check_op(*op, selection)) {
                INFO(row);
                CHECK(row.pass);
            }
        }
    }
}

namespace {

template <class Op>
void check_listed_op() {
    const OpInfo& op = op_info<Op>();
    if (!excuse(op).empty()) return;
    EmulatedDevice device;
    gradcheck::Selection selection;
    selection.device = kCuda;
    selection.explain = false;
    for (const gradcheck::Row& row : gradcheck::check_op(op, selection)) {
        INFO(row);
        CHECK(row.pass);
    }
}

template <class... Ops>
bool register_all(OpList<Ops...>) {
    (Catch::AutoReg(Catch::makeTestInvoker(&check_listed_op<Ops>), CATCH_INTERNAL_LINEINFO,
                    Catch::StringRef(),
                    Catch::NameAndTags(str("gradient check of ", op_info<Ops>().name, " on the device"),
                                       "[.][cuda][gradcheck]")),
     ...);
    return true;
}

[[maybe_unused]] const bool registered = register_all(AllOps{});

}  // namespace
