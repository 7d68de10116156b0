#include "data/loader.hpp"

#include "base/error.hpp"
#include "data/convert.hpp"
#include "data/open.hpp"
#include "data/prefetch.hpp"
#include "tests/data/files.hpp"
#include "tests/emulation/emulated_device.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <set>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

using namespace microtome;
using Catch::Contains;
using Ids = std::vector<int64_t>;

namespace {

// Images of noise in memory; some damaged; counts how often each is read.
class Fake : public Dataset {
  public:
    explicit Fake(int64_t count, std::set<int64_t> damaged = {})
        : damaged_(std::move(damaged)), reads_(count) {
        path_ = "fake";
        classes_ = {"a", "b", "c"};
        for (int64_t i = 0; i < count; ++i) samples_.push_back({str("image ", i), i % 3});
    }
    Tensor read(int64_t i) const override {
        ++reads_[i];
        if (i == explosive) throw std::length_error("out of something");
        if (damaged_.contains(i)) throw FormatError(samples_[i].name, "expected an image, got soup");
        Tensor image(Spec{{6, 5, 3}, Dtype::u8, kCpu});
        int64_t value = i;
        for (uint8_t& pixel : image.mutable_data<uint8_t>())
            pixel = static_cast<uint8_t>(value = value * 37 % 251 + 1);
        return image;
    }
    int reads(int64_t i) const { return reads_[i]; }
    int64_t explosive = -1;

  private:
    std::set<int64_t> damaged_;
    mutable std::vector<std::atomic<int>> reads_;
};

Ids all_of(const Dataset& set) {
    Ids indices(set.size());
    std::iota(indices.begin(), indices.end(), int64_t{0});
    return indices;
}

std::vector<Batch> epoch(Loader& loader, int64_t number) {
    loader.start(number);
    std::vector<Batch> batches;
    while (auto batch = loader.next()) batches.push_back(*batch);
    return batches;
}

Ids ids_of(const std::vector<Batch>& batches) {
    Ids ids;
    for (const Batch& batch : batches) ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
    return ids;
}

bool same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Batch& x, const Batch& y) {
        return identical(x.images, y.images) && identical(x.targets, y.targets) && x.ids == y.ids;
    });
}

}  // namespace

TEST_CASE("a loader delivers images as they are stored", "[data][loader]") {
    Fake set(7);
    Loader loader(set, {6, 2, 4, 0, 1}, {.batch = 2});
    CHECK(loader.images() == 5);
    CHECK(loader.batches() == 3);
    CHECK_THROWS_WITH(loader.next(), Contains("start()"));
    for (int64_t number : {0, 1}) {
        std::vector<Batch> batches = epoch(loader, number);
        REQUIRE(batches.size() == 3);
        CHECK(ids_of(batches) == Ids{6, 2, 4, 0, 1});
        CHECK(batches[0].images.shape() == Shape{2, 6, 5, 3});
        CHECK(batches[2].images.shape() == Shape{1, 6, 5, 3});
        CHECK(identical(batches[1].targets, Tensor::of<int64_t>({1, 0}, {2})));
        const Tensor expected = set.read(2);
        for (std::size_t i = 0; i < 90; ++i)
            CHECK(batches[0].images.data<float>()[90 + i] == expected.data<uint8_t>()[i] / 255.0f);
        CHECK_FALSE(loader.next());
    }
}

TEST_CASE("threads, prefetching and the cache change no bit", "[data][loader]") {
    Fake set(41, {3, 17, 40});
    LoaderOptions options{.batch = 4, .shuffle = true, .seed = 5, .height = 9, .width = 8, .threads = 0};
    options.augmentation = {.flip_horizontal = true, .rotation = 20, .brightness = 0.2};
    Loader plain(set, all_of(set), options);
    const std::vector<Batch> first = epoch(plain, 0), second = epoch(plain, 1);
    CHECK(plain.skipped().size() == 3);
    CHECK_FALSE(same(first, second));
    for (int threads : {1, 2, 4})
        for (int64_t prefetch : {1, 3})
            for (std::size_t cache : {0, 1000, 1 << 20}) {
                options.threads = threads, options.prefetch = prefetch, options.cache_bytes = cache;
                Loader loader(set, all_of(set), options);
                CHECK(same(epoch(loader, 1), second));  // whatever epochs came before
                CHECK(same(epoch(loader, 0), first));
                CHECK(same(epoch(loader, 1), second));
                CHECK(loader.images() == 38);
            }
}

