#include "data/augment.hpp"

#include "base/error.hpp"
#include "data/orientation.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace microtome;

namespace {

Tensor noise(int64_t height, int64_t width, int64_t channels, uint64_t seed = 1) {
    Tensor image(Spec{{height, width, channels}, Dtype::f32, kCpu});
    fill_uniform({seed}, image);
    return image;
}

RandomKey key_of(uint64_t sample, uint32_t step = 0) {
    return {3, purpose_of("augment"), sample, 0, step};
}

const Augmentation everything{.flip_horizontal = true,
                              .flip_vertical = true,
                              .right_angles = true,
                              .crop_padding = 3,
                              .rotation = 40,
                              .shear = 10,
                              .zoom = 0.2,
                              .shift = 0.2,
                              .brightness = 0.2,
                              .channel_shift = 0.1};

}  // namespace

TEST_CASE("no augmentation, the same bits", "[data][augment]") {
    CHECK(Augmentation{}.nothing());
    CHECK(Augmentation{.border = Border::black}.nothing());
    CHECK_FALSE(Augmentation{.zoom = 0.1}.nothing());
    const Tensor image = noise(7, 5, 3);
    for (uint64_t sample = 0; sample < 20; ++sample) {
        CHECK(identical(augment(image, {}, key_of(sample)), image));
        CHECK(identical(change(image, draw_change({}, key_of(sample), 7, 5)), image));
    }
}

TEST_CASE("what is done twice or four times is undone", "[data][augment]") {
    const Tensor image = noise(6, 6, 3);
    for (Change twice :
         {Change{.flip_horizontal = true}, Change{.flip_vertical = true}, Change{.quarters = 2}}) {
        CHECK_FALSE(identical(change(image, twice), image));
        CHECK(identical(change(change(image, twice), twice), image));
    }
    const Change quarter{.quarters = 1};
    Tensor turning = image;
    for (int i = 1; i <= 4; ++i) {
        turning = change(turning, quarter);
        CHECK(identical(turning, image) == (i == 4));
    }
    const Tensor small = Tensor::of<float>({0.1f, 0.2f, 0.3f, 0.4f}, {2, 2, 1});
    CHECK(identical(change(small, {.flip_horizontal = true}),
                    Tensor::of<float>({0.2f, 0.1f, 0.4f, 0.3f}, {2, 2, 1})));
    CHECK(identical(change(small, {.flip_vertical = true}),
                    Tensor::of<float>({0.3f, 0.4f, 0.1f, 0.2f}, {2, 2, 1})));
    CHECK(identical(change(small, quarter), Tensor::of<float>({0.2f, 0.4f, 0.1f, 0.3f}, {2, 2, 1})));
}

TEST_CASE("rotation by right angles is exact, in both directions", "[data][augment]") {
    for (int64_t channels : {1, 3}) {
        const Tensor image = noise(9, 9, channels);
        for (int quarters : {1, 2, 3, -1})
            CHECK(identical(change(image, {.rotation = 90.0 * quarters}), turned(image, quarters)));
    }
    const Tensor even = noise(8, 8, 3);
    CHECK(identical(change(even, {.rotation = 90}), turned(even, 1)));
}

