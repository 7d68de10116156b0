#include "base/error.hpp"

#include <catch2/catch.hpp>

using namespace microtome;

TEST_CASE("an error says where, what and, if it knows, what to do", "[base]") {
    CHECK(std::string(ShapeError("conv2d", "expected rank 4, got 3").what()) ==
          "[conv2d] expected rank 4, got 3");
    CHECK(std::string(ShapeError("conv2d", str("expected ", 4, ", got ", 3), "add a batch axis").what()) ==
          "[conv2d] expected 4, got 3. HINT: add a batch axis");
}