TEST_CASE("every epoch has an order of its own", "[data][loader]") {
    Fake set(30);
    auto order = [&](uint64_t seed, int64_t number) {
        Loader loader(set, all_of(set), {.batch = 7, .shuffle = true, .seed = seed});
        return ids_of(epoch(loader, number));
    };
    CHECK(order(1, 0) == order(1, 0));
    CHECK(order(1, 0) != order(1, 1));
    CHECK(order(1, 0) != order(2, 0));
    CHECK(order(1, 3) == random_permutation({1, purpose_of("shuffle"), 0, 0, 3}, 30));
    Ids sorted = order(1, 0);
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == all_of(set));
}

TEST_CASE("augmentation follows the image and the epoch, not its place", "[data][loader]") {
    Fake set(6);
    LoaderOptions options{.batch = 2, .seed = 9};
    options.augmentation.brightness = 0.5;
    Loader forward(set, {0, 1, 2, 3, 4, 5}, options), backward(set, {5, 4, 3, 2, 1, 0}, options);
    const std::vector<Batch> a = epoch(forward, 2), b = epoch(backward, 2);
    CHECK(identical(slice(a[0], 0, 1).images, slice(b[2], 1, 2).images));
    CHECK(identical(slice(a[1], 1, 2).images, slice(b[1], 0, 1).images));
    CHECK_FALSE(identical(a[0].images, epoch(forward, 3)[0].images));
}

TEST_CASE("damaged images are skipped and listed", "[data][loader]") {
    Fake set(10, {9, 0, 4});
    Loader loader(set, all_of(set), {.batch = 3});
    CHECK(loader.images() == 10);
    for (int64_t number : {0, 1, 2}) {
        std::vector<Batch> batches = epoch(loader, number);
        CHECK(ids_of(batches) == Ids{1, 2, 3, 5, 6, 7, 8});
        CHECK(batches[0].ids.size() == 3);
        CHECK(batches[1].ids.size() == 3);  // full, as later ones have moved up
        CHECK(loader.images() == 7);
        CHECK(loader.batches() == 3);
        REQUIRE(loader.skipped().size() == 3);
        CHECK(loader.skipped()[1].id == 4);
        CHECK(loader.skipped()[1].name == "image 4");
        CHECK_THAT(loader.skipped()[1].reason, Contains("got soup"));
    }
    CHECK(set.reads(4) == 1);
    Loader whole(set, all_of(set), {.batch = 3, .drop_last = true});
    CHECK(ids_of(epoch(whole, 0)) == Ids{1, 2, 3, 5, 6, 7});
    CHECK(whole.images() == 6);
    CHECK(whole.batches() == 2);

    Loader strict(set, {1, 2, 4, 5}, {.batch = 2, .strict = true});
    strict.start(0);
    CHECK(strict.next()->ids == Ids{1, 2});
    CHECK_THROWS_AS(strict.next(), FormatError);
    CHECK_THROWS_WITH(strict.next(), Contains("image 4"));
    strict.start(1);
    CHECK(strict.next()->ids == Ids{1, 2});

    Loader none(set, {0, 4, 9}, {.batch = 2});
    none.start(0);
    CHECK_THROWS_AS(none.next(), FormatError);
    CHECK_THROWS_WITH(none.next(), Contains("3 damaged files") && Contains("soup"));
}

