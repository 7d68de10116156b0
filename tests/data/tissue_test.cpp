#include "data/tissue.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/image.hpp"
#include "data/tissue_patterns.hpp"
#include "tests/full_disk.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr TissueClass kAll[] = {TissueClass::colon_aca, TissueClass::colon_n, TissueClass::lung_aca,
                                TissueClass::lung_n, TissueClass::lung_scc};

std::string hash_of(const Tensor& image) {
    return hex(hash_bytes(std::as_bytes(image.data<uint8_t>())));
}

}  // namespace

TEST_CASE("a piece of tissue is named by class, number and seed", "[tissue]") {
    std::set<std::string> hashes;
    for (TissueClass one : kAll)
        for (uint64_t seed : {0, 1})
            for (int64_t index : {0, 1}) hashes.insert(hash_of(draw_tissue(one, index, 24, seed)));
    CHECK(hashes.size() == 20);
    CHECK(identical(draw_tissue(TissueClass::lung_n, 7, 40, 3), draw_tissue(TissueClass::lung_n, 7, 40, 3)));
    Tensor image = draw_tissue(TissueClass::colon_n, 0, 33, 0);
    CHECK(image.shape() == Shape{33, 33, 3});
    CHECK(image.dtype() == Dtype::u8);
}

TEST_CASE("tissue has the same bits everywhere", "[tissue]") {
    const char* expected[] = {"35734ff6e0e603da", "32ad4371d1e63383", "8dcb47a1e7ad88ed", "feea0c7cc3bbbf80",
                              "b3691a1a867f6165"};
    for (std::size_t i = 0; i < 5; ++i) {
        INFO(tissue_class_names()[i]);
        uint64_t hash = kHashSeed;
        for (int64_t index = 0; index < 8; ++index)
            hash = hash_bytes(std::as_bytes(draw_tissue(kAll[i], index, 40, 17).data<uint8_t>()), hash);
        CHECK(hex(hash) == expected[i]);
    }
}

TEST_CASE("the set of tissue has classes, groups and parts", "[tissue]") {
    TissueDataset tissue({.per_class = 13, .size = 16, .seed = 5});
    REQUIRE(tissue.size() == 65);
    CHECK(tissue.classes() ==
          std::vector<std::string>{"colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"});
    std::set<std::string> groups;
    for (int64_t i = 0; i < tissue.size(); ++i) {
        const Sample& sample = tissue.samples()[static_cast<std::size_t>(i)];
        groups.insert(sample.group);
        CHECK(sample.label == i / 13);
        const int64_t index = i % 13;
        CHECK(sample.part == (index == 1 || index == 11   ? "val"
                              : index == 2 || index == 12 ? "test"
                                                          : "train"));
    }
    CHECK(groups.size() == 65);
    CHECK(tissue.samples()[28].name == "test/lung_aca/00002.png");
    Tensor read = tissue.read(28);
    CHECK(identical(read, draw_tissue(TissueClass::lung_aca, 2, 16, 5)));
    read.mutable_data<uint8_t>()[0] ^= 255;  // the caller's own
    CHECK(identical(tissue.read(28), draw_tissue(TissueClass::lung_aca, 2, 16, 5)));
}

TEST_CASE("tissue of no size, no number or no amount is refused", "[tissue]") {
    CHECK_THROWS_AS(draw_tissue(TissueClass::lung_n, 0, 15, 0), OptionsError);
    CHECK_THROWS_AS(draw_tissue(TissueClass::lung_n, 0, 1025, 0), OptionsError);
    CHECK_THROWS_AS(draw_tissue(TissueClass::lung_n, -1, 64, 0), OptionsError);
    CHECK_THROWS_WITH(TissueDataset({.per_class = 0}), Contains("got 0"));
    CHECK_THROWS_AS(TissueDataset({.per_class = 1'000'000'000'000}), OptionsError);
    CHECK_THROWS_AS(TissueDataset({.size = 0}), OptionsError);
    TissueDataset tissue({.per_class = 1, .size = 16});
    CHECK_THROWS_AS(tissue.read(5), OptionsError);
    CHECK_THROWS_AS(tissue.read(-1), OptionsError);
}

TEST_CASE("the tissue folder holds the set, and a later set takes its place", "[tissue]") {
    ScratchFolder folder;
    const std::string out = folder / "tissue";
    int64_t last = 0;
    REQUIRE(write_tissue(out, {.per_class = 12, .size = 16, .seed = 9}, [&](int64_t count) {
        CHECK(count == last + 1);
        last = count;
        return true;
    }));
    CHECK(last == 60);
    TissueDataset tissue({.per_class = 12, .size = 16, .seed = 9});
    std::string manifest = "file,split,label,group\n";
    for (int64_t i = 0; i < tissue.size(); ++i) {
        const Sample& sample = tissue.samples()[static_cast<std::size_t>(i)];
        CHECK(identical(read_image(out + '/' + sample.name), tissue.read(i)));
        manifest += sample.name + ',' + sample.part + ',' +
                    tissue.classes()[static_cast<std::size_t>(sample.label)] + ',' + sample.group + '\n';
    }
    CHECK(read_file(out + "/manifest.csv", 100'000) == manifest);

    // A smaller set leaves nothing of the larger one, and no manifest while it is incomplete.
    CHECK_FALSE(write_tissue(out, {.per_class = 2, .size = 16}, [](int64_t count) { return count < 3; }));
    CHECK_FALSE(std::filesystem::exists(out + "/manifest.csv"));
    REQUIRE(write_tissue(out, {.per_class = 2, .size = 16}));
    int64_t images = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out))
        images += entry.path().extension() == ".png";
    CHECK(images == 10);
}

