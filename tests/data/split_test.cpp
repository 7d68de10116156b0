#include "data/split.hpp"

#include "base/atomic_file.hpp"
#include "tensor/random.hpp"
#include "tests/data/memory_dataset.hpp"
#include "tests/scratch_folder.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>

using namespace microtome;
using Catch::Contains;

namespace {

// One class after another, sizes[c] images each.
MemoryDataset dataset_of(const std::vector<int64_t>& sizes) {
    std::vector<std::string> classes;
    std::vector<Sample> samples;
    for (std::size_t c = 0; c < sizes.size(); ++c) {
        classes.push_back(str("class", c));
        for (int64_t i = 0; i < sizes[c]; ++i)
            samples.push_back({.name = str("class", c, "/", 1000 + i), .label = static_cast<int64_t>(c)});
    }
    return {classes, samples};
}

// Class 0 images only, in groups of these sizes.
MemoryDataset groups_of(const std::vector<int64_t>& sizes) {
    std::vector<Sample> samples;
    for (std::size_t g = 0; g < sizes.size(); ++g)
        for (int64_t i = 0; i < sizes[g]; ++i)
            samples.push_back({.name = str(g, "/", i), .group = str("group", g)});
    return {{"only"}, samples};
}

std::vector<std::string> names(const Dataset& dataset, const std::vector<int64_t>& images) {
    std::vector<std::string> result;
    for (int64_t i : images) result.push_back(dataset.samples()[i].name);
    return result;
}

std::vector<std::vector<std::string>> names(const Dataset& dataset, const Split& split) {
    return {names(dataset, split.train), names(dataset, split.val), names(dataset, split.test)};
}

std::vector<int64_t> counts(const Dataset& dataset, const std::vector<int64_t>& images) {
    std::vector<int64_t> result(dataset.classes().size());
    for (int64_t i : images) ++result[dataset.samples()[i].label];
    return result;
}

int64_t size_of(const std::vector<int64_t>& images) {
    return static_cast<int64_t>(images.size());
}

// Every image once.
void check_complete(const Dataset& dataset, const Split& split) {
    std::set<int64_t> all;
    for (const auto* part : {&split.train, &split.val, &split.test}) all.insert(part->begin(), part->end());
    CHECK(static_cast<int64_t>(all.size()) == dataset.size());
    CHECK(size_of(split.train) + size_of(split.val) + size_of(split.test) == dataset.size());
}

std::vector<Sample> shuffled(const Dataset& dataset) {
    std::vector<Sample> result;
    for (int64_t i : random_permutation({.seed = 99}, dataset.size())) result.push_back(dataset.samples()[i]);
    return result;
}

}  // namespace

TEST_CASE("a random split has every part within one image of its share of every class", "[data][split]") {
    const std::vector<std::vector<double>> shares{{.8, .1, .1}, {.6, .2, .2}, {.67, 0, .33},
                                                  {.8, 0, .2},  {.7, .2, .1}, {1, 0, 0}};
    const std::vector<std::vector<int64_t>> sizes{
        {100, 100}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {3, 250, 17, 1, 0}, {2, 2, 2, 2, 2, 2, 2},
        {1},        {7, 9, 13, 5, 6, 4, 3, 2, 101}};
    for (const auto& share : shares) {
        for (const auto& size : sizes) {
            const MemoryDataset dataset = dataset_of(size);
            const Split split =
                make_split(dataset, {.train = share[0], .val = share[1], .test = share[2], .seed = 3});
            check_complete(dataset, split);
            const std::vector<const std::vector<int64_t>*> parts{&split.train, &split.val, &split.test};
            for (int k = 0; k < 3; ++k) {
                const std::vector<int64_t> of_class = counts(dataset, *parts[k]);
                for (std::size_t c = 0; c < size.size(); ++c)
                    CHECK(std::abs(static_cast<double>(of_class[c]) -
                                   share[k] * static_cast<double>(size[c])) < 1);
                // The leftovers do not all go to one part.
                CHECK(std::abs(static_cast<double>(parts[k]->size()) -
                               share[k] * static_cast<double>(dataset.size())) <= 1);
            }
        }
    }
}

