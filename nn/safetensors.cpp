#include "nn/safetensors.hpp"

#include "base/atomic_file.hpp"
#include "base/json_writer.hpp"
#include "nn/elements.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace microtome {
namespace {

constexpr const char* kMetadata = "__metadata__";

struct Element {
    std::string_view name;
    FileType type;
};
constexpr std::array<Element, 10> kElements{{{"F64", FileType::f64},
                                             {"F32", FileType::f32},
                                             {"F16", FileType::f16},
                                             {"BF16", FileType::bf16},
                                             {"I64", FileType::i64},
                                             {"I32", FileType::i32},
                                             {"I16", FileType::i16},
                                             {"I8", FileType::i8},
                                             {"U8", FileType::u8},
                                             {"BOOL", FileType::boolean}}};

// One array as the header describes it.
struct Entry {
    std::string name;
    std::optional<Element> element;
    std::optional<Shape> shape;
    std::optional<std::pair<uint64_t, uint64_t>> place;
};

// Takes the header's JSON piece by piece: nothing that the format does not allow is ever stored, and every
// key is seen, also the second of two that are equal.
class HeaderReader {
  public:
    explicit HeaderReader(const std::string& where) : where_(where) {}

    std::vector<Entry> entries;
    std::map<std::string, std::string> metadata;

    bool key(std::string& name) {
        if (depth_ == 1) {
            if (!names_.insert(name).second) fail(str("expected each name once, got a second ", name));
            in_metadata_ = name == kMetadata;
            if (!in_metadata_) entries.push_back({.name = name, .element = {}, .shape = {}, .place = {}});
        } else if (in_metadata_ && metadata.contains(name)) {
            fail(str("expected each metadata key once, got a second ", name));
        }
        key_ = name;
        return true;
    }
    bool string(std::string& text) {
        if (depth_ == 2 && in_metadata_) {
            metadata.emplace(key_, text);
        } else if (depth_ == 2 && !in_array_ && key_ == "dtype" && !entries.back().element) {
            auto found = std::find_if(kElements.begin(), kElements.end(),
                                      [&](const Element& element) { return element.name == text; });
            if (found == kElements.end())
                fail(str("expected ", entries.back().name,
                         " of type F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL, got ", text));
            entries.back().element = *found;
        } else {
            unexpected("a string");
        }
        return true;
    }
    bool number_unsigned(uint64_t number) {
        if (!in_array_) unexpected("a number");
        if (numbers_.size() == Shape::kMaxRank)
            fail(str("expected at most ", Shape::kMaxRank, " axes, got more for ", entries.back().name));
        numbers_.push_back(number);
        return true;
    }
    bool start_array(std::size_t) {
        const bool known =
            depth_ == 2 && !in_metadata_ && !in_array_ &&
            ((key_ == "shape" && !entries.back().shape) || (key_ == "data_offsets" && !entries.back().place));
        if (!known) unexpected("an array");
        in_array_ = true;
        numbers_.clear();
        return true;
    }
    bool end_array() {
        in_array_ = false;
        Entry& entry = entries.back();
        if (key_ == "shape") {
            std::array<int64_t, Shape::kMaxRank> sizes{};
            for (std::size_t i = 0; i < numbers_.size(); ++i) {
                if (numbers_[i] >> 47) fail(str("expected a shape that fits in memory for ", entry.name));
                sizes[i] = static_cast<int64_t>(numbers_[i]);
            }
            try {
                entry.shape = Shape(std::span<const int64_t>(sizes.data(), numbers_.size()));
            } catch (const ShapeError&) {
                fail(str("expected a shape that fits in memory for ", entry.name));
            }
        } else {
            if (numbers_.size() != 2) fail(str("expected two data_offsets for ", entry.name));
            entry.place = {numbers_[0], numbers_[1]};
        }
        return true;
    }
    bool start_object(std::size_t) {
        if (in_array_ || depth_ == 2) unexpected("an object");
        ++depth_;
        return true;
    }
    bool end_object() {
        if (--depth_ == 0 || in_metadata_) return true;
        const Entry& entry = entries.back();
        if (!entry.element || !entry.shape || !entry.place)
            fail(str("expected dtype, shape and data_offsets for ", entry.name));
        return true;
    }
    bool null() { return unexpected("null"); }
    bool boolean(bool) { return unexpected("a truth value"); }
    bool number_integer(int64_t) { return unexpected("a negative number"); }
    bool number_float(double, const std::string&) { return unexpected("a number"); }
    bool binary(std::vector<uint8_t>&) { return unexpected("bytes"); }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
        fail(str("expected a header in JSON, got something else at byte ", position));
    }

  private:
    [[noreturn]] void fail(const std::string& what) const { throw FormatError(where_, what); }
    bool unexpected(const char* what) const {
        fail(str("expected a safetensors header, got ", what, " at ", key_.empty() ? "its start" : key_));
    }

    const std::string& where_;
    std::set<std::string> names_;
    std::string key_;
    std::vector<uint64_t> numbers_;
    int depth_ = 0;
    bool in_metadata_ = false, in_array_ = false;
};

