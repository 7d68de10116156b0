#include "data/audit.hpp"

#include "base/atomic_file.hpp"
#include "data/groups.hpp"
#include "data/image.hpp"
#include "tensor/random.hpp"
#include "tests/data/memory_dataset.hpp"
#include "tests/scratch_folder.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

using namespace microtome;
using Catch::Contains;

namespace {

// A picture without end: a pale ground and dark blots of many sizes, other ones for every seed.
class Texture {
  public:
    explicit Texture(uint64_t seed) {
        std::vector<float> draws(4 * kBlots);
        fill_uniform({.seed = seed, .purpose = purpose_of("test texture")}, draws);
        for (int i = 0; i < kBlots; ++i)
            blots_.push_back({3 * draws[4 * i] - 1.5, 3 * draws[4 * i + 1] - 1.5,
                              0.03 + 0.1 * draws[4 * i + 2] * draws[4 * i + 2],
                              0.3 + 0.7 * draws[4 * i + 3]});
    }
    // 0 to 1; the picture's frame is from -1 to 1 each way.
    double at(double x, double y) const {
        double light = 0.9;
        for (const Blot& blot : blots_) {
            const double dx = x - blot.x, dy = y - blot.y,
                         d = (dx * dx + dy * dy) / (blot.radius * blot.radius);
            if (d < 9) light -= blot.darkness * 0.5 * std::exp(-d * d / 2);
        }
        return std::clamp(light, 0.2, 1.0);  // black would be nothing
    }

  private:
    static constexpr int kBlots = 300;
    struct Blot {
        double x, y, radius, darkness;
    };
    std::vector<Blot> blots_;
};

struct View {
    double degrees = 0, zoom = 1, stretch = 1;
    bool mirrored = false;
    double gain = 1, offset = 0;
};

Tensor picture(const Texture& texture, const View& view = {}, int64_t size = 64) {
    Tensor image(Spec{{size, size, 3}, Dtype::u8, kCpu});
    std::span<uint8_t> pixels = image.mutable_data<uint8_t>();
    const double angle = view.degrees * 3.14159265358979 / 180, c = std::cos(angle), s = std::sin(angle);
    for (int64_t row = 0; row < size; ++row)
        for (int64_t column = 0; column < size; ++column) {
            // From the picture back to the texture: so much smaller, turned the other way, mirrored.
            const double half = static_cast<double>(size) / 2;
            const double x = (static_cast<double>(column) + 0.5 - half) / half / view.zoom;
            const double y = (half - static_cast<double>(row) - 0.5) / half / (view.zoom * view.stretch);
            const double from_x = c * x + s * y, from_y = (c * y - s * x) * (view.mirrored ? -1 : 1);
            const double light = view.gain * texture.at(from_x, from_y) + view.offset;
            uint8_t* pixel = &pixels[(row * size + column) * 3];
            pixel[0] = static_cast<uint8_t>(255 * std::clamp(light, 0.0, 1.0));
            pixel[1] = static_cast<uint8_t>(200 * std::clamp(light, 0.0, 1.0));
            pixel[2] = static_cast<uint8_t>(230 * std::clamp(light, 0.0, 1.0));
        }
    return image;
}

Tensor as_jpeg(const Tensor& image, int quality) {
    std::string file;
    stbi_write_jpg_to_func(
        [](void* out, void* data, int size) {
            static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
        },
        &file, static_cast<int>(image.size(1)), static_cast<int>(image.size(0)), 3,
        image.data<uint8_t>().data(), quality);
    return decode_image(file, "jpeg");
}

// One of the eight quarter turns and mirrors.
Tensor quarter_turned(const Tensor& image, int which) {
    const int64_t n = image.size(0), channels = image.size(2);
    Tensor result(image.spec());
    std::span<const uint8_t> from = image.data<uint8_t>();
    std::span<uint8_t> to = result.mutable_data<uint8_t>();
    for (int64_t y = 0; y < n; ++y)
        for (int64_t x = 0; x < n; ++x) {
            int64_t row = which & 1 ? n - 1 - y : y, column = which & 2 ? n - 1 - x : x;
            if (which & 4) std::swap(row, column);
            for (int64_t c = 0; c < channels; ++c)
                to[(row * n + column) * channels + c] = from[(y * n + x) * channels + c];
        }
    return result;
}

Tensor noise(uint64_t seed, int64_t size, int64_t channels) {
    std::vector<float> draws(size * size * channels);
    fill_uniform({.seed = seed}, draws, 0, 256);
    std::vector<uint8_t> pixels(draws.begin(), draws.end());
    return Tensor::of(pixels, {size, size, channels});
}

MemoryDataset dataset_of(std::vector<Sample> samples, std::vector<Tensor> images) {
    return {{"a", "b"}, std::move(samples), std::move(images)};
}

}  // namespace

