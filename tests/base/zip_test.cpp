#include "base/zip.hpp"

#include "base/error.hpp"
#include "tests/zip_writer.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

const std::vector<std::pair<std::string, std::string>> kFiles{
    {"a/one", "first"}, {"two", ""}, {"three", "PK\3\4"}};

}  // namespace

TEST_CASE("a zip archive's files, with sizes in 32 bits or 64", "[base][zip]") {
    for (bool large : {false, true}) {
        const std::string archive = stored_zip(kFiles, {.large = large});
        const std::vector<ZipMember> members = zip_members(archive, "x");
        REQUIRE(members.size() == 3);
        for (std::size_t i = 0; i < 3; ++i) {
            CHECK(members[i].name == kFiles[i].first);
            CHECK(read_member(members[i], "x", 100) == kFiles[i].second);
        }
        CHECK_THROWS_WITH(read_member(members[0], "x", 4), Contains("at most 4 bytes, got 5"));
    }
}

TEST_CASE("zip archives that will not do", "[base][zip]") {
    for (bool large : {false, true}) {
        auto read_all = [](const std::string& archive) {
            for (const ZipMember& member : zip_members(archive, "x")) read_member(member, "x", 100);
        };
        CHECK_THROWS_WITH(read_all(stored_zip(kFiles, {.large = large, .crc_flip = 1})),
                          Contains("checksum"));
        CHECK_THROWS_AS(read_all(stored_zip(kFiles, {.large = large, .more = 1000})), FormatError);
        CHECK_THROWS_AS(read_all(stored_zip(kFiles, {.large = large, .more = -1})), FormatError);
        CHECK_THROWS_WITH(read_all(stored_zip({{"a", "1"}, {"a", "2"}}, {.large = large})),
                          Contains("differ, got a"));

        const std::string whole = stored_zip(kFiles, {.large = large});
        for (std::size_t size = 0; size < whole.size(); ++size)
            CHECK_THROWS_AS(read_all(whole.substr(0, size)), FormatError);
        for (std::size_t i = 0; i < whole.size(); ++i)
            for (int flip : {0x01, 0x80, 0xff}) {
                std::string changed = whole;
                changed[i] = static_cast<char>(changed[i] ^ flip);
                try {
                    read_all(changed);
                } catch (const FormatError&) {
                }
            }
    }
    // 2^64 - 1 bytes from byte 10 on: no sum of the two may wrap around.
    std::string wide = stored_zip({{"a", "1"}}, {.large = true});
    const std::size_t extra = wide.find(std::string("\x01\x00\x18\x00", 4));
    REQUIRE(extra != std::string::npos);
    for (std::size_t i = 0; i < 24; ++i) wide[extra + 4 + i] = '\xff';
    CHECK_THROWS_AS(zip_members(wide, "x"), FormatError);
}
