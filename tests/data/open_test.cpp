#include "data/open.hpp"

#include "base/error.hpp"
#include "tests/data/files.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;
using Names = std::vector<std::string>;

namespace {

Names names_of(const Dataset& set) {
    Names names;
    for (const Sample& sample : set.samples()) names.push_back(sample.name);
    return names;
}

// "label part group", an image each.
Names facts_of(const Dataset& set) {
    Names facts;
    for (const Sample& sample : set.samples())
        facts.push_back(set.classes()[sample.label] + ' ' + sample.part + ' ' + sample.group);
    return facts;
}

std::string idx_images(int count, uint32_t height = 2, uint32_t width = 3) {
    std::string file =
        big_end_first(0x803) + big_end_first(count) + big_end_first(height) + big_end_first(width);
    for (uint32_t i = 0; i < count * height * width; ++i) file += static_cast<char>(i);
    return file;
}
std::string idx_labels(const std::string& labels) {
    return big_end_first(0x801) + big_end_first(static_cast<uint32_t>(labels.size())) + labels;
}

std::string cifar_record(int label, int red, int green, int blue) {
    return std::string(1, static_cast<char>(label)) + std::string(1024, static_cast<char>(red)) +
           std::string(1024, static_cast<char>(green)) + std::string(1024, static_cast<char>(blue));
}

}  // namespace

TEST_CASE("a folder of images a class", "[data][open]") {
    ScratchFolder folder;
    put(folder / "set/b/2.png", flat_image(2));
    put(folder / "set/b/10.PNG", flat_image(10));
    put(folder / "set/a/1.png", flat_image(1));
    put(folder / "set/a/.hidden.png", flat_image(1));
    put(folder / "set/a/notes.txt", "no image");
    put(folder / "set/__MACOSX/c/1.png", flat_image(1));
    auto set = open_dataset(folder / "set");
    CHECK(set->path() == folder / "set");
    CHECK(set->classes() == Names{"a", "b"});
    CHECK(names_of(*set) == Names{"a/1.png", "b/10.PNG", "b/2.png"});
    CHECK(facts_of(*set) == Names{"a  ", "b  ", "b  "});
    CHECK(set->notes().empty());
    CHECK_FALSE(set->in_memory());
    CHECK(identical(set->read(1), flat_image(10)));
    CHECK(identical(open_dataset(folder / "set/")->read(1), flat_image(10)));
}

TEST_CASE("folders of parts", "[data][open]") {
    ScratchFolder folder;
    for (const char* part : {"train", "Validation", "TEST"})
        for (const char* name : {"x", "y"}) put(folder / part + '/' + name + "/0.png", flat_image(0));
    auto set = open_dataset(folder / "");
    CHECK(set->classes() == Names{"x", "y"});
    CHECK(names_of(*set) == Names{"TEST/x/0.png", "TEST/y/0.png", "Validation/x/0.png", "Validation/y/0.png",
                                  "train/x/0.png", "train/y/0.png"});
    CHECK(facts_of(*set) == Names{"x test ", "y test ", "x val ", "y val ", "x train ", "y train "});
}

TEST_CASE("LC25000 as its archive unpacks, nested once or twice", "[data][open]") {
    for (std::string top : {"lung_colon_image_set/", "lung_colon_image_set/lung_colon_image_set/"}) {
        ScratchFolder folder;
        for (const char* name :
             {"colon_image_sets/colon_aca", "colon_image_sets/colon_n", "lung_image_sets/lung_aca",
              "lung_image_sets/lung_n", "lung_image_sets/lung_scc"})
            put(folder / top + name + "/1.png", flat_image(1));
        auto set = open_dataset(folder / "");
        CHECK(set->classes() == Names{"colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"});
        CHECK(set->size() == 5);
        CHECK(set->samples()[4].part.empty());
    }
}

