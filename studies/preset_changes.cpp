#include "studies/preset_changes.hpp"

#include "base/error.hpp"

#define TOML_EXCEPTIONS 1
#include <charconv>
#include <sstream>
#include <toml++/toml.h>

namespace microtome {
namespace {

toml::table parsed(const std::string& text, const std::string& name) {
    try {
        return toml::parse(text, name);
    } catch (const toml::parse_error& error) {
        throw FormatError(str(name, ":", error.source().begin.line),
                          str("expected TOML: ", error.description()));
    }
}

struct Change {
    std::string typed;
    std::vector<std::string> path;
    toml::table value;  // under the key "value"
};

[[noreturn]] void refuse(const std::string& typed, const std::string& what) {
    throw OptionsError("preset", str("expected a change as KEY=VALUE, got '", typed, "': ", what),
                       "data.max_train=60, models.*.size=96");
}

Change change_of(const std::string& typed) {
    const std::size_t equals = typed.find('=');
    if (equals == std::string::npos) refuse(typed, "there is no =");
    Change change{.typed = typed, .path = {}, .value = {}};
    std::istringstream keys(typed.substr(0, equals));
    for (std::string key; std::getline(keys, key, '.');) {
        if (key.empty()) refuse(typed, "a key is empty");
        change.path.push_back(key);
    }
    if (change.path.empty()) refuse(typed, "there is no key");
    const std::string value = typed.substr(equals + 1);
    try {
        change.value = toml::parse("value = " + value);
    } catch (const toml::parse_error&) {
        change.value.clear();
    }
    // What is no TOML value, or more than one, is a text: resnet50, 2/255.
    if (change.value.size() != 1) change.value = toml::table{{"value", value}};
    return change;
}

// The tables that the next key of the path stands in; several where it says so.
std::vector<toml::table*> tables_below(toml::table& table, const Change& change, std::size_t& at) {
    const std::string& key = change.path[at++];
    toml::node* node = table.get(key);
    if (!node) node = &table.insert(key, toml::table{}).first->second;
    if (toml::table* inner = node->as_table()) return {inner};
    toml::array* array = node->as_array();
    if (!array || array->empty() || !array->is_array_of_tables())
        refuse(change.typed, str(key, " is neither a table nor a list of tables"));
    const std::string place = at + 1 < change.path.size() ? change.path[at++] : "";
    std::vector<toml::table*> tables;
    if (place == "*") {
        for (toml::node& element : *array) tables.push_back(element.as_table());
        return tables;
    }
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(place.data(), place.data() + place.size(), index);
    if (error != std::errc() || end != place.data() + place.size() || index >= array->size())
        refuse(change.typed, str("which of the ", array->size(), " tables called ", key,
                                 " is said by 0, 1, ... or *, as in ", key, ".0.KEY"));
    return {array->get(index)->as_table()};
}

void apply(toml::table& root, const Change& change) {
    std::vector<toml::table*> tables{&root};
    std::size_t at = 0;
    while (at + 1 < change.path.size()) {
        std::vector<toml::table*> below;
        std::size_t next = at;
        for (toml::table* table : tables) {
            next = at;
            for (toml::table* one : tables_below(*table, change, next)) below.push_back(one);
        }
        tables = std::move(below);
        at = next;
    }
    for (toml::table* table : tables)
        change.value.get("value")->visit(
            [&](const auto& value) { table->insert_or_assign(change.path.back(), value); });
}

}  // namespace

std::string with_changes(const std::string& text, const std::string& name,
                         const std::vector<std::string>& changes) {
    if (changes.empty()) return text;
    toml::table preset = parsed(text, name);
    std::ostringstream out;
    out << "# " << name << ", changed on the command line:\n";
    for (const std::string& typed : changes) {
        apply(preset, change_of(typed));
        std::string line = typed;
        for (char& letter : line)
            if (static_cast<unsigned char>(letter) < ' ') letter = ' ';  // a comment is one line
        out << "#     " << line << '\n';
    }
    out << '\n' << preset << '\n';
    return out.str();
}

}  // namespace microtome