TEST_CASE("shifts by whole pixels, and what comes from beyond the edge", "[data][augment]") {
    const Tensor row = Tensor::of<float>({0.1f, 0.2f, 0.3f, 0.4f}, {1, 4, 1});
    auto shifted = [&](double pixels, Border border) {
        const Tensor moved = change(row, {.shift_x = pixels / 4}, border);
        return std::vector<float>(moved.data<float>().begin(), moved.data<float>().end());
    };
    using Row = std::vector<float>;
    CHECK(shifted(2, Border::mirror) == Row{0.2f, 0.1f, 0.1f, 0.2f});
    CHECK(shifted(2, Border::edge) == Row{0.1f, 0.1f, 0.1f, 0.2f});
    CHECK(shifted(2, Border::black) == Row{0, 0, 0.1f, 0.2f});
    CHECK(shifted(-1, Border::mirror) == Row{0.2f, 0.3f, 0.4f, 0.4f});
    CHECK(shifted(-4, Border::mirror) == Row{0.4f, 0.3f, 0.2f, 0.1f});
    CHECK(shifted(0.5, Border::black)[0] == 0.05f);
    CHECK(shifted(0.5, Border::edge)[1] == Approx(0.15f));

    const Tensor column = Tensor::of<float>({0.1f, 0.2f, 0.3f, 0.4f}, {4, 1, 1});
    CHECK(identical(change(column, {.shift_y = 0.25}, Border::edge),
                    Tensor::of<float>({0.1f, 0.1f, 0.2f, 0.3f}, {4, 1, 1})));
    const Tensor square = Tensor::of<float>({0.1f, 0.2f, 0.3f, 0.4f}, {2, 2, 1});
    CHECK(identical(change(square, {.move_y = 1}), Tensor::of<float>({0, 0, 0.1f, 0.2f}, {2, 2, 1})));
    CHECK(identical(change(square, {.move_x = -1}), Tensor::of<float>({0.2f, 0, 0.4f, 0}, {2, 2, 1})));
    CHECK(identical(change(square, {.move_y = -5, .move_x = 9}), Tensor::zeros({2, 2, 1})));
}

TEST_CASE("a ramp is zoomed, sheared and rotated as geometry says", "[data][augment]") {
    // v = a + b x + c y is read off exactly by bilinear interpolation.
    Tensor ramp(Spec{{21, 21, 1}, Dtype::f32, kCpu});
    for (int y = 0; y < 21; ++y)
        for (int x = 0; x < 21; ++x)
            ramp.mutable_data<float>()[y * 21 + x] = 0.5f + 0.02f * (x - 10) + 0.004f * (y - 10);
    const double pi = 3.14159265358979323846;
    auto check = [&](const Change& done, auto source) {
        const Tensor result = change(ramp, done);
        for (int y = 7; y <= 13; ++y)
            for (int x = 7; x <= 13; ++x) {
                const auto [sx, sy] = source(x - 10.0, y - 10.0);
                CHECK(result.data<float>()[y * 21 + x] == Approx(0.5 + 0.02 * sx + 0.004 * sy).margin(1e-6));
            }
    };
    check({.zoom = 2}, [](double x, double y) { return std::pair(x / 2, y / 2); });
    // Seen with y upwards a point at (1, 0) moves to (cos, sin): counter-clockwise.
    const double c = std::cos(30 * pi / 180), s = std::sin(30 * pi / 180);
    check({.rotation = 30}, [&](double x, double y) { return std::pair(c * x - s * y, s * x + c * y); });
    // The top row (y < 0) moves right: x' = x - tan y.
    const double slope = std::tan(20 * pi / 180);
    check({.shear = 20}, [&](double x, double y) { return std::pair(x + slope * y, y); });
    check({.rotation = 30, .shear = 20, .zoom = 1.5, .shift_y = -1 / 21.0, .shift_x = 2 / 21.0},
          [&](double x, double y) {
              const double ux = c * (x - 2) - s * (y + 1), uy = s * (x - 2) + c * (y + 1);
              return std::pair((ux + slope * uy) / 1.5, uy / 1.5);
          });
}

TEST_CASE("brightness and channel shift are cut off at 0 and 1", "[data][augment]") {
    const Tensor image = Tensor::of<float>({0.25f, 0.5f, 0.75f}, {1, 1, 3});
    CHECK(identical(change(image, {.brightness = 1.5}), Tensor::of<float>({0.375f, 0.75f, 1}, {1, 1, 3})));
    CHECK(identical(change(image, {.brightness = 0}), Tensor::zeros({1, 1, 3})));
    CHECK(identical(change(image, {.channel_shift = {-0.5f, 0.25f, 0.5f}}),
                    Tensor::of<float>({0, 0.75f, 1}, {1, 1, 3})));
}

