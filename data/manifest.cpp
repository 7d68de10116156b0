#include "base/error.hpp"
#include "data/csv.hpp"
#include "data/formats.hpp"
#include "data/image_files.hpp"

#include <filesystem>

namespace microtome {
namespace {

// Not above the folder: a manifest from elsewhere must not lead us to files of other people.
bool is_below_folder(const std::string& name) {
    const std::filesystem::path path(name);
    if (name.empty() || path.is_absolute()) return false;
    for (const auto& step : path)
        if (step == "..") return false;
    return true;
}

std::size_t require_column(const Csv& table, const std::string& file, const char* what,
                           std::initializer_list<std::string_view> names) {
    if (const auto column = table.column(names)) return *column;
    std::string wanted, got;
    for (std::string_view name : names) wanted += str(wanted.empty() ? "" : ", ", name);
    for (const std::string& name : table.columns) got += str(got.empty() ? "" : ", ", name);
    throw FormatError(file, str("expected a column with the ", what, " (", wanted, "), got ", got),
                      "the first line names the columns");
}

}  // namespace

std::unique_ptr<Dataset> open_manifest(const std::string& csv_file) {
    const Csv table = read_csv(csv_file);
    const std::size_t file = require_column(table, csv_file, "file",
                                            {"file", "filename", "path", "image", "image_path", "img_path"});
    const std::size_t label =
        require_column(table, csv_file, "class", {"label", "class", "target", "diagnosis", "dx"});
    const auto group = table.column({"group", "group_id", "patient", "patient_id", "lesion_id"});
    const auto part = table.column({"split", "part", "subset"});

    std::vector<ImageFiles::File> files;
    for (const std::vector<std::string>& row : table.rows) {
        // "./a.png" and "a.png" are one file
        const std::string name = std::filesystem::path(row[file]).lexically_normal().generic_string();
        if (!is_below_folder(name))
            throw FormatError(csv_file, str("expected paths below its folder, got \"", row[file], '"'));
        if (row[label].empty()) throw FormatError(csv_file, str("expected a class for ", name, ", got none"));
        files.push_back(
            {name, row[label], group ? row[*group] : "", part ? part_named(row[*part]) : part_of_path(name)});
    }
    const std::string folder = std::filesystem::path(csv_file).parent_path().string();
    return std::make_unique<ImageFiles>(folder.empty() ? "." : folder, std::move(files),
                                        std::vector<std::string>{});
}

}  // namespace microtome
