// The Intel and MobileODT cervical screening set (Kaggle, 2017): photographs of the cervix in three classes,
// the types of its transformation zone. Two layouts are about:
//
//     train/train/Type_1/0.jpg            or    train/Type_1/0.jpg
//     additional_Type_1_v2/Type_1/0.jpg         additional/Type_1/0.jpg
//     test/test/0.jpg                           test/0.jpg
//     solution_stg1_release.csv, or any other table of that form, in the folder itself or in test/:
//         image_name,Type_1,Type_2,Type_3
//         0.jpg,0,1,0
//
// The set's makers have published which files are broken and which lie under a wrong type. There is no table
// of patients: some have several photographs, in training, additional and test images alike, and some of
// these bear different types (data/audit.hpp finds what looks alike).
#include "base/error.hpp"
#include "base/letters.hpp"
#include "data/csv.hpp"
#include "data/find_images.hpp"
#include "data/formats.hpp"
#include "data/image_files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

namespace microtome {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kTypes{"Type_1", "Type_2", "Type_3"};

struct BadFile {
    bool additional;
    std::string_view file, what;
};
constexpr BadFile kBadFiles[] = {
    {true, "Type_1/5893.jpg", "is empty"},  {true, "Type_2/2845.jpg", "is empty"},
    {true, "Type_2/5892.jpg", "is empty"},  {true, "Type_1/3068.jpg", "is cut short"},
    {true, "Type_2/7.jpg", "is cut short"}, {false, "Type_1/1339.jpg", "is cut short"},
};

// Of the training images. Where one lies under this type already it has been put right by hand.
struct Erratum {
    std::string_view file, type;
};
constexpr Erratum kErrata[] = {{"968.jpg", "Type_1"}, {"1120.jpg", "Type_1"}, {"80.jpg", "Type_3"}};

bool is_type(const std::string& name) {
    return std::find(kTypes.begin(), kTypes.end(), name) != kTypes.end();
}

bool is_additional(const std::string& folder) {
    return lower_case(folder).starts_with("additional");
}

// The types of test images by file name, from the first table that states them.
std::map<std::string, std::string> types_of_test(const std::string& root, std::vector<std::string>& notes) {
    std::map<std::string, std::string> types;
    std::vector<std::string> tables;
    for (const char* place : {"", "test", "test/test"}) {
        std::error_code none;
        for (fs::directory_iterator entry(fs::path(root) / place, none), end; !none && entry != end;
             entry.increment(none))
            if (lower_case(entry->path().extension().string()) == ".csv")
                tables.push_back(entry->path().string());
    }
    std::sort(tables.begin(), tables.end());
    for (const std::string& path : tables) {
        const Csv table = read_csv(path);
        const auto name = table.column({"image_name"});
        std::array<std::size_t, kTypes.size()> columns{};
        bool whole = name.has_value();
        for (std::size_t k = 0; k < kTypes.size(); ++k) {
            const auto column = table.column({lower_case(kTypes[k])});
            whole = whole && column;
            if (column) columns[k] = *column;
        }
        if (!whole) continue;
        for (const std::vector<std::string>& row : table.rows) {
            std::string type;
            for (std::size_t k = 0; k < kTypes.size(); ++k) {
                const std::string& mark = row[columns[k]];
                if (mark == "0" || mark == "0.0") continue;
                if ((mark != "1" && mark != "1.0") || !type.empty())
                    throw FormatError(path, str("expected one 1 among zeros for ", row[*name], ", got \"",
                                                mark, "\" for ", kTypes[k]));
                type = kTypes[k];
            }
            if (type.empty()) throw FormatError(path, str("expected a type for ", row[*name], ", got none"));
            const auto [place, is_new] = types.emplace(row[*name], type);
            if (!is_new && place->second != type)
                throw FormatError(
                    path, str("expected one type for ", row[*name], ", got ", place->second, " and ", type));
        }
        notes.push_back(str("the types of ", types.size(), " test images are those of ",
                            fs::path(path).filename().string()));
        break;
    }
    return types;
}

}  // namespace

bool is_mobileodt(const std::string& folder) {
    const fs::path root(folder);
    std::error_code none;
    for (const char* train : {"train", "train/train"})
        if (fs::is_directory(root / train / kTypes.front(), none)) return true;
    return false;
}

std::unique_ptr<Dataset> open_mobileodt(const std::string& root) {
    const FoundImages found = find_images(root);
    std::vector<ImageFiles::File> files;
    std::vector<std::string> notes, relabelled, left_out;
    std::map<std::string, std::string> types = types_of_test(root, notes);
    int64_t unlabelled = 0;
    for (const auto& [folder, names] : found.images) {
        const std::string type = last_name(folder), part = part_of_path(folder + "/");
        const bool additional = is_additional(folder);
        for (const std::string& name : names) {
            ImageFiles::File file{folder.empty() ? name : folder + '/' + name, type, "", part};
            if (!is_type(type)) {
                const auto known = types.find(name);
                if (part != "test" || known == types.end()) {
                    ++unlabelled;
                    continue;
                }
                file.class_name = known->second;
            }
            const auto bad =
                std::find_if(std::begin(kBadFiles), std::end(kBadFiles), [&](const BadFile& one) {
                    return one.additional == additional && part == "train" && type + '/' + name == one.file;
                });
            if (bad != std::end(kBadFiles)) {
                left_out.push_back(str(file.name, ' ', bad->what));
                continue;
            }
            for (const Erratum& erratum : kErrata)
                if (part == "train" && !additional && name == erratum.file && type != erratum.type) {
                    relabelled.push_back(str(file.name, " is of ", erratum.type));
                    file.class_name = erratum.type;
                }
            files.push_back(std::move(file));
        }
    }
    auto say = [&](const std::vector<std::string>& what, const char* begin) {
        if (what.empty()) return;
        std::string text = str(begin, what.size(), ": ");
        for (const std::string& one : what) text += (&one == &what.front() ? "" : "; ") + one;
        notes.push_back(text);
    };
    say(relabelled, "labels put right as the set's makers have published, ");
    say(left_out, "files left out that the set's makers have published as broken, ");
    if (unlabelled > 0)
        notes.push_back(str(unlabelled, " images without a type were left out",
                            types.empty() ? "; solution_stg1_release.csv would say those of the test" : ""));
    if (found.foreign > 0)
        notes.push_back(str(found.foreign, " images of a kind that is not read (", found.a_foreign_one,
                            ") were left out"));
    if (files.empty()) throw FormatError(root, "expected photographs in train/Type_1 and the like, got none");
    return std::make_unique<ImageFiles>(root, std::move(files), std::move(notes));
}

}  // namespace microtome
