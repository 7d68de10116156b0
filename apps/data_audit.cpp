#include "apps/data_audit.hpp"

#include "apps/command.hpp"
#include "base/atomic_file.hpp"
#include "base/interrupt.hpp"
#include "base/json_writer.hpp"
#include "base/progress.hpp"
#include "data/audit.hpp"
#include "data/groups.hpp"
#include "data/open.hpp"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <optional>

namespace microtome::apps {
namespace {

constexpr std::size_t kShown = 10;  // of a list, on the console; the JSON has all

struct Stopped {};

// All that is found out, and what it was found in.
struct Findings {
    const Dataset* dataset;
    Audit audit;
    std::optional<Split> split;  // by a file, or by the set's own parts
    std::vector<Leak> leaks;     // of that split, or of a random one
    Leak grouped;            // test in train, were the split drawn by the groups found; without a split only
    std::size_t groups = 0;  // of two images or more

    const std::string& name(int64_t i) const { return dataset->samples()[i].name; }
    bool leaks_into_train() const { return split && leaks[0].any > 0; }
};

std::string percent(double share) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(1) << 100 * share << " %";
    return out.str();
}

std::string plural(int64_t n, const std::string& noun) {
    return str(n, ' ', noun, n == 1 ? "" : "s");
}

Audit run_audit(const Dataset& dataset, bool quiet) {
    const InterruptGuard guard;
    std::optional<Progress> progress;
    progress.emplace("reading", dataset.size(), "images", ProgressOptions::detect(quiet));
    bool comparing = false;
    AuditOptions options;
    options.read_step = [&](int64_t images) {
        if (interrupted()) throw Stopped();
        progress->advance(images);
    };
    options.compare_step = [&](int64_t images) {
        if (interrupted()) throw Stopped();
        if (!comparing)
            progress.emplace("comparing", dataset.size(), "images", ProgressOptions::detect(quiet));
        comparing = true;
        progress->advance(images);
    };
    return audit(dataset, options);
}

std::vector<int64_t> class_counts(const Dataset& dataset, const std::vector<int64_t>& images) {
    std::vector<int64_t> counts(dataset.classes().size());
    for (int64_t i : images) ++counts[dataset.samples()[i].label];
    return counts;
}

std::vector<int64_t> all_images(const Dataset& dataset) {
    std::vector<int64_t> images;
    for (int64_t i = 0; i < dataset.size(); ++i) images.push_back(i);
    return images;
}

// The images that a baseline is to be judged on.
std::vector<int64_t> judged(const Findings& found) {
    return found.split && !found.split->test.empty() ? found.split->test : all_images(*found.dataset);
}

struct Baseline {
    std::size_t label = 0;
    double accuracy = 0;
};

// What it takes no look at the image to be right in: always the largest class.
Baseline baseline(const Findings& found) {
    const std::vector<int64_t> images = judged(found);
    const std::vector<int64_t> counts = class_counts(*found.dataset, images);
    const auto largest = std::max_element(counts.begin(), counts.end());
    return {static_cast<std::size_t>(largest - counts.begin()),
            static_cast<double>(*largest) / static_cast<double>(std::max<std::size_t>(images.size(), 1))};
}

Findings look_into(const Dataset& dataset, const DataAuditOptions& options) {
    Findings found{&dataset, {}, {}, {}, {}, 0};
    if (!options.split.empty())
        found.split = read_split(options.split, dataset).split;
    else if (natural_split(dataset) == SplitKind::own)
        found.split = named_parts(dataset);
    found.audit = run_audit(dataset, options.quiet);

    const std::vector<std::string> groups = groups_of(dataset, found.audit);
    std::vector<std::string> named = groups;
    std::sort(named.begin(), named.end());
    found.groups = static_cast<std::size_t>(std::unique(named.begin(), named.end()) - named.begin());
    found.groups -= !named.empty() && named.front().empty();
    if (!options.write_groups.empty()) write_groups(options.write_groups, dataset, groups);

    found.leaks = leaks(dataset, found.audit, found.split ? *found.split : make_split(dataset));
    if (!found.split) {
        // The same images under the groups found, to draw what the advice would give.
        struct Listing : Dataset {
            Listing(const Dataset& other, const std::vector<std::string>& of) {
                classes_ = other.classes();
                samples_ = other.samples();
                for (std::size_t i = 0; i < of.size(); ++i) samples_[i].group = of[i];
            }
            Tensor read(int64_t) const override { return {}; }
        };
        const Split split = make_split(Listing(dataset, groups), {.kind = SplitKind::grouped});
        found.grouped = leaks(dataset, found.audit, split)[0];
    }
    return found;
}

void print_classes(std::ostream& out, const Findings& found) {
    const Dataset& dataset = *found.dataset;
    std::size_t width = 5;
    for (const std::string& name : dataset.classes()) width = std::max(width, name.size());
    const auto column = static_cast<int>(width);
    out << "  " << std::left << std::setw(column) << "class" << std::right << std::setw(10) << "images";
    std::vector<std::vector<int64_t>> counts{class_counts(dataset, all_images(dataset))};
    if (found.split) {
        for (const char* part : {"train", "val", "test"}) out << std::setw(8) << part;
        for (const auto* part : {&found.split->train, &found.split->val, &found.split->test})
            counts.push_back(class_counts(dataset, *part));
    }
    out << '\n';
    for (std::size_t c = 0; c < dataset.classes().size(); ++c) {
        out << "  " << std::left << std::setw(column) << dataset.classes()[c] << std::right << std::setw(10)
            << counts[0][c];
        for (std::size_t k = 1; k < counts.size(); ++k) out << std::setw(8) << counts[k][c];
        out << '\n';
    }
}

std::string pose_text(const Sibling& pair) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(0) << (pair.mirrored ? "mirrored, " : "") << "turned by "
        << pair.degrees << " degrees, " << std::setprecision(2) << pair.zoom
        << " times as large, correlation " << pair.correlation;
    return out.str();
}