TEST_CASE("damaged files of every kind among good ones", "[data][loader]") {
    ScratchFolder folder;
    for (int i = 0; i < 6; ++i) put(folder / str(i % 2 ? "a/" : "b/", "good", i, ".png"), flat_image(40 * i));
    put(folder / "a/empty.jpg", "");
    put(folder / "a/text.png", "no image at all");
    put(folder / "b/large.png", png_header(60000, 60000));
    const std::string png = read_file(folder / "b/good2.png", 1 << 20);
    put(folder / "b/short.png", png.substr(0, png.size() / 2));
    std::string jpeg;
    auto append = [](void* to, void* data, int size) {
        static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
    };
    stbi_write_jpg_to_func(append, &jpeg, 5, 4, 3, flat_image(90).data<uint8_t>().data(), 90);
    put(folder / "b/whole.jpg", jpeg);
    put(folder / "b/torn.jpg", jpeg.substr(0, jpeg.size() - 20));
    auto set = open_dataset(folder / "");
    CHECK(set->size() == 12);
    for (int threads : {0, 3}) {
        Loader loader(*set, all_of(*set), {.batch = 4, .threads = threads});
        CHECK(ids_of(epoch(loader, 0)).size() == 7);
        REQUIRE(loader.skipped().size() == 5);
        CHECK(loader.skipped()[0].name == "a/empty.jpg");
        CHECK(loader.skipped()[1].name == "a/text.png");
        CHECK(loader.skipped()[2].name == "b/large.png");
        CHECK_THAT(loader.skipped()[2].reason, Contains("large"));
        CHECK(loader.skipped()[3].name == "b/short.png");
        CHECK(loader.skipped()[4].name == "b/torn.jpg");
    }
    std::filesystem::remove(folder / "b/good4.png");  // since the set was opened
    Loader loader(*set, all_of(*set));
    CHECK(ids_of(epoch(loader, 0)).size() == 6);
    CHECK(loader.skipped().size() == 6);
}

TEST_CASE("images are decoded once, as far as memory allows", "[data][loader]") {
    Fake set(10);
    auto reads_after_three_epochs = [&](std::size_t cache) {
        Fake counted(10);
        Loader loader(counted, all_of(counted), {.batch = 4, .cache_bytes = cache});
        for (int64_t number : {0, 1, 2}) epoch(loader, number);
        int sum = 0;
        for (int64_t i = 0; i < 10; ++i) sum += counted.reads(i);
        return sum;
    };
    CHECK(reads_after_three_epochs(900) == 10);  // ten images of 6 x 5 x 3 bytes
    CHECK(reads_after_three_epochs(899) == 12);
    CHECK(reads_after_three_epochs(0) == 30);
}

TEST_CASE("what goes wrong on a thread is thrown by next()", "[data][loader]") {
    for (int threads : {0, 1, 4}) {
        Fake set(20);
        set.explosive = 9;
        Loader loader(set, all_of(set), {.batch = 4, .threads = threads});
        loader.start(0);
        CHECK(loader.next()->ids == Ids{0, 1, 2, 3});
        CHECK(loader.next());
        CHECK_THROWS_AS(loader.next(), std::length_error);
        CHECK_THROWS_AS(loader.next(), std::length_error);
        loader.start(1);
        CHECK(loader.next()->ids == Ids{0, 1, 2, 3});
    }
}

TEST_CASE("a loader may begin again, or end, at any moment", "[data][loader]") {
    Fake set(50);
    for (int batches = 0; batches < 12; ++batches) {
        Loader loader(set, all_of(set), {.batch = 3, .threads = 3, .cache_bytes = 0});
        if (batches % 4 == 3) continue;  // not even started
        loader.start(0);
        for (int i = 0; i < batches; ++i) loader.next();
        loader.start(1);
        CHECK(loader.next()->ids == Ids{0, 1, 2});
    }
}

TEST_CASE("sizes: as stored and all the same, or brought to one", "[data][loader]") {
    ScratchFolder folder;
    put(folder / "a/1.png", flat_image(50, 4, 4));
    put(folder / "b/2.png", flat_image(70, 6, 3));
    auto set = open_dataset(folder / "");
    Loader stored(*set, {0, 1});
    stored.start(0);
    CHECK_THROWS_AS(stored.next(), ShapeError);
    stored.start(0);
    CHECK_THROWS_WITH(stored.next(),
                      Contains("a/1.png (4,4,3)") && Contains("b/2.png (6,3,3)") && Contains("HINT"));
    Loader sized(*set, {0, 1}, {.height = 5, .width = 7});
    sized.start(0);
    Tensor images = sized.next()->images;
    CHECK(images.shape() == Shape{2, 5, 7, 3});
    for (int64_t i = 0; i < 105; ++i) {
        CHECK(images.data<float>()[i] == 50 / 255.0f);
        CHECK(images.data<float>()[105 + i] == 70 / 255.0f);
    }
}

