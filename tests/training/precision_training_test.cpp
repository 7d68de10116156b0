// A training in reduced precision on the device: near that in f32, f32 in all that it keeps, and gone on with
// in no other precision.
#include "autograd/gradcheck/check_op.hpp"
#include "autograd/op_list.hpp"
#include "autograd/tape.hpp"
#include "evaluation/gradient_audit.hpp"
#include "tests/scratch_folder.hpp"
#include "tests/tensor/cuda_test_support.hpp"
#include "tests/training/training_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using namespace microtome::testing;
using namespace microtome::test;
using Catch::Contains;

namespace {

// The state afterwards.
NamedTensors trained(Precision precision, const std::string& checkpoint = "", bool libraries = false,
                     int64_t epochs = 2) {
    const ProductModeScope scope({precision, libraries});
    SmallNet model;
    model.to(kCuda);
    MemoryBatches images(halves(8), 5);
    Sgd optimizer(model, {.lr = 0.1});
    Trainer trainer(model, optimizer,
                    {.epochs = epochs, .seed = 5, .checkpoint = checkpoint, .resume = !checkpoint.empty()});
    trainer.run(images);
    return model.state();
}

double distance(const NamedTensors& a, const NamedTensors& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        REQUIRE(a[i].tensor.dtype() == b[i].tensor.dtype());
        if (a[i].tensor.dtype() != Dtype::f32) continue;
        const auto x = a[i].tensor.data<float>(), y = b[i].tensor.data<float>();
        for (std::size_t j = 0; j < x.size(); ++j)
            sum += std::pow(static_cast<double>(x[j]) - static_cast<double>(y[j]), 2);
    }
    return std::sqrt(sum);
}

}  // namespace

TEST_CASE("a training in reduced precision stays near that in f32, and keeps f32", "[cuda][precision]") {
    EmulatedDevice device;
    const NamedTensors exact = trained(Precision::f32);
    const double tf32 = distance(exact, trained(Precision::tf32)),
                 bf16 = distance(exact, trained(Precision::bf16));
    CHECK(tf32 > 0);
    CHECK(tf32 < 4 * rounding_error(Precision::tf32));
    CHECK(bf16 > tf32);
    CHECK(bf16 < 4 * rounding_error(Precision::bf16));
    const cuda::emulation::Libraries libraries;
    CHECK(distance(exact, trained(Precision::f32, "", true)) < 1e-5);
    CHECK(distance(exact, trained(Precision::bf16, "", true)) < 8 * rounding_error(Precision::bf16));
}

TEST_CASE("a checkpoint knows the precision it was made in", "[cuda][precision]") {
    EmulatedDevice device;
    ScratchFolder folder;
    const std::string file = folder / "checkpoint.safetensors";
    trained(Precision::bf16, file);
    CHECK_NOTHROW(trained(Precision::bf16, file));
    CHECK_THROWS_WITH(trained(Precision::tf32, file),
                      Contains("expected trainer.precision as the training began with, 'bf16', got 'tf32'"));
    CHECK_THROWS_WITH(trained(Precision::f32, file), Contains("trainer.precision") && Contains("'bf16'"));
    const std::string plain = folder / "plain.safetensors";
    trained(Precision::f32, plain);
    CHECK_THROWS_WITH(trained(Precision::bf16, plain), Contains("trainer.precision"));
}

TEST_CASE("gradients are not checked between rounded factors", "[precision][gradcheck]") {
    const ProductModeScope scope({Precision::tf32, true});
    CHECK_THROWS_WITH(gradcheck::check_op(*all_ops().front()),
                      Contains("expected precision f32, got tf32") && Contains("differences are no measure"));
    SmallNet model;
    const ModelOptions grey{.classes = 2, .image = {.height = 4, .width = 4, .channels = 1}, .numbers = {}};
    CHECK_THROWS_WITH(audit_gradients(model, grey, halves(2), {}), Contains("expected precision f32"));
}
