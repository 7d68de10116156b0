#include "evaluation/witnesses.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "data/image.hpp"
#include "evaluation/metrics.hpp"
#include "evaluation/rounding.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iomanip>

namespace microtome {
namespace {

constexpr const char* kHeader =
    "file,id,name,y,predicted_clean,predicted_adversarial,predicted_8bit,linf,l2,note";
constexpr std::size_t kFields = 10;
constexpr std::size_t kMaxManifest = std::size_t{256} << 20;

// A field of a CSV file (RFC 4180): in quotes where it holds what separates fields.
std::string field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string result = "\"";
    for (char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
    return result + '"';
}

// The fields of the record that begins at `at`, which moves to the next.
std::vector<std::string> next_record(const std::string& text, std::size_t& at) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    while (at < text.size()) {
        const char c = text[at++];
        if (quoted) {
            if (c != '"') {
                fields.back() += c;
            } else if (at < text.size() && text[at] == '"') {
                fields.back() += text[at++];
            } else {
                quoted = false;
            }
        } else if (c == '"' && fields.back().empty()) {
            quoted = true;
        } else if (c == ',') {
            fields.emplace_back();
        } else if (c == '\n') {
            break;
        } else if (c != '\r') {
            fields.back() += c;
        }
    }
    return fields;
}

template <class T>
T number(const std::string& text, const std::string& where) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        throw FormatError(where, str("expected a number, got '", text, "'"));
    return value;
}

}  // namespace

WitnessFolder::WitnessFolder(std::string path) : path_(std::move(path)) {
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    if (error) throw IoError(path_, str("cannot make the folder: ", error.message()));
}

void WitnessFolder::add(Witness witness, const Tensor& picture) {
    witness.file = str(std::setfill('0'), std::setw(6), witness.id, ".png");
    write_png(path_ + '/' + witness.file, picture);
    witnesses_.push_back(std::move(witness));
}

void WitnessFolder::finish() {
    std::sort(witnesses_.begin(), witnesses_.end(),
              [](const Witness& a, const Witness& b) { return a.id < b.id; });
    std::string text = str(kHeader, '\n');
    for (const Witness& w : witnesses_)
        text += str(w.file, ',', w.id, ',', field(w.name), ',', w.label, ',', w.predicted_clean, ',',
                    w.predicted_adversarial, ',', w.predicted_8bit, ',', std::setprecision(9), w.linf, ',',
                    w.l2, ',', field(w.note), '\n');
    write_file(path_ + "/manifest.csv", text);
}

std::vector<Witness> read_witnesses(const std::string& folder) {
    const std::string path = folder + "/manifest.csv", text = read_file(path, kMaxManifest);
    std::size_t at = 0;
    if (text.substr(0, text.find_first_of("\r\n")) != kHeader)
        throw FormatError(path, str("expected the first line ", kHeader));
    next_record(text, at);
    std::vector<Witness> result;
    for (int64_t line = 2; at < text.size(); ++line) {
        const std::string where = str(path, ':', line);
        const std::vector<std::string> fields = next_record(text, at);
        if (fields.size() != kFields)
            throw FormatError(where, str("expected ", kFields, " fields, got ", fields.size()));
        if (fields[0].empty() || fields[0].find('/') != std::string::npos || fields[0][0] == '.')
            throw FormatError(where, str("expected the name of a file in the folder, got '", fields[0], "'"));
        auto whole = [&](std::size_t i) { return number<int64_t>(fields[i], where); };
        auto real = [&](std::size_t i) { return number<double>(fields[i], where); };
        result.push_back({.file = fields[0],
                          .id = whole(1),
                          .name = fields[2],
                          .label = whole(3),
                          .predicted_clean = whole(4),
                          .predicted_adversarial = whole(5),
                          .predicted_8bit = whole(6),
                          .linf = real(7),
                          .l2 = real(8),
                          .note = fields[9]});
    }
    return result;
}

WitnessCheck check_witnesses(const std::string& folder, Classifier& classifier) {
    WitnessCheck check;
    for (const Witness& witness : read_witnesses(folder)) {
        const Tensor picture = read_image(folder + '/' + witness.file);
        const Tensor image =
            from_8_bits(picture).view({1, picture.size(0), picture.size(1), picture.size(2)});
        const int64_t answer = predictions_of(classifier.logits({.images = image, .ids = {witness.id}}))[0];
        ++check.witnesses;
        check.same += answer == witness.predicted_8bit;
        check.wrong += answer != witness.label;
    }
    return check;
}

}  // namespace microtome
