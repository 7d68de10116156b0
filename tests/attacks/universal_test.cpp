// Patterns fitted on training images: the universal perturbation, the blended patch, the turning disc.
#include "attacks/blended_patch.hpp"
#include "attacks/patch.hpp"
#include "attacks/registry.hpp"
#include "attacks/universal_perturbation.hpp"
#include "nn/safetensors.hpp"
#include "tests/attacks/attack_test_support.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace microtome;
using Catch::Contains;

namespace {

// Notes which images were taken from it.
class Watched : public BatchSource {
  public:
    Watched(Batch all, int64_t size) : source_(std::move(all), size) {}
    void start(int64_t epoch) override {
        epochs.push_back(epoch);
        source_.start(epoch);
    }
    std::optional<Batch> next() override {
        auto batch = source_.next();
        if (batch) taken += batch->images.size(0);
        return batch;
    }
    int64_t images() const override { return source_.images(); }
    int64_t batches() const override { return source_.batches(); }

    std::vector<int64_t> epochs;
    int64_t taken = 0;

  private:
    MemoryBatches source_;
};

// Class c sees the pixels of every third value from c on: 12 x 12 x 3, two classes by the first two channels.
test::LinearClassifier two_channels() {
    std::vector<std::vector<float>> weights(2, std::vector<float>(432, 0));
    for (int i = 0; i < 432; ++i)
        if (i % 3 < 2) weights[i % 3][i] = 0.05f;
    return {{12, 12, 3}, weights, {0, 0}};
}

Batch pictures(Classifier& classifier, int64_t n, uint64_t seed) {
    return test::answered(classifier, test::images({n, 12, 12, 3}, seed), static_cast<int64_t>(seed) * 1000);
}

int64_t count(const std::vector<bool>& flags) {
    return std::count(flags.begin(), flags.end(), true);
}

int64_t changed(const Tensor& a, const Tensor& b, int64_t image) {
    const int64_t size = a.elements() / a.size(0);
    int64_t values = 0;
    for (int64_t i = image * size; i < (image + 1) * size; ++i)
        values += a.data<float>()[i] != b.data<float>()[i];
    return values;
}

}  // namespace

TEST_CASE("a universal perturbation is fitted on its source alone and stays within epsilon", "[attacks]") {
    auto classifier = two_channels();
    const Batch train = pictures(classifier, 30, 1), held_out = pictures(classifier, 40, 2);
    for (PatternUpdate update : {PatternUpdate::adam, PatternUpdate::sign}) {
        const double epsilon = 0.05;
        UniversalPerturbation attack(
            {.epsilon = epsilon, .fit = {.epochs = 4, .update = update, .target = {Target::Rule::fixed, 1}}});
        CHECK_THROWS_WITH(attack.apply(held_out), Contains("fit() or load() before"));
        Watched source(train, 8);
        const int64_t forward = classifier.forward_passes(), backward = classifier.backward_passes();
        std::vector<FitProgress> heard;
        const FitReport report =
            attack.fit(classifier, source, [&](const FitProgress& p) { heard.push_back(p); });
        // Every image once an epoch, forward and backward, and nothing besides.
        CHECK(source.epochs == std::vector<int64_t>{0, 1, 2, 3});
        CHECK(source.taken == 120);
        CHECK(classifier.forward_passes() - forward == 120);
        CHECK(classifier.backward_passes() - backward == 120);
        CHECK(report.passes.forward == 120);
        CHECK(report.passes.backward == 120);
        CHECK(heard.size() == 16);
        CHECK(heard[5].epoch == 1);
        CHECK(heard[5].images == 16);
        CHECK(heard[5].images_per_epoch == 30);
        CHECK(heard.back().loss == report.loss.back());
        REQUIRE(report.loss.size() == 4);
        CHECK(std::is_sorted(report.loss.begin(), report.loss.end()));
        CHECK(report.fooled.back() > report.fooled.front());

        // One v, against class 0 and for class 1, at its bound after steps of .01.
        const Tensor& v = attack.pattern();
        CHECK(v.shape() == Shape{12, 12, 3});
        for (int64_t i = 0; i < 432; ++i) {
            CHECK(std::abs(static_cast<double>(v.data<float>()[i])) <= epsilon);
            if (i % 3 == 2)
                CHECK(v.data<float>()[i] == 0);
            else
                CHECK(v.data<float>()[i] == Approx(i % 3 == 0 ? -epsilon : epsilon).epsilon(0.02));
        }
        const Tensor x = attack.apply(held_out);
        CHECK(test::in_box(x));
        CHECK(test::linf_distance(x, held_out.images) <= epsilon);
        CHECK(identical(attack.run(classifier, held_out), x));
        CHECK(identical(attack.apply(slice(held_out, 3, 5)), test::part(x, 3, 5)));
        for (int64_t i = 0; i < held_out.images.elements(); ++i) {
            const float sum = held_out.images.data<float>()[i] + v.data<float>()[i % 432];
            CHECK(x.data<float>()[i] == Approx(std::clamp(sum, 0.0f, 1.0f)).epsilon(0).margin(1.2e-7));
        }
        Batch attacked = held_out;
        attacked.images = x;
        const auto before = test::predictions(classifier, held_out),
                   after = test::predictions(classifier, attacked);
        CHECK(std::count(after.begin(), after.end(), 1) > std::count(before.begin(), before.end(), 1) + 10);
        // The same fit gives the same bits.
        UniversalPerturbation again(
            {.epsilon = epsilon, .fit = {.epochs = 4, .update = update, .target = {Target::Rule::fixed, 1}}});
        MemoryBatches plain(train, 8);
        again.fit(classifier, plain);
        CHECK(identical(again.pattern(), v));
    }
}

