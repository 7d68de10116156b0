#include "tensor/batch.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

// Seven images of 1 x 2 pixels whose elements are 10 i and 10 i + 1.
Batch seven() {
    std::vector<float> pixels;
    std::vector<int64_t> classes, ids;
    for (int i = 0; i < 7; ++i) {
        pixels.insert(pixels.end(), {10.f * i, 10.f * i + 1});
        classes.push_back(i % 3);
        ids.push_back(100 + i);
    }
    return {Tensor::of(pixels, {7, 1, 2, 1}), Tensor::of(classes, {7}), ids};
}

}  // namespace

TEST_CASE("batches in memory come in order, the last one shorter", "[batch]") {
    MemoryBatches batches(seven(), 3);
    CHECK(batches.images() == 7);
    CHECK(batches.batches() == 3);
    CHECK_THROWS_WITH(batches.next(), Contains("start()"));
    for (int64_t epoch : {0, 1}) {
        batches.start(epoch);
        std::vector<int64_t> ids, sizes;
        while (std::optional<Batch> batch = batches.next()) {
            sizes.push_back(batch->images.size(0));
            CHECK(batch->images.size(0) == batch->targets.size(0));
            for (int64_t i = 0; i < batch->images.size(0); ++i) {
                CHECK(batch->images.data<float>()[2 * i + 1] == 10.f * (batch->ids[i] - 100) + 1);
                CHECK(batch->targets.data<int64_t>()[i] == (batch->ids[i] - 100) % 3);
                ids.push_back(batch->ids[i]);
            }
        }
        CHECK(sizes == std::vector<int64_t>{3, 3, 1});
        CHECK(ids == std::vector<int64_t>{100, 101, 102, 103, 104, 105, 106});
        CHECK_FALSE(batches.next());
    }
    batches.start(0);
    batches.next();
    batches.start(0);  // in the middle of an epoch
    CHECK(batches.next()->ids[0] == 100);
}

TEST_CASE("a slice shares memory, a selection copies", "[batch]") {
    Batch all = seven();
    Batch part = slice(all, 2, 5);
    CHECK(part.images.shares_storage_with(all.images));
    CHECK(part.images.data<float>()[0] == 20);
    CHECK(part.ids == std::vector<int64_t>{102, 103, 104});
    CHECK(slice(all, 7, 7).images.size(0) == 0);

    Batch chosen = select(all, {6, 0, 6});
    CHECK_FALSE(chosen.images.shares_storage_with(all.images));
    CHECK(chosen.images.data<float>()[2] == 0);
    CHECK(chosen.images.data<float>()[5] == 61);
    CHECK(chosen.targets.data<int64_t>()[2] == 0);
    CHECK(chosen.ids == std::vector<int64_t>{106, 100, 106});
    CHECK(select(all, {}).images.size(0) == 0);
    all.ids.clear();
    CHECK(select(all, {4}).ids == std::vector<int64_t>{4});  // places stand in for ids
}

TEST_CASE("no images, no batches", "[batch]") {
    MemoryBatches none({Tensor::zeros({0, 2, 2, 1}), Tensor::zeros({0}, Dtype::i64), {}}, 4);
    CHECK(none.batches() == 0);
    none.start(0);
    CHECK_FALSE(none.next());
}

TEST_CASE("batches refuse what does not fit", "[batch]") {
    Batch all = seven();
    CHECK_THROWS_AS(slice(all, 3, 8), ShapeError);
    CHECK_THROWS_AS(slice(all, 3, 2), ShapeError);
    CHECK_THROWS_AS(slice(all, -1, 2), ShapeError);
    CHECK_THROWS_AS(select(all, {7}), ShapeError);
    CHECK_THROWS_AS(select(all, {-1}), ShapeError);
    CHECK_THROWS_AS(MemoryBatches(all, 0), OptionsError);
    all.ids.pop_back();
    CHECK_THROWS_WITH(slice(all, 0, 1), Contains("an id for each of 7 images"));
    CHECK_THROWS_WITH(MemoryBatches({all.images, Tensor::zeros({6}, Dtype::i64), {}}, 2),
                      Contains("a target for each of 7 images"));
    CHECK_THROWS_AS(MemoryBatches({}, 2), ShapeError);
}