// The pair itself where it is one; relatives at a further remove have no pose of their own.
std::string relation(const Findings& found, int64_t a, int64_t b) {
    for (const Sibling& pair : found.audit.siblings)
        if (std::minmax(a, b) == std::minmax(pair.first, pair.second))
            return str(found.name(pair.second), " is ", found.name(pair.first), ' ', pose_text(pair));
    return str(found.name(a), " and ", found.name(b));
}

template <class List, class Print>
void print_some(std::ostream& out, const List& list, Print print) {
    for (std::size_t i = 0; i < list.size() && i < kShown; ++i) {
        out << "    ";
        print(list[i]);
        out << '\n';
    }
    if (list.size() > kShown) out << "    and " << list.size() - kShown << " more\n";
}

void print_copies(std::ostream& out, const Findings& found) {
    const Audit& audit = found.audit;
    const auto& damaged = audit.damaged;
    out << "damaged images      " << damaged.size() << '\n';
    print_some(out, damaged,
               [&](const Damage& damage) { out << found.name(damage.image) << ": " << damage.reason; });
    int64_t copies = 0;
    for (const auto& set : audit.duplicates) copies += static_cast<int64_t>(set.size()) - 1;
    out << "the same pixels     " << plural(copies, "image") << " that repeat another, in "
        << plural(static_cast<int64_t>(audit.duplicates.size()), "set") << '\n';
    const auto contradicted = contradictions(*found.dataset, audit);
    out << "of several classes  " << plural(static_cast<int64_t>(contradicted.size()), "set")
        << " of the same pixels\n";
    print_some(out, contradicted, [&](const std::vector<int64_t>& set) {
        for (int64_t i : set)
            out << found.name(i) << " (" << found.dataset->classes()[found.dataset->samples()[i].label]
                << ")  ";
    });
    out << "siblings            " << plural(static_cast<int64_t>(audit.siblings.size()), "pair")
        << " of turned, mirrored or zoomed copies\n";
    if (audit.incomparable > 0)
        out << "                    " << plural(audit.incomparable, "image")
            << " too small or too plain to tell; quarter turns and mirrors are found all the same\n";
}

void print_leak(std::ostream& out, const Findings& found, const Leak& leak) {
    if (leak.images == 0) return;
    out << leak.of << " in " << leak.in << ": " << leak.any << " of " << leak.images << " ("
        << percent(leak.share()) << "): " << leak.exact << " with the same pixels, " << leak.siblings
        << " with a sibling, " << leak.groups << " of a shared group\n";
    print_some(out, leak.examples, [&](const std::pair<int64_t, int64_t>& pair) {
        out << relation(found, pair.first, pair.second);
    });
}

std::string verdict(const Findings& found) {
    const Leak& leak = found.leaks[0];
    if (found.split && leak.images == 0) return "No image is in test: there is nothing to judge a model by.";
    if (found.split && found.split->train.empty())
        return "No image is in train: nothing can leak from there.";
    if (found.leaks_into_train())
        return str(
            "LEAK: ", percent(leak.share()), " of the test images (", leak.any, " of ", leak.images,
            ") are in train, themselves or by a copy. A model may have seen the answer: what it scores on "
            "them says nothing of new patients. Draw a grouped split (--write-groups FILE writes the "
            "groups), or leave these images out.");
    if (found.split)
        return "No test image is in train, neither itself nor by a copy that this audit can see.";
    if (leak.any == 0)
        return "The set has no parts. A random 80/10/10 split would leak nothing that this audit can see.";
    return str("The set has no parts. After a random 80/10/10 split ", percent(leak.share()),
               " of the test images (", leak.any, " of ", leak.images,
               ") would have a copy or a relative in train. A split by the ", found.groups,
               " groups, the set's own and those found, leaks ", percent(found.grouped.share()),
               ": draw that one (--write-groups FILE writes the groups).");
}

