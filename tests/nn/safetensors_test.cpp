#include "nn/safetensors.hpp"

#include "base/atomic_file.hpp"
#include "tests/full_disk.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

using namespace microtome;
using Catch::Contains;

namespace {

std::string file_of(std::string_view header, std::string_view data) {
    uint64_t length = header.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    return bytes.append(header).append(data);
}

TensorFile parse(std::string_view header, std::string_view data) {
    return parse_tensors(file_of(header, data), "test");
}

TensorFile sample() {
    return {{{"b.weight", Tensor::of({1.5f, -0.f, std::numeric_limits<float>::quiet_NaN(), 1e-45f}, {2, 2})},
             {"a", Tensor::of({1.0, 1.0 / 3}, {2})},
             {"labels", Tensor::of(std::vector<int64_t>{-1, int64_t{1} << 62}, {2, 1})},
             {"pixels", Tensor::of(std::vector<uint8_t>{0, 128, 255}, {3})},
             {"empty", Tensor::zeros({0, 7})},
             {"scalar", Tensor::scalar(2)}},
            {{"note", "quotes \" and \\ and \u00e9"}, {"other", ""}}};
}

}  // namespace

TEST_CASE("tensors come back bit for bit", "[nn][files]") {
    ScratchFolder folder;
    const std::string path = folder / "tensors.safetensors";
    TensorFile file = sample();
    write_tensors(path, file);
    TensorFile back = read_tensors(path);
    CHECK(back.metadata == file.metadata);
    REQUIRE(back.tensors.size() == file.tensors.size());
    for (const NamedTensor& entry : file.tensors) {
        auto same = std::find_if(back.tensors.begin(), back.tensors.end(),
                                 [&](const NamedTensor& other) { return other.name == entry.name; });
        REQUIRE(same != back.tensors.end());
        CHECK(identical(same->tensor, entry.tensor));
    }
    const std::string bytes = read_file(path, 10000);
    CHECK(bytes == format_tensors(back));  // one file for one content
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    CHECK(header % 8 == 0);

    CHECK(parse_tensors(format_tensors({}), "empty").tensors.empty());
    CHECK_THROWS_AS(format_tensors({{{"x", Tensor::zeros({1})}, {"x", Tensor::zeros({1})}}, {}}),
                    FormatError);
    CHECK_THROWS_AS(format_tensors({{{"__metadata__", Tensor::zeros({1})}}, {}}), FormatError);
    CHECK_THROWS_AS(format_tensors({{{"x", Tensor::abstract({{1}, Dtype::f32, kCpu})}}, {}}), ShapeError);
}

TEST_CASE("half types become f32 exactly", "[nn][files]") {
    // 1, -2, largest 65504, smallest normal 2^-14, smallest subnormal 2^-24, -infinity, largest subnormal
    const uint16_t half[]{0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0xfc00, 0x03ff, 0x8000};
    Tensor x = parse(R"({"x":{"dtype":"F16","shape":[8],"data_offsets":[0,16]}})",
                     {reinterpret_cast<const char*>(half), sizeof half})
                   .tensors[0]
                   .tensor;
    const float expected[]{
        1, -2, 65504, 0x1p-14f, 0x1p-24f, -std::numeric_limits<float>::infinity(), 1023 * 0x1p-24f, -0.f};
    for (int i = 0; i < 8; ++i) {
        CHECK(x.data<float>()[i] == expected[i]);
        CHECK(std::signbit(x.data<float>()[i]) == std::signbit(expected[i]));
    }
    const uint16_t brain[]{0x3f80, 0xc040, 0x7fc0};
    Tensor y = parse(R"({"x":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}})",
                     {reinterpret_cast<const char*>(brain), sizeof brain})
                   .tensors[0]
                   .tensor;
    CHECK(y.data<float>()[0] == 1);
    CHECK(y.data<float>()[1] == -3);
    CHECK(std::isnan(y.data<float>()[2]));
}

