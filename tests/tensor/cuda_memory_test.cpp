// Tensors on a device, what the host may do with them, and what it is told where it may not.
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/indexing.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <sstream>

using Catch::Contains;
using namespace microtome;
using namespace microtome::testing;

TEST_CASE("tensors move between devices", "[cuda][memory]") {
    EmulatedDevice device;
    const Tensor x = Tensor::of({1.0f, 2.0f, 3.0f, 4.0f}, {2, 2});
    const Tensor y = x.to(kCuda);
    CHECK(y.device() == kCuda);
    CHECK(y.shape() == x.shape());
    CHECK(y.id() != x.id());
    CHECK(identical(y.to(kCpu), x));
    CHECK(identical(y, x.to(kCuda)));
    CHECK_FALSE(identical(y, x));
    CHECK(y.to(kCuda).id() == y.id());
    CHECK(x.to(kCpu).id() == x.id());
    CHECK(identical(y.clone().to(kCpu), x));
    CHECK(y.view({2}, 2).view({}, 1).item() == 4);
    CHECK(Tensor::full({3}, 1.5, Dtype::bf16, kCuda).view({}, 2).item() == 1.5);
    CHECK(Tensor::full({3}, 200, Dtype::u8, kCuda).view({}, 2).item() == 200);
    CHECK(Tensor::full({3}, -7, Dtype::i64, kCuda).view({}, 0).item() == -7);
    CHECK(Tensor::abstract(x.spec()).to(kCuda).device() == kCuda);
    std::ostringstream text;
    text << y;
    CHECK(text.str() == "f32(2,2)@cuda:0 [1, 2, 3, 4]");
    Tensor z(x.spec());
    z.copy_from(y);
    CHECK(identical(z, x));
    CHECK(parse_device("cuda") == kCuda);
    CHECK(parse_device("cuda:0") == kCuda);
    CHECK_THROWS_WITH(parse_device("cuda:1"), Contains("one of 1 CUDA devices"));
}

TEST_CASE("the host cannot touch a device's elements", "[cuda][memory]") {
    EmulatedDevice device;
    Tensor x = Tensor::zeros({2}, Dtype::f32, kCuda);
    CHECK_THROWS_WITH(x.data<float>(), Contains("f32(2)@cuda:0") && Contains("to(kCpu)"));
    CHECK_THROWS_AS(x.mutable_data<float>(), DeviceError);
    CHECK_THROWS_AS(Tensor::zeros({2}, Dtype::dual, kCuda), DtypeError);

    Tensor here = Tensor::zeros({2}), y = Tensor::zeros({2});
    CHECK_THROWS_WITH(here + x, Contains("expected all inputs on cpu, got input 1 on cuda:0"));
    CHECK_THROWS_WITH(kernels::binary(kernels::Binary::add, here, x, x),
                      Contains("[binary]") && Contains("cuda:0") && Contains("cpu"));
    CHECK_THROWS_AS(kernels::binary(kernels::Binary::add, here, x, y), DeviceError);
    Tensor wide = Tensor::zeros({2}, Dtype::f64, kCuda);
    CHECK_THROWS_AS(kernels::binary(kernels::Binary::add, wide, x, x), DtypeError);
}

TEST_CASE("a device without memory says what is held", "[cuda][memory]") {
    EmulatedDevice device(1000);
    const Tensor some = Tensor::zeros({100}, Dtype::f32, kCuda);
    CHECK(memory_use(kCuda).current == 400);
    CHECK_THROWS_WITH(Tensor::zeros({200}, Dtype::f32, kCuda), Contains("800 more bytes on the cuda:0") &&
                                                                   Contains("tensors hold 400 bytes") &&
                                                                   Contains("smaller batch"));
    {
        const Tensor more = Tensor::zeros({150}, Dtype::f32, kCuda);
        CHECK(memory_use(kCuda).current == 1000);
    }
    CHECK(memory_use(kCuda).current == 400);
    CHECK(memory_use(kCuda).peak >= 1000);
}

TEST_CASE("without a backend, a device or that many, the error says which", "[cuda][memory]") {
    EmulatedDevice device;
    const Device second{Device::Kind::cuda, 1};
    CHECK_THROWS_WITH(Tensor::zeros({2}, Dtype::f32, second),
                      Contains("one of 1 CUDA devices, got 'cuda:1'"));
    cuda::Backend none = *cuda::backend();
    none.device_count = [] { return 0; };
    cuda::install(&none);
    CHECK_THROWS_WITH(parse_device("cuda"), Contains("no GPU") && Contains("use cpu"));
    CHECK_THROWS_AS(Tensor::zeros({2}, Dtype::f32, kCuda), DeviceError);
}
