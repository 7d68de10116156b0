// Events, pinned memory and what the host does not wait for.
#include "data/augment.hpp"
#include "data/device_feed.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/cuda/pinned.hpp"
#include "tensor/fetch.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

using namespace microtome;
using namespace microtome::testing;

namespace {

// Waits and misuses since it was made.
struct Watch {
    int waits = EmulatedDevice::waits(), misuses = EmulatedDevice::misuses();
    int waited() const { return EmulatedDevice::waits() - waits; }
    int misused() const { return EmulatedDevice::misuses() - misuses; }
};

Tensor bytes_of(int64_t height, int64_t width, int64_t channels, int seed) {
    Tensor image(Spec{{height, width, channels}, Dtype::u8, kCpu});
    auto values = image.mutable_data<uint8_t>();
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<uint8_t>((i * 37 + static_cast<std::size_t>(seed) * 101 + i * i % 251) % 256);
    return image;
}

Tensor floats_of(const Tensor& image) {
    Tensor result(Spec{image.shape(), Dtype::f32, kCpu});
    for (int64_t i = 0; i < image.elements(); ++i)
        result.mutable_data<float>()[static_cast<std::size_t>(i)] =
            static_cast<float>(image.data<uint8_t>()[static_cast<std::size_t>(i)]) / 255.0f;
    return result;
}

}  // namespace

TEST_CASE("small tensors go up without a wait, and may change at once", "[cuda][pinned]") {
    EmulatedDevice device;
    const Watch watch;
    Tensor x = Tensor::of({1.0f, 2.0f}, {2}), there = x.to(kCuda);
    x.mutable_data<float>()[0] = 9;
    std::vector<Tensor> many;
    for (int i = 0; i < 200; ++i)
        many.push_back(Tensor::scalar(i).to(kCuda));  // more than may be on their way
    CHECK(watch.waited() == 0);
    CHECK(there.to(kCpu).data<float>()[0] == 1);
    CHECK(many[0].item() == 0);
    CHECK(many[199].item() == 199);
    const Tensor large = Tensor::full({20000}, 3);
    CHECK(identical(large.to(kCuda).to(kCpu), large));
    CHECK(watch.misused() == 0);
}

TEST_CASE("what is fetched is what was there when it was asked for", "[cuda][pinned]") {
    EmulatedDevice device;
    const Watch watch;
    Tensor x = Tensor::of({1.0f, 2.0f, 3.0f}, {3}).to(kCuda);
    const Tensor here = Tensor::of<int64_t>({5}, {1});
    Fetch fetch({x, Tensor(), here, x.view({1}, 2), Tensor(Spec{{0}, Dtype::f32, kCuda})});
    x.copy_from(Tensor::zeros({3}));
    { const Fetch nobody({x}); }  // wants it after all
    CHECK(watch.waited() == 0);
    const Tensors& got = fetch.get();
    REQUIRE(got.size() == 5);
    CHECK(identical(got[0], Tensor::of({1.0f, 2.0f, 3.0f}, {3})));
    CHECK_FALSE(got[1].defined());
    CHECK(got[2].id() == here.id());
    CHECK(got[3].item() == 3);
    CHECK(got[4].shape() == Shape{0});
    CHECK(identical(fetch.get()[0], got[0]));
    CHECK(watch.waited() == 0);
    CHECK(watch.misused() == 0);
    CHECK(Fetch().get().empty());
    CHECK(Fetch({here}).get()[0].id() == here.id());
}

TEST_CASE("the emulated device tells who does not wait", "[cuda][pinned]") {
    EmulatedDevice device(std::size_t{1} << 30);
    const cuda::Backend& backend = *cuda::backend();
    const cuda::Stream work = backend.stream(0), copies = backend.copy_stream(0);
    Tensor there = Tensor::zeros({4}, Dtype::f32, kCuda);
    cuda::PinnedBlock block(kCuda, 16);
    cuda::Event event(kCuda), read(kCuda);
    const float numbers[4] = {1, 2, 3, 4};
    std::memcpy(block.data(), numbers, 16);

    SECTION("pinned memory that is written to too early") {
        const Watch watch;
        backend.copy_later(work, kCuda, there.mutable_raw(), kCpu, block.data(), 16);
        event.record(work);
        block.data()[0] = std::byte{7};
        event.wait();
        CHECK(watch.misused() == 1);
    }
    SECTION("pinned memory that is given back too early") {
        const Watch watch;
        {
            const cuda::PinnedBlock other(kCuda, 16);
            std::memcpy(other.data(), numbers, 16);
            backend.copy_later(work, kCuda, there.mutable_raw(), kCpu, other.data(), 16);
        }
        CHECK(watch.misused() == 1);
    }
    SECTION("what comes down is NaN until it is waited for") {
        const Watch watch;
        there.copy_from(Tensor::full({4}, 5));
        backend.copy_later(work, kCpu, block.data(), kCuda, there.raw(), 16);
        event.record(work);
        float first = 0;
        std::memcpy(&first, block.data(), 4);
        CHECK(std::isnan(first));
        event.wait();
        std::memcpy(&first, block.data(), 4);
        CHECK(first == 5);
        CHECK(watch.misused() == 0);
    }
    SECTION("so is what the second stream sends up, until the first begins after it") {
        const Watch watch;
        backend.copy_later(copies, kCuda, there.mutable_raw(), kCpu, block.data(), 16);
        event.record(copies);
        float first = 0;
        std::memcpy(&first, there.raw(), 4);
        CHECK(std::isnan(first));
        event.before(work);
        CHECK(identical(there.to(kCpu), Tensor::of({1.0f, 2.0f, 3.0f, 4.0f}, {4})));
        event.wait();
        CHECK(watch.misused() == 0);

        // The first stream reads it now, for all that the second one knows.
        read.record(work);
        const bool ordered = GENERATE(true, false);
        if (ordered) read.before(copies);
        backend.copy_later(copies, kCuda, there.mutable_raw(), kCpu, block.data(), 16);
        event.record(copies);
        event.wait();
        CHECK(watch.misused() == (ordered ? 0 : 1));
    }
    SECTION("memory that is not pinned") {
        const Watch watch;
        backend.copy_later(work, kCuda, there.mutable_raw(), kCpu, numbers, 16);
        CHECK(watch.misused() == 1);
    }
}

