// A preset with some of its values replaced, as a command line says them.
#pragma once

#include <string>
#include <vector>

namespace microtome {

// The TOML text of a preset after changes "KEY=VALUE":
//
//     data.max_train=60          KEY is the path of tables to a value, which need not have been there
//     models.0.size=96           of several tables of a name, one by its place
//     models.*.size=96           ... or all
//     model.architecture=vgg16   VALUE is a TOML value, or else a text
//     hardening=[]               as far as there is a list of tables, none
//
// What is changed is at the beginning as a comment; other comments are lost. Without changes the text stays
// as it is. Throws FormatError for what is no TOML; OptionsError for a change that is none, or whose path
// leads through what is no table. Whether a preset has such a key is for who reads it.
std::string with_changes(const std::string& text, const std::string& name,
                         const std::vector<std::string>& changes);

}  // namespace microtome
