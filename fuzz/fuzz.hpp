// What the fuzz targets share. Each hands libFuzzer's bytes to one reader of files. A reader may refuse them
// with a FormatError; anything else (another exception, a sanitizer's finding, too much time or memory) is a
// find.
#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace microtome::fuzz {

inline std::string_view text_of(const uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

template <class Read>
int refusals_allowed(Read&& read) {
    try {
        read();
    } catch (const FormatError&) {
    }
    return 0;
}

// Readers that want a path get one in a folder of this process, for as long as it runs.
class Folder {
  public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "microtome-fuzz-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) throw IoError(pattern, "expected a temporary folder");
        path_ = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string put(const std::string& name, std::string_view bytes) const {
        const std::filesystem::path file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return file.string();
    }

  private:
    std::filesystem::path path_;
};

}  // namespace microtome::fuzz