TEST_CASE("every augmentation keeps shape and range", "[data][augment]") {
    for (Border border : {Border::mirror, Border::edge, Border::black})
        for (auto [height, width, channels] :
             std::vector<std::array<int64_t, 3>>{{16, 16, 3}, {9, 14, 1}, {1, 1, 3}}) {
            Augmentation options = everything;
            options.border = border;
            for (uint64_t sample = 0; sample < 100; ++sample) {
                Tensor image = noise(height, width, channels, sample);
                for (float& x : image.mutable_data<float>()) x = x < 0.3f ? 0.0f : x > 0.7f ? 1.0f : x;
                const Tensor result = augment(image, options, key_of(sample));
                CHECK(result.shape() == image.shape());
                for (float x : result.data<float>()) REQUIRE((x >= 0 && x <= 1));
            }
        }
}

TEST_CASE("the key decides, and options do not disturb each other", "[data][augment]") {
    const Tensor image = noise(12, 12, 3);
    CHECK(identical(augment(image, everything, key_of(1)), augment(image, everything, key_of(1))));
    CHECK_FALSE(identical(augment(image, everything, key_of(1)), augment(image, everything, key_of(2))));
    CHECK_FALSE(identical(augment(image, everything, key_of(1)), augment(image, everything, key_of(1, 1))));
    for (uint64_t sample = 0; sample < 50; ++sample) {
        const Change all = draw_change(everything, key_of(sample), 12, 12);
        const Change one = draw_change({.rotation = 40}, key_of(sample), 12, 12);
        CHECK(one.rotation == all.rotation);
        CHECK(one.brightness == 1);
        CHECK_FALSE(one.flip_horizontal);
    }
}

TEST_CASE("draws cover their ranges", "[data][augment]") {
    constexpr int kDraws = 2000;
    std::array<int, 4> quarters{};
    int mirrored = 0, upside_down = 0;
    double least = 1, most = -1, sum = 0;
    std::array<int, 7> moves{};
    for (uint64_t sample = 0; sample < kDraws; ++sample) {
        const Change drawn = draw_change(everything, key_of(sample), 12, 12);
        ++quarters.at(drawn.quarters);
        mirrored += drawn.flip_horizontal;
        upside_down += drawn.flip_vertical;
        ++moves.at(drawn.move_y + 3);
        const double angle = drawn.rotation / 40;
        least = std::min(least, angle), most = std::max(most, angle), sum += angle;
        CHECK(std::abs(drawn.zoom - 1) <= 0.2);
        CHECK(std::abs(drawn.shift_x) <= 0.2);
        CHECK(std::abs(drawn.brightness - 1) <= 0.2);
        CHECK(draw_change({.right_angles = true}, key_of(sample), 12, 13).quarters % 2 == 0);
    }
    for (int count : quarters) CHECK(std::abs(count - kDraws / 4) < 100);  // five standard deviations
    CHECK(std::abs(mirrored - kDraws / 2) < 112);
    CHECK(std::abs(upside_down - kDraws / 2) < 112);
    for (int count : moves) CHECK(std::abs(count - kDraws / 7) < 80);
    CHECK(least < -0.98);
    CHECK(most > 0.98);
    CHECK(std::abs(sum / kDraws) < 0.065);
}

TEST_CASE("augmentation refuses what it cannot do", "[data][augment]") {
    const Tensor image = noise(4, 4, 3);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (Augmentation wrong :
         {Augmentation{.crop_padding = -1}, Augmentation{.rotation = 181}, Augmentation{.rotation = nan},
          Augmentation{.shear = 90}, Augmentation{.zoom = 1}, Augmentation{.shift = -0.1},
          Augmentation{.brightness = 2}, Augmentation{.channel_shift = 1.5}})
        CHECK_THROWS_AS(augment(image, wrong, key_of(0)), OptionsError);
    for (Change wrong :
         {Change{.rotation = nan}, Change{.zoom = 0}, Change{.zoom = 1e-30}, Change{.shift_x = 1e30}})
        CHECK_THROWS_AS(change(image, wrong), OptionsError);
    CHECK_THROWS_AS(augment(Tensor::zeros({4, 4}), everything, key_of(0)), ShapeError);
    CHECK_THROWS_AS(change(Tensor::zeros({4, 4, 2}), {}), ShapeError);
    CHECK_THROWS_AS(change(Tensor::zeros({4, 4, 3}, Dtype::u8), {}), DtypeError);
}
