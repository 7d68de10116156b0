#include "nn/weights.hpp"

#include "autograd/tape.hpp"
#include "base/atomic_file.hpp"
#include "base/zip.hpp"
#include "nn/models/vit_small.hpp"
#include "nn/pth.hpp"
#include "nn/safetensors.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/npy.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace microtome {
namespace {

constexpr std::string_view kArray = ".npy";

WeightsFile read_npz(const std::vector<ZipMember>& members, const std::string& where) {
    WeightsFile result;
    for (const ZipMember& member : members) {
        const std::string name = str(where, ": ", member.name);
        if (!member.name.ends_with(kArray))
            throw FormatError(name, "expected an archive of numpy arrays, got something else in it",
                              "read are safetensors files, PyTorch's .pth and numpy's .npz");
        ByteStream stream = open_member(member, name, kMaxTensorFileBytes);
        Tensor array = read_npy(stream, member.size, name);
        require_sound_end(member, stream, name);
        result.tensors.push_back(
            {member.name.substr(0, member.name.size() - kArray.size()), std::move(array)});
    }
    return result;
}

// Takes the prefix off all names, if all have it and the model's own have not.
void strip(WeightsFile& file, const Module& model, std::string_view prefix) {
    const auto has = [&](const auto& named) { return named.name.starts_with(prefix); };
    const std::vector<NamedParameter> own = model.named_parameters();
    if (file.tensors.empty() || !std::all_of(file.tensors.begin(), file.tensors.end(), has) ||
        std::any_of(own.begin(), own.end(), has))
        return;
    for (NamedTensor& entry : file.tensors) entry.name.erase(0, prefix.size());
    file.notes.push_back(str("names in the file begin with ", prefix, ", which is left out"));
}

// "...denselayer3.norm.1.weight" to "...denselayer3.norm1.weight".
bool close_up(std::string& name) {
    const std::size_t layer = name.rfind(".denselayer");
    if (layer == std::string::npos) return false;
    for (std::string_view part : {".norm.1.", ".norm.2.", ".conv.1.", ".conv.2."}) {
        const std::size_t at = name.find(part, layer);
        if (at == std::string::npos) continue;
        name.erase(at + part.size() - 3, 1);
        return true;
    }
    return false;
}

Tensor converted(const Tensor& value, Dtype dtype) {
    Tensor result(Spec{value.shape(), dtype, value.device()});
    kernels::convert(value, result);
    return result;
}

template <class T>
void require_finite(const NamedTensor& entry, const std::string& where) {
    const std::span<const T> values = entry.tensor.data<T>();
    const auto wrong =
        std::find_if(values.begin(), values.end(), [](T value) { return !std::isfinite(value); });
    if (wrong != values.end())
        throw FormatError(where,
                          str("expected weights that are finite numbers, got ", *wrong, " as element ",
                              wrong - values.begin(), " of ", entry.name),
                          "the training that wrote them broke down");
}

}  // namespace

WeightsFile parse_weights(std::string_view bytes, const std::string& where) {
    if (bytes.starts_with("PK")) {
        const std::vector<ZipMember> members = zip_members(bytes, where);
        const bool pickled = std::any_of(members.begin(), members.end(), [](const ZipMember& member) {
            return member.name == "data.pkl" || member.name.ends_with("/data.pkl");
        });
        return pickled ? read_pth(members, where) : read_npz(members, where);
    }
    if (bytes.starts_with("\x80\x02"))
        throw FormatError(where, "expected PyTorch's zip format, got the one before it, a bare pickle",
                          "in Python, torch.save(torch.load(FILE, weights_only=True), NEW) writes it anew");
    // Eight bytes of length, then the header's opening brace.
    if (bytes.size() < 9 || bytes[8] != '{')
        throw FormatError(
            where, str("expected a file of weights, got ", bytes.empty() ? "an empty one" : "something else"),
            "read are safetensors files, PyTorch's .pth and numpy's .npz");
    TensorFile file = parse_tensors(bytes, where);
    return {std::move(file.tensors), std::move(file.metadata), {}};
}

WeightsFile read_weights(const std::string& path) {
    WeightsFile file = parse_weights(read_file(path, kMaxTensorFileBytes), path);
    for (const NamedTensor& entry : file.tensors) {
        if (entry.tensor.dtype() == Dtype::f32) require_finite<float>(entry, path);
        if (entry.tensor.dtype() == Dtype::f64) require_finite<double>(entry, path);
    }
    return file;
}

void adapt_weights(WeightsFile& file, const Module& model, const ImageOptions& image) {
    PauseTapes pause;
    strip(file, model, "module.");
    strip(file, model, "_orig_mod.");
    std::erase_if(file.tensors,
                  [](const NamedTensor& entry) { return entry.name.ends_with(".num_batches_tracked"); });
    int64_t closed = 0;
    for (NamedTensor& entry : file.tensors) closed += close_up(entry.name);
    if (closed > 0) file.notes.push_back("names of DenseNet's layers are torchvision's first ones");

    std::unordered_map<std::string, const Parameter*> own;
    int64_t patch_h = 0, patch_w = 0;
    for (const NamedParameter& named : model.named_parameters()) {
        own.emplace(named.name, named.parameter.get());
        if (named.name != "patch_embed.proj.weight") continue;
        patch_h = named.parameter->value.size(1);
        patch_w = named.parameter->value.size(2);
    }
    int64_t rounded = 0;
    for (NamedTensor& entry : file.tensors) {
        const auto found = own.find(entry.name);
        if (found == own.end()) continue;
        const Spec& here = found->second->value.spec();
        if (entry.tensor.dtype() != here.dtype && is_floating(entry.tensor.dtype()) &&
            is_floating(here.dtype)) {
            rounded += entry.tensor.dtype() == Dtype::f64;
            entry.tensor = converted(entry.tensor, here.dtype);
        }
        if (entry.name == "pos_embed" && patch_h > 0 && is_floating(entry.tensor.dtype()) &&
            entry.tensor.rank() == 3 && entry.tensor.size(0) == 1 && entry.tensor.size(2) == here.shape[2] &&
            entry.tensor.shape() != here.shape) {
            const Shape before = entry.tensor.shape();
            try {
                entry.tensor = resize_positions(entry.tensor, image.height / patch_h, image.width / patch_w);
            } catch (const ShapeError&) {
                continue;  // for load() to refuse
            }
            file.notes.push_back(str("learned positions ", before, " are resized to ", entry.tensor.shape()));
        }
    }
    if (rounded > 0) file.notes.push_back(str(rounded, " tensors of f64 are rounded to f32"));
}

}  // namespace microtome