void print(std::ostream& out, const Findings& found) {
    const Dataset& dataset = *found.dataset;
    out << dataset.path() << ": " << plural(dataset.size(), "image") << ", " << dataset.classes().size()
        << " classes\n";
    for (const std::string& note : dataset.notes()) out << "  " << note << '\n';
    out << '\n';
    print_classes(out, found);
    out << '\n';
    for (const auto& [shape, count] : found.audit.shapes)
        if (found.audit.shapes.size() <= kShown)
            out << "  " << shape[1] << " x " << shape[0] << " pixels, " << (shape[2] == 1 ? "grey" : "colour")
                << ": " << count << '\n';
    if (found.audit.shapes.size() > kShown) out << "  images of " << found.audit.shapes.size() << " sizes\n";
    const Baseline guess = baseline(found);
    out << "  always answering " << dataset.classes()[guess.label] << " would be right for "
        << percent(guess.accuracy)
        << (found.split && !found.split->test.empty() ? " of the test images\n\n" : " of the images\n\n");
    print_copies(out, found);
    out << '\n';
    if (found.split)
        for (const Leak& leak : found.leaks) print_leak(out, found, leak);
    out << '\n' << verdict(found) << '\n';
}

void write_leak(JsonWriter& json, const Findings& found, const Leak& leak) {
    json.object().field("of", leak.of).field("in", leak.in).field("images", leak.images);
    json.field("same_pixels", leak.exact).field("siblings", leak.siblings).field("groups", leak.groups);
    json.field("any", leak.any).field("share", leak.share()).key("pairs").array();
    for (const auto& [a, b] : leak.examples) json.array().value(found.name(a)).value(found.name(b)).end();
    json.end().end();
}

std::string to_json(const Findings& found) {
    const Dataset& dataset = *found.dataset;
    const Baseline guess = baseline(found);
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("data", dataset.path()).field("images", dataset.size()).key("classes").object();
    const std::vector<int64_t> counts = class_counts(dataset, all_images(dataset));
    for (std::size_t c = 0; c < counts.size(); ++c) json.field(dataset.classes()[c], counts[c]);
    json.end().field("majority_class", dataset.classes()[guess.label]);
    json.field("majority_accuracy", guess.accuracy).key("damaged").array();
    for (const Damage& damage : found.audit.damaged)
        json.object().field("name", found.name(damage.image)).field("reason", damage.reason).end();
    json.end();
    auto write_sets = [&](const char* key, const std::vector<std::vector<int64_t>>& sets) {
        json.key(key).array();
        for (const auto& set : sets) {
            json.array();
            for (int64_t i : set) json.value(found.name(i));
            json.end();
        }
        json.end();
    };
    write_sets("same_pixels", found.audit.duplicates);
    write_sets("same_pixels_of_several_classes", contradictions(dataset, found.audit));
    json.key("siblings").array();
    for (const Sibling& pair : found.audit.siblings) {
        json.object().field("first", found.name(pair.first)).field("second", found.name(pair.second));
        json.field("degrees", pair.degrees).field("zoom", pair.zoom).field("mirrored", pair.mirrored);
        json.field("correlation", pair.correlation).end();
    }
    json.end().field("incomparable", found.audit.incomparable);
    json.field("split", found.split ? "given" : "random").key("leaks").array();
    for (const Leak& leak : found.leaks) write_leak(json, found, leak);
    json.end();
    if (!found.split) json.field("grouped_share", found.grouped.share());
    json.field("verdict", verdict(found)).field("pass", !found.leaks_into_train());
    return json.end().text() + '\n';
}

}  // namespace

int data_audit(const DataAuditOptions& options) {
    std::unique_ptr<Dataset> dataset = open_dataset(options.data);
    if (!options.groups.empty()) {
        std::vector<std::string> groups = read_groups(options.groups, *dataset);
        dataset = with_groups(std::move(dataset), std::move(groups));
    }
    std::optional<AtomicFile> file;  // opened first: a long audit should not fail on a wrong path
    if (!options.json.empty()) file.emplace(options.json);
    try {
        const Findings found = look_into(*dataset, options);
        print(std::cout, found);
        if (file) {
            file->write(to_json(found));
            file->commit();
        }
        if (found.leaks_into_train()) return kCheckFailed;
        if (!options.strict || found.audit.damaged.empty()) return kDone;
        std::cerr << "microtome: "
                  << plural(static_cast<int64_t>(found.audit.damaged.size()), "damaged image")
                  << ", and --strict\n";
        return kBadInput;
    } catch (const Stopped&) {
        std::cerr << "microtome: stopped before all images were compared; nothing is known yet\n";
        return kMachineFailed;
    }
}

}  // namespace microtome::apps
