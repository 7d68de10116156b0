#include "data/audit.hpp"

#include "base/hash.hpp"
#include "tensor/kernels/context.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <numeric>
#include <optional>
#include <set>
#include <unordered_map>

namespace microtome {
namespace {

constexpr int64_t kBlock = 64;  // images between two steps

std::vector<int64_t> shape_of(const Tensor& image) {
    return {image.shape().begin(), image.shape().end()};
}

uint64_t pixel_hash(const Tensor& image) {
    const std::span<const uint8_t> pixels = image.data<uint8_t>();
    return hash_bytes(std::as_bytes(pixels), hash_bytes(str(image.shape())));
}

// The same for an image and its quarter turns and mirrors: how often each value occurs in each channel.
uint64_t value_hash(const Tensor& image) {
    const auto channels = static_cast<std::size_t>(image.size(2));
    std::vector<std::array<int64_t, 256>> counts(channels, std::array<int64_t, 256>{});
    const std::span<const uint8_t> pixels = image.data<uint8_t>();
    for (std::size_t i = 0; i < pixels.size(); ++i) ++counts[i % channels][pixels[i]];
    const auto [shorter, longer] = std::minmax({image.size(0), image.size(1)});
    uint64_t hash = hash_bytes(str(shorter, 'x', longer));
    for (const auto& channel : counts) hash = hash_bytes(std::as_bytes(std::span(channel)), hash);
    return hash;
}

struct Look {
    std::string damage;
    std::vector<int64_t> shape;
    uint64_t pixels = 0, values = 0;
    Fingerprint fingerprint;
};

Look look_at(const Dataset& dataset, int64_t i, bool siblings) {
    Look look;
    try {
        const Tensor image = dataset.read(i);
        look.shape = shape_of(image);
        look.pixels = pixel_hash(image);
        if (!siblings) return look;
        look.values = value_hash(image);
        look.fingerprint = fingerprint(image);
    } catch (const FormatError& error) {
        look.damage = error.what();
    }
    return look;
}

std::vector<Look> look_at_all(const Dataset& dataset, const AuditOptions& options) {
    std::vector<Look> looks(dataset.samples().size());
    for (int64_t first = 0; first < dataset.size(); first += kBlock) {
        const int64_t last = std::min(dataset.size(), first + kBlock);
        std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic) num_threads(thread_limit())
        for (int64_t i = first; i < last; ++i) {
            try {
                looks[i] = look_at(dataset, i, options.siblings);
            } catch (...) {
#pragma omp critical
                failure = std::current_exception();
            }
        }
        if (failure) std::rethrow_exception(failure);
        if (options.read_step) options.read_step(last - first);
    }
    return looks;
}

// The readable images with equal hashes, where there are two or more; by their first image.
std::vector<std::vector<int64_t>> equal_by(const std::vector<Look>& looks, uint64_t Look::*hash) {
    std::unordered_map<uint64_t, std::size_t> places;
    std::vector<std::vector<int64_t>> sets;
    for (std::size_t i = 0; i < looks.size(); ++i) {
        if (!looks[i].damage.empty()) continue;
        const auto [place, is_new] = places.emplace(looks[i].*hash, sets.size());
        if (is_new) sets.emplace_back();
        sets[place->second].push_back(static_cast<int64_t>(i));
    }
    std::erase_if(sets, [](const auto& set) { return set.size() < 2; });
    return sets;
}

// Which quarter turn, mirrored first or not, makes the first the second; nothing when none does.
std::optional<Sibling> quarter_turned(const Tensor& first, const Tensor& second) {
    const int64_t height = first.size(0), width = first.size(1), channels = first.size(2);
    if (channels != second.size(2)) return std::nullopt;
    const std::span<const uint8_t> a = first.data<uint8_t>(), b = second.data<uint8_t>();
    for (bool mirrored : {false, true}) {
        for (int quarters = 0; quarters < 4; ++quarters) {
            const bool upright = quarters % 2 == 0;
            if (second.size(0) != (upright ? height : width) || second.size(1) != (upright ? width : height))
                continue;
            auto same = [&](int64_t y, int64_t x) {
                // Mirrored top to bottom, then turned counterclockwise.
                const int64_t row = mirrored ? height - 1 - y : y;
                int64_t to_y = row, to_x = x;
                if (quarters == 1) to_y = width - 1 - x, to_x = row;
                if (quarters == 2) to_y = height - 1 - row, to_x = width - 1 - x;
                if (quarters == 3) to_y = x, to_x = height - 1 - row;
                const auto from = a.begin() + (y * width + x) * channels;
                return std::equal(from, from + channels,
                                  b.begin() + (to_y * second.size(1) + to_x) * channels);
            };
            bool all = true;
            for (int64_t y = 0; y < height && all; ++y)
                for (int64_t x = 0; x < width && all; ++x) all = same(y, x);
            if (all)
                return Sibling{.correlation = 1,
                               .degrees = quarters == 3 ? -90.0 : 90.0 * quarters,
                               .mirrored = mirrored};
        }
    }
    return std::nullopt;
}

class Families {
  public:
    explicit Families(int64_t count) : parents_(static_cast<std::size_t>(count)) {
        std::iota(parents_.begin(), parents_.end(), 0);
    }
    int64_t of(int64_t i) {
        while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
        return i;
    }
    void join(int64_t a, int64_t b) {
        const auto [first, second] = std::minmax({of(a), of(b)});
        parents_[second] = first;
    }
    std::vector<int64_t> all() {
        std::vector<int64_t> result;
        for (std::size_t i = 0; i < parents_.size(); ++i) result.push_back(of(static_cast<int64_t>(i)));
        return result;
    }

