// What a command that leaves a run in a folder was told, as names and values: as they stand in config.json.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace microtome::apps {

// A thing that a run can be told, with its default.
struct Setting {
    std::string name, standard, about;
};

class RunSettings {
  public:
    // Defaults, then what the run in `folder` began with, if it goes on, then what is given. Throws
    // OptionsError for an unknown name, for a value that differs from the one that the run began with, and
    // for a run of another command; MissingFileError where there is no run; FormatError.
    static RunSettings resolve(const std::string& command, const std::vector<Setting>& known,
                               const std::map<std::string, std::string>& given, const std::string& folder,
                               bool resume);

    const std::string& command() const { return command_; }
    const std::map<std::string, std::string>& values() const { return values_; }
    const std::string& text(const std::string& name) const { return values_.at(name); }
    void set(const std::string& name, const std::string& value) { values_[name] = value; }

    // OptionsError unless the value reads as one.
    int64_t whole(const std::string& name) const;
    double real(const std::string& name) const;
    uint64_t seed() const;                                                 // of the setting "seed"
    std::vector<std::string> list(const std::string& name) const;          // apart by commas
    std::map<std::string, double> numbers(const std::string& name) const;  // "a=1,b=0.5"

  private:
    std::string command_;
    std::map<std::string, std::string> values_;
};

std::vector<std::string> split_at_commas(const std::string& text);

// "zoom=0.1" as a name and its number; a name alone has the number 1. Throws OptionsError for what is no
// number; the message calls the setting --what.
std::pair<std::string, double> name_and_number(const std::string& command, const std::string& what,
                                               const std::string& text);

}  // namespace microtome::apps
