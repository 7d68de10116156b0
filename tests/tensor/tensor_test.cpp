#include "tensor/tensor.hpp"

#include "tensor/cuda/backend.hpp"
#include "tensor/hash.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr Device kCuda{Device::Kind::cuda, 999};

Tensor counting(const Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(shape.elements()));
    std::iota(values.begin(), values.end(), 0.0f);
    return Tensor::of(values, shape);
}

}  // namespace

TEST_CASE("shapes", "[tensor]") {
    const Shape shape{2, 3, 5};
    CHECK(shape.rank() == 3);
    CHECK(shape.elements() == 30);
    CHECK(shape[0] == 2);
    CHECK(shape[-1] == 5);
    CHECK(shape.with(1, 7) == Shape{2, 7, 5});
    CHECK(shape.with(-1, 7) == Shape{2, 3, 7});
    CHECK(shape.without(0) == Shape{3, 5});
    CHECK(shape.without(-1) == Shape{2, 3});
    CHECK(str(shape) == "(2,3,5)");
    CHECK(Shape().rank() == 0);
    CHECK(Shape().elements() == 1);
    CHECK(str(Shape()) == "()");
    CHECK(Shape{0, 3}.elements() == 0);
    CHECK_FALSE(Shape{2} == Shape{2, 1});
    CHECK_FALSE(Shape{1} == Shape{});
    CHECK(Shape{1, 1, 1, 1, 1, 1, 1, 1}.rank() == Shape::kMaxRank);

    CHECK_THROWS_AS((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
    CHECK_THROWS_WITH((Shape{2, -1}), Contains("0 or more, got (2,-1)"));
    CHECK_THROWS_WITH((Shape{1 << 30, 1 << 30}), Contains("2^47"));
    // What other sizes multiply to counts beside a 0 too, and nothing overflows on the way.
    constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
    CHECK_THROWS_AS((Shape{0, kHuge}), ShapeError);
    CHECK_THROWS_AS((Shape{kHuge, kHuge, 2}), ShapeError);
    CHECK_THROWS_WITH(shape[3], Contains("an axis of (2,3,5), which has 3, got 3"));
    CHECK_THROWS_AS(shape[-4], ShapeError);
    CHECK_THROWS_AS(Shape()[0], ShapeError);
    CHECK_THROWS_AS(Shape()[-1], ShapeError);
    CHECK_THROWS_AS(shape.with(0, -1), ShapeError);
    CHECK_THROWS_AS(shape.with(3, 1), ShapeError);
    CHECK_THROWS_AS(shape.without(3), ShapeError);
    CHECK_THROWS_AS(Shape().without(0), ShapeError);
}

TEST_CASE("bfloat16 is rounded to nearest, ties to even", "[tensor]") {
    auto rounded = [](float x) { return static_cast<float>(bfloat16(x)); };
    for (float exact : {0.0f, -0.0f, 1.0f, -2.5f, 0x1.fep+127f, 0x1p-126f, 0x1p-133f, INFINITY, -INFINITY}) {
        CHECK(rounded(exact) == exact);
        CHECK(std::signbit(rounded(exact)) == std::signbit(exact));
    }
    CHECK(rounded(0x1.01p0f) == 1.0f);           // between two: to the even one, below
    CHECK(rounded(0x1.03p0f) == 0x1.04p0f);      // and above
    CHECK(rounded(0x1.010002p0f) == 0x1.02p0f);  // a little more than half
    CHECK(rounded(0x1.00fffep0f) == 1.0f);       // a little less
    CHECK(rounded(-0x1.03p0f) == -0x1.04p0f);
    CHECK(std::isinf(rounded(std::numeric_limits<float>::max())));  // beyond the largest
    CHECK(std::isnan(rounded(NAN)));
    CHECK(std::isnan(rounded(std::bit_cast<float>(0x7f800001u))));  // whose upper half alone is infinity
    CHECK(bfloat16(1.0f).bits == 0x3f80);
}

TEST_CASE("element types", "[tensor]") {
    CHECK(size_of(Dtype::f32) == 4);
    CHECK(size_of(Dtype::f64) == 8);
    CHECK(size_of(Dtype::bf16) == 2);
    CHECK(size_of(Dtype::u8) == 1);
    CHECK(size_of(Dtype::i64) == 8);
    for (Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::u8, Dtype::i64}) {
        CHECK(visit_dtype(dtype, []<class T>() { return dtype_of<T>(); }) == dtype);
        CHECK(visit_dtype(dtype, []<class T>() { return sizeof(T); }) == size_of(dtype));
        Tensor x = Tensor::full({3}, 2, dtype);
        CHECK(x.spec().bytes() == 3 * size_of(dtype));
        CHECK(Tensor::scalar(2, dtype).item() == 2);
        CHECK(Tensor::zeros({}, dtype).item() == 0);
        const bool works = dtype == Dtype::f32 || dtype == Dtype::f64;
        auto visit = [&] { return visit_f32_f64("here", dtype, []<class T>() { return dtype_of<T>(); }); };
        if (works)
            CHECK(visit() == dtype);
        else
            CHECK_THROWS_AS(visit(), DtypeError);
    }
    CHECK_THROWS_WITH(visit_f32_f64("here", Dtype::i64, []<class T>() {}),
                      Contains("[here] expected f32 or f64, got i64") && Contains("HINT"));
}

TEST_CASE("devices by name", "[tensor]") {
    CHECK(parse_device("cpu") == kCpu);
    CHECK(str(kCpu) == "cpu");
    CHECK(str(Device{Device::Kind::cuda, 2}) == "cuda:2");
    for (const char* text : {"", "CPU", "cpu:0", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda1",
                             "cuda:99999999999999999999", "cuda: 1", "cpu "})
        CHECK_THROWS_AS(parse_device(text), OptionsError);
    CHECK_THROWS_WITH(parse_device("gpu"), Contains("cpu, cuda or cuda:N, got 'gpu'"));
}

TEST_CASE("a device that this build has not", "[tensor]") {
    CHECK_THROWS_AS(parse_device("cuda:999"), DeviceError);
    const cuda::Backend* backend = cuda::backend();
    if (backend == nullptr || backend->device_count() == 0)
        CHECK_THROWS_WITH(parse_device("cuda"),
                          Contains(backend ? "no GPU" : "no CUDA") && Contains("use cpu"));
    CHECK_THROWS_AS(Storage::allocate(64, kCuda), DeviceError);
    CHECK_THROWS_AS(Tensor(Spec{{2}, Dtype::f32, kCuda}), DeviceError);
    CHECK_THROWS_AS(Tensor::zeros({2}, Dtype::f32, kCuda), DeviceError);
    CHECK_THROWS_AS(Tensor::scalar(1, Dtype::f32, kCuda), DeviceError);
    CHECK_THROWS_AS(memory_use(kCuda), DeviceError);
    CHECK_THROWS_AS(reset_peak_memory(kCuda), DeviceError);
    CHECK_THROWS_AS(release_cached_memory(kCuda), DeviceError);
    // Its shapes can be thought about all the same.
    Tensor there = Tensor::abstract({{2}, Dtype::f32, kCuda});
    CHECK(str(there.spec()) == "f32(2)@cuda:999");
    CHECK_THROWS_AS(there.data<float>(), DeviceError);
}

TEST_CASE("memory is aligned, counted, and used again", "[tensor]") {
    release_cached_memory();
    const std::size_t before = memory_use().current;
    reset_peak_memory();
    const std::byte* freed = nullptr;
    {
        Tensor x(Spec{{1000}, Dtype::f32, kCpu});
        CHECK(reinterpret_cast<uintptr_t>(x.raw()) % 64 == 0);
        CHECK(memory_use().current == before + 4000);
        Tensor same = x;  // a handle
        Tensor part = x.view({10}, 20);
        CHECK(memory_use().current == before + 4000);
        Tensor copy = x.clone();
        CHECK(memory_use().current == before + 8000);
        freed = copy.raw();
    }
    CHECK(memory_use().current == before);
    CHECK(memory_use().peak == before + 8000);
    CHECK(memory_use().cached >= 8000);
    // The last block freed of a size class is the next one given.
    Tensor y(Spec{{999}, Dtype::f32, kCpu});
    Tensor z(Spec{{1000}, Dtype::f32, kCpu});
    CHECK((y.raw() == freed || z.raw() == freed));
    reset_peak_memory();
    CHECK(memory_use().peak == memory_use().current);
    release_cached_memory();
    CHECK(memory_use().cached == 0);
    CHECK(memory_use().current == before + 3996 + 4000);

    Tensor nothing = Tensor::zeros({0, 5});
    CHECK(nothing.data<float>().empty());
    CHECK(nothing.clone().shape() == Shape{0, 5});
}

TEST_CASE("more memory than there is", "[tensor]") {
    const std::size_t before = memory_use().current;
    CHECK_THROWS_WITH(Tensor::zeros({int64_t{1} << 46}, Dtype::f64),
                      Contains("562949953421312 more bytes on the cpu") && Contains("smaller batch"));
    CHECK_THROWS_AS(Tensor::zeros({int64_t{1} << 46}, Dtype::f64), DeviceError);
    CHECK_THROWS_AS(Storage::allocate(std::numeric_limits<std::size_t>::max(), kCpu), DeviceError);
    CHECK_THROWS_AS(Storage::allocate(std::numeric_limits<std::size_t>::max() - 100, kCpu), DeviceError);
    CHECK(memory_use().current == before);
}

TEST_CASE("tensors from elements, and elements from tensors", "[tensor]") {
    Tensor x = Tensor::of({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}, {2, 3});
    CHECK(x.defined());
    CHECK_FALSE(x.is_abstract());
    CHECK(x.rank() == 2);
    CHECK(x.size(-1) == 3);
    CHECK(x.elements() == 6);
    CHECK(x.dtype() == Dtype::f32);
    CHECK(x.device() == kCpu);
    CHECK(x.data<float>()[4] == 5);
    CHECK(Tensor::of(std::vector<int64_t>{7}, {}).item() == 7);
    CHECK(Tensor::full({2}, -1.5, Dtype::f64).data<double>()[1] == -1.5);
    CHECK(static_cast<float>(Tensor::full({2}, 1.5, Dtype::bf16).data<bfloat16>()[1]) == 1.5f);

    CHECK_THROWS_WITH(Tensor::of({1.0f, 2.0f}, {3}), Contains("3 elements for (3), got 2"));
    CHECK_THROWS_AS(Tensor::of({1.0f, 2.0f}, {}), ShapeError);
    CHECK_THROWS_WITH(x.data<double>(), Contains("expected elements of f64, got f32(2,3)"));
    CHECK_THROWS_AS(x.data<double>(), DtypeError);
    CHECK_THROWS_AS(x.mutable_data<int64_t>(), DtypeError);
    CHECK_THROWS_WITH(x.item(), Contains("one element, got f32(2,3)"));
    CHECK_THROWS_AS(Tensor::zeros({0}).item(), ShapeError);
    CHECK_THROWS_AS(x.size(2), ShapeError);
}

TEST_CASE("an undefined tensor can be asked, and read by nobody", "[tensor]") {
    Tensor none;
    CHECK_FALSE(none.defined());
    CHECK_FALSE(none.is_abstract());
    CHECK(none.id() == 0);
    CHECK(none.raw() == nullptr);
    CHECK(none.storage() == nullptr);
    CHECK(none.version() == 0);
    CHECK(str(none) == "undefined");
    CHECK_FALSE(none.clone().defined());
    CHECK_FALSE(none.shares_storage_with(none));
    CHECK_THROWS_WITH(none.data<float>(), Contains("undefined"));
    CHECK_THROWS_AS(none.data<float>(), ShapeError);
    CHECK_THROWS_AS(none.mutable_data<float>(), ShapeError);
    CHECK_THROWS_AS(none.item(), ShapeError);
    CHECK_THROWS_AS(none.view({1}), ShapeError);
    CHECK_THROWS_AS(none.placed({{1}, Dtype::u8, kCpu}, 0), ShapeError);
    CHECK_THROWS_AS(none.copy_from(Tensor::zeros({})), ShapeError);
    CHECK_THROWS_AS(Tensor::zeros({}).copy_from(none), ShapeError);
    CHECK_THROWS_AS(none.size(0), ShapeError);
}

TEST_CASE("an abstract tensor has a shape and no elements", "[tensor]") {
    Tensor x = Tensor::abstract({{2, 3}, Dtype::f32, kCpu});
    CHECK(x.defined());
    CHECK(x.is_abstract());
    CHECK(str(x) == "f32(2,3) (abstract)");
    CHECK(x.clone().is_abstract());
    CHECK(x.clone().id() != x.id());
    CHECK(x.view({6}).is_abstract());
    CHECK(x.view({6}).shape() == Shape{6});
    CHECK_FALSE(x.shares_storage_with(x));
    CHECK_THROWS_WITH(x.data<float>(), Contains("abstract"));
    CHECK_THROWS_AS(x.data<float>(), ShapeError);
    CHECK_THROWS_AS(x.mutable_data<float>(), ShapeError);
    CHECK_THROWS_AS(Tensor::abstract({{}, Dtype::f32, kCpu}).item(), ShapeError);
    CHECK_THROWS_AS(x.copy_from(Tensor::zeros({2, 3})), ShapeError);
    CHECK_THROWS_AS(Tensor::zeros({2, 3}).copy_from(x), ShapeError);
    CHECK_THROWS_AS(x.placed({{1}, Dtype::f32, kCpu}, 0), ShapeError);
    CHECK_THROWS_AS(hash_of(x), ShapeError);
}

TEST_CASE("a copy is a handle, a clone is not", "[tensor]") {
    Tensor x = counting({4}), same = x, copy = x.clone();
    CHECK(same.id() == x.id());
    CHECK(same.shares_storage_with(x));
    CHECK(copy.id() != x.id());
    CHECK_FALSE(copy.shares_storage_with(x));
    CHECK(identical(copy, x));
    const uint64_t version = x.version();
    same.mutable_data<float>()[0] = 9;
    CHECK(x.data<float>()[0] == 9);
    CHECK(x.version() > version);
    CHECK(copy.data<float>()[0] == 0);

    copy.copy_from(x);
    CHECK(identical(copy, x));
    CHECK_THROWS_WITH(copy.copy_from(counting({2, 2})), Contains("expected f32(4), got f32(2,2)"));
    CHECK_THROWS_AS(copy.copy_from(Tensor::zeros({4}, Dtype::f64)), ShapeError);
    // From one part of a tensor to another that overlaps it.
    Tensor all = counting({6});
    all.view({4}, 2).copy_from(all.view({4}));
    CHECK(identical(all, Tensor::of({0.0f, 1.0f, 0.0f, 1.0f, 2.0f, 3.0f}, {6})));
}

TEST_CASE("a view is a new variable in the same memory", "[tensor]") {
    Tensor x = counting({4, 3});
    Tensor row = x.view({3}, 6), again = row.view({1, 2}, 1);
    CHECK(row.shares_storage_with(x));
    CHECK(row.id() != x.id());
    CHECK(identical(row, Tensor::of({6.0f, 7.0f, 8.0f}, {3})));
    CHECK(identical(again, Tensor::of({7.0f, 8.0f}, {1, 2})));
    const uint64_t version = x.version();
    again.mutable_data<float>()[0] = -1;
    CHECK(x.data<float>()[7] == -1);
    CHECK(x.version() > version);
    CHECK(x.view({0}, 12).elements() == 0);
    CHECK_THROWS_WITH(x.view({3}, 10), Contains("12 elements of f32(4,3), got (3) from element 10"));
    CHECK_THROWS_AS(x.view({13}), ShapeError);
    CHECK_THROWS_AS(x.view({3}, -1), ShapeError);
    CHECK_THROWS_AS(x.view({0}, 13), ShapeError);
    CHECK_THROWS_AS(row.view({4}), ShapeError);  // x has more, the row has not
    CHECK_THROWS_AS(x.view({1}, std::numeric_limits<int64_t>::max()), ShapeError);
}

TEST_CASE("tensors placed in a block of memory", "[tensor]") {
    Tensor block = Tensor::zeros({64}, Dtype::u8);
    Tensor x = block.placed({{2, 3}, Dtype::f64, kCpu}, 16);
    CHECK(x.shares_storage_with(block));
    CHECK(x.raw() == block.raw() + 16);
    x.mutable_data<double>()[5] = 1;
    CHECK(block.data<uint8_t>()[16 + 47] == 0x3f);
    CHECK_NOTHROW(block.placed({{8}, Dtype::f64, kCpu}, 0));
    CHECK_THROWS_WITH(block.placed({{8}, Dtype::f64, kCpu}, 8), Contains("memory for f64(8) from byte 8"));
    CHECK_THROWS_AS(block.placed({{65}, Dtype::u8, kCpu}, 0), ShapeError);
    CHECK_THROWS_AS(block.placed({{1}, Dtype::u8, kCpu}, -1), ShapeError);
    CHECK_THROWS_AS(block.placed({{1}, Dtype::u8, kCpu}, 64), ShapeError);
    CHECK_THROWS_AS(block.placed({{1}, Dtype::u8, kCpu}, std::numeric_limits<int64_t>::max()), ShapeError);
    CHECK_THROWS_AS(block.placed({{1}, Dtype::u8, kCuda}, 0), ShapeError);
    CHECK_THROWS_WITH(block.placed({{1}, Dtype::f64, kCpu}, 4), Contains("multiple of 8"));
}

TEST_CASE("identical means type, shape and every bit", "[tensor]") {
    Tensor x = Tensor::of({0.0f, 1.0f}, {2});
    CHECK(identical(x, x));
    CHECK(identical(x, Tensor::of({0.0f, 1.0f}, {2})));
    CHECK_FALSE(identical(x, Tensor::of({-0.0f, 1.0f}, {2})));
    CHECK_FALSE(identical(x, Tensor::of({0.0f, std::nextafter(1.0f, 2.0f)}, {2})));
    CHECK(identical(Tensor::scalar(NAN), Tensor::scalar(NAN)));
    CHECK_FALSE(identical(x, x.view({1, 2})));
    CHECK_FALSE(identical(Tensor::zeros({2}), Tensor::zeros({2}, Dtype::i64)));
    CHECK(identical(Tensor(), Tensor()));
    CHECK_FALSE(identical(Tensor(), x));
    CHECK(identical(Tensor::zeros({0, 2}), Tensor::zeros({0, 2})));
    CHECK_FALSE(identical(Tensor::zeros({0, 2}), Tensor::zeros({0, 3})));
    CHECK(identical(Tensor::abstract(x.spec()), Tensor::abstract(x.spec())));
    CHECK_FALSE(identical(Tensor::abstract(x.spec()), x));

    CHECK(hash_of(x) == hash_of(x.clone()));
    CHECK(hash_of(x) != hash_of(x.view({1, 2})));
    CHECK(hash_of(Tensor::zeros({2})) != hash_of(Tensor::zeros({1}, Dtype::f64)));
}

TEST_CASE("a tensor prints a few of its elements", "[tensor]") {
    CHECK(str(Tensor::of({1.5f, -2.0f}, {2})) == "f32(2) [1.5, -2]");
    CHECK(str(counting({3, 4})) == "f32(3,4) [0, 1, 2, 3, 4, 5, 6, 7, ...]");
    CHECK(str(Tensor::of<uint8_t>({65, 0}, {2})) == "u8(2) [65, 0]");
    CHECK(str(Tensor::full({1}, 2.5, Dtype::bf16)) == "bf16(1) [2.5]");
    CHECK(str(Tensor::zeros({0})) == "f32(0) []");
}
TEST_CASE("memory kept for reuse does not pile up where sizes go on changing", "[tensor][memory]") {
    constexpr int64_t kMegabyte = 1 << 20, kLargest = 64;
    release_cached_memory();
    std::size_t most = 0;
    for (int64_t size = 1; size <= kLargest; ++size) {  // 2 GB in all
        Tensor block(Spec{{size * kMegabyte}, Dtype::u8, kCpu});
        const MemoryUse use = memory_use();
        most = std::max(most, use.current + use.cached);
    }
    CHECK(most < std::size_t{1} << 30);  // other tests of the process may have held some hundred MB before
    release_cached_memory();
}