TEST_CASE("tissue is not written over anybody's files", "[tissue]") {
    ScratchFolder folder;
    const TissueOptions small{.per_class = 1, .size = 16};
    write_file(folder / "thesis.txt", "years of work");
    CHECK_THROWS_WITH(write_tissue(folder / "", small), Contains("empty folder") && Contains("HINT"));
    CHECK(folder.names() == std::vector<std::string>{"thesis.txt"});
    for (const char* note :
         {"", "{}", "[1]", "{\"made_by\": \"somebody\", \"per_class\": 1, \"size\": 16, \"seed\": 0}"}) {
        write_file(folder / "tissue.json", note);
        CHECK_THROWS_AS(write_tissue(folder / "", small), OptionsError);
    }
    write_file(folder / "tissue.json", std::string(100'000, ' '));
    CHECK_THROWS_AS(write_tissue(folder / "", small), OptionsError);
    CHECK_THROWS_AS(write_tissue(folder / "thesis.txt", small), IoError);
    CHECK_THROWS_AS(write_tissue("/proc/tissue", small), IoError);
}

TEST_CASE("a full disk leaves no manifest, and another try begins anew", "[tissue]") {
    ScratchFolder folder;
    const std::string out = folder / "tissue";
    {
        FullDisk disk(1000);
        CHECK_THROWS_WITH(write_tissue(out, {.per_class = 1, .size = 64}), Contains(".png"));
    }
    CHECK_FALSE(std::filesystem::exists(out + "/manifest.csv"));
    CHECK(write_tissue(out, {.per_class = 1, .size = 16}));
}

namespace {

// What a class is made of, averaged over some pieces: shares of the area.
struct Content {
    double clear = 0, mucus = 0, nuclei = 0, blood = 0, keratin = 0;
};

Content content_of(TissueClass one, void (*draw)(tissue::Canvas&, const tissue::Origin&)) {
    constexpr int64_t kPieces = 16, kSize = 48;
    Content content;
    for (uint64_t index = 0; index < kPieces; ++index) {
        tissue::Canvas canvas(kSize, {0, 0}, {1, 0}, 1);
        draw(canvas, {.seed = 11, .tissue_class = static_cast<uint32_t>(one), .index = index});
        for (const tissue::Dye& dye : canvas.dyes()) {
            const double share = 1.0 / (kPieces * kSize * kSize);
            const bool nucleus = dye.haematoxylin > 0.32f, blood = dye.blood > 0.2f;
            if (nucleus) content.nuclei += share;
            if (blood) content.blood += share;
            if (!nucleus && !blood && dye.eosin > 0.36f) content.keratin += share;
            const float density = dye.haematoxylin + dye.eosin + dye.blood;
            if (density < 0.12f) content.clear += share;
            if (density < 0.2f && dye.haematoxylin > 1.5f * dye.eosin) content.mucus += share;
        }
    }
    return content;
}

}  // namespace

TEST_CASE("each tissue is made of what it should be", "[tissue]") {
    const Content alveoli = content_of(TissueClass::lung_n, tissue::draw_alveoli);
    const Content glands = content_of(TissueClass::lung_aca, tissue::draw_lung_glands);
    const Content sheets = content_of(TissueClass::lung_scc, tissue::draw_squamous_sheets);
    const Content crypts = content_of(TissueClass::colon_n, tissue::draw_crypts);
    const Content crowded = content_of(TissueClass::colon_aca, tissue::draw_colon_glands);
    CHECK(alveoli.clear > 0.5);
    CHECK(alveoli.nuclei < 0.15);
    CHECK(alveoli.blood > 0.02);
    for (const Content& tumour : {glands, sheets, crowded}) CHECK(tumour.clear < 0.3);
    for (const Content& other : {alveoli, glands, sheets, crypts})
        CHECK(crowded.nuclei > other.nuclei + 0.08);
    for (const Content& other : {alveoli, glands, crypts, crowded})
        CHECK(sheets.keratin > other.keratin + 0.04);
    for (const Content& other : {alveoli, glands, sheets, crowded}) CHECK(crypts.mucus > other.mucus + 0.06);
    CHECK(glands.clear > sheets.clear + 0.05);  // lumina
}

TEST_CASE("the same tissue at any size", "[tissue]") {
    for (TissueClass one : kAll) {
        const Tensor small = draw_tissue(one, 4, 48, 0), large = draw_tissue(one, 4, 96, 0);
        const auto fine = large.data<uint8_t>();
        double difference = 0;
        for (std::size_t i = 0; i < 48 * 48 * 3; ++i) {
            const std::size_t row = i / 144, column = i % 144 / 3, c = i % 3;
            const std::size_t at = (2 * row * 96 + 2 * column) * 3 + c;
            const double mean = (fine[at] + fine[at + 3] + fine[at + 288] + fine[at + 291]) / 4.0;
            difference += std::abs(mean - small.data<uint8_t>()[i]) / (48 * 48 * 3);
        }
        CHECK(difference < 15);
    }
}
