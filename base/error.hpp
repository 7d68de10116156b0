// Every error that microtome reports. The text has one form everywhere:
//
//     [conv2d] expected x with 3 channels to match filters (32,3,3,3), got (8,180,180,1). HINT: ...
//
// where the bracket names the function or file, then what was expected and what came, then, where there is
// one, a hint at what to do. User input never aborts and never trips an assert.
#pragma once

#include "base/text.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

namespace microtome {

class Error : public std::runtime_error {
  public:
    Error(std::string_view where, std::string_view what, std::string_view hint = "")
        : std::runtime_error(str("[", where, "] ", what, hint.empty() ? "" : ". HINT: ", hint)) {}
};

// clang-format off
class ShapeError   : public Error { using Error::Error; };  // sizes that do not fit together
class DtypeError   : public Error { using Error::Error; };  // an element type an operation does not take
class DeviceError  : public Error { using Error::Error; };  // a device that is missing, or two that are mixed
class TapeError    : public Error { using Error::Error; };  // a gradient that cannot be had, or would be wrong
class IoError      : public Error { using Error::Error; };  // the file system refused
class MissingFileError : public IoError { using IoError::IoError; };  // a file to be read that is not there
class FormatError  : public Error { using Error::Error; };  // a file that is not what it claims to be
class OptionsError : public Error { using Error::Error; };  // an option out of its range, an unknown name
// clang-format on

}  // namespace microtome
