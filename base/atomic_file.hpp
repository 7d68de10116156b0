// Files, whole or not at all. What is written appears under its name complete and flushed to the disk, or the
// name keeps what it had before: a program killed at any moment never leaves half a file behind.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace microtome {

// Collects bytes in a temporary file beside `path` and renames it to `path` on commit(). Destroyed before
// that, it removes the temporary. What is no regular file (a pipe, /dev/stdout) is written in place. Every
// member throws IoError with the path and the system's reason.
class AtomicFile {
  public:
    explicit AtomicFile(std::string path);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(std::span<const std::byte> bytes);
    void write(std::string_view bytes);
    void commit();

  private:
    std::string path_;       // where the bytes shall be in the end
    std::string temporary_;  // where they are until then; empty when written in place
    int descriptor_ = -1;
};

// Writes a whole file: AtomicFile, write, commit.
void write_file(const std::string& path, std::string_view bytes);

// The bytes of a whole file. Throws MissingFileError when there is none, IoError when it cannot be read,
// FormatError when it holds more than max_bytes (found out before anything of that size is allocated).
std::string read_file(const std::string& path, std::size_t max_bytes);

}  // namespace microtome
