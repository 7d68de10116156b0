// Files of weights that PyTorch, numpy and safetensors wrote (tests/parity/models_torch.py --write-fixtures).
#include "nn/weights.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/zip.hpp"
#include "nn/model_file.hpp"
#include "nn/models/vit_small.hpp"
#include "nn/safetensors.hpp"
#include "tests/nn/model_test_support.hpp"
#include "tests/scratch_folder.hpp"
#include "tests/zip_writer.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace microtome;
using Catch::Contains;

namespace {

std::string fixture(const std::string& name) {
    return MICROTOME_SOURCE "/tests/nn/fixtures/" + name;
}
std::string bytes_of(const std::string& name) {
    return read_file(fixture(name), 1 << 20);
}

std::map<std::string, Tensor> by_name(const NamedTensors& tensors) {
    std::map<std::string, Tensor> result;
    for (const NamedTensor& entry : tensors) result[entry.name] = entry.tensor;
    return result;
}

// Element i is i / 2 - 3, read in the order of `places`; all in row-major order where there are none.
template <class T = float>
Tensor counting(const Shape& shape, const std::vector<int>& places = {}) {
    std::vector<T> values(static_cast<std::size_t>(shape.elements()));
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<T>(places.empty() ? static_cast<int>(i) : places[i]) / 2 - 3;
    return Tensor::of(values, shape);
}

// The members of an archive, with one changed.
std::string with_member(const std::string& archive, const std::string& ending, const std::string& bytes) {
    std::vector<std::pair<std::string, std::string>> files;
    for (const ZipMember& member : zip_members(archive, "x"))
        files.emplace_back(member.name,
                           member.name.ends_with(ending) ? bytes : read_member(member, "x", 1 << 20));
    return stored_zip(files);
}

void refused(const std::string& bytes, const std::string& reason) {
    INFO(reason);
    CHECK_THROWS_AS(parse_weights(bytes, "x"), FormatError);
    CHECK_THROWS_WITH(parse_weights(bytes, "x"), Contains(reason));
}

// vit-small with two blocks for images of 16 x 16.
VitOptions tiny() {
    return {.classes = 3,
            .image = {.height = 16, .width = 16},
            .patch = 4,
            .dimension = 8,
            .depth = 1,
            .heads = 2};
}

}  // namespace

TEST_CASE("a state dict of every type, stride and kind of sharing", "[nn][weights]") {
    for (const char* name : {"types.pth", "protocol4.pth"}) {
        INFO(name);
        const WeightsFile file = read_weights(fixture(name));
        CHECK(file.notes.empty());
        const std::map<std::string, Tensor> got = by_name(file.tensors);
        CHECK(got.size() == 18);
        CHECK(identical(got.at("fc.weight"), counting({3, 2})));
        CHECK(identical(got.at("fc.bias"), counting({3})));
        CHECK(identical(got.at("f64"), counting<double>({2, 3})));
        CHECK(identical(got.at("half"), counting({5})));
        CHECK(identical(got.at("bf16"), counting({5})));
        const Tensor whole_numbers = Tensor::of<int64_t>({-2, -1, 0, 1, 2}, {5});
        for (const char* key : {"i64", "i32", "i8"}) CHECK(identical(got.at(key), whole_numbers));
        CHECK(identical(got.at("scalar"), Tensor::of<int64_t>({7}, {})));
        CHECK(identical(got.at("u8"), Tensor::of<uint8_t>({0, 1, 2}, {3})));
        CHECK(identical(got.at("bool"), Tensor::of<uint8_t>({1, 0}, {2})));
        CHECK(got.at("empty").shape() == Shape{0, 3});
        CHECK(identical(got.at("parameter"), counting({2, 2})));
        CHECK(identical(got.at("whole"), counting({12})));
        CHECK(identical(got.at("part"), counting({2, 2}, {4, 5, 6, 7})));
        CHECK(identical(got.at("transposed"), counting({4, 3}, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11})));
        CHECK(identical(got.at("steps"), counting({4}, {1, 4, 7, 10})));
        CHECK(
            identical(got.at("permuted"), counting({4, 2, 3}, {0, 4, 8,  12, 16, 20, 1, 5, 9,  13, 17, 21,
                                                               2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23})));
    }
}

TEST_CASE("a checkpoint's state dict is found in it", "[nn][weights]") {
    const WeightsFile file = read_weights(fixture("checkpoint.pth"));
    CHECK(by_name(file.tensors).size() == 2);
    CHECK(identical(by_name(file.tensors).at("module.fc.weight"), counting({3, 2})));
    REQUIRE(file.notes.size() == 1);
    CHECK_THAT(file.notes[0], Contains("under state_dict"));
}

