#include "base/json_writer.hpp"

#include "base/error.hpp"

#include <charconv>
#include <cmath>

namespace microtome {
namespace {

template <class T>
std::string shortest(T number) {
    if (!std::isfinite(number)) return "null";
    if (number == 0) return std::signbit(number) ? "-0.0" : "0";  // "-0" would read back as an integer
    char digits[32];
    return std::string(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// How many bytes the UTF-8 character at the start of `text` has; 0 when there is none. Overlong forms,
// surrogates and what lies beyond U+10FFFF are none (RFC 3629, section 4).
std::size_t utf8_length(std::string_view text) {
    auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[i])) : 0u;
    };
    auto continues = [&](std::size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
    unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        bool overlong = first == 0xe0 && byte(1) < 0xa0;
        bool surrogate = first == 0xed && byte(1) > 0x9f;
        return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        bool overlong = first == 0xf0 && byte(1) < 0x90;
        bool beyond = first == 0xf4 && byte(1) > 0x8f;
        return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
    }
    return 0;
}

}  // namespace

JsonWriter& JsonWriter::object() {
    return open('{');
}

JsonWriter& JsonWriter::array() {
    return open('[');
}

JsonWriter& JsonWriter::end() {
    if (levels_.empty()) throw Error("json", "expected an open object or array to end, got none");
    if (has_key_) throw Error("json", "expected a value after the key, got the end of the object");
    Level level = levels_.back();
    levels_.pop_back();
    if (!level.is_empty) begin_line();
    text_ += level.is_object ? '}' : ']';
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    if (levels_.empty() || !levels_.back().is_object || has_key_)
        throw Error("json", str("expected a value, got the key '", name, "'"));
    if (!levels_.back().is_empty) text_ += ',';
    levels_.back().is_empty = false;
    begin_line();
    quote(name);
    text_ += layout_ == Layout::pretty ? ": " : ":";
    has_key_ = true;
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
    begin_value();
    quote(text);
    return *this;
}

JsonWriter& JsonWriter::value(double number) {
    return literal(shortest(number));
}

JsonWriter& JsonWriter::value(float number) {
    return literal(shortest(number));
}

JsonWriter& JsonWriter::value(std::nullptr_t) {
    return literal("null");
}

const std::string& JsonWriter::text() const {
    if (!levels_.empty()) throw Error("json", str("expected ", levels_.size(), " more calls of end()"));
    return text_;
}

JsonWriter& JsonWriter::literal(std::string_view text) {
    begin_value();
    text_ += text;
    return *this;
}

JsonWriter& JsonWriter::open(char bracket) {
    begin_value();
    text_ += bracket;
    levels_.push_back({bracket == '{'});
    return *this;
}

// Whatever stands between the previous value and this one.
void JsonWriter::begin_value() {
    if (levels_.empty() && !text_.empty()) throw Error("json", "expected one top-level value, got a second");
    if (levels_.empty()) return;
    Level& level = levels_.back();
    if (level.is_object && !has_key_) throw Error("json", "expected a key in the object, got a value");
    if (!level.is_object) {
        if (!level.is_empty) text_ += ',';
        level.is_empty = false;
        begin_line();
    }
    has_key_ = false;
}

void JsonWriter::begin_line() {
    if (layout_ == Layout::pretty) text_.append("\n").append(2 * levels_.size(), ' ');
}

void JsonWriter::quote(std::string_view text) {
    text_ += '"';
    while (!text.empty()) {
        std::size_t length = utf8_length(text);
        char first = text.front();
        if (length == 0) {
            text_ += "\xef\xbf\xbd";  // U+FFFD
        } else if (first == '"' || first == '\\') {
            text_.append("\\").append(1, first);
        } else if (first == '\n') {
            text_ += "\\n";
        } else if (first == '\t') {
            text_ += "\\t";
        } else if (length == 1 && static_cast<unsigned char>(first) < 0x20) {
            text_.append("\\u00")
                .append(1, first < 0x10 ? '0' : '1')
                .append(1, "0123456789abcdef"[first & 15]);
        } else {
            text_ += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    text_ += '"';
}

}  // namespace microtome
