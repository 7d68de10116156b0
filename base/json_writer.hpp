// Writes JSON, value after value, without a tree of it in memory:
//
//     JsonWriter json;
//     json.object().field("suite", "gemm").key("sizes").array().value(256).value(1024).end().end();
//     write_file(path, json.text());
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace microtome {

class JsonWriter {
  public:
    enum class Layout { compact, pretty };  // one line, or one value per line with two spaces of indent
    explicit JsonWriter(Layout layout = Layout::compact) : layout_(layout) {}

    // What cannot stand where it is put (a value without a key in an object, an end too many, a second
    // top-level value) throws Error.
    JsonWriter& object();
    JsonWriter& array();
    JsonWriter& end();  // of the innermost object or array
    JsonWriter& key(std::string_view name);

    // Numbers are written with as few digits as read back to the same bits; NaN and infinity, which JSON
    // lacks, as null. Strings are UTF-8; a byte that is not becomes U+FFFD.
    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(double number);
    JsonWriter& value(float number);
    JsonWriter& value(std::nullptr_t);
    JsonWriter& value(std::same_as<bool> auto truth) { return literal(truth ? "true" : "false"); }
    template <std::integral T>
    requires(!std::same_as<T, bool>) JsonWriter& value(T number) { return literal(std::to_string(number)); }

    template <class T>
    JsonWriter& field(std::string_view name, const T& content) {
        return key(name).value(content);
    }

    // Everything so far. Throws Error while an object or array is open.
    const std::string& text() const;

  private:
    struct Level {
        bool is_object;
        bool is_empty = true;
    };

    JsonWriter& literal(std::string_view text);
    JsonWriter& open(char bracket);
    void begin_value();
    void begin_line();
    void quote(std::string_view text);

    Layout layout_;
    std::string text_;
    std::vector<Level> levels_;
    bool has_key_ = false;
};

}  // namespace microtome