TEST_CASE("exact shares are exact", "[data][split]") {
    const MemoryDataset dataset = dataset_of({100, 50, 10});
    const Split split = make_split(dataset);
    CHECK(counts(dataset, split.train) == std::vector<int64_t>{80, 40, 8});
    CHECK(counts(dataset, split.val) == std::vector<int64_t>{10, 5, 1});
    CHECK(counts(dataset, split.test) == std::vector<int64_t>{10, 5, 1});
}

TEST_CASE("a split is its seed's and nobody else's", "[data][split]") {
    const MemoryDataset random = dataset_of({40, 41});
    const MemoryDataset grouped = groups_of({5, 3, 8, 1, 9, 4, 11, 6, 2, 7});  // no two of a size
    for (const auto& [dataset, kind] :
         {std::pair(&random, SplitKind::random), std::pair(&grouped, SplitKind::grouped)}) {
        const Split split = make_split(*dataset, {.kind = kind, .seed = 1});
        CHECK(make_split(*dataset, {.kind = kind, .seed = 1}) == split);
        CHECK_FALSE(make_split(*dataset, {.kind = kind, .seed = 2}) == split);
        // In whatever order the images are listed.
        const MemoryDataset other(dataset->classes(), shuffled(*dataset));
        const Split same = make_split(other, {.kind = kind, .seed = 1});
        CHECK(names(other, same) == names(*dataset, split));
        CHECK(listing_hash(other) == listing_hash(*dataset));
    }
    CHECK(listing_hash(random) != listing_hash(grouped));
}

TEST_CASE("no group is on two sides", "[data][split]") {
    // 250 tiles of 1 to 39 images in each of two classes, as in LC25000, and 30 images of no group.
    std::vector<Sample> samples;
    for (int64_t label : {0, 1})
        for (uint64_t g = 0; g < 250; ++g)
            for (uint64_t i = 0; i <= random_below({.seed = 5}, 250 * label + g, 39); ++i)
                samples.push_back({str(label, "/", g, "/", i), label, str(label, "/", g)});
    for (int i = 0; i < 30; ++i) samples.push_back({str("single/", i), i % 2});
    const MemoryDataset dataset({"a", "b"}, samples);
    const auto total = static_cast<double>(dataset.size());
    for (uint64_t seed : {1, 2, 3}) {
        const Split split = make_split(dataset, {.kind = SplitKind::grouped, .seed = seed});
        check_complete(dataset, split);
        CHECK(overlaps(dataset, split).empty());
        const std::vector<int64_t> all =
            counts(dataset, make_split(dataset, {.train = 1, .val = 0, .test = 0}).train);
        const std::vector<int64_t> test = counts(dataset, split.test), val = counts(dataset, split.val);
        for (int c : {0, 1}) {
            CHECK(std::abs(static_cast<double>(test[c]) - .1 * static_cast<double>(all[c])) < 1);
            CHECK(std::abs(static_cast<double>(val[c]) - .1 * static_cast<double>(all[c])) < 1);
        }
        // The large groups are not all in train: the test part has its share of groups too.
        std::map<std::string, int64_t> groups;
        for (int64_t i : split.test) ++groups[dataset.samples()[i].group];
        CHECK(groups.size() > 35);
        CHECK(groups.size() < 75);
    }
    // The random split, by contrast, tears groups apart.
    const std::vector<Overlap> torn = overlaps(dataset, make_split(dataset));
    REQUIRE(torn.size() == 3);
    CHECK(torn[1].first == "train");
    CHECK(torn[1].second == "test");
    CHECK(torn[1].names.empty());
    CHECK(torn[1].groups.size() > 200);
    CHECK(total > 5000);
}

TEST_CASE("groups of several classes are balanced over all of them", "[data][split]") {
    // Patients with up to 12 images in three classes.
    std::vector<Sample> samples;
    for (uint64_t patient = 0; patient < 300; ++patient)
        for (uint64_t i = 0; i <= random_below({.seed = 8}, patient, 12); ++i)
            samples.push_back({str(patient, "/", i),
                               static_cast<int64_t>(random_below({.seed = 9}, patient * 20 + i, 3)),
                               str("patient", patient)});
    const MemoryDataset dataset({"a", "b", "c"}, samples);
    const Split split = make_split(dataset, {.kind = SplitKind::grouped, .train = .6, .val = .2, .test = .2});
    check_complete(dataset, split);
    CHECK(overlaps(dataset, split).empty());
    const std::vector<int64_t> all =
        counts(dataset, make_split(dataset, {.train = 1, .val = 0, .test = 0}).train);
    const std::vector<int64_t> test = counts(dataset, split.test);
    for (int c : {0, 1, 2})
        CHECK(std::abs(static_cast<double>(test[c]) - .2 * static_cast<double>(all[c])) <= 4);
}

