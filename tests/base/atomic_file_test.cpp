#include "base/atomic_file.hpp"

#include "base/error.hpp"
#include "tests/full_disk.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr std::size_t kPlenty = 1 << 20;

}  // namespace

TEST_CASE("a file is written and read whole", "[base][file]") {
    ScratchFolder folder;
    std::string path = folder / "bytes";
    std::string bytes(300'000, 'x');
    bytes[1] = '\0';
    bytes[2] = '\n';
    write_file(path, bytes);
    CHECK(read_file(path, kPlenty) == bytes);
    write_file(path, "");
    CHECK(read_file(path, kPlenty).empty());
    CHECK(folder.names() == std::vector<std::string>{"bytes"});
}

TEST_CASE("an uncommitted file leaves the old one and no trace", "[base][file]") {
    ScratchFolder folder;
    std::string path = folder / "weights";
    write_file(path, "old");
    {
        AtomicFile file(path);
        file.write("new");
        CHECK(read_file(path, kPlenty) == "old");
    }
    CHECK(read_file(path, kPlenty) == "old");
    CHECK(folder.names() == std::vector<std::string>{"weights"});
}

TEST_CASE("a disk that fills up leaves the old file and no trace", "[base][file]") {
    ScratchFolder folder;
    std::string path = folder / "weights";
    write_file(path, "old");
    {
        FullDisk disk(4096);
        CHECK_THROWS_AS(write_file(path, std::string(10'000, 'x')), IoError);
        CHECK_THROWS_WITH(write_file(path, std::string(10'000, 'x')), Contains(path) && Contains("HINT"));
    }
    CHECK(read_file(path, kPlenty) == "old");
    CHECK(folder.names() == std::vector<std::string>{"weights"});
}

TEST_CASE("a device is written in place, and says when it is full", "[base][file]") {
    write_file("/dev/null", "x");
    struct stat status {};
    REQUIRE(::stat("/dev/null", &status) == 0);
    CHECK(S_ISCHR(status.st_mode));
    CHECK_THROWS_WITH(write_file("/dev/full", "x"), Contains("/dev/full") && Contains("No space left"));
}

TEST_CASE("where no file can be, the message says why", "[base][file]") {
    ScratchFolder folder;
    write_file(folder / "file", "");
    CHECK_THROWS_WITH(write_file(folder / "missing/x", ""),
                      Contains("No such file") && Contains("folder exist"));
    CHECK_THROWS_WITH(write_file(folder / "file/x", ""), Contains("a file, not a folder"));
    CHECK_THROWS_AS(write_file(folder / ".", ""), IoError);
    if (::geteuid() != 0) {  // root may write anywhere
        ::chmod((folder / ".").c_str(), 0500);
        CHECK_THROWS_WITH(write_file(folder / "x", ""), Contains("Permission denied"));
        ::chmod((folder / ".").c_str(), 0700);
    }
}

TEST_CASE("a file keeps its permissions, a link its target", "[base][file]") {
    ScratchFolder folder;
    write_file(folder / "file", "old");
    ::chmod((folder / "file").c_str(), 0640);
    REQUIRE(::symlink("file", (folder / "link").c_str()) == 0);
    write_file(folder / "link", "new");
    CHECK(read_file(folder / "file", kPlenty) == "new");
    struct stat status {};
    REQUIRE(::lstat((folder / "link").c_str(), &status) == 0);
    CHECK(S_ISLNK(status.st_mode));
    REQUIRE(::stat((folder / "file").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("reading refuses what is missing, too large or no file", "[base][file]") {
    ScratchFolder folder;
    CHECK_THROWS_AS(read_file(folder / "missing", kPlenty), MissingFileError);
    CHECK_THROWS_AS(read_file(folder / ".", kPlenty), IoError);
    write_file(folder / "file", "12345");
    CHECK(read_file(folder / "file", 5) == "12345");
    CHECK_THROWS_AS(read_file(folder / "file", 4), FormatError);
    CHECK_THROWS_AS(read_file("/dev/zero", 100), FormatError);  // endless, and does not say so beforehand
}
