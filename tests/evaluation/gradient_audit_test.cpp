#include "evaluation/gradient_audit.hpp"

#include "autograd/ops.hpp"
#include "nn/layers.hpp"
#include "nn/models/registry.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;
using gradcheck::Verdict;

namespace {

enum class Mistake {
    none,
    factor,         // a layer's gradient is 1 % too long
    hair,           // or 1e-8
    sign_of_pixel,  // that of one inner pixel is turned round
    single,         // right in f64, wrong in f32
    dead,           // no gradient arrives
};

// Two convolutions and a dense layer; what comes back through the first ReLU has the mistake.
class Net : public Module {
  public:
    explicit Net(Mistake mistake) : mistake_(mistake) { initialize(1); }
    std::string_view kind() const override { return "Net"; }

  private:
    Tensor planted(const Tensor& x) const {
        auto as_it_is = [](const Tensor& t) { return t; };
        auto with = [&](double factor) {
            return replace_gradient(x, as_it_is, [=](const Tensor& t) { return t * factor; });
        };
        switch (mistake_) {
            case Mistake::factor: return with(1.01);
            case Mistake::hair: return with(1 + 1e-8);
            case Mistake::single: return x.dtype() == Dtype::f32 ? with(1.01) : x;
            case Mistake::dead: return with(0);
            case Mistake::sign_of_pixel:
                return replace_gradient(x, as_it_is, [](const Tensor& t) {
                    Tensor turned = Tensor::full(t.shape(), 1, t.dtype());
                    visit_floating("test", t.dtype(), [&]<class T>() {
                        for (std::size_t c = 0; c < 4; ++c) turned.mutable_data<T>()[160 + c] = T(-1);
                    });
                    return t * turned;
                });
            case Mistake::none: break;
        }
        return x;
    }
    Tensor forward(const Tensor& x, const Pass& pass) override {
        return head_(flatten(relu(second_(planted(relu(first_(x, pass))), pass))), pass);
    }

    Mistake mistake_;
    Conv2d& first_ = add<Conv2d>("first", 3, 4, Conv2dOptions{.kernel = 3});
    Conv2d& second_ = add<Conv2d>("second", 4, 4, Conv2dOptions{.kernel = 3});
    Linear& head_ = add<Linear>("head", 4 * 8 * 8, 3);
};

GradientAudit audit(Mistake mistake, int64_t images = 2) {
    Net net(mistake);
    const ModelOptions options{.classes = 3, .image = {.height = 12, .width = 12, .channels = 3}};
    Batch batch{.images = test::images({images, 12, 12, 3}),
                .targets = Tensor::of<int64_t>({0, 2}, {2}),
                .ids = {7, 3}};
    return audit_gradients(net, options, batch, {.attack = {.epsilon = 0.05, .steps = 5}});
}

}  // namespace

TEST_CASE("the gradient an attack follows, audited where it goes", "[evaluation][audit]") {
    const GradientAudit result = audit(Mistake::none);
    INFO(result.text());
    CHECK(result.verdict() == Verdict::pass);
    CHECK_THAT(result.text(), Contains("pass: at 6 places"));
    REQUIRE(result.points.size() == 6);
    std::vector<std::pair<int64_t, int64_t>> places;
    for (const AuditedPoint& point : result.points) {
        places.emplace_back(point.id, point.step);
        CHECK(point.same_branches);
        CHECK(point.worst().relative_error < 1e-13);
        CHECK(point.f32_error > 0);  // f32 rounds
        CHECK(point.f32_error < 1e-5);
        CHECK(point.f32_bound < 1e-3);
        CHECK(point.sign_agreement == 1);
        for (const auto& direction : point.directions) CHECK(direction.exact != 0);
    }
    CHECK(places == std::vector<std::pair<int64_t, int64_t>>{{7, 0}, {3, 0}, {7, 2}, {3, 2}, {7, 4}, {3, 4}});
}

TEST_CASE("planted wrong gradients fail the audit", "[evaluation][audit]") {
    for (Mistake mistake : {Mistake::factor, Mistake::hair, Mistake::sign_of_pixel, Mistake::single}) {
        const GradientAudit result = audit(mistake);
        INFO(static_cast<int>(mistake) << ": " << result.text());
        CHECK(result.verdict() == Verdict::fail);
        CHECK_THAT(result.text(), Contains("FAIL"));
    }
    CHECK_THAT(audit(Mistake::factor).text(), Contains("the gradient says"));
    CHECK_THAT(audit(Mistake::single).text(), Contains("exact in f64, but f32 is off by"));
    // A gradient of nothing but zeros proves nothing.
    const GradientAudit dead = audit(Mistake::dead);
    CHECK(dead.verdict() == Verdict::inconclusive);
    CHECK_THAT(dead.text(), Contains("0 everywhere"));
}

TEST_CASE("an audit leaves the model as it was", "[evaluation][audit]") {
    const ModelOptions options{
        .classes = 3, .image = {.height = 16, .width = 16, .channels = 3}, .numbers = {{"channels", 4}}};
    const std::unique_ptr<Module> model = make_model("resnet-small", options);
    model->initialize(2);
    const uint64_t before = fingerprint_of(*model);
    const uint64_t first_storage = model->parameters()[0].id();
    const Batch batch{
        .images = test::images({1, 16, 16, 3}), .targets = Tensor::of<int64_t>({1}, {1}), .ids = {0}};
    const GradientAudit result = audit_gradients(*model, options, batch, {.attack = {.steps = 1}});
    INFO(result.text());
    CHECK(result.points.size() == 1);  // the first step is the last
    CHECK(result.verdict() == Verdict::pass);
    CHECK(fingerprint_of(*model) == before);
    CHECK(model->parameters()[0].id() == first_storage);
}
