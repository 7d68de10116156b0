// Networks, gradients and optimizers beside PyTorch's: tests/parity/models_torch.py says how, and wrote the
// fixtures.
#include "autograd/ops/control.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/tape.hpp"
#include "base/atomic_file.hpp"
#include "nn/model_file.hpp"
#include "nn/optimizers.hpp"
#include "nn/safetensors.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

using namespace microtome;
using nlohmann::json;

namespace {

constexpr int64_t kClasses = 7, kLogitsBatch = 8, kSteps = 10, kWeightSamples = 2, kPixelSamples = 256;
constexpr double kMostInDouble = 1e-9;  // of an error in f64, which only the order of sums makes

// Element i of a name's numbers in [-1, 1), of 24 bits: FNV-1a of the name, then SplitMix64's mixing.
class Uniform {
  public:
    explicit Uniform(std::string_view name) {
        for (char letter : name) seed_ = (seed_ ^ static_cast<uint8_t>(letter)) * 0x100000001b3u;
    }
    double operator()(int64_t i) const {
        uint64_t z = seed_ + static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return static_cast<double>((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1;
    }

  private:
    uint64_t seed_ = 0xcbf29ce484222325u;
};

// The weight or buffer of that name, in PyTorch's layout.
Tensor formula(const std::string& name, const Shape& shape) {
    auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
    double middle = 0, spread;
    if (name.ends_with("running_var")) {
        middle = 1;
        spread = 0.25;
    } else if (name.ends_with("running_mean") || name.ends_with("bias")) {
        spread = 0.1;
    } else if (shape.rank() == 1) {
        const bool last = has(".bn2.") || has(".bn3.") || has("conv.2.") || has("conv.3.");
        middle = last ? 0.5 : 1;
        spread = last ? 0.1 : 0.2;
    } else if (name == "cls_token" || name == "pos_embed") {
        spread = 0.2;
    } else {
        const auto fan_in = static_cast<double>(shape.elements() / shape[0]);
        const bool head =
            name.starts_with("fc.") || name.starts_with("head.") || name.starts_with("classifier.");
        spread = std::sqrt((shape.rank() == 4 ? 6.0 : 3.0) / fan_in) * (head ? 0.1 : 1);
    }
    const Uniform u(name);
    std::vector<float> values(static_cast<std::size_t>(shape.elements()));
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(middle + spread * u(static_cast<int64_t>(i)));
    return Tensor::of(values, shape);
}

Tensor images(int64_t batch, int64_t size, int64_t draw) {
    const Uniform u(str("images.", draw));
    std::vector<float> pixels(static_cast<std::size_t>(batch * size * size * 3));
    for (std::size_t i = 0; i < pixels.size(); ++i)
        pixels[i] = static_cast<float>((u(static_cast<int64_t>(i)) + 1) / 2);
    return Tensor::of(pixels, {batch, size, size, 3});
}

struct Job {
    std::string name, architecture, mode;
    Dtype dtype;  // f32, or f64 where roundings are to be left out
    int64_t batch, size;
    std::map<std::string, double> numbers;
    std::vector<int64_t> draws;
    std::map<std::string, double> errors;  // PyTorch's own in f32

    explicit Job(const json& from)
        : name(from.at("name")),
          architecture(from.at("arch")),
          mode(from.at("mode")),
          dtype(from.value("dtype", "f32") == "f64" ? Dtype::f64 : Dtype::f32),
          batch(from.at("batch")),
          size(from.at("size")),
          numbers(from.at("numbers")),
          draws(from.at("draws")),
          errors(from.value("errors", std::map<std::string, double>{})) {}

    std::unique_ptr<Module> model() const {
        auto result =
            make_model(architecture,
                       {.classes = kClasses, .image = {.height = size, .width = size}, .numbers = numbers});
        NamedTensors state;
        for (const NamedParameter& named : result->named_parameters()) {
            Shape shape = named.parameter->value.shape();
            if (named.parameter->layout == DiskLayout::channels_first && !named.parameter->images.rank())
                shape = {shape[0], shape[3], shape[1], shape[2]};
            state.push_back({named.name, formula(named.name, shape)});
        }
        result->load(state);
        if (dtype == Dtype::f64) result->convert(dtype);
        return result;
    }
};

// What the job asks for, in PyTorch's names and layouts.
std::map<std::string, Tensor> results_of(const Job& job, int64_t draw) {
    std::map<std::string, Tensor> results;
    const Tensor x = cast(images(job.batch, job.size, draw), job.dtype);
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < job.batch; ++i) classes.push_back(i % kClasses);
    const Tensor labels = Tensor::of(classes, {job.batch});

    if (job.mode == "eval") {
        auto model = job.model();
        results["logits"] = (*model)(cast(images(kLogitsBatch, job.size, draw), job.dtype));
        Tape tape;
        tape.watch(x);
        const Tensor g = tape.gradient(cross_entropy((*model)(x), labels), x);
        results["images.gradient"] = permute(g, {0, 3, 1, 2});
        return results;
    }
    auto gradients = [&](Module& model) {
        Tape tape;
        tape.watch(model.parameters());
        return tape.gradient(mean(cross_entropy(model(x), labels)), model.parameters());
    };
    if (job.mode == "weights" || job.mode == "train") {
        auto model = job.model();
        model->train(job.mode == "train");
        const Tensors all = gradients(*model);
        const std::vector<NamedParameter> weights = model->trainable();
        for (std::size_t i = 0; i < all.size(); ++i)
            results["gradient." + weights[i].name] = to_disk(all[i], *weights[i].parameter);
        return results;
    }
    for (const std::string name : {"sgd", "adam", "adamw"}) {
        auto model = job.model();
        std::map<std::string, Tensor> before;
        for (const NamedTensor& entry : model->state()) before[entry.name] = entry.tensor;
        model->train();
        std::unique_ptr<Optimizer> optimizer;
        if (name == "sgd")
            optimizer =
                std::make_unique<Sgd>(*model, SgdOptions{.lr = 0.001, .momentum = 0.9, .weight_decay = 1e-4});
        else if (name == "adam")
            optimizer = std::make_unique<Adam>(*model, AdamOptions{.lr = 1e-4});
        else
            optimizer = std::make_unique<AdamW>(*model, AdamOptions{.lr = 1e-4, .weight_decay = 0.05});
        for (int64_t step = 0; step < kSteps; ++step) optimizer->step(gradients(*model));
        for (const NamedParameter& named : model->trainable()) {
            const Tensor after = to_disk(named.parameter->value, *named.parameter),
                         &start = before.at(named.name);
            std::vector<float> moved(after.data<float>().begin(), after.data<float>().end());
            for (std::size_t i = 0; i < moved.size(); ++i) moved[i] -= start.data<float>()[i];
            results[str(name, '.', named.name)] = Tensor::of(moved, after.shape());
        }
    }
    return results;
}

// Elements evenly spread, as the fixtures have them.
std::vector<int64_t> sampled_places(const std::string& key, int64_t elements) {
    const int64_t count = key == "images.gradient" ? kPixelSamples
                          : key == "logits"        ? elements
                                                   : kWeightSamples;
    std::vector<int64_t> places;
    for (int64_t i = 0; i < count; ++i) places.push_back(elements * (2 * i + 1) / (2 * count));
    return places;
}

json read_json(const std::string& path) {
    return json::parse(read_file(path, 1 << 24));
}

}  // namespace

TEST_CASE("networks, gradients and optimizers give PyTorch's numbers", "[nn][parity]") {
    const TensorFile file = read_tensors(MICROTOME_SOURCE "/tests/nn/fixtures/parity.safetensors");
    std::map<std::string, Tensor> fixtures;
    for (const NamedTensor& entry : file.tensors) fixtures[entry.name] = entry.tensor;
    int compared = 0;
    for (const json& entry : json::parse(file.metadata.at("jobs"))) {
        const Job job(entry);
        const std::map<std::string, Tensor> results = results_of(job, job.draws[0]);
        for (const auto& [group, error_of_pytorch] : job.errors) {
            INFO(job.name << ' ' << group);
            const Tensor truth = fixtures.at(job.name + '/' + group),
                         units = fixtures.at(str(job.name, '/', group, "/units"));
            std::size_t at = 0, tensors = 0, counted = 0;
            double squares = 0;
            for (const auto& [key, result] : results) {
                if (group.ends_with('.') ? !key.starts_with(group) : key != group) continue;
                const double unit = units.data<double>()[tensors++];
                for (int64_t place : sampled_places(key, result.elements())) {
                    const auto i = static_cast<std::size_t>(place);
                    const double ours =
                        job.dtype == Dtype::f64 ? result.data<double>()[i] : result.data<float>()[i];
                    const double error = ours - truth.data<double>()[at++];
                    if (unit == 0) continue;  // zero but for roundings
                    squares += error * error / (unit * unit);
                    ++counted;
                }
            }
            REQUIRE(at == truth.data<double>().size());
            REQUIRE(tensors == units.data<double>().size());
            const double ours = std::sqrt(squares / static_cast<double>(counted));
            INFO("error " << ours << ", PyTorch's " << error_of_pytorch);
            if (job.dtype == Dtype::f64)
                CHECK(ours <= kMostInDouble);
            else
                CHECK(ours <= 2 * error_of_pytorch);
            ++compared;
        }
    }
    CHECK(compared >= 10);
}

TEST_CASE("results for tests/parity/models_torch.py", "[.models-parity]") {
    const std::string folder = std::getenv("MICROTOME_PARITY");
    for (const json& entry : read_json(folder + "/jobs.json")) {
        const Job job(entry);
        for (int64_t draw : job.draws) {
            TensorFile file;
            for (const auto& [key, tensor] : results_of(job, draw)) file.tensors.push_back({key, tensor});
            write_tensors(str(folder, '/', job.name, '.', draw, ".safetensors"), file);
        }
    }
}

TEST_CASE("PyTorch's files for tests/parity/models_torch.py", "[.files-parity]") {
    const std::string folder = std::getenv("MICROTOME_PARITY");
    for (const json& entry : read_json(folder + "/files.json")) {
        std::vector<std::string> names;
        for (int i = 0; i < entry.at("classes").get<int>(); ++i) names.push_back(std::to_string(i));
        const std::string file = folder + '/' + entry.at("file").get<std::string>();
        const int64_t size = entry.at("size");
        const LoadedModel loaded =
            load_model(file, StatedModel{.architecture = entry.at("arch").get<std::string>(),
                                         .classes = names,
                                         .range = {{0, 1}},
                                         .normalization = StatedModel::Normalization{},
                                         .height = size,
                                         .width = size});
        write_tensors(file + ".logits",
                      {{{"logits", (*loaded.model)(images(entry.at("batch"), size, 0))}}, {}});
        save_model(file + ".model", *loaded.model, loaded.card);
    }
}