TEST_CASE("an index out of range is thrown by who waits for an event", "[cuda][pinned]") {
    EmulatedDevice device;
    const cuda::Backend& backend = *cuda::backend();
    const cuda::Stream stream = backend.stream(0);
    const Tensor labels = Tensor::of<int64_t>({3}, {1}).to(kCuda);
    Tensor y = Tensor::zeros({1, 2}, Dtype::f32, kCuda);
    backend.kernels.f32.one_hot(stream, cuda::in<int64_t>(labels), 1, 2, cuda::out<float>(y));
    Fetch fetch({y});
    CHECK_THROWS_AS(fetch.get(), ShapeError);
}

TEST_CASE("a batch goes up as bytes and is augmented there with the CPU's bits", "[cuda][feed]") {
    EmulatedDevice device;
    const int overruns = EmulatedDevice::overruns();
    const Watch watch;
    for (const auto& [height, width, channels] :
         {std::array<int64_t, 3>{7, 7, 3}, std::array<int64_t, 3>{5, 9, 1},
          std::array<int64_t, 3>{1, 1, 3}}) {
        DeviceFeed feed(kCuda);
        std::vector<Change> changes;
        for (int quarters : {0, 1, 2, 3})
            if (height == width || quarters % 2 == 0)
                changes.push_back({.flip_horizontal = quarters == 3, .quarters = quarters});
        changes.push_back({.flip_vertical = true, .quarters = 2, .move_y = 2, .move_x = -1});
        changes.push_back({.move_y = -100, .rotation = 33});
        changes.push_back({.flip_horizontal = true, .rotation = -160, .shear = 20, .zoom = 0.3});
        changes.push_back({.zoom = 1.7, .shift_y = 0.4, .shift_x = -0.9, .brightness = 1.4});
        changes.push_back({.shift_x = 5, .brightness = 0.7, .channel_shift = {0.1f, -0.4f, 0.9f}});
        changes.push_back({.quarters = 2, .rotation = 1, .channel_shift = {0.1f, 0, 0}});
        for (Border border : {Border::mirror, Border::edge, Border::black}) {
            Tensors images;
            std::vector<PixelChange> numbers;
            std::vector<int64_t> classes;
            for (std::size_t i = 0; i < changes.size(); ++i) {
                images.push_back(bytes_of(height, width, channels, static_cast<int>(i)));
                numbers.push_back(pixel_change(changes[i], border, height, width));
                classes.push_back(static_cast<int64_t>(i * i));
            }
            // More batches than there are slots, of other sizes too.
            for (std::size_t count : {changes.size(), std::size_t{1}, changes.size()}) {
                images.resize(count), numbers.resize(count), classes.resize(count);
                const Batch batch = feed.send(images, numbers, classes);
                CHECK(batch.images.device() == kCuda);
                const Tensor got = batch.images.to(kCpu);
                for (std::size_t i = 0; i < count; ++i) {
                    INFO(height << 'x' << width << 'x' << channels << ", change " << i);
                    CHECK(
                        identical(got.view(images[i].shape(), static_cast<int64_t>(i) * images[i].elements()),
                                  change(floats_of(images[i]), changes[i], border)));
                }
                CHECK(identical(batch.targets.to(kCpu), Tensor::of(classes, {static_cast<int64_t>(count)})));
                if (count == 1) {
                    images.clear();
                    break;
                }
            }
        }
        const Tensor plain = bytes_of(height, width, channels, 3);
        CHECK(identical(feed.send({plain}, {}, {4}).images.to(kCpu).view(plain.shape()), floats_of(plain)));
    }
    CHECK(watch.misused() == 0);
    CHECK(EmulatedDevice::overruns() == overruns);
}

TEST_CASE("batches follow each other without a wait", "[cuda][feed]") {
    EmulatedDevice device;
    const Watch watch;
    DeviceFeed feed(kCuda);
    std::vector<Batch> batches;
    for (int k = 0; k < 5; ++k) {
        Tensors images;
        for (int i = 0; i <= k; ++i) images.push_back(bytes_of(3, 4, 3, 10 * k + i));
        batches.push_back(feed.send(images, {}, std::vector<int64_t>(images.size(), k)));
    }
    CHECK(watch.waited() == 0);
    for (int k = 0; k < 5; ++k)
        CHECK(identical(batches[static_cast<std::size_t>(k)].images.to(kCpu).view({3, 4, 3}, k * 36),
                        floats_of(bytes_of(3, 4, 3, 11 * k))));
    CHECK(watch.misused() == 0);
    CHECK_THROWS_AS(feed.send({}, {}, {}), ShapeError);
    CHECK_THROWS_AS(feed.send({bytes_of(3, 4, 3, 0)}, {}, {1, 2}), ShapeError);
    CHECK_THROWS_AS(feed.send({bytes_of(3, 4, 3, 0), bytes_of(4, 3, 3, 0)}, {}, {1, 2}), ShapeError);
    CHECK_THROWS_AS(feed.send({floats_of(bytes_of(3, 4, 3, 0))}, {}, {1}), ShapeError);
    CHECK_THROWS_AS(pixel_change({.quarters = 1}, Border::mirror, 3, 4), ShapeError);
}