TEST_CASE("of twenty planted turned and mirrored copies at least 18 are found, and at most 2 that are none",
          "[data][audit][siblings]") {
    // As many pictures again have no copy.
    std::vector<Fingerprint> images;
    std::set<std::pair<int64_t, int64_t>> planted;
    for (uint64_t seed = 0; seed < 100; ++seed) images.push_back(fingerprint(picture(Texture(seed))));
    std::vector<float> draws(3 * 20);
    fill_uniform({.seed = 1, .purpose = purpose_of("test copies")}, draws);
    for (int64_t k = 0; k < 20; ++k) {
        View view{.degrees = 50 * draws[3 * k] - 25, .mirrored = draws[3 * k + 1] < 0.5f};
        // Half of them zoomed, so that the turn leaves no corner empty.
        if (k % 2 == 1) view.zoom = std::cos(view.degrees / 57.3) + std::sin(std::abs(view.degrees) / 57.3);
        images.push_back(fingerprint(picture(Texture(static_cast<uint64_t>(k)), view)));
        planted.emplace(k, 100 + k);
    }
    int found = 0, wrong = 0;
    for (const Sibling& pair : find_siblings(images)) {
        const bool right = planted.contains({pair.first, pair.second});
        found += right;
        wrong += !right;
    }
    CHECK(found >= 18);
    CHECK(wrong <= 2);
}

TEST_CASE("a sibling's pose is what was done to it", "[data][audit][siblings]") {
    const Texture texture(7);
    const Fingerprint original = fingerprint(picture(texture));
    REQUIRE(original.comparable());
    for (const View& view : {View{}, View{.degrees = 25}, View{.degrees = -100, .zoom = 1.3},
                             View{.degrees = 15, .mirrored = true}, View{.zoom = 1.9, .stretch = 1.1},
                             View{.degrees = 40, .gain = 0.6, .offset = 0.3}}) {
        const Sibling pair = register_pair(original, fingerprint(picture(texture, view)));
        CAPTURE(view.degrees, view.zoom, view.mirrored);
        CHECK(pair.correlation > 0.85);
        CHECK(pair.degrees == Approx(view.degrees).margin(2));
        CHECK(pair.zoom == Approx(view.zoom * std::sqrt(view.stretch)).margin(0.05));
        CHECK(pair.mirrored == view.mirrored);
    }
    // And the other way round.
    const Sibling back = register_pair(fingerprint(picture(texture, {.degrees = 20, .zoom = 1.5})), original);
    CHECK(back.correlation > 0.85);
    CHECK(back.degrees == Approx(-20).margin(2));
    CHECK(back.zoom == Approx(1 / 1.5).margin(0.04));
    CHECK(register_pair(original, fingerprint(as_jpeg(picture(texture), 30))).correlation > 0.95);
    CHECK(register_pair(original, fingerprint(picture(texture, {.degrees = 10}, 160))).correlation > 0.85);
    CHECK(register_pair(original, fingerprint(picture(Texture(8)))).correlation < 0.5);
}

TEST_CASE("black corners are no likeness, and no obstacle", "[data][audit][siblings]") {
    // Turned by so much, and nothing where the picture ends.
    auto framed = [](uint64_t seed, double degrees) {
        Tensor image = picture(Texture(seed), {.degrees = degrees, .gain = 0.2, .offset = 0.6});
        std::span<uint8_t> pixels = image.mutable_data<uint8_t>();
        const double c = std::cos(degrees / 57.3), s = std::sin(degrees / 57.3);
        for (int row = 0; row < 64; ++row)
            for (int column = 0; column < 64; ++column) {
                const double x = column - 31.5, y = 31.5 - row;
                if (std::abs(c * x + s * y) > 31 || std::abs(c * y - s * x) > 22)
                    for (int k = 0; k < 3; ++k) pixels[(row * 64 + column) * 3 + k] = 0;
            }
        return fingerprint(image);
    };
    CHECK(register_pair(framed(1, 0), framed(1, 20)).correlation > 0.8);
    for (uint64_t seed = 2; seed < 8; ++seed)
        CHECK(register_pair(framed(1, 0), framed(seed, 3.0 * static_cast<double>(seed))).correlation < 0.6);
}