TEST_CASE("channels: grey becomes three, colour one", "[data][loader]") {
    ScratchFolder folder;
    put(folder / "a/grey.png", flat_image(50, 2, 2, 1));
    put(folder / "b/red.png",
        Tensor::of<uint8_t>({200, 0, 0, 0, 200, 0, 0, 0, 200, 255, 255, 255}, {2, 2, 3}));
    auto set = open_dataset(folder / "");
    auto images = [&](int64_t channels) {
        Loader loader(*set, {0, 1}, {.channels = channels});
        loader.start(0);
        return loader.next()->images;
    };
    Tensor three = images(3), one = images(1);
    CHECK(three.shape() == Shape{2, 2, 2, 3});
    for (int i = 0; i < 12; ++i) CHECK(three.data<float>()[i] == 50 / 255.0f);
    CHECK(three.data<float>()[12] == 200 / 255.0f);
    CHECK(three.data<float>()[13] == 0);
    CHECK(one.shape() == Shape{2, 2, 2, 1});
    CHECK(one.data<float>()[0] == 50 / 255.0f);
    CHECK(one.data<float>()[4] == 60 / 255.0f);   // 59.8
    CHECK(one.data<float>()[5] == 117 / 255.0f);  // 117.4
    CHECK(one.data<float>()[6] == 23 / 255.0f);   // 22.8
    CHECK(one.data<float>()[7] == 1);
    CHECK_THROWS_AS(images(0), ShapeError);
}

TEST_CASE("a loader refuses options out of range", "[data][loader]") {
    Fake set(3);
    auto refused = [&](const LoaderOptions& options) {
        CHECK_THROWS_AS(Loader(set, {0}, options), OptionsError);
    };
    refused({.batch = 0});
    refused({.height = 5});
    refused({.width = 5});
    refused({.height = -1, .width = 3});
    refused({.height = 20000, .width = 3});
    refused({.channels = 2});
    refused({.threads = -1});
    refused({.prefetch = 0});
    refused({.augmentation = {.zoom = 1}});
    CHECK_THROWS_AS(Loader(set, {3}), OptionsError);
    CHECK_THROWS_AS(Loader(set, {-1}), OptionsError);
    Loader loader(set, {0});
    CHECK_THROWS_AS(loader.start(-1), OptionsError);
    CHECK_THROWS_AS(loader.start(int64_t{1} << 32), OptionsError);
    Loader none(set, {});
    none.start(0);
    CHECK_FALSE(none.next());
    CHECK(none.batches() == 0);
}

TEST_CASE("resizing is the models' own, rounded to bytes", "[data][convert]") {
    Tensor image = Tensor::of<uint8_t>({0, 100, 200, 50}, {2, 2, 1});
    CHECK(identical(resized(image, 2, 2), image));
    CHECK(identical(resized(image, 1, 1), Tensor::of<uint8_t>({88}, {1, 1, 1})));  // 87.5, to even
    CHECK(
        identical(resized(image, 2, 4), Tensor::of<uint8_t>({0, 25, 75, 100, 200, 162, 88, 50}, {2, 4, 1})));
    CHECK(identical(resized(image, 4, 1), Tensor::of<uint8_t>({50, 69, 106, 125}, {4, 1, 1})));
    CHECK_THROWS_AS(resized(Tensor::zeros({2, 2, 1}), 1, 1), DtypeError);
    CHECK_THROWS_AS(resized(Tensor::zeros({2, 2, 2}, Dtype::u8), 1, 1), ShapeError);
    CHECK_THROWS_AS(resized(image, 0, 1), ShapeError);
    CHECK_THROWS_AS(grey(Tensor::zeros({2, 2}, Dtype::u8)), ShapeError);
    CHECK_THROWS_AS(colour(Tensor::zeros({0, 2, 1}, Dtype::u8)), ShapeError);
}

TEST_CASE("work is done ahead, but not far", "[data][prefetch]") {
    std::atomic<int64_t> most{0};
    Prefetcher<int64_t> squares(3, 5, [&](int64_t i) {
        int64_t seen = most;
        while (seen < i && !most.compare_exchange_weak(seen, i)) {
        }
        return i * i;
    });
    squares.start(40);
    for (int64_t i = 0; i < 40; ++i) {
        CHECK(most < i + 5);
        CHECK(squares.take() == i * i);
    }
}