  private:
    std::vector<int64_t> parents_;
};

}  // namespace

Audit audit(const Dataset& dataset, const AuditOptions& options) {
    std::vector<Look> looks = look_at_all(dataset, options);
    Audit result;
    Families families(dataset.size());
    for (std::size_t i = 0; i < looks.size(); ++i) {
        const Look& look = looks[i];
        if (!look.damage.empty())
            result.damaged.push_back({static_cast<int64_t>(i), look.damage});
        else
            ++result.shapes[look.shape];
        result.incomparable += options.siblings && look.damage.empty() && !look.fingerprint.comparable();
    }
    result.duplicates = equal_by(looks, &Look::pixels);
    std::vector<bool> is_copy(looks.size());  // of an earlier image, which stands for it
    for (const auto& set : result.duplicates)
        for (std::size_t k = 1; k < set.size(); ++k) {
            families.join(set[0], set[k]);
            is_copy[set[k]] = true;
            looks[set[k]].fingerprint = {};
        }
    if (options.siblings) {
        std::set<std::pair<int64_t, int64_t>> known;
        for (auto set : equal_by(looks, &Look::values)) {
            std::erase_if(set, [&](int64_t i) { return is_copy[i]; });
            for (std::size_t a = 0; a < set.size(); ++a)
                for (std::size_t b = a + 1; b < set.size(); ++b) {
                    if (families.of(set[a]) == families.of(set[b])) continue;
                    auto pair = quarter_turned(dataset.read(set[a]), dataset.read(set[b]));
                    if (!pair) continue;
                    pair->first = set[a];
                    pair->second = set[b];
                    known.emplace(set[a], set[b]);
                    families.join(set[a], set[b]);
                    result.siblings.push_back(*pair);
                }
        }
        std::vector<Fingerprint> fingerprints;
        for (Look& look : looks) fingerprints.push_back(std::move(look.fingerprint));
        for (const Sibling& pair : find_siblings(fingerprints, options.sibling_options, options.compare_step))
            if (!known.contains({pair.first, pair.second})) {
                families.join(pair.first, pair.second);
                result.siblings.push_back(pair);
            }
        std::sort(result.siblings.begin(), result.siblings.end(), [](const Sibling& a, const Sibling& b) {
            return std::pair(a.first, a.second) < std::pair(b.first, b.second);
        });
    }
    result.family = families.all();
    return result;
}

std::vector<std::vector<int64_t>> contradictions(const Dataset& dataset, const Audit& audit) {
    std::vector<std::vector<int64_t>> result;
    auto label = [&](int64_t i) { return dataset.samples()[i].label; };
    for (const auto& set : audit.duplicates)
        if (std::any_of(set.begin(), set.end(), [&](int64_t i) { return label(i) != label(set[0]); }))
            result.push_back(set);
    return result;
}

std::vector<std::string> groups_of(const Dataset& dataset, const Audit& audit) {
    Families families(dataset.size());
    std::unordered_map<std::string, int64_t> first_of_group;
    for (int64_t i = 0; i < dataset.size(); ++i) {
        families.join(i, audit.family[i]);
        const std::string& group = dataset.samples()[i].group;
        if (!group.empty()) families.join(i, first_of_group.emplace(group, i).first->second);
    }
    const std::vector<int64_t> family = families.all();
    std::unordered_map<int64_t, int64_t> sizes;
    for (int64_t first : family) ++sizes[first];
    std::vector<std::string> groups;
    for (int64_t first : family) groups.push_back(sizes[first] > 1 ? dataset.samples()[first].name : "");
    return groups;
}

std::vector<Leak> leaks(const Dataset& dataset, const Audit& audit, const Split& split) {
    std::vector<int64_t> pixels(dataset.samples().size());
    std::iota(pixels.begin(), pixels.end(), 0);
    for (const auto& set : audit.duplicates)
        for (int64_t i : set) pixels[i] = set[0];
    std::vector<Leak> result;
    auto look = [&](std::string_view of, const std::vector<int64_t>& part, std::string_view in,
                    const std::vector<int64_t>& other) {
        std::unordered_map<int64_t, int64_t> same, related;
        std::set<std::string_view> groups;
        for (int64_t i : other) {
            same.emplace(pixels[i], i);
            related.emplace(audit.family[i], i);
            if (!dataset.samples()[i].group.empty()) groups.insert(dataset.samples()[i].group);
        }
        Leak leak;
        leak.of = of;
        leak.in = in;
        leak.images = static_cast<int64_t>(part.size());
        for (int64_t i : part) {
            const auto twin = same.find(pixels[i]);
            const auto relative = related.find(audit.family[i]);
            const bool grouped = groups.contains(dataset.samples()[i].group);
            if (twin != same.end()) {
                ++leak.exact;
                leak.examples.emplace_back(i, twin->second);
            } else if (relative != related.end()) {
                ++leak.siblings;
                leak.examples.emplace_back(i, relative->second);
            }
            leak.groups += grouped;
            leak.any += twin != same.end() || relative != related.end() || grouped;
        }
        result.push_back(std::move(leak));
    };
    look("test", split.test, "train", split.train);
    look("test", split.test, "val", split.val);
    look("val", split.val, "train", split.train);
    return result;
}

Split named_parts(const Dataset& dataset) {
    Split split;
    for (int64_t i = 0; i < dataset.size(); ++i) {
        const std::string& part = dataset.samples()[i].part;
        if (part == "train") split.train.push_back(i);
        if (part == "val") split.val.push_back(i);
        if (part == "test") split.test.push_back(i);
    }
    return split;
}

}  // namespace microtome
