#include "data/split.hpp"

#include "base/atomic_file.hpp"
#include "base/hash.hpp"
#include "base/json_writer.hpp"
#include "base/suggest.hpp"
#include "tensor/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <unordered_map>

namespace microtome {
namespace {

constexpr int kParts = 3;
constexpr std::array<std::string_view, kParts> kPartNames{"train", "val", "test"};
constexpr int kFormat = 1;
constexpr std::size_t kMaxFile = std::size_t{1} << 30;

using Shares = std::array<double, kParts>;
using Counts = std::array<int64_t, kParts>;
using Images = std::vector<int64_t>;
using Parts = std::array<Images, kParts>;

void check(const SplitOptions& options) {
    for (double share : {options.train, options.val, options.test})
        if (!(share >= 0 && share <= 1))
            throw OptionsError("split", str("expected shares from 0 to 1, got ", share));
    const double sum = options.train + options.val + options.test;
    if (std::abs(sum - 1) > 1e-6)
        throw OptionsError("split", str("expected shares that sum to 1, got ", options.train, " + ",
                                        options.val, " + ", options.test, " = ", sum));
    if (options.train == 0) throw OptionsError("split", "expected a share for train, got 0");
    for (int64_t limit : {options.max_train, options.max_val, options.max_test})
        if (limit < -1)
            throw OptionsError("split", str("expected a limit per class of 0 or more, got ", limit),
                               "-1 stands for no limit");
}

// All images, in the order of their names.
Images by_name(const Dataset& dataset) {
    const std::vector<Sample>& samples = dataset.samples();
    Images images(samples.size());
    std::iota(images.begin(), images.end(), 0);
    std::sort(images.begin(), images.end(),
              [&](int64_t a, int64_t b) { return samples[a].name < samples[b].name; });
    for (std::size_t i = 1; i < images.size(); ++i)
        if (samples[images[i]].name == samples[images[i - 1]].name)
            throw OptionsError("split", str("expected names that differ, got two images '",
                                            samples[images[i]].name, "' in ", dataset.path()));
    return images;
}

RandomKey key_for(uint64_t seed, std::string_view purpose) {
    return {.seed = seed, .purpose = purpose_of(purpose)};
}

Images shuffled(const Images& images, const RandomKey& key) {
    Images result;
    for (int64_t place : random_permutation(key, static_cast<int64_t>(images.size())))
        result.push_back(images[place]);
    return result;
}

// The images of each class, in the order given.
std::vector<Images> by_class(const Dataset& dataset, const Images& images) {
    std::vector<Images> result(dataset.classes().size());
    for (int64_t i : images) result.at(dataset.samples()[i].label).push_back(i);
    return result;
}

// How many images of each class every part should have: rounded down, and the rest where most are missing
// over the classes so far.
std::vector<Counts> shares_of(const std::vector<Images>& classes, const Shares& shares) {
    std::vector<Counts> result;
    Shares missing{};
    for (const Images& images : classes) {
        Counts counts{};
        const auto total = static_cast<int64_t>(images.size());
        int64_t rest = total;
        std::array<bool, kParts> may_round_up{};
        for (int k = 0; k < kParts; ++k) {
            const double exact = shares[k] * static_cast<double>(total);
            counts[k] = static_cast<int64_t>(std::floor(exact + 1e-6));  // .1 + .2 + .7 is not quite 1
            may_round_up[k] = exact - static_cast<double>(counts[k]) > 1e-6;
            missing[k] += exact - static_cast<double>(counts[k]);
            rest -= counts[k];
        }
        for (; rest > 0; --rest) {
            int neediest = -1;
            for (int k = 0; k < kParts; ++k)
                if (may_round_up[k] && (neediest < 0 || missing[k] > missing[neediest] + 1e-9)) neediest = k;
            ++counts[neediest];
            --missing[neediest];
            may_round_up[neediest] = false;
        }
        result.push_back(counts);
    }
    return result;
}

Parts split_randomly(const Dataset& dataset, const Images& images, const Shares& shares, uint64_t seed) {
    Parts parts;
    const std::vector<Images> classes = by_class(dataset, images);
    const std::vector<Counts> counts = shares_of(classes, shares);
    for (std::size_t c = 0; c < classes.size(); ++c) {
        const Images order = shuffled(classes[c], key_for(seed, "split:" + dataset.classes()[c]));
        auto next = order.begin();
        for (int k = 0; k < kParts; ++k) {
            parts[k].insert(parts[k].end(), next, next + counts[c][k]);
            next += counts[c][k];
        }
    }
    return parts;
}

struct Group {
    Images images;
    std::map<int64_t, int64_t> counts;  // images of each class that it has
};

// Largest first; among equals in random order.
std::vector<Group> groups_of(const Dataset& dataset, const Images& images, uint64_t seed) {
    std::vector<Group> groups;
    std::unordered_map<std::string, std::size_t> known;
    for (int64_t i : images) {
        const Sample& sample = dataset.samples()[i];
        std::size_t place = groups.size();
        if (!sample.group.empty()) place = known.emplace(sample.group, place).first->second;
        if (place == groups.size()) groups.emplace_back();
        groups[place].images.push_back(i);
        ++groups[place].counts[sample.label];
    }
    std::vector<Group> order;
    const auto total = static_cast<int64_t>(groups.size());
    for (int64_t place : random_permutation(key_for(seed, "split:groups"), total))
        order.push_back(std::move(groups[place]));
    std::stable_sort(order.begin(), order.end(),
                     [](const Group& a, const Group& b) { return a.images.size() > b.images.size(); });
    return order;
}

Parts split_by_group(const Dataset& dataset, const Images& images, const Shares& shares, uint64_t seed) {
    std::vector<Counts> missing = shares_of(by_class(dataset, images), shares);
    const std::vector<Group> groups = groups_of(dataset, images, seed);
    const RandomKey key = key_for(seed, "split:placing");
    Parts parts;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        // sum n d: how the squared error falls by putting n images where d are missing, up to the same n^2
        // everywhere; it is also what a part's chance is proportional to.
        Counts room{};
        std::array<bool, kParts> fits{};
        int64_t chances = 0;
        for (int k = 0; k < kParts; ++k) {
            fits[k] = true;
            for (const auto& [label, n] : groups[g].counts) {
                fits[k] = fits[k] && n <= missing[label][k];
                room[k] += n * missing[label][k];
            }
            if (fits[k]) chances += room[k];
        }
        int chosen = 0;
        if (chances > 0) {
            auto ticket = static_cast<int64_t>(random_below(key, g, static_cast<uint64_t>(chances)));
            while (!fits[chosen] || ticket >= room[chosen]) {
                if (fits[chosen]) ticket -= room[chosen];
                ++chosen;
            }
        } else {
            for (int k = 1; k < kParts; ++k)
                if (shares[k] > 0 && room[k] > room[chosen]) chosen = k;
        }
        for (const auto& [label, n] : groups[g].counts) missing[label][chosen] -= n;
        parts[chosen].insert(parts[chosen].end(), groups[g].images.begin(), groups[g].images.end());
    }
    return parts;
}

bool has_groups(const Dataset& dataset) {
    const auto& samples = dataset.samples();
    return std::any_of(samples.begin(), samples.end(), [](const Sample& x) { return !x.group.empty(); });
}

bool has_parts(const Dataset& dataset) {
    const auto& samples = dataset.samples();
    return std::any_of(samples.begin(), samples.end(), [](const Sample& x) { return !x.part.empty(); });
}

Parts own_parts(const Dataset& dataset, const Images& images, const SplitOptions& options) {
    Parts parts;
    for (int64_t i : images) {
        const Sample& sample = dataset.samples()[i];
        const auto part = std::find(kPartNames.begin(), kPartNames.end(), sample.part);
        if (part == kPartNames.end())
            throw OptionsError(
                "split",
                str("expected every image in train, val or test, got '", sample.part, "' for ", sample.name),
                "draw a random or a grouped split instead");
        parts[part - kPartNames.begin()].push_back(i);
    }
    if (parts[0].empty())
        throw OptionsError("split", str("expected a train part in ", dataset.path(), ", got none"));
    Shares shares{options.train, parts[1].empty() ? options.val : 0, parts[2].empty() ? options.test : 0};
    const double sum = shares[0] + shares[1] + shares[2];
    if (shares[0] == sum) return parts;
    for (double& share : shares) share /= sum;
    Parts taken = has_groups(dataset) ? split_by_group(dataset, parts[0], shares, options.seed)
                                      : split_randomly(dataset, parts[0], shares, options.seed);
    parts[0].clear();
    for (int k = 0; k < kParts; ++k) parts[k].insert(parts[k].end(), taken[k].begin(), taken[k].end());
    return parts;
}

void sort_by_name(const Dataset& dataset, Images& images) {
    std::sort(images.begin(), images.end(),
              [&](int64_t a, int64_t b) { return dataset.samples()[a].name < dataset.samples()[b].name; });
}

void write_names(JsonWriter& json, std::string_view part, const Dataset& dataset, const Images& images) {
    json.key(part).array();
    for (int64_t i : images) json.value(dataset.samples()[i].name);
    json.end();
}

}  // namespace

