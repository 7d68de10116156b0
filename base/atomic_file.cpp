#include "base/atomic_file.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace microtome {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

std::string_view hint_for(int error) {
    switch (error) {
        case ENOSPC:
        case EDQUOT: return "free some space, or write elsewhere";
        case EFBIG: return "this process may not write files that large: see ulimit -f";
        case ENOENT: return "does the folder exist?";
        case ENOTDIR: return "a part of the path is a file, not a folder";
        case EACCES:
        case EPERM: return "who owns the folder, and may you write there?";
        case EROFS: return "the disk is mounted read-only";
    }
    return "";
}

[[noreturn]] void fail(const std::string& path, std::string_view action, int error = errno) {
    throw IoError(path, str("cannot ", action, ": ", std::generic_category().message(error)),
                  hint_for(error));
}

// Rename is atomic within a folder only once the folder itself is on the disk. Best effort: some file systems
// refuse.
void flush_folder_of(const std::string& path) {
    std::string folder = std::filesystem::path(path).parent_path().string();
    int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    ::fsync(descriptor);
    ::close(descriptor);
}

class Descriptor {
  public:
    explicit Descriptor(int value) : value_(value) {}
    ~Descriptor() { ::close(value_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    operator int() const { return value_; }

  private:
    int value_;
};

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
    std::error_code ignored;
    // Through a symbolic link, the file it names is replaced, not the link.
    if (std::filesystem::is_symlink(path_, ignored)) {
        std::string target = std::filesystem::canonical(path_, ignored).string();
        if (!target.empty()) path_ = target;
    }
    struct stat status {};
    bool exists = ::stat(path_.c_str(), &status) == 0;
    if (exists && !S_ISREG(status.st_mode)) {
        descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
        if (descriptor_ < 0) fail(path_, "write");
        return;
    }
    // Created by open() itself, so that the user's umask decides who may read it.
    for (int attempt = 0; descriptor_ < 0; ++attempt) {
        temporary_ = str(path_, ".partial-", ::getpid(), '-', attempt);
        descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor_ < 0 && errno != EEXIST) fail(path_, "write");
    }
    if (exists) ::fchmod(descriptor_, status.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
    if (descriptor_ < 0) throw IoError(path_, "cannot write: committed already");
    while (!bytes.empty()) {
        ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail(path_, "write");
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
}

void AtomicFile::write(std::string_view bytes) {
    write(std::as_bytes(std::span(bytes)));
}

void AtomicFile::commit() {
    if (descriptor_ < 0) throw IoError(path_, "cannot write: committed already");
    if (!temporary_.empty()) {
        if (::fsync(descriptor_) != 0) fail(path_, "write");
        if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "replace");
        temporary_.clear();
        flush_folder_of(path_);
    }
    // Closing tells of write errors that some network file systems keep back until then.
    int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0 && errno != EINTR) fail(path_, "write");
}

void write_file(const std::string& path, std::string_view bytes) {
    AtomicFile file(path);
    file.write(bytes);
    file.commit();
}

std::string read_file(const std::string& path, std::size_t max_bytes) {
    int opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened < 0 && errno == ENOENT) throw MissingFileError(path, "no such file");
    if (opened < 0) fail(path, "read");
    Descriptor descriptor(opened);

    struct stat status {};
    if (::fstat(descriptor, &status) != 0) fail(path, "read");
    auto refuse_if_larger = [&](std::size_t size) {
        if (size > max_bytes)
            throw FormatError(path, str("expected at most ", max_bytes, " bytes, got ", size, " or more"));
    };
    bool regular = S_ISREG(status.st_mode);
    if (regular) refuse_if_larger(static_cast<std::size_t>(status.st_size));

    // A pipe does not know its size, and a file may grow meanwhile: read until there is no more.
    std::string bytes;
    std::size_t filled = 0;
    std::size_t piece = regular ? static_cast<std::size_t>(status.st_size) + 1 : kPiece;
    while (true) {
        bytes.resize(std::max(bytes.size(), filled + piece));
        ssize_t got = ::read(descriptor, bytes.data() + filled, bytes.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(path, "read");
        if (got == 0) break;
        filled += static_cast<std::size_t>(got);
        refuse_if_larger(filled);
        piece = filled == bytes.size() ? kPiece : 0;
    }
    bytes.resize(filled);
    return bytes;
}

}  // namespace microtome
