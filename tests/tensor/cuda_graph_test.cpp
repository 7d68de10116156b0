// Graphs of a device's work: noted without being done, done as often as they are launched, and alone with the
// memory of their temporary values.
#include "autograd/ops/linear.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/cuda/graph.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/memory_reserve.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <optional>

using Catch::Contains;
using namespace microtome;
using namespace microtome::testing;
using cuda::Graph;

namespace {

// The emulated device, keeping freed memory for the next request as a GPU's does.
class KeepingDevice {
  public:
    KeepingDevice() : backend_(*cuda::backend()) {
        backend_.keeps_blocks = true;
        cuda::install(&backend_);
    }
    ~KeepingDevice() {
        release_cached_memory(kCuda);
        cuda::install(nullptr);
    }

  private:
    EmulatedDevice device_{std::size_t{1} << 30};
    cuda::Backend backend_;
};

Tensor on_device(std::initializer_list<float> values) {
    return Tensor::of(values, {static_cast<int64_t>(values.size())}).to(kCuda);
}

}  // namespace

TEST_CASE("a graph is noted without being done, and done each time it is launched", "[cuda][graph]") {
    EmulatedDevice device;
    const Tensor one = on_device({1, 1, 1});
    Tensor x = on_device({1, 2, 3}), copy = on_device({0, 0, 0});
    const Graph graph = Graph::capture(kCuda, [&] {
        CHECK(cuda::capturing());
        kernels::binary(kernels::Binary::add, x, one, x);
        copy.copy_from(x);
        kernels::binary(kernels::Binary::add, copy, copy, copy);
    });
    CHECK_FALSE(cuda::capturing());
    CHECK(agree(x, Tensor::of({1.0f, 2.0f, 3.0f}, {3})));
    graph.launch();
    CHECK(agree(x, Tensor::of({2.0f, 3.0f, 4.0f}, {3})));
    CHECK(agree(copy, Tensor::of({4.0f, 6.0f, 8.0f}, {3})));
    x.copy_from(on_device({10, 20, 30}));  // read when it is launched, not when it was noted
    graph.launch();
    graph.launch();
    CHECK(agree(x, Tensor::of({12.0f, 22.0f, 32.0f}, {3})));
    CHECK(agree(copy, Tensor::of({24.0f, 44.0f, 64.0f}, {3})));
}

TEST_CASE("what a graph cannot hold is refused, and the device goes on", "[cuda][graph]") {
    EmulatedDevice device;
    Tensor x = on_device({1, 2, 3}), here = Tensor::zeros({3});
    auto refused = [&](const auto& work) {
        CHECK_THROWS_AS(Graph::capture(kCuda, work), DeviceError);
        CHECK_FALSE(cuda::capturing());
    };
    refused([&] { x.copy_from(here); });
    refused([&] { here.copy_from(x); });
    refused([&] { x.view({}, 1).item(); });
    refused([&] { cuda::backend()->synchronize(cuda::backend()->stream(0)); });
    release_cached_memory(kCuda);
    refused([&] { Tensor(Spec{{1 << 20}, Dtype::f32, kCuda}); });
    refused([&] { Graph::capture(kCuda, [] {}); });
    // The mistake is not forgotten where somebody catches what it threw.
    refused([&] {
        try {
            cuda::backend()->synchronize(cuda::backend()->stream(0));
        } catch (const DeviceError&) {
        }
    });
    CHECK_THROWS_WITH(Graph::capture(kCuda, [&] { throw ShapeError("work", "expected more"); }),
                      Contains("[work]"));

    Graph graph = Graph::capture(kCuda, [&] { kernels::binary(kernels::Binary::add, x, x, x); });
    refused([&] { graph.launch(); });
    Graph other = std::move(graph);
    other.launch();
    CHECK(agree(x, Tensor::of({2.0f, 4.0f, 6.0f}, {3})));
}

TEST_CASE("a graph's temporary values stay its own", "[cuda][graph][memory]") {
    const KeepingDevice device;
    const Tensor a = Tensor::full({40, 600}, 0.5, Dtype::f32, kCuda),
                 b = Tensor::full({600, 40}, 0.25, Dtype::f32, kCuda);
    Tensor y(Spec{{40, 40}, Dtype::f32, kCuda});
    // A value that lives while it works, besides the kernel's own scratch memory.
    auto work = [&] {
        Tensor doubled(a.spec());
        kernels::binary(kernels::Binary::add, a, a, doubled);
        y.copy_from(matmul(doubled, b));
    };
    const MemoryReserve reserve(kCuda);
    std::optional<Graph> graph;
    {
        const MemoryReserve::Use use(reserve);
        work();
        const MemoryUse before = memory_use(kCuda);
        graph = Graph::capture(kCuda, work);
        CHECK(memory_use(kCuda).current == before.current);
    }
    const Tensor expected = Tensor::full({40, 40}, 150);
    CHECK(agree(y, expected));
    // Whatever others are given now, in these sizes too, is not what the graph writes to.
    release_cached_memory(kCuda);
    Tensors others;
    for (int i = 0; i < 8; ++i)
        for (const Shape& shape : {Shape{40, 600}, Shape{40, 40}, Shape{16, 40, 40}})
            others.push_back(Tensor::full(shape, 7, Dtype::f32, kCuda));
    y.copy_from(Tensor::full({40, 40}, -1));
    for (int twice = 0; twice < 2; ++twice) {
        graph->launch();
        CHECK(agree(y, expected));
        for (const Tensor& other : others) CHECK(agree(other, Tensor::full(other.shape(), 7)));
    }
}

TEST_CASE("a reserve's blocks come back to it, and to the device when it ends", "[cuda][graph][memory]") {
    const KeepingDevice device;
    const MemoryUse before = memory_use(kCuda);
    Tensor outlives;
    {
        const MemoryReserve reserve(kCuda), second(kCuda);
        const std::byte* place = nullptr;
        {
            const MemoryReserve::Use use(reserve);
            const Tensor inside = Tensor::zeros({1000}, Dtype::f32, kCuda);
            place = inside.raw();
            CHECK(memory_use(kCuda).current == before.current + 4000);
            const MemoryReserve::Use other(second);
            CHECK(Tensor::zeros({1000}, Dtype::f32, kCuda).raw() != place);
        }
        CHECK(memory_use(kCuda).current == before.current);
        CHECK(memory_use(kCuda).cached >= before.cached + 8000);
        CHECK(Tensor::zeros({1000}, Dtype::f32, kCuda).raw() != place);
        release_cached_memory(kCuda);  // of everybody else's
        const MemoryReserve::Use use(reserve);
        CHECK(Tensor::zeros({1000}, Dtype::f32, kCuda).raw() == place);
        CHECK(Tensor::zeros({1010}).device() == kCpu);  // another device is none of its business
        outlives = Tensor::zeros({990}, Dtype::f32, kCuda);
        CHECK(outlives.raw() == place);
    }
    CHECK(memory_use(kCuda).current == before.current + 3960);
    CHECK(agree(outlives, Tensor::zeros({990})));
    outlives = {};
    release_cached_memory(kCuda);
    CHECK(memory_use(kCuda).current == before.current);
    CHECK(memory_use(kCuda).cached == 0);
}