TEST_CASE("white paper can be darkened", "[attacks]") {
    // At exactly 1 the clip has a derivative to the inside.
    auto classifier = two_channels();
    const Batch white{.images = Tensor::full({4, 12, 12, 3}, 1),
                      .targets = Tensor::of<int64_t>({0, 0, 0, 0}, {4})};
    MemoryBatches source(white, 4);
    UniversalPerturbation attack({.epsilon = 0.1, .fit = {.epochs = 2}});
    attack.fit(classifier, source);
    CHECK(attack.apply(white).data<float>()[0] < 0.985f);
}

TEST_CASE("a universal perturbation without epochs is the random control", "[attacks]") {
    auto classifier = two_channels();
    const Batch train = pictures(classifier, 4, 1);
    MemoryBatches source(train, 4);
    UniversalPerturbation attack({.epsilon = 0.1, .random_start = true, .fit = {.epochs = 0}});
    const FitReport report = attack.fit(classifier, source);
    CHECK(report.passes.forward == 0);
    CHECK(report.loss.empty());
    const auto v = attack.pattern().data<float>();
    const auto [low, high] = std::minmax_element(v.begin(), v.end());
    CHECK(*low >= -0.1f);
    CHECK(*low < -0.095f);
    CHECK(*high > 0.095f);
    UniversalPerturbation other({.epsilon = 0.1, .random_start = true, .fit = {.epochs = 0, .seed = 1}});
    other.fit(classifier, source);
    CHECK_FALSE(identical(other.pattern(), attack.pattern()));
}

TEST_CASE("the study's blended patch changes at most 300 values by at most beta", "[attacks]") {
    std::vector<std::vector<float>> weights(2, std::vector<float>(64 * 64 * 3, 0.001f));
    for (std::size_t i = 0; i < weights[1].size(); i += 2) weights[1][i] = -0.002f;
    test::LinearClassifier classifier({64, 64, 3}, weights, {0, 0});
    const Batch train = test::answered(classifier, test::images({6, 64, 64, 3}));
    MemoryBatches source(train, 3);
    for (double beta : {0.05, 1.0}) {
        BlendedPatch attack({.beta = beta, .fit = {.epochs = 5}});
        const FitReport report = attack.fit(classifier, source);
        CHECK(report.loss.back() > report.loss.front());
        CHECK(attack.pattern().shape() == Shape{10, 10, 3});
        CHECK(test::in_box(attack.pattern()));
        const Tensor x = attack.apply(train);
        CHECK(test::in_box(x));
        CHECK(test::linf_distance(x, train.images) <= beta);
        CHECK(test::linf_distance(x, train.images) > 0.8 * beta);
        for (int64_t i = 0; i < 6; ++i) {
            CHECK(changed(x, train.images, i) <= 300);
            CHECK(changed(x, train.images, i) > 280);
        }
        for (int64_t row = 0; row < 64; ++row)
            for (int64_t column = 0; column < 64; ++column) {
                const int64_t at = (row * 64 + column) * 3;
                const bool patched = row >= 50 && row < 60 && column >= 50 && column < 60;
                if (!patched) CHECK(x.data<float>()[at] == train.images.data<float>()[at]);
                if (patched && beta == 1)
                    CHECK(x.data<float>()[at] ==
                          Approx(attack.pattern().data<float>()[((row - 50) * 10 + column - 50) * 3])
                              .margin(1e-6));
            }
        CHECK(attack.threat().kind == Threat::Kind::patch);
        CHECK(attack.threat().epsilon == beta);
        CHECK_THROWS_WITH(attack.apply(slice({.images = Tensor::zeros({1, 59, 64, 3})}, 0, 1)),
                          Contains("10 pixels from row 50"));
    }
    CHECK_THROWS_AS(BlendedPatch({.size = 0}), OptionsError);
    CHECK_THROWS_AS(BlendedPatch({.top = -1}), OptionsError);
    CHECK_THROWS_AS(BlendedPatch({.beta = 1.5}), OptionsError);
}

