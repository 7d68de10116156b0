// What `microtome train` was told, as names and values: as they stand in config.json.
#pragma once

#include "training/recipe.hpp"

#include <map>
#include <string>
#include <vector>

namespace microtome::apps {

class TrainSettings {
  public:
    // Defaults, then what the run in `folder` began with, if it goes on, then what is given. Throws
    // OptionsError for an unknown name, and for a value that differs from the one that the run began with.
    static TrainSettings resolve(const std::map<std::string, std::string>& given, const std::string& folder,
                                 bool resume);

    const std::map<std::string, std::string>& values() const { return values_; }
    const std::string& text(const std::string& name) const { return values_.at(name); }
    void set(const std::string& name, const std::string& value) { values_[name] = value; }

    // OptionsError unless the value reads as one.
    int64_t whole(const std::string& name) const;
    double real(const std::string& name) const;
    std::vector<std::string> list(const std::string& name) const;          // apart by commas
    std::map<std::string, double> numbers(const std::string& name) const;  // "a=1,b=0.5"

    Recipe recipe() const;

  private:
    std::map<std::string, std::string> values_;
};

// "flips,right-angles,brightness=0.1", "none". Throws OptionsError with the names there are.
Augmentation augmentation_of(const std::string& text);

}  // namespace microtome::apps
