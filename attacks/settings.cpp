#include "attacks/settings.hpp"

#include "attacks/epsilon.hpp"
#include "base/suggest.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace microtome {
namespace {

template <class T>
bool parse(std::string_view text, T& value) {
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, value);
    return error == std::errc() && stop == end;
}

}  // namespace

SettingsReader::SettingsReader(std::string attack, const AttackSettings& settings,
                               std::vector<std::string> known)
    : attack_(std::move(attack)), settings_(settings) {
    for (std::size_t i = 0; i < settings.size(); ++i) {
        const std::string& key = settings[i].first;
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            std::string hint = closest_name(key, known);
            if (!hint.empty()) {
                hint = str("did you mean ", hint, "?");
            } else {
                hint = "there is";
                for (const std::string& name : known) hint += str(&name == known.data() ? " " : ", ", name);
            }
            throw OptionsError(attack_, str("expected a setting it has, got ", key), hint);
        }
        for (std::size_t j = 0; j < i; ++j)
            if (settings[j].first == key)
                throw OptionsError(attack_, str("expected each setting once, got ", key, " twice"));
    }
}

std::optional<std::string> SettingsReader::text(const std::string& key) const {
    for (const auto& [name, value] : settings_)
        if (name == key) return value;
    return std::nullopt;
}

void SettingsReader::refuse(const std::string& key, std::string_view expected,
                            const std::string& text) const {
    throw OptionsError(attack_, str("expected ", key, " to be ", expected, ", got \"", text, "\""));
}

void SettingsReader::read(const std::string& key, double& value) const {
    if (const auto given = text(key))
        if (!parse(*given, value) || !std::isfinite(value)) refuse(key, "a number", *given);
}

void SettingsReader::read(const std::string& key, int64_t& value) const {
    if (const auto given = text(key))
        if (!parse(*given, value)) refuse(key, "a whole number", *given);
}

void SettingsReader::read(const std::string& key, uint64_t& value) const {
    if (const auto given = text(key))
        if (!parse(*given, value)) refuse(key, "a whole number of 0 or more", *given);
}

void SettingsReader::read(const std::string& key, bool& value) const {
    if (const auto given = text(key)) {
        if (*given != "true" && *given != "false") refuse(key, "true or false", *given);
        value = *given == "true";
    }
}

void SettingsReader::read(const std::string& key, Norm& value) const {
    if (const auto given = text(key)) {
        if (*given != "linf" && *given != "l2") refuse(key, "linf or l2", *given);
        value = *given == "linf" ? Norm::linf : Norm::l2;
    }
}

void SettingsReader::read(const std::string& key, AttackLoss& value) const {
    if (const auto given = text(key)) value = loss_by_name(*given);
}

void SettingsReader::read(const std::string& key, Target& value) const {
    const auto given = text(key);
    if (!given) return;
    if (*given == "none") {
        value = {};
    } else if (*given == "next") {
        value = {Target::Rule::next};
    } else if (*given == "random") {
        value = {Target::Rule::random};
    } else {
        value.rule = Target::Rule::fixed;
        if (!parse(*given, value.wanted) || value.wanted < 0)
            refuse(key, "none, next, random or a class's number", *given);
    }
}

void SettingsReader::read(const std::string& key, StopRule& value) const {
    if (const auto given = text(key)) {
        if (*given != "never" && *given != "fooled") refuse(key, "never or fooled", *given);
        value = *given == "never" ? StopRule::never : StopRule::fooled;
    }
}

void SettingsReader::read_epsilon(const std::string& key, double& value) const {
    if (const auto given = text(key)) value = parse_epsilon(*given);
}

void SettingsReader::read(const std::string& key, PatternUpdate& value) const {
    if (const auto given = text(key)) {
        if (*given != "adam" && *given != "sign") refuse(key, "adam or sign", *given);
        value = *given == "adam" ? PatternUpdate::adam : PatternUpdate::sign;
    }
}

void SettingsReader::read_step(const std::string& key, double epsilon, double& value) const {
    const auto given = text(key);
    if (!given) return;
    constexpr std::string_view kShare = "epsilon/";
    if (*given == "auto") {
        value = 0;
    } else if (given->starts_with(kShare)) {
        double parts = 0;
        if (!parse(std::string_view(*given).substr(kShare.size()), parts) || !(parts > 0))
            refuse(key, "auto, a length, or epsilon/30", *given);
        value = epsilon / parts;
    } else {
        value = parse_epsilon(*given);
        if (value == 0 && epsilon > 0) refuse(key, "more than 0", *given);
    }
}

}  // namespace microtome
