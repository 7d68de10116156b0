#include "base/hash.hpp"

#include "tensor/hash.hpp"

#include <catch2/catch.hpp>

using namespace microtome;

TEST_CASE("the hash is FNV-1a", "[base][hash]") {
    // The vectors its authors publish.
    CHECK(hash_bytes("") == 0xcbf29ce484222325u);
    CHECK(hash_bytes("a") == 0xaf63dc4c8601ec8cu);
    CHECK(hash_bytes("foobar") == 0x85944171f73967e8u);
    CHECK(hash_bytes("bar", hash_bytes("foo")) == hash_bytes("foobar"));
    CHECK(hex(hash_bytes("a")) == "af63dc4c8601ec8c");
    CHECK(hex(1) == "0000000000000001");
}

TEST_CASE("tensors hash by type, shape and bits", "[base][hash]") {
    Tensor tensor = Tensor::of<float>({0, 1, 2, 3}, {2, 2});
    CHECK(hash_of(tensor) == hash_of(tensor.clone()));
    CHECK(hash_of(tensor) != hash_of(tensor.view({4})));
    CHECK(hash_of(tensor) != hash_of(Tensor::of<float>({-0.0f, 1, 2, 3}, {2, 2})));
    CHECK(hash_of(Tensor::zeros({2}, Dtype::f64)) != hash_of(Tensor::zeros({2}, Dtype::i64)));
}