TEST_CASE("PyTorch's files that will not do", "[nn][weights]") {
    refused(bytes_of("legacy.pth"), "the one before it, a bare pickle. HINT: in Python, torch.save");
    CHECK_THROWS_WITH(read_weights(fixture("command.pth")), Contains("posix.system"));
    CHECK_THROWS_WITH(read_weights(fixture("module.pth")), Contains("__main__.Net"));

    const std::string good = bytes_of("checkpoint.pth");
    REQUIRE_NOTHROW(parse_weights(with_member(good, "nothing", ""), "x"));
    refused(with_member(good, "byteorder", "big"), "little end first");
    refused(with_member(good, "data/0", "1234"), "6 elements of 4 bytes for module.fc.weight");
    refused(with_member(good, "data.pkl", "\x80\2K\1."), "a dictionary of tensors, got an integer");
    refused(with_member(good, "data.pkl", std::string("\x80\2}X\5\0\0\0epochK\3s.", 17)), "one of epoch");
    refused(stored_zip({{"a/data.pkl", "\x80\2}."}}), "one of nothing");
    refused(stored_zip({{"a/data.pkl", "\x80\2}."}, {"a/constants.pkl", ""}}), "TorchScript");
    refused(stored_zip({{"a/readme", "x"}}), "numpy arrays");
    std::vector<std::pair<std::string, std::string>> fewer;
    for (const ZipMember& member : zip_members(good, "x"))
        if (!member.name.ends_with("data/1"))
            fewer.emplace_back(member.name, read_member(member, "x", 1 << 20));
    refused(stored_zip(fewer), "the storage 1 of module.fc.bias, got none");

    refused("", "an empty one");
    refused("hello world, these are no weights", "safetensors files, PyTorch's .pth and numpy's .npz");

    ScratchFolder folder;
    const float inf = std::numeric_limits<float>::infinity();
    write_tensors(folder / "w.safetensors", {{{"fc.weight", Tensor::of<float>({0, inf, 1}, {3})}}, {}});
    CHECK_THROWS_AS(read_weights(folder / "w.safetensors"), FormatError);
    CHECK_THROWS_WITH(read_weights(folder / "w.safetensors"), Contains("inf as element 1 of fc.weight"));

    // A storage of 1 MB under a thousand names would be 1 GB.
    const std::string pickle = [] {
        auto text = [](const std::string& letters) {
            return "X" + std::string{static_cast<char>(letters.size()), 0, 0, 0} + letters;
        };
        std::string body = "\x80\2}(";
        for (int i = 0; i < 1000; ++i)
            body += text("w" + std::to_string(i)) + "ctorch._utils\n_rebuild_tensor_v2\n((" +
                    text("storage") + "ctorch\nByteStorage\n" + text("0") + text("cpu") +
                    std::string("J\0\0\x10\0tQK\0J\0\0\x10\0\x85K\1\x85\x89}tR", 22);
        return body + "u.";
    }();
    refused(stored_zip({{"a/data.pkl", pickle}, {"a/data/0", std::string(1 << 20, 'x')}}),
            "16 times the archive's");
}

TEST_CASE("a state dict with any one byte changed is read or refused", "[nn][weights]") {
    const std::string whole = bytes_of("checkpoint.pth");
    for (std::size_t i = 0; i < whole.size(); ++i)
        for (int flip : {0x01, 0x80, 0xff}) {
            std::string changed = whole;
            changed[i] = static_cast<char>(changed[i] ^ flip);
            try {
                parse_weights(changed, "x");
            } catch (const FormatError&) {
            }
        }
    for (std::size_t size = 0; size < whole.size(); size += 7)
        CHECK_THROWS_AS(parse_weights(whole.substr(0, size), "x"), FormatError);
}

TEST_CASE("weights in numpy's archives", "[nn][weights]") {
    const std::map<std::string, Tensor> got = by_name(read_weights(fixture("arrays.npz")).tensors);
    CHECK(got.size() == 4);
    CHECK(identical(got.at("fc.weight"), counting({3, 2})));
    CHECK(identical(got.at("fc.bias"), counting<double>({3})));
    CHECK(identical(got.at("half"), counting({5})));
    CHECK(identical(got.at("big"), counting({4})));
    refused(with_member(bytes_of("arrays.npz"), "half.npy", "x"), "cut short");
}

TEST_CASE("short integers and truth values in safetensors", "[nn][weights]") {
    auto parse = [](const std::string& type, const std::string& shape, const std::string& data) {
        const std::string header = R"({"x":{"dtype":")" + type + R"(","shape":)" + shape +
                                   R"(,"data_offsets":[0,)" + std::to_string(data.size()) + "]}}";
        return parse_tensors(
                   std::string{static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0} + header + data, "x")
            .tensors[0]
            .tensor;
    };
    using namespace std::string_literals;
    CHECK(identical(parse("I32", "[2]", "\1\0\0\0\xff\xff\xff\xff"s), Tensor::of<int64_t>({1, -1}, {2})));
    CHECK(identical(parse("I16", "[2]", "\1\0\xff\xff"s), Tensor::of<int64_t>({1, -1}, {2})));
    CHECK(identical(parse("I8", "[2]", "\1\xff"), Tensor::of<int64_t>({1, -1}, {2})));
    CHECK(identical(parse("BOOL", "[2]", "\1\0"s), Tensor::of<uint8_t>({1, 0}, {2})));
    CHECK_THROWS_WITH(parse("F8_E5M2", "[1]", "\1"), Contains("got F8_E5M2"));
}

