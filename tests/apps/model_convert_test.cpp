#include "nn/model_file.hpp"
#include "nn/safetensors.hpp"
#include "tests/apps/program.hpp"
#include "tests/nn/model_test_support.hpp"
#include "tests/scratch_folder.hpp"

using namespace microtome;
using Catch::Contains;

TEST_CASE("model convert makes a model file of weights from elsewhere", "[apps][model]") {
    ScratchFolder folder;
    auto model = make_model("resnet-small", {.classes = 2, .image = {.height = 16, .width = 16}});
    model->initialize(4);
    TensorFile file{model->state(), {}};
    for (NamedTensor& entry : file.tensors) entry.name = "module." + entry.name;
    const std::string from = folder / "weights", to = folder / "model.safetensors";
    write_tensors(from, file);

    const std::string begin =
        "model convert '" + from + "' --out '" + to + "' --arch resnet-small --size 16 ";
    Outcome outcome = run_program(begin + "--classes benign,malignant");
    CHECK(outcome.status == 2);
    CHECK_THAT(outcome.output, Contains("not stated: pixel range, normalization"));
    CHECK(run_program(begin + "--classes 0 --range 0,1 --normalize none").status == 2);
    CHECK_THAT(run_program(begin + "--classes 2 --range 0,x --normalize none").output,
               Contains("--range, got 'x'"));
    CHECK_THAT(run_program(begin + "--classes 2 --range 0,1 --normalize some").output,
               Contains("imagenet, none or"));
    outcome = run_program(begin + "--classes 3 --range 0,1 --normalize none");
    CHECK(outcome.status == 3);
    CHECK_THAT(outcome.output, Contains("key fc.weight as f32(3,64), got f32(2,64)"));
    CHECK(folder.names() == std::vector<std::string>{"weights"});

    outcome = run_program(begin + "--classes benign,malignant --range 0,255 --normalize imagenet --resize");
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("begin with module."));
    const LoadedModel loaded = load_model(to);
    CHECK(loaded.card.classes == std::vector<std::string>{"benign", "malignant"});
    const ImageOptions& image = loaded.card.options.image;
    CHECK((image.low == 0 && image.high == 255 && image.resize && image.height == 16));
    CHECK(image.mean == std::vector<double>{0.485, 0.456, 0.406});
    CHECK(image.deviation == std::vector<double>{0.229, 0.224, 0.225});
    CHECK(loaded.card.training.at("weights") == from);
    CHECK(test::state_hash(*loaded.model) == test::state_hash(*model));

    REQUIRE(run_program(begin + "--classes 2 --range 0,1 --normalize 0.5,0.5,0.25/1,2,3").status == 0);
    CHECK(load_model(to).card.options.image.deviation == std::vector<double>{1, 2, 3});
    CHECK(load_model(to).card.classes == std::vector<std::string>{"0", "1"});
    CHECK(run_program("model info --model '" + to + "'").status == 0);
}