TEST_CASE("a group larger than a part goes to train, and few groups may leave a part empty",
          "[data][split]") {
    const MemoryDataset large = groups_of({50, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5});
    const Split split = make_split(large, {.kind = SplitKind::grouped});
    check_complete(large, split);
    CHECK(std::count_if(split.train.begin(), split.train.end(),
                        [&](int64_t i) { return large.samples()[i].group == "group0"; }) == 50);
    CHECK(split.val.size() == 10);
    CHECK(split.test.size() == 10);

    const MemoryDataset single = groups_of({20});
    CHECK(make_split(single, {.kind = SplitKind::grouped}).train.size() == 20);
}

TEST_CASE("a part without a share stays empty", "[data][split]") {
    const SplitOptions no_val{.kind = SplitKind::grouped, .train = .67, .val = 0, .test = .33};
    CHECK(make_split(groups_of({9, 9, 9, 9, 2}), no_val).val.empty());
    CHECK(make_split(dataset_of({10, 1, 2}), {.train = .67, .val = 0, .test = .33}).val.empty());
}

TEST_CASE("the set's own parts stay, and validation comes out of train", "[data][split]") {
    std::vector<Sample> samples;
    for (int i = 0; i < 90; ++i) samples.push_back({str("train/", i), i % 2, str("tile", i / 3), "train"});
    for (int i = 0; i < 20; ++i) samples.push_back({str("test/", i), i % 2, str("other", i / 2), "test"});
    const MemoryDataset dataset({"a", "b"}, samples);
    const Split split = make_split(dataset, {.kind = SplitKind::own});
    check_complete(dataset, split);
    CHECK(split.test.size() == 20);
    CHECK(split.val.size() >= 9);  // a ninth of 90, in groups of three
    CHECK(split.val.size() <= 12);
    CHECK(overlaps(dataset, split).empty());
    for (int64_t i : split.val) CHECK(dataset.samples()[i].part == "train");
    CHECK(make_split(dataset, {.kind = SplitKind::own, .train = .9, .val = 0, .test = .1}).val.empty());

    for (int i = 60; i < 90; ++i) samples[i].part = "val";
    const MemoryDataset complete({"a", "b"}, samples);
    const Split own = make_split(complete, {.kind = SplitKind::own});
    CHECK(own.train.size() == 60);
    CHECK(own.val.size() == 30);

    samples[7].part = "";
    CHECK_THROWS_WITH(make_split(MemoryDataset({"a", "b"}, samples), {.kind = SplitKind::own}),
                      Contains("train/7"));
    CHECK_THROWS_AS(make_split(dataset_of({5}), {.kind = SplitKind::own}), OptionsError);
}

TEST_CASE("the kind that suits a set", "[data][split]") {
    CHECK(natural_split(dataset_of({3})) == SplitKind::random);
    CHECK(natural_split(groups_of({3})) == SplitKind::grouped);
    CHECK(natural_split(MemoryDataset({"a"}, {{"x", 0, "g", "train"}})) == SplitKind::own);
    for (SplitKind kind : {SplitKind::random, SplitKind::grouped, SplitKind::own})
        CHECK(split_kind(name_of(kind)) == kind);
    CHECK_THROWS_WITH(split_kind("groupd"), Contains("did you mean grouped?"));
}

