// The cervical screening set's layouts, by drawn tissue that lies as its photographs do.
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "data/audit.hpp"
#include "data/loader.hpp"
#include "data/mobileodt_tissue.hpp"
#include "data/open.hpp"
#include "tests/data/files.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace microtome;
using Catch::Contains;

namespace {

std::map<std::string, const Sample*> by_name(const Dataset& set) {
    std::map<std::string, const Sample*> result;
    for (const Sample& sample : set.samples()) result[sample.name] = &sample;
    return result;
}

std::string type_of(const Dataset& set, const std::string& name) {
    const auto all = by_name(set);
    const auto found = all.find(name);
    return found == all.end() ? "none" : set.classes()[found->second->label];
}

}  // namespace

TEST_CASE("MobileODT: train, additional and test images, errata and broken files", "[data][mobileodt]") {
    ScratchFolder folder;
    const std::string root = folder / "cervix";
    int64_t files = 0;
    REQUIRE(write_mobileodt_tissue(root, {.per_class = 4, .size = 32}, [&](int64_t count) {
        files = count;
        return true;
    }));
    const auto set = open_dataset(root);
    CHECK(set->classes() == std::vector<std::string>{"Type_1", "Type_2", "Type_3"});
    CHECK(set->size() + 6 == files);  // but for the broken files
    std::map<std::string, int> parts;
    for (const Sample& sample : set->samples()) ++parts[sample.part];
    CHECK(parts == std::map<std::string, int>{{"test", 7}, {"train", 29}});

    CHECK(type_of(*set, "train/train/Type_2/2002.jpg") == "Type_2");
    CHECK(type_of(*set, "additional_Type_3_v2/Type_3/7008.jpg") == "Type_3");
    CHECK(type_of(*set, "test/test/0.jpg") == "Type_1");  // as the table says
    CHECK(type_of(*set, "test/test/4.jpg") == "Type_2");
    CHECK(type_of(*set, "train/train/Type_3/968.jpg") == "Type_1");
    CHECK(type_of(*set, "train/train/Type_3/1120.jpg") == "Type_1");
    CHECK(type_of(*set, "train/train/Type_1/80.jpg") == "Type_3");
    for (const char* broken : {"additional_Type_1_v2/Type_1/5893.jpg", "additional_Type_2_v2/Type_2/2845.jpg",
                               "additional_Type_2_v2/Type_2/5892.jpg", "additional_Type_1_v2/Type_1/3068.jpg",
                               "additional_Type_2_v2/Type_2/7.jpg", "train/train/Type_1/1339.jpg"}) {
        CHECK(type_of(*set, broken) == "none");
        CHECK_THROWS_AS(read_image(root + '/' + broken), FormatError);
    }
    REQUIRE(set->notes().size() == 3);
    CHECK_THAT(set->notes()[0], Contains("7 test images") && Contains("solution_stg1_release.csv"));
    CHECK_THAT(set->notes()[1], Contains("published, 3: train/train/Type_1/80.jpg is of Type_3;"));
    CHECK_THAT(set->notes()[2], Contains("broken, 6: ") && Contains("Type_2/7.jpg is cut short"));
    const Tensor image = set->read(0);
    CHECK(image.shape() == Shape{32, 24, 3});  // upright, as the photographs are

    // The planted copies are found: one with another type, one in the test.
    const std::vector<std::string> groups = groups_of(*set, audit(*set));
    std::map<std::string, std::string> group_of;
    for (int64_t i = 0; i < set->size(); ++i) group_of[set->samples()[i].name] = groups[i];
    const std::string &a = group_of["train/train/Type_2/2002.jpg"],
                      &b = group_of["additional_Type_3_v2/Type_3/7012.jpg"];
    CHECK_FALSE(a.empty());
    CHECK(a == b);
    CHECK_FALSE(group_of["test/test/6.jpg"].empty());
    CHECK(group_of["test/test/6.jpg"] == group_of["train/train/Type_2/2003.jpg"]);
}

TEST_CASE("MobileODT: the older layout, and tables that are wrong", "[data][mobileodt]") {
    ScratchFolder folder;
    for (const char* name :
         {"train/Type_1/0.jpg", "train/Type_2/80.jpg", "train/Type_3/968.jpg", "additional/Type_2/968.jpg",
          "additional/Type_2/7.jpg", "test/4.jpg", "test/5.jpg", "test/Type_3/6.jpg"})
        put(folder / name, flat_image(1));
    const std::string table = folder / "test/labels.csv";
    write_file(folder / "test/other.csv", "image,class\n4.jpg,1\n");
    write_file(table, "image_name,Type_1,Type_2,Type_3\n4.jpg,0.0,1.0,0.0\n9.jpg,1,0,0\n");
    const auto set = open_dataset(folder / "");
    CHECK(set->size() == 6);
    CHECK(type_of(*set, "train/Type_2/80.jpg") == "Type_3");
    CHECK(type_of(*set, "train/Type_3/968.jpg") == "Type_1");
    CHECK(type_of(*set, "additional/Type_2/968.jpg") == "Type_2");  // another photograph
    CHECK(type_of(*set, "additional/Type_2/7.jpg") == "none");
    CHECK(type_of(*set, "test/4.jpg") == "Type_2");
    CHECK(type_of(*set, "test/5.jpg") == "none");  // nobody says of which type
    CHECK(type_of(*set, "test/Type_3/6.jpg") == "Type_3");
    CHECK(by_name(*set).at("test/4.jpg")->part == "test");
    CHECK(by_name(*set).at("additional/Type_2/968.jpg")->part == "train");
    CHECK_THAT(set->notes().back(), Contains("1 images without a type"));

    for (const auto& [row, why] :
         std::map<std::string, std::string>{{"4.jpg,1,1,0", "one 1 among zeros"},
                                            {"4.jpg,0,0,0", "a type for 4.jpg"},
                                            {"4.jpg,0,0.7,0.3", "got \"0.7\""},
                                            {"4.jpg,1,0,0\n4.jpg,0,1,0", "one type for 4.jpg"}}) {
        write_file(table, "image_name,Type_1,Type_2,Type_3\n" + row + "\n");
        CHECK_THROWS_WITH(open_dataset(folder / ""), Contains("labels.csv") && Contains(why));
    }
}

TEST_CASE("MobileODT tissue goes into a folder of its own", "[data][mobileodt]") {
    ScratchFolder folder;
    write_file(folder / "mine.txt", "here");
    CHECK_THROWS_WITH(write_mobileodt_tissue(folder / "", {}), Contains("new or empty"));
    CHECK_THROWS_AS(write_mobileodt_tissue(folder / "x", {.per_class = 2}), OptionsError);
    CHECK_FALSE(write_mobileodt_tissue(folder / "y", {.per_class = 4, .size = 16},
                                       [](int64_t count) { return count < 3; }));
}
