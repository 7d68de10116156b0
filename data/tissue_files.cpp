// The built-in tissue as an image folder.
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"
#include "data/image.hpp"
#include "data/tissue.hpp"
#include "tensor/kernels/context.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

namespace microtome {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMaker = "microtome data synth";
constexpr const char* kNote = "tissue.json";
constexpr const char* kManifest = "manifest.csv";

std::string in(const std::string& folder, const std::string& name) {
    return (fs::path(folder) / name).string();
}

std::string note_text(const TissueOptions& options) {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("made_by", kMaker).field("per_class", options.per_class).field("size", options.size);
    return json.field("seed", options.seed).end().text() + '\n';
}

// What an earlier call wrote into the folder, by its note; nothing where it has none that such a call writes.
std::unique_ptr<TissueDataset> earlier_set(const std::string& folder) {
    constexpr std::size_t kLongest = 4096;
    try {
        const nlohmann::json note = nlohmann::json::parse(read_file(in(folder, kNote), kLongest));
        if (note.at("made_by").get<std::string>() != kMaker) return nullptr;
        return std::make_unique<TissueDataset>(TissueOptions{.per_class = note.at("per_class").get<int64_t>(),
                                                             .size = note.at("size").get<int64_t>(),
                                                             .seed = note.at("seed").get<uint64_t>()});
    } catch (const nlohmann::json::exception&) {
        return nullptr;
    } catch (const MissingFileError&) {
        return nullptr;
    } catch (const FormatError&) {
        return nullptr;
    } catch (const OptionsError&) {
        return nullptr;
    }
}

// Makes the folder, or empties it of what an earlier call wrote.
void prepare(const std::string& folder, const std::vector<std::string>& classes) {
    try {
        if (fs::exists(folder) && !fs::is_empty(folder)) {
            const std::unique_ptr<TissueDataset> earlier = earlier_set(folder);
            if (!earlier)
                throw OptionsError(
                    folder, "expected an empty folder, or one that `data synth` wrote, got other files",
                    "choose another folder; nothing was changed in this one");
            fs::remove(in(folder, kManifest));
            for (const Sample& sample : earlier->samples()) fs::remove(in(folder, sample.name));
        }
        for (const char* part : {"train", "val", "test"})
            for (const std::string& name : classes) fs::create_directories(fs::path(folder) / part / name);
    } catch (const fs::filesystem_error& error) {
        throw IoError(folder, str("cannot write there: ", error.code().message()));
    }
}

// Images first to last - 1, drawn by as many threads as there may be.
std::vector<Tensor> draw(const TissueDataset& tissue, int64_t first, int64_t last) {
    std::vector<Tensor> images(static_cast<std::size_t>(last - first));
    std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic) num_threads(thread_limit())
    for (int64_t i = first; i < last; ++i) {
        try {
            images[static_cast<std::size_t>(i - first)] =
                draw_tissue(static_cast<TissueClass>(tissue.samples()[static_cast<std::size_t>(i)].label),
                            i % tissue.options().per_class, tissue.options().size, tissue.options().seed);
        } catch (...) {
#pragma omp critical
            failure = std::current_exception();
        }
    }
    if (failure) std::rethrow_exception(failure);
    return images;
}

}  // namespace

bool write_tissue(const std::string& folder, const TissueOptions& options,
                  const std::function<bool(int64_t)>& written) {
    const TissueDataset tissue(options);
    prepare(folder, tissue.classes());
    write_file(in(folder, kNote), note_text(options));
    std::string manifest = "file,split,label,group\n";
    constexpr int64_t kAtOnce = 32;
    for (int64_t first = 0; first < tissue.size(); first += kAtOnce) {
        const int64_t last = std::min(first + kAtOnce, tissue.size());
        const std::vector<Tensor> images = draw(tissue, first, last);
        for (int64_t i = first; i < last; ++i) {
            const Sample& sample = tissue.samples()[static_cast<std::size_t>(i)];
            write_png(in(folder, sample.name), images[static_cast<std::size_t>(i - first)]);
            manifest +=
                str(sample.name, ',', sample.part, ',',
                    tissue.classes()[static_cast<std::size_t>(sample.label)], ',', sample.group, '\n');
            if (written && !written(i + 1)) return false;
        }
    }
    write_file(in(folder, kManifest), manifest);  // last: a folder without it is not complete
    return true;
}

}  // namespace microtome