TEST_CASE("MobileODT: more of a class elsewhere, and images without one", "[data][open]") {
    ScratchFolder folder;
    for (const char* name :
         {"train/train/Type_1/0.png", "train/train/Type_2/1.png", "additional_Type_1_v2/Type_1/2.png",
          "additional_Type_2_v2/Type_2/3.png", "test/test/4.png", "test/test/5.png"})
        put(folder / name, flat_image(1));
    auto set = open_dataset(folder / "");
    CHECK(set->classes() == Names{"Type_1", "Type_2"});
    CHECK(facts_of(*set) == Names{"Type_1 train ", "Type_2 train ", "Type_1 train ", "Type_2 train "});
    REQUIRE(set->notes().size() == 1);
    CHECK_THAT(set->notes()[0], Contains("2 images without a type") && Contains("solution_stg1_release.csv"));
}

TEST_CASE("folders that are no data set", "[data][open]") {
    ScratchFolder folder;
    std::filesystem::create_directories(folder / "empty/a");
    CHECK_THROWS_AS(open_dataset(folder / "nowhere"), MissingFileError);
    CHECK_THROWS_AS(open_dataset(folder / "empty"), FormatError);
    CHECK_THROWS_WITH(open_dataset(folder / "empty"), Contains("got none") && Contains("HINT"));

    put(folder / "one/a/1.png", flat_image(1));
    put(folder / "one/a/2.png", flat_image(1));
    CHECK_THROWS_AS(open_dataset(folder / "one"), FormatError);
    CHECK_THROWS_WITH(open_dataset(folder / "one"),
                      Contains("two classes") && Contains("2 of one: \"a\"") && Contains("HINT"));

    put(folder / "flat/1.png", flat_image(1));
    put(folder / "flat/train/2.png", flat_image(1));
    CHECK_THROWS_WITH(open_dataset(folder / "flat"),
                      Contains("no class") && Contains("1 images right in train"));

    put(folder / "tiff/a/1.tif", "II*");
    put(folder / "tiff/b/1.tif", "II*");
    CHECK_THROWS_WITH(open_dataset(folder / "tiff"), Contains("2 images") && Contains("1.tif"));

    put(folder / "both/a/1.png", flat_image(1));
    put(folder / "both/a/b/1.png", flat_image(1));
    put(folder / "both/a.c/1.png", flat_image(1));  // sorts between a and a/b
    CHECK_THROWS_WITH(open_dataset(folder / "both"), Contains("some in a and some in a/b"));
}

TEST_CASE("links are followed, but not in circles", "[data][open]") {
    ScratchFolder folder;
    put(folder / "elsewhere/1.png", flat_image(1));
    put(folder / "set/b/1.png", flat_image(1));
    std::filesystem::create_directory_symlink(folder / "elsewhere", folder / "set/a");
    std::filesystem::create_directory_symlink(folder / "set", folder / "set/b/again");
    CHECK(names_of(*open_dataset(folder / "set")) == Names{"a/1.png", "b/1.png"});
}

TEST_CASE("a manifest says class, group and part", "[data][open]") {
    ScratchFolder folder;
    put(folder / "images/1.png", flat_image(1));
    put(folder / "manifest.csv",
        "File,Label,patient,Split\r\nimages/3.png,malignant,\"p, "
        "1\",training\r\n./images/1.png,benign,p2,val\r\n"
        "images/2.png,malignant,,fold 7\r\n");
    for (std::string path : {"", "manifest.csv"}) {
        auto set = open_dataset(folder / path);
        CHECK(set->classes() == Names{"benign", "malignant"});
        CHECK(names_of(*set) == Names{"images/1.png", "images/2.png", "images/3.png"});
        CHECK(facts_of(*set) == Names{"benign val p2", "malignant  ", "malignant train p, 1"});
        CHECK(identical(set->read(0), flat_image(1)));
        CHECK_THROWS_AS(set->read(1), MissingFileError);
    }
    put(folder / "folders/m.csv", "path,class\ntest/1.png,a\ntrain/1.png,b\n");
    CHECK(facts_of(*open_dataset(folder / "folders/m.csv")) == Names{"a test ", "b train "});
}