TEST_CASE("the disc lies inside the image, at sizes and angles within bounds", "[attacks]") {
    const Batch batch{.images = Tensor::zeros({300, 20, 30, 1})};
    const Patch attack({.rotation = 30, .scale_min = 0.2, .scale_max = 0.6});
    const Tensor theta = attack.transforms(batch, 1);
    double least = 9, most = 0, left = 9, right = -9, turned = 0;
    for (int64_t i = 0; i < 300; ++i) {
        const auto t = theta.data<float>().subspan(i * 6, 6);
        // Back from the inverse: in pixels it is a rotation by the angle over the scale.
        const double c = t[0], s = t[1] * 30.0 / 20.0, scale = 1 / std::hypot(c, s);
        CHECK(t[4] == Approx(t[0]));
        CHECK(t[3] == Approx(-s * 30 / 20));
        CHECK(std::abs(std::atan2(s, c)) <= 30 * 3.1416 / 180);
        turned = std::max(turned, std::abs(std::atan2(s, c)));
        least = std::min(least, scale), most = std::max(most, scale);
        // The centre solves theta (x, y, 1) = 0.
        const double a = t[0], b = t[1], d = t[3], e = t[4], det = a * e - b * d;
        const double x = (-t[2] * e + b * t[5]) / det, y = (-a * t[5] + t[2] * d) / det;
        CHECK(std::abs(x) * 15 + scale * 10 <= 15.001);
        CHECK(std::abs(y) * 10 + scale * 10 <= 10.001);
        left = std::min(left, x), right = std::max(right, x);
    }
    CHECK(least == Approx(0.2).margin(0.02));
    CHECK(most == Approx(0.6).margin(0.02));
    CHECK(turned > 25 * 3.1416 / 180);
    CHECK(left < -0.5);
    CHECK(right > 0.5);
    // Another round, another place; the same image in another batch, the same.
    CHECK_FALSE(identical(attack.transforms(batch, 2), theta));
    const Tensor later = attack.transforms(slice(batch, 7, 9), 1);
    CHECK(identical(later, theta.view({2, 2, 3}, 7 * 6)));
}