std::string_view name_of(SplitKind kind) {
    switch (kind) {
        case SplitKind::random: return "random";
        case SplitKind::grouped: return "grouped";
        case SplitKind::own: return "own";
    }
    return "";
}

SplitKind split_kind(std::string_view name) {
    std::vector<std::string> names;
    for (SplitKind kind : {SplitKind::random, SplitKind::grouped, SplitKind::own}) {
        if (name == name_of(kind)) return kind;
        names.emplace_back(name_of(kind));
    }
    const std::string meant = closest_name(name, names);
    throw OptionsError("split", str("expected random, grouped or own, got '", name, "'"),
                       meant.empty() ? "" : str("did you mean ", meant, "?"));
}

SplitKind natural_split(const Dataset& dataset) {
    if (has_parts(dataset)) return SplitKind::own;
    return has_groups(dataset) ? SplitKind::grouped : SplitKind::random;
}

Split make_split(const Dataset& dataset, const SplitOptions& options) {
    check(options);
    const Images images = by_name(dataset);
    const double sum = options.train + options.val + options.test;
    const Shares shares{options.train / sum, options.val / sum, options.test / sum};
    Parts parts;
    switch (options.kind) {
        case SplitKind::random: parts = split_randomly(dataset, images, shares, options.seed); break;
        case SplitKind::grouped: parts = split_by_group(dataset, images, shares, options.seed); break;
        case SplitKind::own: parts = own_parts(dataset, images, options); break;
    }
    const Counts limits{options.max_train, options.max_val, options.max_test};
    for (int k = 0; k < kParts; ++k) {
        sort_by_name(dataset, parts[k]);
        parts[k] = limit_per_class(dataset, parts[k], limits[k], options.seed);
    }
    return {parts[0], parts[1], parts[2]};
}