TEST_CASE("balanced epochs show every class as often as every other", "[data][loader]") {
    // Classes 0, 1, 2 of 14 images, of which a list has 9, 4 and 1.
    Fake set(42);
    Ids some;
    for (int64_t i = 0; i < 9; ++i) some.push_back(3 * i);
    for (int64_t i = 0; i < 4; ++i) some.push_back(3 * i + 1);
    some.push_back(2);
    LoaderOptions options{.batch = 4, .balanced = true, .seed = 5, .threads = 0};
    Loader loader(set, some, options);
    CHECK(loader.images() == 14);
    CHECK(loader.batches() == 4);
    std::map<int64_t, int> seen, ones_more;
    for (int64_t number = 0; number < 6; ++number) {
        const Ids ids = ids_of(epoch(loader, number));
        CHECK(ids.size() == 14);
        std::map<int64_t, int> by_class, by_image;
        for (int64_t id : ids) ++by_class[id % 3], ++by_image[id], ++seen[id];
        for (const auto& [label, count] : by_class) {
            CHECK((count == 4 || count == 5));
            ones_more[label] += count == 5;
        }
        for (const auto& [id, count] : by_image) {
            if (id % 3 == 0) CHECK(count == 1);                  // 4 or 5 of 9: none twice
            if (id % 3 == 1) CHECK((count == 1 || count == 2));  // 4 or 5 of 4: all, and one more
        }
        CHECK(std::is_sorted(ids.begin(), ids.end()) == false);
    }
    CHECK(seen.size() == 14);  // what one epoch leaves out another shows
    for (const auto& [label, count] : ones_more) CHECK(count == 4);  // of 6 epochs, two of three classes
    CHECK(ids_of(epoch(loader, 0)) != ids_of(epoch(loader, 1)));
    CHECK(ids_of(epoch(loader, 3)) == ids_of(epoch(loader, 3)));
}

TEST_CASE("a balanced epoch's repetitions are augmented anew, and threads change no bit", "[data][loader]") {
    Fake set(15, {4});
    Ids some{0, 3, 6, 9, 12, 1, 4, 2};
    LoaderOptions options{.batch = 3, .balanced = true, .seed = 2, .threads = 0};
    options.augmentation = {.rotation = 20, .brightness = 0.3};
    Loader plain(set, some, options);
    const std::vector<Batch> first = epoch(plain, 0), second = epoch(plain, 1);
    CHECK(plain.skipped().size() == 1);
    std::vector<Tensor> repeated;  // of the only image of class 2
    for (const Batch& batch : first)
        for (std::size_t i = 0; i < batch.ids.size(); ++i)
            if (batch.ids[i] == 2) repeated.push_back(slice(batch, i, i + 1).images.clone());
    REQUIRE(repeated.size() >= 2);
    CHECK_FALSE(identical(repeated[0], repeated[1]));
    for (int threads : {1, 4})
        for (std::size_t cache : {0, 1 << 20}) {
            options.threads = threads, options.cache_bytes = cache;
            Loader loader(set, some, options);
            CHECK(same(epoch(loader, 0), first));
            CHECK(same(epoch(loader, 1), second));
        }
}

TEST_CASE("a loader hands out on a device what it hands out on the CPU", "[cuda][data][loader]") {
    using cuda::emulation::EmulatedDevice, cuda::emulation::kCuda;
    EmulatedDevice device;
    const int misuses = EmulatedDevice::misuses();
    for (bool augmented : {false, true})
        for (bool balanced : {false, true}) {
            Fake set(11, {4});
            LoaderOptions options{.batch = 3, .shuffle = true, .balanced = balanced, .seed = 5};
            if (augmented)
                options.augmentation = {.flip_horizontal = true,
                                        .right_angles = true,
                                        .crop_padding = 1,
                                        .rotation = 30,
                                        .zoom = 0.2,
                                        .brightness = 0.3};
            Loader here(set, all_of(set), options);
            options.device = kCuda;
            Loader there(set, all_of(set), options);
            for (int64_t number : {0, 1}) {
                const std::vector<Batch> expected = epoch(here, number);
                std::vector<Batch> got = epoch(there, number);
                CHECK(expected.size() == got.size());
                for (Batch& batch : got) {
                    CHECK(batch.images.device() == kCuda);
                    CHECK(batch.targets.device() == kCuda);
                    batch = to(batch, kCpu);
                }
                CHECK(same(expected, got));
            }
            there.start(2);  // and is left in the middle of an epoch
            there.next();
            CHECK(there.skipped().size() == 1);
        }
    CHECK(EmulatedDevice::misuses() == misuses);
}
