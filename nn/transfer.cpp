#include "nn/transfer.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "nn/safetensors.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace microtome {
namespace {

// The names of weights whose shape depends on how many classes there are.
std::vector<std::string> head_of(const ModelCard& card) {
    ModelOptions more = card.options;
    ++more.classes;
    const auto here = make_model(card.architecture, card.options)->named_parameters();
    const auto there = make_model(card.architecture, more)->named_parameters();
    std::vector<std::string> result;
    for (std::size_t i = 0; i < here.size(); ++i)
        if (!(here[i].parameter->value.shape() == there[i].parameter->value.shape()))
            result.push_back(here[i].name);
    return result;
}

NamedTensors::iterator find(NamedTensors& tensors, const std::string& name) {
    return std::find_if(tensors.begin(), tensors.end(),
                        [&](const NamedTensor& entry) { return entry.name == name; });
}

std::vector<double> numbers_of(const std::string& text, const std::string& whole) {
    std::vector<double> numbers;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        double number = 0;
        const char* end = part.data() + part.size();
        const auto [stop, problem] = std::from_chars(part.data(), end, number);
        if (problem != std::errc() || stop != end)
            throw OptionsError("normalization",
                               str("expected imagenet, none or MEANS/DEVIATIONS, got '", whole, "'"));
        numbers.push_back(number);
    }
    return numbers;
}

}  // namespace

GivenWeights read_given_weights(const std::string& path) {
    const std::string bytes = read_file(path, kMaxTensorFileBytes);
    GivenWeights result{.path = path, .file = parse_weights(bytes, path), .hash = hash_bytes(bytes)};
    if (result.file.metadata.contains("microtome")) result.card = load_model(path).card;
    return result;
}

Inherited inherit(Module& model, const ModelCard& card, const GivenWeights& given) {
    WeightsFile file = given.file;
    if (!given.card) adapt_weights(file, model, card.options.image);
    NamedTensors own = model.state();
    const std::vector<std::string> head = head_of(card);
    const bool fits = std::all_of(head.begin(), head.end(), [&](const std::string& name) {
        const auto there = find(file.tensors, name);
        return there != file.tensors.end() && there->tensor.shape() == find(own, name)->tensor.shape();
    });
    Inherited result{.notes = file.notes};
    if (!fits) {
        result.anew = head;
        for (const std::string& name : head) {
            const auto there = find(file.tensors, name);
            if (there == file.tensors.end())
                file.tensors.push_back(*find(own, name));
            else
                there->tensor = find(own, name)->tensor;
        }
    }
    model.load(file.tensors, given.path);
    return result;
}

void set_normalization(ImageOptions& image, const std::string& text) {
    image.mean.clear();
    image.deviation.clear();
    if (text == "none") return;
    if (text == "imagenet") {
        image.mean = {0.485, 0.456, 0.406};
        image.deviation = {0.229, 0.224, 0.225};
        return;
    }
    const std::size_t slash = text.find('/');
    if (slash == std::string::npos)
        throw OptionsError("normalization",
                           str("expected imagenet, none or MEANS/DEVIATIONS, got '", text, "'"));
    image.mean = numbers_of(text.substr(0, slash), text);
    image.deviation = numbers_of(text.substr(slash + 1), text);
}

}  // namespace microtome
