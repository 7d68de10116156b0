// Settings of an attack, read from text.
#pragma once

#include "attacks/gradient_attack.hpp"
#include "attacks/registry.hpp"

#include <optional>

namespace microtome {

class SettingsReader {
  public:
    // Throws OptionsError, in the name of `attack`, for a setting that is not among `known` or comes twice.
    SettingsReader(std::string attack, const AttackSettings& settings, std::vector<std::string> known);

    // Each leaves `value` alone where nothing is set, and throws OptionsError for text that is no such value.
    void read(const std::string& key, double& value) const;
    void read(const std::string& key, int64_t& value) const;
    void read(const std::string& key, uint64_t& value) const;
    void read(const std::string& key, bool& value) const;
    void read(const std::string& key, Norm& value) const;
    void read(const std::string& key, AttackLoss& value) const;
    void read(const std::string& key, Target& value) const;
    void read(const std::string& key, StopRule& value) const;
    void read(const std::string& key, PatternUpdate& value) const;
    void read_epsilon(const std::string& key, double& value) const;
    // "0.01", "2/255", "epsilon/30"; "auto" is 0.
    void read_step(const std::string& key, double epsilon, double& value) const;

  private:
    std::optional<std::string> text(const std::string& key) const;
    [[noreturn]] void refuse(const std::string& key, std::string_view expected,
                             const std::string& text) const;

    std::string attack_;
    AttackSettings settings_;
};

}  // namespace microtome