TEST_CASE("limits keep some images of each class, and the lower of two limits fewer of the same",
          "[data][split]") {
    const MemoryDataset dataset = dataset_of({100, 40, 3});
    const SplitOptions options{.seed = 4};
    SplitOptions twenty = options, ten = options;
    twenty.max_train = 20;
    ten.max_train = 10;
    const Split all = make_split(dataset, options), more = make_split(dataset, twenty);
    const Split less = make_split(dataset, ten);
    CHECK(counts(dataset, more.train) == std::vector<int64_t>{20, 20, counts(dataset, all.train)[2]});
    CHECK(counts(dataset, less.train) == std::vector<int64_t>{10, 10, counts(dataset, all.train)[2]});
    CHECK(std::includes(all.train.begin(), all.train.end(), more.train.begin(), more.train.end()));
    CHECK(std::includes(more.train.begin(), more.train.end(), less.train.begin(), less.train.end()));
    CHECK(more.test == all.test);
    CHECK(names(dataset, less.train) != names(dataset, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    SplitOptions none = options;
    none.max_val = 0;
    CHECK(make_split(dataset, none).val.empty());
}

TEST_CASE("shares that make no sense are refused", "[data][split]") {
    const MemoryDataset dataset = dataset_of({10});
    CHECK_THROWS_WITH(make_split(dataset, {.train = .8, .val = .1, .test = .2}), Contains("sum to 1"));
    CHECK_THROWS_AS(make_split(dataset, {.train = 1.2, .val = -.1, .test = -.1}), OptionsError);
    CHECK_THROWS_AS(make_split(dataset, {.train = NAN, .val = .1, .test = .1}), OptionsError);
    CHECK_THROWS_AS(make_split(dataset, {.train = 0, .val = .5, .test = .5}), OptionsError);
    CHECK_THROWS_AS(make_split(dataset, {.max_train = -2}), OptionsError);
    CHECK_THROWS_WITH(make_split(MemoryDataset({"a"}, {{"x", 0}, {"y", 0}, {"x", 0}})), Contains("'x'"));
}

TEST_CASE("names and groups that two parts share are found", "[data][split]") {
    const MemoryDataset dataset = groups_of({2, 2, 2});
    CHECK(overlaps(dataset, {{0, 1}, {2, 3}, {4, 5}}).empty());
    const std::vector<Overlap> found = overlaps(dataset, {{0, 1, 4}, {2, 3}, {5, 4}});
    REQUIRE(found.size() == 1);
    CHECK(found[0].first == "train");
    CHECK(found[0].second == "test");
    CHECK(found[0].names == std::vector<std::string>{"2/0"});
    CHECK(found[0].groups == std::vector<std::string>{"group2"});
}

TEST_CASE("a split is written and read back", "[data][split]") {
    ScratchFolder folder;
    const std::string path = folder / "split.json";
    const MemoryDataset dataset = groups_of({3, 4, 1, 1, 6, 2, 8, 3, 1, 1, 1});
    const SplitOptions options{.kind = SplitKind::grouped,
                               .train = .6,
                               .val = .2,
                               .test = .2,
                               .seed = 0xffffffffffffffffu,
                               .max_test = 3};
    const Split split = make_split(dataset, options);
    write_split(path, dataset, split, options);
    const StoredSplit stored = read_split(path, dataset);
    CHECK(stored.split == split);
    CHECK(stored.options == options);
    CHECK(stored.same_listing);

    // By name: the order of the listing does not matter, and further images are no harm.
    std::vector<Sample> more = shuffled(dataset);
    more.push_back({"another", 0});
    const MemoryDataset larger({"only"}, more);
    const StoredSplit again = read_split(path, larger);
    CHECK(names(larger, again.split) == names(dataset, split));
    CHECK_FALSE(again.same_listing);
}

TEST_CASE("a file that is no split of the data is refused", "[data][split]") {
    ScratchFolder folder;
    const std::string path = folder / "split.json";
    const MemoryDataset dataset = groups_of({3, 4, 1, 1});
    write_split(path, dataset, {{0, 1, 2, 3}, {7}, {8}}, {});
    const MemoryDataset other = groups_of({3, 4, 1});
    CHECK_THROWS_AS(read_split(path, other), FormatError);
    CHECK_THROWS_WITH(read_split(path, other), Contains("'3/0'") && Contains("(test)"));
    write_split(path, dataset, {{0, 1}, {1}, {}}, {});
    CHECK_THROWS_WITH(read_split(path, dataset), Contains("'0/1' in train and in val"));
    CHECK_THROWS_AS(read_split(folder / "none.json", dataset), MissingFileError);
    const std::string good = read_file(path, 1 << 20);
    for (const std::string& text :
         {std::string(), good.substr(0, good.size() / 2), std::string("[1, 2]"),
          std::string("{\"format\": 2}"), std::string("{\"format\": 1, \"kind\": \"x\"}")}) {
        write_file(path, text);
        CHECK_THROWS_AS(read_split(path, dataset), FormatError);
    }
}