TEST_CASE("manifests that will not do", "[data][open]") {
    ScratchFolder folder;
    auto refused = [&](const std::string& text, const std::string& reason) {
        INFO(text);
        put(folder / "manifest.csv", text);
        CHECK_THROWS_AS(open_dataset(folder / ""), FormatError);
        CHECK_THROWS_WITH(open_dataset(folder / ""), Contains(reason));
    };
    refused("", "columns' names");
    refused("file,label\n", "empty set");
    refused("name,label\na,b\n", "got name, label");
    refused("file,colour\na,b\n", "column with the class");
    refused("file,label\na.png,x\nb.png\n", "2 fields in line 3");
    refused("file,label\na.png,x\na.png,y\n", "a.png twice");
    refused("file,label\n../a.png,x\nb.png,y\n", "\"../a.png\"");
    refused("file,label\nx/../../a.png,x\nb.png,y\n", "below its folder");
    refused("file,label\n/etc/a.png,x\nb.png,y\n", "below its folder");
    refused("file,label\n,x\nb.png,y\n", "below its folder");
    refused("file,label\na.png,\nb.png,y\n", "a class for a.png");
    refused("file,label\n\"a.png,x\nb.png,y\n", "the quote in line 2");
}

TEST_CASE("MNIST's files, packed or not", "[data][open]") {
    ScratchFolder folder;
    put(folder / "train-images-idx3-ubyte.gz", packed(idx_images(3), 31));
    put(folder / "train-labels-idx1-ubyte.gz", packed(idx_labels({0, 2, 1}), 31));
    put(folder / "t10k-images.idx3-ubyte", idx_images(2));
    put(folder / "t10k-labels.idx1-ubyte", idx_labels({2, 2}));
    auto set = open_dataset(folder / "");
    CHECK(set->in_memory());
    CHECK(set->classes() == Names{"0", "1", "2"});
    CHECK(names_of(*set) == Names{"t10k/0", "t10k/1", "train/0", "train/1", "train/2"});
    CHECK(facts_of(*set) == Names{"2 test ", "2 test ", "0 train ", "2 train ", "1 train "});
    CHECK(identical(set->read(3), Tensor::of<uint8_t>({6, 7, 8, 9, 10, 11}, {2, 3, 1})));
    set->read(3).mutable_data<uint8_t>()[0] = 99;  // a copy
    CHECK(set->read(3).data<uint8_t>()[0] == 6);

    auto one = open_dataset(folder / "train-images-idx3-ubyte.gz");
    CHECK(one->size() == 3);
    CHECK_THROWS_WITH(open_dataset(folder / "train-labels-idx1-ubyte.gz"), Contains("-images-idx3-ubyte"));
    put(folder / "train-images-idx3-ubyte", idx_images(3));
    CHECK_THROWS_WITH(open_dataset(folder / ""), Contains("each file once"));
    std::filesystem::remove(folder / "train-images-idx3-ubyte");
    std::filesystem::remove(folder / "train-labels-idx1-ubyte.gz");
    CHECK_THROWS_AS(open_dataset(folder / ""), MissingFileError);
}

TEST_CASE("more than ten numbered classes stay in order", "[data][open]") {
    ScratchFolder folder;
    put(folder / "x-images-idx3-ubyte", idx_images(2));
    put(folder / "x-labels-idx1-ubyte", idx_labels({1, 10}));
    auto set = open_dataset(folder / "");
    CHECK(set->classes().front() == "00");
    CHECK(set->classes()[9] == "09");
    CHECK(set->classes()[10] == "10");
    CHECK(set->samples()[1].label == 10);
    CHECK(set->samples()[1].part.empty());
}