TEST_CASE("what is too small or too plain is not compared", "[data][audit][siblings]") {
    CHECK_FALSE(fingerprint(noise(1, 47, 1)).comparable());
    CHECK(fingerprint(noise(1, 48, 1)).comparable());
    CHECK_FALSE(fingerprint(Tensor::full({64, 64, 3}, 200, Dtype::u8)).comparable());
    const std::vector<Fingerprint> few{fingerprint(noise(1, 28, 1)), fingerprint(noise(2, 64, 1)), {}};
    CHECK(find_siblings(few).empty());
    CHECK(find_siblings({}).empty());
    CHECK_THROWS_AS(find_siblings(few, {.correlation = 0}), OptionsError);
    CHECK_THROWS_AS(find_siblings(few, {.neighbours = 0}), OptionsError);
    CHECK_THROWS_AS(fingerprint(Tensor::zeros({64, 64}, Dtype::u8)), ShapeError);
    CHECK_THROWS_AS(fingerprint(Tensor::zeros({64, 64, 3})), DtypeError);
}

TEST_CASE("siblings are the same for any number of threads", "[data][audit][siblings]") {
    std::vector<Fingerprint> images;
    for (uint64_t seed = 0; seed < 70; ++seed)
        images.push_back(fingerprint(picture(Texture(seed % 66), {.degrees = 1.0 * seed})));
    auto pairs = [&](int threads) {
        const ThreadLimit limit(threads);
        std::vector<std::tuple<int64_t, int64_t, double, double>> result;
        for (const Sibling& x : find_siblings(images))
            result.emplace_back(x.first, x.second, x.correlation, x.zoom);
        return result;
    };
    CHECK(pairs(1).size() == 4);
    CHECK(pairs(1) == pairs(3));
}

TEST_CASE("an audit finds duplicates, contradictions, quarter turns and damaged images", "[data][audit]") {
    for (int64_t channels : {1, 3}) {
        std::vector<Sample> samples;
        std::vector<Tensor> images;
        auto add = [&](const std::string& name, int64_t label, const std::string& part, const Tensor& image) {
            samples.push_back({.name = name, .label = label, .part = part});
            images.push_back(image);
        };
        for (uint64_t i = 0; i < 10; ++i) add(str("train/", i), i % 2, "train", noise(i, 28, channels));
        add("train/again", 0, "train", noise(4, 28, channels));
        add("val/3", 1, "val", noise(3, 28, channels));
        add("test/7", 0, "test", noise(7, 28, channels));  // 7 is of class 1 in train
        add("test/new", 0, "test", noise(77, 28, channels));
        add("test/broken", 0, "test", Tensor());
        for (int which = 1; which < 8; ++which)
            add(str("test/turned", which), 0, "test",
                quarter_turned(noise(100 + which, 28, channels), which));
        for (int which = 1; which < 8; ++which)
            add(str("train/straight", which), 0, "train", noise(100 + which, 28, channels));
        const MemoryDataset dataset = dataset_of(samples, images);
        const Audit found = audit(dataset);
        CHECK(found.duplicates == std::vector<std::vector<int64_t>>{{3, 11}, {4, 10}, {7, 12}});
        CHECK(contradictions(dataset, found) == std::vector<std::vector<int64_t>>{{7, 12}});
        REQUIRE(found.damaged.size() == 1);
        CHECK(found.damaged[0].image == 14);
        CHECK_THAT(found.damaged[0].reason, Contains("expected an image"));
        REQUIRE(found.siblings.size() == 7);
        for (int64_t k = 0; k < 7; ++k) {
            CHECK(found.siblings[k].first == 15 + k);
            CHECK(found.siblings[k].second == 22 + k);
            CHECK(found.siblings[k].correlation == 1);
        }
        CHECK(found.siblings[2].degrees == 180);  // mirrored both ways
        CHECK_FALSE(found.siblings[2].mirrored);
        CHECK(found.siblings[0].mirrored);
        CHECK(found.incomparable == dataset.size() - 1);
        CHECK(found.shapes ==
              std::map<std::vector<int64_t>, int64_t>{{{28, 28, channels}, dataset.size() - 1}});

        const std::vector<Leak> leaked = leaks(dataset, found, named_parts(dataset));
        REQUIRE(leaked.size() == 3);
        CHECK(leaked[0].of == "test");
        CHECK(leaked[0].in == "train");
        CHECK(leaked[0].images == 10);
        CHECK(leaked[0].exact == 1);
        CHECK(leaked[0].siblings == 7);
        CHECK(leaked[0].any == 8);
        CHECK(leaked[0].share() == 0.8);
        CHECK(leaked[0].examples.front() == std::pair<int64_t, int64_t>(12, 7));
        CHECK(leaked[1].any == 0);
        CHECK(leaked[2].exact == 1);
        AuditOptions exact_only;
        exact_only.siblings = false;
        CHECK(audit(dataset, exact_only).siblings.empty());
        CHECK(audit(dataset, exact_only).duplicates.size() == 3);
    }
}

