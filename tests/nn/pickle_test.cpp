#include "nn/pickle.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;
using Kind = PickledValue::Kind;

namespace {

using namespace std::string_literals;

// The body between the protocol and the end.
Pickle pickle(const std::string& body, int protocol = 2) {
    return read_pickle("\x80"s + static_cast<char>(protocol) + body + ".", "x");
}

const std::string kRebuild = "ctorch._utils\n_rebuild_tensor_v2\n";

// A storage of `elements` floats under the key 0.
std::string storage(const std::string& elements) {
    return "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpu"s + elements + "tQ";
}
std::string byte(int number) {
    return "K"s + static_cast<char>(number);
}

// tensor({2, 3}, {3, 1}, 0, 6)
std::string tensor(const std::vector<int>& sizes, const std::vector<int>& strides, int offset, int elements) {
    std::string text = kRebuild + "(" + storage(byte(elements)) + byte(offset) + "(";
    for (int size : sizes) text += byte(size);
    text += "t(";
    for (int stride : strides) text += byte(stride);
    return text + "t\x89}tR";
}

void refused(const std::string& body, const std::string& reason) {
    INFO(reason);
    CHECK_THROWS_AS(pickle(body), FormatError);
    CHECK_THROWS_WITH(pickle(body), Contains(reason));
}

}  // namespace

TEST_CASE("numbers, texts, lists and dictionaries of a pickle", "[nn][pickle]") {
    CHECK(pickle("K\7").root->integer == 7);
    CHECK(pickle("M\1\2").root->integer == 513);
    CHECK(pickle("J\xfe\xff\xff\xff").root->integer == -2);
    CHECK(pickle("\x8a\0"s).root->integer == 0);
    CHECK(pickle("\x8a\2\0\x80"s).root->integer == -32768);
    CHECK(pickle("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f").root->integer == INT64_MAX);
    CHECK(pickle("G\x3f\xf8\0\0\0\0\0\0"s).root->real == 1.5);
    CHECK(pickle("\x88").root->integer == 1);
    CHECK(pickle("N").root->kind == Kind::none);
    CHECK(pickle("X\3\0\0\0abc"s).root->text == "abc");
    CHECK(pickle("\x8c\3abc", 4).root->text == "abc");

    Pickle list = pickle("](K\1K\2eK\3a");
    REQUIRE(list.root->items.size() == 3);
    CHECK(list.root->items[2]->integer == 3);
    Pickle pairs = pickle("}X\1\0\0\0aK\1s(X\1\0\0\0bK\2X\1\0\0\0cK\3u"s);
    REQUIRE(pairs.root->items.size() == 6);
    CHECK(pairs.root->items[4]->text == "c");
    CHECK(pairs.root->items[5]->integer == 3);
    Pickle tuple = pickle("K\1q\0K\2\x86h\0\x86"s);  // ((1, 2), 1)
    CHECK(tuple.root->items[0]->items[1]->integer == 2);
    CHECK(tuple.root->items[1]->integer == 1);
    // OrderedDict([("a", 1)]), then its attributes.
    Pickle ordered = pickle("ccollections\nOrderedDict\n](X\1\0\0\0aK\1\206e\205R}b"s);
    CHECK(ordered.root->kind == Kind::dictionary);
    CHECK(ordered.root->items[1]->integer == 1);
}