TEST_CASE("IDX files that will not do", "[data][open]") {
    ScratchFolder folder;
    auto refused = [&](const std::string& images, const std::string& labels, const std::string& reason) {
        put(folder / "x-images-idx3-ubyte", images);
        put(folder / "x-labels-idx1-ubyte", labels);
        CHECK_THROWS_AS(open_dataset(folder / ""), FormatError);
        CHECK_THROWS_WITH(open_dataset(folder / ""), Contains(reason));
    };
    const std::string images = idx_images(2), labels = idx_labels({0, 1});
    for (std::size_t size = 0; size < images.size(); ++size)
        refused(images.substr(0, size), labels, "expected");
    for (std::size_t size = 0; size < labels.size(); ++size)
        refused(images, labels.substr(0, size), "expected");
    const std::string gz = packed(images, 31);
    for (std::size_t size = 2; size < gz.size(); ++size) refused(gz.substr(0, size), labels, "cut short");
    std::string damaged = gz;
    damaged[gz.size() - 6] ^= 1;  // the checksum
    refused(damaged, labels, "sound packed data");
    refused(images + '\0', labels, "more bytes");
    refused(images, idx_labels({0, 1, 1}), "a label for each of 2 images, got 3");
    refused(labels, images, "IDX number 2049");
    refused(idx_images(2, 0), labels, "pixels a side");
    refused(big_end_first(0x803) + big_end_first(2) + big_end_first(60000) + big_end_first(60000), labels,
            "got 60000");
    refused(big_end_first(0x803) + big_end_first(0xffffffff) + big_end_first(16384) + big_end_first(16384),
            labels, "cut short");
    refused(
        packed(big_end_first(0x803) + big_end_first(0xffffffff) + big_end_first(16384) + big_end_first(16384),
               31),
        labels, "cut short");
    refused(images, idx_labels({1, 1}), "two classes");
}

TEST_CASE("CIFAR-10's files", "[data][open]") {
    ScratchFolder folder;
    put(folder / "data_batch_1.bin", cifar_record(3, 10, 20, 30) + cifar_record(9, 1, 2, 3));
    put(folder / "data_batch_2.bin", cifar_record(0, 0, 0, 0));
    put(folder / "test_batch.bin", cifar_record(1, 7, 8, 9));
    auto set = open_dataset(folder / "");
    CHECK(set->classes()[3] == "cat");
    CHECK(names_of(*set) == Names{"data_batch_1/0", "data_batch_1/1", "data_batch_2/0", "test_batch/0"});
    CHECK(facts_of(*set) == Names{"cat train ", "truck train ", "airplane train ", "automobile test "});
    Tensor image = set->read(0);
    CHECK(image.shape() == Shape{32, 32, 3});
    for (std::size_t i = 0; i < 3 * 1024; ++i) REQUIRE(image.data<uint8_t>()[i] == 10 * (i % 3 + 1));
    CHECK(open_dataset(folder / "data_batch_1.bin")->size() == 2);

    put(folder / "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    CHECK(open_dataset(folder / "")->classes()[3] == "d");
    put(folder / "batches.meta.txt", "a\nb\n");
    CHECK_THROWS_WITH(open_dataset(folder / ""), Contains("10 classes, got 2"));
    std::filesystem::remove(folder / "batches.meta.txt");

    put(folder / "test_batch.bin", cifar_record(1, 7, 8, 9).substr(1));
    CHECK_THROWS_WITH(open_dataset(folder / ""), Contains("records of 3073 bytes"));
    put(folder / "test_batch.bin", "");
    CHECK_THROWS_AS(open_dataset(folder / ""), FormatError);
    put(folder / "test_batch.bin", cifar_record(10, 7, 8, 9));
    CHECK_THROWS_WITH(open_dataset(folder / ""), Contains("class below 10") && Contains("got 10"));
}

TEST_CASE("files that are no data set", "[data][open]") {
    ScratchFolder folder;
    put(folder / "image.png", flat_image(1));
    put(folder / "empty", "");
    for (const char* name : {"image.png", "empty"}) {
        CHECK_THROWS_AS(open_dataset(folder / name), FormatError);
        CHECK_THROWS_WITH(open_dataset(folder / name), Contains("no kind we know") && Contains("HINT"));
    }
}
