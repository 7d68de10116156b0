#include "base/error.hpp"
#include "data/open.hpp"
#include "tests/data/files.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

struct Array {
    std::string name, type, shape, elements;
    std::string fortran = "False";
};

std::string npy(const Array& array) {
    std::string header = "{'descr': '" + array.type + "', 'fortran_order': " + array.fortran +
                         ", 'shape': " + array.shape + ", }";
    header.append(63 - (header.size() + 10) % 64, ' ');
    header += '\n';
    return "\x93NUMPY" + std::string("\1\0", 2) + little_end_first(header.size(), 2) + header +
           array.elements;
}

struct ZipFault {
    int64_t claimed_more = 0;  // bytes that are not there
    int method = -1, flags = 0;
    uint32_t crc_flip = 0;
};

std::string zip(const std::vector<Array>& arrays, bool deflated, ZipFault fault = {}) {
    std::string file, directory;
    for (const Array& array : arrays) {
        const std::string name = array.name + ".npy", raw = npy(array),
                          bytes = deflated ? packed(raw, -15) : raw;
        const auto crc = static_cast<uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(raw.data()),
                                                       static_cast<uInt>(raw.size()))) ^
                         fault.crc_flip;
        const int method = fault.method >= 0 ? fault.method : deflated ? 8 : 0;
        const std::string common =
            little_end_first(20, 2) + little_end_first(fault.flags, 2) + little_end_first(method, 2) +
            little_end_first(0, 4) + little_end_first(crc, 4) + little_end_first(bytes.size(), 4) +
            little_end_first(raw.size() + fault.claimed_more, 4) + little_end_first(name.size(), 2);
        const std::string extra = "extra field";  // of the local header alone, as numpy's are
        directory += "PK\1\2" + little_end_first(20, 2) + common + little_end_first(0, 2) +
                     little_end_first(0, 2) + little_end_first(0, 2) + little_end_first(0, 2) +
                     little_end_first(0, 4) + little_end_first(file.size(), 4) + name;
        file += "PK\3\4" + common + little_end_first(extra.size(), 2) + name + extra + bytes;
    }
    const std::size_t at = file.size();
    return file + directory + "PK\5\6" + little_end_first(0, 4) + little_end_first(arrays.size(), 2) +
           little_end_first(arrays.size(), 2) + little_end_first(directory.size(), 4) +
           little_end_first(at, 4) + little_end_first(3, 2) + "end";
}

std::string counting(int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes += static_cast<char>(i);
    return bytes;
}

const Array train_images{"train_images", "|u1", "(3, 2, 2)", counting(12)};
const Array train_labels{"train_labels", "|u1", "(3, 1)", {0, 1, 1}};

}  // namespace

TEST_CASE("MedMNIST's archives, stored and deflated", "[data][npz]") {
    for (bool deflated : {false, true}) {
        ScratchFolder folder;
        const Array test_images{"test_images", "|u1", "(1, 2, 2)", "wxyz"};
        const Array test_labels{"test_labels", "<i8", "(1,)", little_end_first(1, 8)};
        put(folder / "set/x.npz", zip({train_images, train_labels, test_images, test_labels}, deflated));
        for (std::string path : {"set", "set/x.npz"}) {
            auto set = open_dataset(folder / path);
            CHECK(set->in_memory());
            CHECK(set->classes() == std::vector<std::string>{"0", "1"});
            REQUIRE(set->size() == 4);
            CHECK(set->samples()[2].name == "train/2");
            CHECK(set->samples()[2].part == "train");
            CHECK(set->samples()[2].label == 1);
            CHECK(identical(set->read(2), Tensor::of<uint8_t>({8, 9, 10, 11}, {2, 2, 1})));
            CHECK(set->samples()[3].part == "test");
            CHECK(set->samples()[3].label == 1);
            CHECK(identical(set->read(3), Tensor::of<uint8_t>({'w', 'x', 'y', 'z'}, {2, 2, 1})));
        }
    }
}

TEST_CASE("colour, and labels in any integers", "[data][npz]") {
    ScratchFolder folder;
    const Array images{"val_images", "|u1", "(2, 1, 2, 3)", counting(12)};
    for (auto [type, elements] : std::vector<std::pair<std::string, std::string>>{
             {"|u1", {0, 5}},
             {"|i1", {0, 5}},
             {"<u2", little_end_first(0, 2) + little_end_first(5, 2)},
             {"<i4", little_end_first(0, 4) + little_end_first(5, 4)},
             {">i4", big_end_first(0) + big_end_first(5)},
             {"<u8", little_end_first(0, 8) + little_end_first(5, 8)}}) {
        INFO(type);
        put(folder / "x.npz", zip({images, {"val_labels", type, "(2, 1)", elements, "True"}}, true));
        auto set = open_dataset(folder / "x.npz");
        CHECK(set->samples()[1].label == 5);
        CHECK(set->samples()[1].part == "val");
        CHECK(identical(set->read(1), Tensor::of<uint8_t>({6, 7, 8, 9, 10, 11}, {1, 2, 3})));
    }
}