TEST_CASE("weights from elsewhere are brought into the model's form", "[nn][weights]") {
    ScratchFolder folder;
    const StatedModel stated{.architecture = "densenet121",
                             .classes = {{"a", "b"}},
                             .range = {{0, 1}},
                             .normalization = StatedModel::Normalization{},
                             .height = 32,
                             .width = 32,
                             .numbers = {{"growth", 2}}};
    auto model = make_model("densenet121",
                            {.classes = 2, .image = {.height = 32, .width = 32}, .numbers = {{"growth", 2}}});
    model->initialize(3);
    // As wrappers of PyTorch and torchvision's first files have them, with counts of batches, and in f64.
    TensorFile file;
    for (NamedTensor entry : model->state()) {
        std::string& name = entry.name;
        const std::size_t at = name.find(".norm1."), other = name.find(".conv2.");
        if (at != std::string::npos) name.replace(at, 7, ".norm.1.");
        if (other != std::string::npos) name.replace(other, 7, ".conv.2.");
        if (name.ends_with("running_var"))
            file.tensors.push_back({"module." + name.substr(0, name.size() - 11) + "num_batches_tracked",
                                    Tensor::of<int64_t>({5}, {})});
        if (name == "classifier.bias") entry.tensor = Tensor::of(std::vector<double>{0.1, 0.2}, {2});
        name = "module." + name;
        file.tensors.push_back(entry);
    }
    write_tensors(folder / "x", file);
    const LoadedModel loaded = load_model(folder / "x", stated);
    CHECK(loaded.notes == std::vector<std::string>{"names in the file begin with module., which is left out",
                                                   "names of DenseNet's layers are torchvision's first ones",
                                                   "1 tensors of f64 are rounded to f32"});
    const std::map<std::string, Tensor> got = by_name(loaded.model->state()), was = by_name(model->state());
    for (const auto& [name, value] : was)
        if (name != "classifier.bias") CHECK(identical(got.at(name), value));
    CHECK(identical(got.at("classifier.bias"), Tensor::of({0.1f, 0.2f}, {2})));

    // What is missing or has another shape is named, with what was expected and what came.
    auto with = [&](auto&& change) {
        TensorFile changed = file;
        change(changed.tensors);
        write_tensors(folder / "y", changed);
        return [&folder, &stated] { load_model(folder / "y", stated); };
    };
    CHECK_THROWS_WITH(with([](NamedTensors& all) { all.pop_back(); })(),
                      Contains("key classifier.bias f32(2), got none"));
    CHECK_THROWS_WITH(with([](NamedTensors& all) { all.back().tensor = Tensor::zeros({3}); })(),
                      Contains("key classifier.bias as f32(2), got f32(3)"));
    CHECK_THROWS_WITH(with([](NamedTensors& all) {
                          all.push_back({"module.fc.bias", Tensor::zeros({3})});
                      })(),
                      Contains("no key fc.bias"));
    // One name without the prefix: it is part of the names then.
    CHECK_THROWS_WITH(with([](NamedTensors& all) {
                          all.push_back({"fc.bias", Tensor::zeros({3})});
                      })(),
                      Contains("key features.conv0.weight"));
}

TEST_CASE("learned positions of a ViT for another image size are resized", "[nn][weights][vit]") {
    Vit large(tiny());
    large.initialize(1);
    WeightsFile file{large.state(), {}, {}};
    VitOptions options = tiny();
    options.image.height = 8;
    options.image.width = 24;
    Vit wide(options);
    adapt_weights(file, wide, options.image);
    REQUIRE(file.notes.size() == 1);
    CHECK_THAT(file.notes[0], Contains("(1,17,8) are resized to (1,13,8)"));
    wide.load(file.tensors);
    CHECK(identical(by_name(wide.state()).at("pos_embed"),
                    resize_positions(by_name(large.state()).at("pos_embed"), 2, 6)));

    WeightsFile odd{large.state(), {}, {}};
    odd.tensors[1].tensor = Tensor::zeros({1, 16, 8});
    adapt_weights(odd, wide, options.image);
    CHECK_THROWS_WITH(wide.load(odd.tensors), Contains("key pos_embed as f32(1,13,8), got f32(1,16,8)"));
}