TEST_CASE("forged headers are refused", "[nn][files]") {
    auto refuses = [](std::string_view header, std::string_view data, const char* message) {
        INFO(header);
        CHECK_THROWS_AS(parse(header, data), FormatError);
        CHECK_THROWS_WITH(parse(header, data), Contains(message));
    };
    const std::string_view eight = "12345678";
    CHECK(parse(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   )", eight).tensors.size() == 1);
    refuses(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", eight, "expected 12 bytes for x");
    refuses(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}})", eight, "end inside");
    refuses(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", eight, "start at byte 0");
    refuses(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", eight, "expected 4 bytes of data");
    refuses(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", eight, "start at byte 0");
    refuses(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
            R"("y":{"dtype":"U8","shape":[6],"data_offsets":[2,8]}})",
            eight, "y to start at byte 4");
    refuses(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
            R"("y":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
            eight, "to start at byte 8");
    refuses(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
            R"("x":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
            eight, "second x");
    refuses(R"({"x":{"dtype":"U32","shape":[2],"data_offsets":[0,8]}})", eight, "got U32");
    refuses(R"({"x":{"dtype":"F32","shape":[281474976710656,65536],"data_offsets":[0,8]}})", eight,
            "fits in");
    refuses(R"({"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "", "fits in");
    refuses(R"({"x":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}})", eight, "8 axes");
    refuses(R"({"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", eight, "negative");
    refuses(R"({"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", eight, "a number");
    refuses(R"({"x":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", eight, "a number at shape");
    refuses(R"({"x":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", eight, "an array at shape");
    refuses(R"({"x":{"dtype":"F32","data_offsets":[0,8]}})", eight, "expected dtype, shape");
    refuses(R"({"x":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})", eight, "an array at");
    refuses(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}})", eight, "two data_offsets");
    refuses(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", eight, "a number at more");
    refuses(R"({"x":3})", "", "a number");
    refuses(R"({"x":{"dtype":{}}})", "", "an object");
    refuses(R"({"__metadata__":{"a":1}})", "", "a number at a");
    refuses(R"({"__metadata__":{"a":"1","a":"2"}})", "", "second a");
    refuses(R"({"__metadata__":{"a":"1"},"__metadata__":{}})", "", "second __metadata__");
    refuses(R"({"x":{"dtype":"F32")", "", "JSON");
    refuses(R"({} trailing)", "", "JSON");
    refuses(R"([])", "", "starts with {");
    refuses("", "", "starts with {");
    refuses(std::string(100000, '{'), "", "JSON");
    refuses("{\"x\":" + std::string(100000, '['), "", "an array");
    CHECK_THROWS_WITH(parse_tensors("short", "test"), Contains("5 bytes"));
    CHECK_THROWS_WITH(parse_tensors(std::string(8, '\xff') + "{}", "test"), Contains("only a part"));
    ScratchFolder folder;
    CHECK_THROWS_AS(read_tensors(folder / "none"), IoError);
}

TEST_CASE("any small change to a file is refused or read", "[nn][files]") {
    const std::string good = format_tensors(sample());
    std::size_t refused = 0, read = 0;
    auto attempt = [&](const std::string& bytes) {
        try {
            parse_tensors(bytes, "test");
            ++read;
        } catch (const FormatError&) {
            ++refused;
        }
    };
    for (std::size_t i = 0; i < good.size(); ++i) {
        for (char byte : {'\0', '\xff', '"', '{', '}', ']', '9', '1', ',', ' '}) {
            std::string changed = good;
            changed[i] = byte;
            attempt(changed);
        }
        attempt(good.substr(0, i));                         // cut short
        attempt(good.substr(0, i) + good.substr(i + 1));    // a byte lost
        attempt(good.substr(0, i) + '0' + good.substr(i));  // one too many
    }
    CHECK(refused > 1000);
    CHECK(read > 100);  // changes to the numbers themselves, or to names
}

TEST_CASE("a full disk leaves the old tensors", "[nn][files]") {
    ScratchFolder folder;
    const std::string path = folder / "model.safetensors";
    write_tensors(path, sample());
    const std::string before = read_file(path, 100000);
    TensorFile large{{{"x", Tensor::zeros({100000})}}, {}};
    {
        FullDisk disk(4096);
        CHECK_THROWS_AS(write_tensors(path, large), IoError);
    }
    CHECK_THROWS_AS(write_tensors("/dev/full", large), IoError);
    CHECK(read_file(path, 100000) == before);
    CHECK(folder.names() == std::vector<std::string>{"model.safetensors"});
}