TEST_CASE("archives that will not do", "[data][npz]") {
    ScratchFolder folder;
    auto refused = [&](const std::string& bytes, const std::string& reason) {
        put(folder / "x.npz", bytes);
        CHECK_THROWS_AS(open_dataset(folder / "x.npz"), FormatError);
        CHECK_THROWS_WITH(open_dataset(folder / "x.npz"), Contains(reason));
    };
    auto refused_images = [&](const Array& images, const std::string& reason) {
        refused(zip({images, train_labels}, true), reason);
    };
    auto refused_labels = [&](const Array& labels, const std::string& reason) {
        refused(zip({train_images, labels}, true), reason);
    };
    const std::vector<Array> good{train_images, train_labels};

    refused(zip({{"x", "|u1", "(1,)", "a"}, {"y", "|u1", "(1,)", "a"}}, true), "got x.npy, y.npy");
    refused(zip({}, true), "got nothing");
    refused(zip({train_images}, true), "got only train_images");
    refused(zip({train_labels}, true), "got only train_labels");
    refused("this is no archive", "zip archive");

    refused(zip(good, true, {.crc_flip = 1}), "checksum");
    refused(zip(good, true, {.method = 12}), "packing method 12");
    refused(zip(good, true, {.flags = 1}), "encrypted");
    for (bool deflated : {false, true})
        refused(zip(good, deflated, {.claimed_more = 1 << 30}), "cannot unpack");
    refused(zip(good, true, {.claimed_more = 1}), "expected");
    refused(zip(good, true, {.claimed_more = -1}), "expected");

    refused_images({"train_images", "|u1", "(3, 2, 3)", counting(12)}, "12 bytes");
    refused_images({"train_images", "|u1", "(3, 2, 1)", counting(12)}, "12 bytes");
    refused_images({"train_images", "|u1", "(4294967296, 4294967296, 4)", counting(12)}, "12 bytes");
    refused_images({"train_images", "|u1", "(0, 4611686018427387904, 4)", ""}, "elements");
    refused_images({"train_images", "|u1", "(0, 2, 2)", ""}, "a label for each of 0 images");
    refused_images({"train_images", "|u1", "(3, 2, 2)", counting(12), "True"}, "Fortran");
    refused_images({"train_images", "|u1", "(3, 2, 2, 1, 1, 1, 1, 1, 1)", counting(12)}, "sizes");
    refused_images({"train_images", "|u1", "(3, -2, -2)", counting(12)}, "sizes");
    refused_images({"train_images", "|u1", "(3, a)", counting(12)}, "sizes");
    refused_images({"train_images", "|u1", "3", counting(12)}, "a shape");
    refused_images({"train_images", "<f4", "(3, 1, 1)", counting(12)}, "integers");
    refused_images({"train_images", "|O", "(3, 2, 2)", counting(12)}, "integers");
    refused_images({"train_images", "<i2", "(3, 2, 1)", counting(12)}, "images of bytes");
    refused_images({"train_images", "|u1", "(3, 4)", counting(12)}, "(N,H,W)");
    refused_images({"train_images", "|u1", "(3, 1, 2, 2)", counting(12)}, "(N,H,W,3)");
    refused_images({"train_images", "|u1", "(2, 3, 2)", counting(12)}, "a label for each of 2 images, got 3");

    refused_labels({"train_labels", "|u1", "(1, 3)", counting(3)}, "several labels");
    refused_labels({"train_labels", "|i1", "(3,)", "\xff\1\1"}, "got -1");
    refused_labels({"train_labels", "<i2", "(3,)", std::string("\0\0\0\0\0\x10", 6)}, "got 4096");
    refused_labels({"train_labels", "<u8", "(3,)", std::string(24, '\xff')}, "got -1");

    const std::string whole = zip(good, true);
    for (std::size_t size = 0; size < whole.size() - 3; ++size) {  // the last three are a comment
        put(folder / "x.npz", whole.substr(0, size));
        CHECK_THROWS_AS(open_dataset(folder / "x.npz"), FormatError);
    }
}

TEST_CASE("an archive with any one byte changed is read or refused", "[data][npz]") {
    ScratchFolder folder;
    const std::string whole = zip({train_images, train_labels}, true);
    for (std::size_t i = 0; i < whole.size(); ++i) {
        for (int flip : {0x01, 0x80, 0xff}) {
            std::string changed = whole;
            changed[i] = static_cast<char>(changed[i] ^ flip);
            put(folder / "x.npz", changed);
            try {
                open_dataset(folder / "x.npz");
            } catch (const FormatError&) {
            }
        }
    }
    SUCCEED("nothing worse than a FormatError");
}