std::string_view type_name(Dtype dtype) {
    switch (dtype) {
        case Dtype::f64: return "F64";
        case Dtype::f32: return "F32";
        case Dtype::bf16: return "BF16";
        case Dtype::i64: return "I64";
        case Dtype::dual:
            throw DtypeError("safetensors", "expected a type that files know, got dual", "cast() it to f64");
        case Dtype::u8: break;
    }
    return "U8";
}

}  // namespace

TensorFile parse_tensors(std::string_view bytes, const std::string& where) {
    uint64_t header_bytes = 0;
    if (bytes.size() < sizeof header_bytes)
        throw FormatError(where, str("expected a safetensors file, got ", bytes.size(), " bytes"));
    std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
    bytes.remove_prefix(sizeof header_bytes);
    if (header_bytes > bytes.size() || header_bytes > kMaxHeaderBytes)
        throw FormatError(where,
                          str("expected a header within the file's ", bytes.size(), " bytes and ",
                              kMaxHeaderBytes, ", got one of ", header_bytes),
                          "this is no safetensors file, or only a part of one");
    const std::string_view header = bytes.substr(0, header_bytes), data = bytes.substr(header_bytes);
    if (header.empty() || header.front() != '{')
        throw FormatError(where, "expected a header that starts with {", "this is no safetensors file");

    HeaderReader reader(where);
    nlohmann::json::sax_parse(header.begin(), header.end(), &reader);
    std::vector<Entry>& entries = reader.entries;
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.place < b.place; });

    // Every byte of the data must belong to exactly one array.
    uint64_t position = 0;
    for (const Entry& entry : entries) {
        const auto [begin, end] = *entry.place;
        if (begin != position || end < begin || end > data.size())
            throw FormatError(where, str("expected ", entry.name, " to start at byte ", position, " of the ",
                                         data.size(), " of data and end inside, got ", begin, " to ", end));
        const auto elements = static_cast<uint64_t>(entry.shape->elements());
        if (end - begin != elements * size_of(entry.element->type))
            throw FormatError(
                where, str("expected ", elements * size_of(entry.element->type), " bytes for ", entry.name,
                           " ", entry.element->name, *entry.shape, ", got ", end - begin));
        position = end;
    }
    if (position != data.size())
        throw FormatError(where, str("expected ", position, " bytes of data, got ", data.size()));

    TensorFile result;
    result.metadata = std::move(reader.metadata);
    for (Entry& entry : entries)
        result.tensors.push_back({std::move(entry.name), read_elements(entry.element->type, *entry.shape,
                                                                       data.data() + entry.place->first)});
    return result;
}

std::string format_tensors(const TensorFile& file) {
    std::vector<const NamedTensor*> order;
    std::set<std::string_view> names;
    for (const NamedTensor& entry : file.tensors) {
        if (entry.name == kMetadata || !names.insert(entry.name).second)
            throw FormatError("safetensors", str("expected names that differ, got ", entry.name, " again"));
        if (!entry.tensor.defined() || entry.tensor.is_abstract() || entry.tensor.device() != kCpu)
            throw ShapeError("safetensors",
                             str("expected elements on the cpu for ", entry.name, ", got ", entry.tensor),
                             "initialize() or load() gives a model numbers");
        order.push_back(&entry);
    }
    std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
        const std::size_t left = size_of(a->tensor.dtype()), right = size_of(b->tensor.dtype());
        return left != right ? left > right : a->name < b->name;
    });

    JsonWriter json;
    json.object();
    if (!file.metadata.empty()) {
        json.key(kMetadata).object();
        for (const auto& [key, value] : file.metadata) json.field(key, value);
        json.end();
    }
    std::size_t offset = 0;
    for (const NamedTensor* entry : order) {
        json.key(entry->name).object().field("dtype", type_name(entry->tensor.dtype()));
        json.key("shape").array();
        for (int64_t size : entry->tensor.shape()) json.value(size);
        json.end().key("data_offsets").array().value(offset);
        offset += entry->tensor.spec().bytes();
        json.value(offset).end().end();
    }
    std::string header = json.end().text();
    header.resize((header.size() + 7) / 8 * 8, ' ');

    const uint64_t header_bytes = header.size();
    if (header_bytes > kMaxHeaderBytes)
        throw FormatError("safetensors", str("expected a header of at most ", kMaxHeaderBytes, " bytes, got ",
                                             header_bytes));
    std::string bytes(sizeof header_bytes, '\0');
    std::memcpy(bytes.data(), &header_bytes, sizeof header_bytes);
    bytes.reserve(bytes.size() + header.size() + offset);
    bytes += header;
    for (const NamedTensor* entry : order)
        if (entry->tensor.elements() > 0)
            bytes.append(reinterpret_cast<const char*>(entry->tensor.raw()), entry->tensor.spec().bytes());
    return bytes;
}

TensorFile read_tensors(const std::string& path) {
    return parse_tensors(read_file(path, kMaxTensorFileBytes), path);
}

void write_tensors(const std::string& path, const TensorFile& file) {
    write_file(path, format_tensors(file));
}

}  // namespace microtome
