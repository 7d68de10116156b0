// Commands with --device cuda, from outside: beside an emulated device, and with the CPU's bits.
#include "base/atomic_file.hpp"
#include "data/image.hpp"
#include "evaluation/results.hpp"
#include "nn/model_file.hpp"
#include "nn/models/registry.hpp"
#include "tests/apps/program.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

using namespace microtome;
using Catch::Contains;

#if defined(MICROTOME_PROGRAM_WITH_DEVICE)  // it can be run where it was built

namespace {

constexpr const char* kWithDevice = MICROTOME_PROGRAM_WITH_DEVICE;

// Both ways, into folders of their own. The output is that of the device.
struct Both {
    std::string on_cpu, on_device, output;
    Both(const ScratchFolder& folder, const std::string& name, const std::string& command)
        : on_cpu(folder / (name + "-cpu")), on_device(folder / (name + "-device")) {
        const Outcome here = run_program(command + " --threads 1 --out " + on_cpu);
        const Outcome there =
            run_program(command + " --threads 1 --device cuda --out " + on_device, kWithDevice);
        INFO(here.output);
        INFO(there.output);
        REQUIRE(here.status == 0);
        REQUIRE(there.status == 0);
        output = there.output;
    }
    // The same bytes in both.
    void require_same(const std::string& file) const {
        INFO(file);
        CHECK(read_file(on_cpu + file, 1 << 26) == read_file(on_device + file, 1 << 26));
    }
};

// Two classes of grey images, bright on the left or on the right.
void write_data(const std::string& root) {
    for (const auto& [part, n] : {std::pair<std::string, int>{"train", 6}, {"val", 2}, {"test", 3}})
        for (int i = 0; i < n; ++i)
            for (bool left : {true, false}) {
                Tensor image = Tensor::full({8, 8, 1}, 0, Dtype::u8);
                std::span<uint8_t> pixels = image.mutable_data<uint8_t>();
                for (std::size_t k = 0; k < pixels.size(); ++k)
                    pixels[k] = static_cast<uint8_t>(90 + (k * 7 + part.size() * 11 + i * 5u) % 40 +
                                                     ((k % 8 < 4) == left ? 60 : 0));
                const std::string folder = str(root, '/', part, '/', left ? "left" : "right");
                std::filesystem::create_directories(folder);
                write_png(str(folder, '/', part, i, ".png"), image);
            }
}

void write_linear_model(const std::string& path) {
    const ModelCard card{.architecture = "mlp",
                         .options = {.classes = 2,
                                     .image = {.height = 8, .width = 8, .channels = 1},
                                     .numbers = {{"depth", 0}}},
                         .classes = {"left", "right"},
                         .training = {}};
    const std::unique_ptr<Module> model = make_model(card.architecture, card.options);
    model->initialize(3);
    save_model(path, *model, card);
}

std::vector<ResultRow> timeless(std::vector<ResultRow> rows) {
    for (ResultRow& row : rows) {
        row.seconds = 0;
        row.mode.clear();
        row.witnesses.clear();
    }
    return rows;
}

}  // namespace

TEST_CASE("train on the device writes the CPU's model, augmented there", "[cuda][apps]") {
    ScratchFolder folder;
    const Both both(
        folder, "run",
        "train --arch cnn --numbers channels=3 --size 41 --per-class 3 --epochs 2 --batch 4 --seed 2 "
        "--augment flips,right-angles,rotation=20,zoom=0.1,brightness=0.2 --optimizer adamw --quiet");
    both.require_same("/model.safetensors");
}

TEST_CASE("harden on the device makes the CPU's model and judges it alike", "[cuda][apps][harden]") {
    ScratchFolder folder;
    const std::string data = folder / "data", model = folder / "model.safetensors";
    write_data(data);
    write_linear_model(model);
    for (const char* recipe : {"finetune", "finetune-static"}) {
        INFO(recipe);
        const Both both(folder, recipe,
                        str("harden --quiet --recipe ", recipe, " --model ", model, " --data ", data,
                            " --attack pgd,universal --steps 2 --epochs 2 --batch 4 --lr 0.01 --seed 3",
                            recipe == std::string("finetune") ? " --augment flips,shift=0.1" : ""));
        both.require_same("/model.safetensors");
    }
}

TEST_CASE("evaluate on the device counts what the CPU counts", "[cuda][apps]") {
    ScratchFolder folder;
    const std::string data = folder / "data", model = folder / "model.safetensors";
    write_data(data);
    write_linear_model(model);
    const std::string command = "evaluate --quiet --n 6 --batch 4 --model " + model + " --data " + data;
    const std::string here = folder / "here", there = folder / "there";
    const Outcome on_cpu = run_program(command + " --threads 1 --exact --out " + here);
    const Outcome on_device = run_program(command + " --device cuda --out " + there, kWithDevice);
    INFO(on_cpu.output);
    INFO(on_device.output);
    REQUIRE(on_cpu.status == on_device.status);
    const Results a = read_results(here + "/results.json"), b = read_results(there + "/results.json");
    REQUIRE_FALSE(a.rows.empty());
    CHECK(timeless(a.rows) == timeless(b.rows));
}

TEST_CASE("what gradcheck says to reproduce a failure says the device", "[cuda][apps][gradcheck]") {
    const Outcome outcome = run_program(
        "gradcheck --op multiply --oracle 'finite differences' --plant 'gradient of input 1 with the wrong "
        "sign' "
        "--device cuda",
        kWithDevice);
    INFO(outcome.output);
    CHECK(outcome.status == 1);
    CHECK_THAT(outcome.output, Contains("again") && Contains("--device cuda:0"));
}

#endif