std::vector<int64_t> limit_per_class(const Dataset& dataset, const std::vector<int64_t>& images,
                                     int64_t limit, uint64_t seed) {
    if (limit == -1) return images;
    if (limit < 0)
        throw OptionsError("split", str("expected a limit per class of 0 or more, got ", limit),
                           "-1 stands for no limit");
    std::set<int64_t> kept;
    const std::vector<Images> classes = by_class(dataset, images);
    for (std::size_t c = 0; c < classes.size(); ++c) {
        Images sorted = classes[c];
        sort_by_name(dataset, sorted);
        const Images order = shuffled(sorted, key_for(seed, "limit:" + dataset.classes()[c]));
        const auto count = std::min<std::size_t>(order.size(), static_cast<std::size_t>(limit));
        kept.insert(order.begin(), order.begin() + static_cast<int64_t>(count));
    }
    Images result;
    std::copy_if(images.begin(), images.end(), std::back_inserter(result),
                 [&](int64_t i) { return kept.contains(i); });
    return result;
}

std::vector<Overlap> overlaps(const Dataset& dataset, const Split& split) {
    const std::array<const Images*, kParts> parts{&split.train, &split.val, &split.test};
    std::array<std::set<std::string>, kParts> names, groups;
    for (int k = 0; k < kParts; ++k) {
        for (int64_t i : *parts[k]) {
            const Sample& sample = dataset.samples().at(i);
            names[k].insert(sample.name);
            if (!sample.group.empty()) groups[k].insert(sample.group);
        }
    }
    auto common = [](const std::set<std::string>& a, const std::set<std::string>& b) {
        std::vector<std::string> both;
        std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
        return both;
    };
    std::vector<Overlap> result;
    for (int a = 0; a < kParts; ++a) {
        for (int b = a + 1; b < kParts; ++b) {
            Overlap overlap{kPartNames[a], kPartNames[b], common(names[a], names[b]),
                            common(groups[a], groups[b])};
            if (!overlap.names.empty() || !overlap.groups.empty()) result.push_back(std::move(overlap));
        }
    }
    return result;
}

