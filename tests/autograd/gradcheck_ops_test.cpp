// Every op of the list against every oracle: one test case per op, made from the list itself, so that an op
// cannot be added without one.
#include "autograd/gradcheck/check_op.hpp"
#include "autograd/op_list.hpp"
#include "base/text.hpp"

#include <catch2/catch.hpp>

using namespace microtome;

namespace {

template <class Op>
void check_listed_op() {
    for (const gradcheck::Row& row : gradcheck::check_op(op_info<Op>())) {
        INFO(row);
        CHECK(row.pass);
    }
}

template <class... Ops>
bool register_all(OpList<Ops...>) {
    (Catch::AutoReg(Catch::makeTestInvoker(&check_listed_op<Ops>), CATCH_INTERNAL_LINEINFO,
                    Catch::StringRef(),
                    Catch::NameAndTags(str("gradient check of ", op_info<Ops>().name), "[gradcheck][ops]")),
     ...);
    return true;
}

[[maybe_unused]] const bool registered = register_all(AllOps{});

}  // namespace

TEST_CASE("checking all ops by name", "[gradcheck]") {
    const std::vector<gradcheck::Row> one = gradcheck::check_all("relu");
    REQUIRE(one.size() >= 10);
    for (const gradcheck::Row& row : one) CHECK(row.op == "relu");
    CHECK_THROWS_WITH(gradcheck::check_all("rely"),
                      Catch::Contains("expected the name of an op, got 'rely'") && Catch::Contains("relu"));
}
