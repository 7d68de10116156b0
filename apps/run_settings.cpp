#include "apps/run_settings.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

namespace microtome::apps {
namespace {

constexpr std::size_t kMaxConfigBytes = 1 << 20;

template <class Number>
Number parse(const std::string& command, const std::string& what, const std::string& text, const char* kind) {
    Number value{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw OptionsError(command, str("expected ", kind, " for --", what, ", got '", text, "'"));
    return value;
}

std::map<std::string, std::string> settings_of_run(const std::string& path, const std::string& command) {
    try {
        const nlohmann::json json = nlohmann::json::parse(read_file(path, kMaxConfigBytes));
        const auto began = json.value("command", command);
        if (began != command)
            throw OptionsError(path, str("expected a run of ", command, ", got one of ", began),
                               str("microtome ", began, " --resume goes on with it"));
        return json.at("settings").get<std::map<std::string, std::string>>();
    } catch (const MissingFileError&) {
        throw MissingFileError(path, "no run to go on with", "leave out --resume to begin one");
    } catch (const nlohmann::json::exception& error) {
        throw FormatError(path, str("expected the settings of a run, got ", error.what()));
    }
}

}  // namespace

RunSettings RunSettings::resolve(const std::string& command, const std::vector<Setting>& known,
                                 const std::map<std::string, std::string>& given, const std::string& folder,
                                 bool resume) {
    RunSettings result;
    result.command_ = command;
    std::string names;
    for (const Setting& setting : known) {
        result.values_[setting.name] = setting.standard;
        names += (names.empty() ? "" : ", ") + setting.name;
    }
    for (const auto& [name, value] : given)
        if (!result.values_.contains(name))
            throw OptionsError(command, str("expected a setting, got ", name), "there is " + names);
    if (!resume) {
        for (const auto& [name, value] : given) result.values_[name] = value;
        return result;
    }
    const std::string path = folder + "/config.json";
    for (const auto& [name, value] : settings_of_run(path, command)) result.values_[name] = value;
    for (const auto& [name, value] : given)
        if (result.values_.at(name) != value)
            throw OptionsError(
                path,
                str("expected --", name, " as the run began with, '", result.values_.at(name), "', got '",
                    value, "'"),
                "--resume goes on with the settings of the run; for others begin anew elsewhere");
    return result;
}

int64_t RunSettings::whole(const std::string& name) const {
    return parse<int64_t>(command_, name, text(name), "a whole number");
}

double RunSettings::real(const std::string& name) const {
    return parse<double>(command_, name, text(name), "a number");
}

uint64_t RunSettings::seed() const {
    const int64_t seed = whole("seed");
    if (seed < 0) throw OptionsError(command_, str("expected --seed of 0 or more, got ", seed));
    return static_cast<uint64_t>(seed);
}

std::vector<std::string> RunSettings::list(const std::string& name) const {
    return split_at_commas(text(name));
}

std::map<std::string, double> RunSettings::numbers(const std::string& name) const {
    std::map<std::string, double> result;
    for (const std::string& part : list(name)) {
        if (part.find('=') == std::string::npos)
            throw OptionsError(command_, str("expected NAME=NUMBER for --", name, ", got '", part, "'"));
        result.insert(name_and_number(command_, name, part));
    }
    return result;
}

std::vector<std::string> split_at_commas(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');)
        if (!part.empty()) parts.push_back(part);
    return parts;
}

std::pair<std::string, double> name_and_number(const std::string& command, const std::string& what,
                                               const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) return {text, 1};
    return {text.substr(0, equals), parse<double>(command, what, text.substr(equals + 1), "a number")};
}

}  // namespace microtome::apps