TEST_CASE("groups the set knows of leak like copies, and families and groups merge", "[data][audit]") {
    std::vector<Sample> samples{{"0", 0, "tile", "train"}, {"1", 0, "", "train"},   {"2", 0, "tile", "test"},
                                {"3", 0, "", "test"},      {"4", 0, "odd", "test"}, {"5", 0, "", "val"}};
    std::vector<Tensor> images;
    for (uint64_t i = 0; i < 6; ++i) images.push_back(noise(i % 5, 28, 1));  // 5 is 0
    const MemoryDataset dataset = dataset_of(samples, images);
    const Audit found = audit(dataset);
    const Leak leak = leaks(dataset, found, named_parts(dataset))[0];
    CHECK(leak.groups == 1);
    CHECK(leak.exact == 0);
    CHECK(leak.any == 1);
    CHECK(groups_of(dataset, found) == std::vector<std::string>{"0", "", "0", "", "", "0"});
}

TEST_CASE("an error that is not the image's is not swallowed", "[data][audit]") {
    struct Unreadable : MemoryDataset {
        Unreadable() : MemoryDataset({"a"}, {{"x", 0}, {"y", 0}}) {}
        Tensor read(int64_t) const override { throw IoError("x", "cannot read: disk on fire"); }
    };
    CHECK_THROWS_AS(audit(Unreadable()), IoError);
}

TEST_CASE("groups are read from a table by name, file or stem", "[data][groups]") {
    ScratchFolder folder;
    const std::string path = folder / "groups.csv";
    const MemoryDataset dataset = dataset_of(
        {{"train/a/x1.png", 0}, {"train/a/x2.png", 0}, {"test/b/y,1.png", 1}, {"test/b/y2.png", 1}}, {});
    write_file(
        path, "img_path,cluster_label\ntrain/a/x1.png,7\nelsewhere/x2.png,8\n\"y,1.png\",7\nunknown.png,9\n");
    CHECK(read_groups(path, dataset) == std::vector<std::string>{"7", "8", "7", ""});
    write_file(path, "stem,label,group_id,cluster_label\nx1,a,g,1\ny2,b,h,1\n");
    CHECK(read_groups(path, dataset) == std::vector<std::string>{"g", "", "", "h"});
    write_groups(path, dataset, {"g", "g", "h, \"1\"", ""});
    CHECK(read_groups(path, dataset) == std::vector<std::string>{"g", "g", "h, \"1\"", ""});
    write_file(path, "file,group\na/z.png,1\nb/x1.png,1\nc/x1.png,2\nx2.png,5\n");
    CHECK(read_groups(path, dataset) == std::vector<std::string>{"", "5", "", ""});  // which x1?

    for (const char* text :
         {"file,label\nx1.png,1\n", "file,group\nz.png,1\n", "file,group\nx1.png,1\nx1.png,2\n"}) {
        write_file(path, text);
        CHECK_THROWS_AS(read_groups(path, dataset), FormatError);
    }
    CHECK_THROWS_AS(read_groups(folder / "none.csv", dataset), MissingFileError);
    auto regrouped = with_groups(std::make_unique<MemoryDataset>(dataset), {"p", "p", "q", ""});
    CHECK(regrouped->samples()[1].group == "p");
    CHECK(regrouped->samples()[1].name == "train/a/x2.png");
    CHECK_THROWS_AS(with_groups(std::make_unique<MemoryDataset>(dataset), {"p"}), OptionsError);
}