uint64_t listing_hash(const Dataset& dataset) {
    uint64_t hash = kHashSeed;
    auto append = [&](std::string_view text) {
        hash = hash_bytes(text, hash_bytes(str(text.size(), ':'), hash));
    };
    for (const std::string& name : dataset.classes()) append(name);
    Images images(dataset.samples().size());
    std::iota(images.begin(), images.end(), 0);
    sort_by_name(dataset, images);
    for (int64_t i : images) {
        const Sample& sample = dataset.samples()[i];
        append(sample.name);
        append(std::to_string(sample.label));
        append(sample.group);
    }
    return hash;
}

void write_split(const std::string& path, const Dataset& dataset, const Split& split,
                 const SplitOptions& options) {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("format", kFormat).field("kind", name_of(options.kind));
    json.field("seed", options.seed);
    json.key("shares").object();
    json.field("train", options.train).field("val", options.val).field("test", options.test).end();
    json.key("limits_per_class").object();
    json.field("train", options.max_train).field("val", options.max_val).field("test", options.max_test);
    json.end().key("dataset").object();
    json.field("path", dataset.path()).field("images", dataset.size());
    json.field("listing", hex(listing_hash(dataset))).end();
    write_names(json, "train", dataset, split.train);
    write_names(json, "val", dataset, split.val);
    write_names(json, "test", dataset, split.test);
    write_file(path, json.end().text() + '\n');
}

StoredSplit read_split(const std::string& path, const Dataset& dataset) {
    std::unordered_map<std::string, int64_t> places;
    for (int64_t i = 0; i < dataset.size(); ++i) places.emplace(dataset.samples()[i].name, i);
    std::unordered_map<std::string, std::string_view> seen;
    try {
        const nlohmann::json json = nlohmann::json::parse(read_file(path, kMaxFile));
        if (json.at("format").get<int64_t>() != kFormat)
            throw FormatError(
                path, str("expected a split of format ", kFormat, ", got ", json.at("format").get<int64_t>()),
                "a newer microtome wrote this file");
        StoredSplit stored;
        SplitOptions& options = stored.options;
        options.kind = split_kind(json.at("kind").get<std::string>());
        json.at("seed").get_to(options.seed);
        json.at("shares").at("train").get_to(options.train);
        json.at("shares").at("val").get_to(options.val);
        json.at("shares").at("test").get_to(options.test);
        json.at("limits_per_class").at("train").get_to(options.max_train);
        json.at("limits_per_class").at("val").get_to(options.max_val);
        json.at("limits_per_class").at("test").get_to(options.max_test);
        stored.same_listing =
            json.at("dataset").at("listing").get<std::string>() == hex(listing_hash(dataset));
        const std::array<Images*, kParts> parts{&stored.split.train, &stored.split.val, &stored.split.test};
        for (int k = 0; k < kParts; ++k) {
            for (const nlohmann::json& entry : json.at(kPartNames[k].data())) {
                const auto name = entry.get<std::string>();
                const auto place = places.find(name);
                if (place == places.end())
                    throw FormatError(path,
                                      str("expected images that are in ", dataset.path(), ", got '", name,
                                          "' (", kPartNames[k], "), which is not"),
                                      "was the split written for other data?");
                const auto [earlier, is_new] = seen.emplace(name, kPartNames[k]);
                if (!is_new)
                    throw FormatError(path, str("expected every image once, got '", name, "' in ",
                                                earlier->second, " and in ", kPartNames[k]));
                parts[k]->push_back(place->second);
            }
        }
        return stored;
    } catch (const nlohmann::json::exception& error) {
        throw FormatError(path, str("expected a split, got ", error.what()));
    } catch (const OptionsError& error) {
        throw FormatError(path, str("expected a split, got ", error.what()));
    }
}

}  // namespace microtome
