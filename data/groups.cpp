#include "data/groups.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "data/csv.hpp"

#include <unordered_map>

namespace microtome {
namespace {

class Regrouped : public Dataset {
  public:
    Regrouped(std::unique_ptr<Dataset> dataset, std::vector<std::string> groups)
        : dataset_(std::move(dataset)) {
        path_ = dataset_->path();
        classes_ = dataset_->classes();
        samples_ = dataset_->samples();
        notes_ = dataset_->notes();
        for (std::size_t i = 0; i < samples_.size(); ++i) samples_[i].group = std::move(groups[i]);
    }

    Tensor read(int64_t i) const override { return dataset_->read(i); }
    bool in_memory() const override { return dataset_->in_memory(); }

  private:
    std::unique_ptr<Dataset> dataset_;
};

std::string file_name(const std::string& path) {
    return path.substr(path.find_last_of("/\\") + 1);
}

std::string stem(const std::string& path) {
    const std::string name = file_name(path);
    const std::size_t dot = name.find_last_of('.');
    return dot == 0 || dot == std::string::npos ? name : name.substr(0, dot);
}

std::string quoted(const std::string& field) {
    if (field.find_first_of("\",\r\n") == std::string::npos) return field;
    std::string result = "\"";
    for (char c : field) result += c == '"' ? std::string("\"\"") : std::string(1, c);
    return result + '"';
}

}  // namespace

std::vector<std::string> read_groups(const std::string& path, const Dataset& dataset) {
    const Csv table = read_csv(path);
    const auto image = table.column({"file", "name", "path", "img_path", "image", "filename", "stem"});
    const auto group =
        table.column({"group", "group_id", "lesion_id", "patient_id", "patient", "cluster_label"});
    if (!image || !group)
        throw FormatError(path, str("expected a column of ", image ? "groups" : "images", ", got none"),
                          "call the columns file and group");
    // By the whole name, by the file's, and without the ending; where two rows differ the name says nothing.
    std::unordered_map<std::string, std::string> exact, files, stems;
    constexpr const char* kDisputed = "\n";
    auto note = [&](std::unordered_map<std::string, std::string>& known, const std::string& name,
                    const std::string& value) {
        const auto [place, is_new] = known.emplace(name, value);
        if (!is_new && place->second != value) place->second = kDisputed;
    };
    for (const std::vector<std::string>& row : table.rows) {
        const std::string& name = row[*image];
        const auto [place, is_new] = exact.emplace(name, row[*group]);
        if (!is_new && place->second != row[*group])
            throw FormatError(path, str("expected one group for each image, got '", place->second, "' and '",
                                        row[*group], "' for ", name));
        note(files, file_name(name), row[*group]);
        note(stems, stem(name), row[*group]);
    }
    std::vector<std::string> groups;
    bool any = false;
    for (const Sample& sample : dataset.samples()) {
        std::string found;
        for (const auto& [known, name] :
             {std::pair(&exact, sample.name), std::pair(&files, file_name(sample.name)),
              std::pair(&stems, stem(sample.name))}) {
            const auto place = known->find(name);
            if (place == known->end()) continue;
            any = true;
            if (place->second != kDisputed) found = place->second;
            break;
        }
        groups.push_back(found);
    }
    if (!any)
        throw FormatError(path,
                          str("expected groups for the images of ", dataset.path(), ", got none, not for ",
                              dataset.samples().empty() ? "any" : dataset.samples()[0].name, " either"));
    return groups;
}

void write_groups(const std::string& path, const Dataset& dataset, const std::vector<std::string>& groups) {
    std::string text = "file,group\n";
    for (std::size_t i = 0; i < groups.size(); ++i)
        text += quoted(dataset.samples().at(i).name) + ',' + quoted(groups[i]) + '\n';
    write_file(path, text);
}

std::unique_ptr<Dataset> with_groups(std::unique_ptr<Dataset> dataset, std::vector<std::string> groups) {
    if (groups.size() != dataset->samples().size())
        throw OptionsError(
            "groups", str("expected ", dataset->size(), " groups, one for each image, got ", groups.size()));
    return std::make_unique<Regrouped>(std::move(dataset), std::move(groups));
}

}  // namespace microtome