TEST_CASE("a fitted disc beats a random one on images that it never saw", "[attacks]") {
    auto classifier = two_channels();
    const Batch train = pictures(classifier, 24, 3), held_out = pictures(classifier, 60, 4);
    std::vector<int64_t> zeros;
    for (int64_t i = 0; i < 60; ++i)
        if (held_out.targets.data<int64_t>()[i] == 0) zeros.push_back(i);
    const Batch victims = select(held_out, zeros);
    REQUIRE(zeros.size() > 15);
    int64_t won[2];
    for (int64_t epochs : {0, 15}) {
        Patch attack({.scale_min = 0.5,
                      .scale_max = 0.6,
                      .fit = {.epochs = epochs, .lr = 0.1, .target = {Target::Rule::fixed, 1}}});
        MemoryBatches source(train, 12);
        attack.fit(classifier, source);
        CHECK(test::in_box(attack.pattern()));
        const Tensor x = attack.apply(victims);
        CHECK(test::in_box(x));
        CHECK(identical(attack.apply(slice(victims, 2, 5)), test::part(x, 2, 5)));
        // Half the side in diameter: a fifth of the area, the rim not counted twice.
        for (int64_t i = 0; i < x.size(0); ++i) {
            CHECK(changed(x, victims.images, i) <= 3 * 12 * 12 * 0.55);
            CHECK(changed(x, victims.images, i) >= 3 * 12 * 12 * 0.15);
        }
        won[epochs > 0] = count(test::wrong(classifier, victims, x));
    }
    CHECK(won[1] >= won[0] + static_cast<int64_t>(zeros.size()) / 5);
    CHECK_THROWS_AS(Patch({.rotation = -1}), OptionsError);
    CHECK_THROWS_AS(Patch({.scale_min = 0}), OptionsError);
    CHECK_THROWS_AS(Patch({.scale_min = 0.5, .scale_max = 0.4}), OptionsError);
    CHECK_THROWS_AS(Patch({.scale_max = 1.1}), OptionsError);
}

TEST_CASE("patterns are saved and loaded", "[attacks]") {
    auto classifier = two_channels();
    const Batch train = pictures(classifier, 6, 1);
    MemoryBatches source(train, 3);
    ScratchFolder folder;
    const std::string path = folder / "pattern.safetensors";
    const AttackSettings settings{{"epsilon", "0.1"}, {"epochs", "2"}};
    auto attack = make_universal_attack("universal", settings);
    CHECK_THROWS_WITH(attack->save(path), Contains("before save()"));
    attack->fit(classifier, source);
    attack->save(path);
    auto again = make_universal_attack("universal", settings);
    again->load(path);
    CHECK(identical(again->apply(train), attack->apply(train)));

    CHECK_THROWS_WITH(make_universal_attack("patch")->load(path), Contains("attack patch, got universal"));
    CHECK_THROWS_WITH(make_universal_attack("universal", {{"epsilon", "0.2"}, {"epochs", "2"}})->load(path),
                      Contains("epsilon = 51/255 (0.2)") && Contains("0.1 (25.5/255)"));
    CHECK_THROWS_AS(again->load(folder / "missing"), MissingFileError);
    TensorFile file = read_tensors(path);
    auto forged = [&](const NamedTensors& tensors) {
        write_tensors(path, {.tensors = tensors, .metadata = file.metadata});
        CHECK_THROWS_AS(again->load(path), FormatError);
    };
    Tensor loud = file.tensors[0].tensor.clone();
    loud.mutable_data<float>()[5] = 0.11f;
    forged({{"pattern", loud}});
    loud.mutable_data<float>()[5] = std::nanf("");
    forged({{"pattern", loud}});
    forged({{"other", file.tensors[0].tensor}});
    forged({{"pattern", Tensor::zeros({12, 12})}});
    CHECK(identical(again->apply(train), attack->apply(train)));  // what was refused changed nothing
}

TEST_CASE("what cannot be fitted or applied is refused", "[attacks]") {
    auto classifier = two_channels();
    UniversalPerturbation attack;
    MemoryBatches nothing({.images = Tensor::zeros({0, 12, 12, 3})}, 4);
    CHECK_THROWS_WITH(attack.fit(classifier, nothing), Contains("without any"));
    MemoryBatches unlabelled({.images = Tensor::zeros({2, 12, 12, 3})}, 4);
    CHECK_THROWS_AS(attack.fit(classifier, unlabelled), ShapeError);
    const Batch train = pictures(classifier, 4, 1);
    MemoryBatches source(train, 4);
    attack.fit(classifier, source);
    CHECK_THROWS_WITH(attack.apply({.images = Tensor::zeros({1, 12, 13, 3})}), Contains("(12,12,3)"));
    CHECK_THROWS_AS(UniversalPerturbation({.epsilon = 8}), OptionsError);
    CHECK_THROWS_AS(UniversalPerturbation({.fit = {.epochs = -1}}), OptionsError);
    CHECK_THROWS_AS(UniversalPerturbation({.fit = {.lr = 0}}), OptionsError);
    CHECK_THROWS_WITH(make_universal_attack("pgd"), Contains("universal, blended-patch, patch"));
    CHECK_THROWS_AS(make_universal_attack("universal", {{"update", "newton"}}), OptionsError);
}