TEST_CASE("tensors of a pickle", "[nn][pickle]") {
    Pickle plain = pickle(tensor({2, 3}, {3, 1}, 0, 6));
    REQUIRE(plain.root->kind == Kind::tensor);
    const PickledTensor& t = plain.root->tensor;
    CHECK(t.shape == Shape{2, 3});
    CHECK(t.strides == std::vector<int64_t>{3, 1});
    CHECK(t.storage->key == "0");
    CHECK(t.storage->type == FileType::f32);
    CHECK(t.storage->elements == 6);
    CHECK(pickle(tensor({}, {}, 5, 6)).root->tensor.offset == 5);
    CHECK(pickle(tensor({3}, {2}, 1, 6)).root->tensor.shape == Shape{3});
    CHECK(pickle(tensor({0, 3}, {3, 1}, 0, 0)).root->tensor.shape == Shape{0, 3});
    CHECK(pickle("ctorch._utils\n_rebuild_parameter\n(" + tensor({1}, {1}, 0, 1) + "\x88}tR").root->kind ==
          Kind::tensor);

    refused(tensor({2, 3}, {3, 1}, 1, 6), "within its storage of 6 elements, got one from 1");
    refused(tensor({2, 3}, {4, 1}, 0, 6), "within its storage");
    refused(tensor({2, 3}, {0, 1}, 0, 5), "within its storage");  // more elements than there are
    refused(tensor({1}, {1}, 6, 6), "within its storage");
    refused(tensor({1}, {1}, 0, 0), "within its storage");
    refused(tensor({2, 3}, {1}, 0, 6), "a stride for each of 2 axes, got 1");
    refused(tensor({1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 1), "at most 8 axes");
    // Sizes and strides whose product wraps around.
    const std::string huge = "\x8a\x08\0\0\0\0\0\0\0\x40"s, minus = "J\xff\xff\xff\xff";
    refused(kRebuild + "(" + storage(byte(6)) + byte(0) + "(K\2t(" + huge + "t\x89}tR", "within its storage");
    refused(kRebuild + "(" + storage(byte(6)) + byte(0) + "(" + huge + huge + "t(K\1K\1t\x89}tR", "2^47");
    refused(kRebuild + "(" + storage(byte(6)) + byte(0) + "(" + minus + "t(K\1t\x89}tR", "0 or more");
    refused(kRebuild + "(" + storage(byte(6)) + minus + "(K\1t(K\1t\x89}tR", "within its storage");
    refused(kRebuild + "(" + storage(minus) + byte(0) + "(K\1t(K\1t\x89}tR", "a storage with its type");
    refused(kRebuild + "(K\1K\2))tR", "a tensor's storage");
    refused("(X\7\0\0\0storageccollections\nOrderedDict\nX\1\0\0\0000X\3\0\0\0cpuK\1tQ"s,
            "a storage with its type");
}

TEST_CASE("a pickle that would do something is refused by name, and does nothing", "[nn][pickle]") {
    refused("cposix\nsystem\n(X\4\0\0\0echotR"s, "the name posix.system, at byte 2");
    refused("\x8c\2os\x8c\6system\x93", "the name os.system");
    refused("cbuiltins\neval\n", "builtins.eval");
    refused("ctorch\nload\n", "torch.load");
    refused("ctorch.storage\n_load_from_bytes\n", "torch.storage._load_from_bytes");
    refused("ca\033[2J\nb\n", "the name a?[2J.b");  // nothing of it reaches a terminal
    refused("(iposix\nsystem\n", "INST");
    refused(")\x81", "NEWOBJ");
    refused("I7\n", "the pickle instruction INT");
    refused("\x82\1", "EXT1");
    refused("\xaa", "the pickle instruction 0xaa");
    refused("ccollections\nOrderedDict\nK\1R", "a tuple of arguments");
    refused("ctorch\nFloatStorage\n)R", "a function, got torch.FloatStorage");
    refused("X\1\0\0\0a)R"s, "the name of a function, got a text");
    refused("K\1}b", "attributes of an integer");
    CHECK_THROWS_WITH(pickle("cposix\nsystem\n"), Contains("HINT: nothing in a pickle is executed"));
}

TEST_CASE("pickles that are damaged", "[nn][pickle]") {
    CHECK_THROWS_WITH(read_pickle("", "x"), Contains("expected a pickle"));
    CHECK_THROWS_WITH(read_pickle("hello", "x"), Contains("expected a pickle"));
    CHECK_THROWS_WITH(pickle("N", 1), Contains("protocol 2 to 4, got 1"));
    CHECK_THROWS_WITH(pickle("N", 5), Contains("protocol 2 to 4, got 5"));
    refused("(", "a value on the stack");
    refused("K\1q\1\x85(q\1", "a value on the stack");
    refused("t", "a mark on the stack");
    refused("K\1(K\1\x86", "a value on the stack");
    CHECK_THROWS_WITH(read_pickle("\x80\2(K\1", "x"), Contains("cut short"));
    CHECK_THROWS_WITH(read_pickle("\x80\2K", "x"), Contains("cut short"));
    refused("h\7", "something under 7");
    refused("X\xff\xff\xff\xff", "cut short");
    refused("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "cut short");
    refused("\x8a\x09\1\1\1\1\1\1\1\1\1", "at most 8 bytes");
    refused("}(K\1u", "one key more");
    refused("K\1K\2a", "expected a list, got an integer");
    refused("]K\1K\2s", "expected a dictionary, got a list");
    // A list of a thousand pairs, made a dictionary again and again.
    std::string again = "ccollections\nOrderedDict\nq\1](";
    for (int i = 0; i < 1000; ++i) again += "NN\x86";
    again += "e\x85q\2";
    for (int i = 0; i < 1000; ++i) again += "h\1h\2R";
    refused(again, "again and again");
    // A tuple in a tuple, a million deep, is no problem.
    CHECK(pickle("N" + std::string(1'000'000, '\x85')).root->kind == Kind::sequence);

    const std::string whole = "\x80\2" + tensor({2, 3}, {3, 1}, 0, 6) + ".";
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_THROWS_AS(read_pickle(whole.substr(0, size), "x"), FormatError);
    for (std::size_t i = 0; i < whole.size(); ++i)
        for (int flip : {0x01, 0x20, 0x80, 0xff}) {
            std::string changed = whole;
            changed[i] = static_cast<char>(changed[i] ^ flip);
            try {
                read_pickle(changed, "x");
            } catch (const FormatError&) {
            }
        }
}
