#include "nn/pth.hpp"

#include "base/error.hpp"
#include "nn/elements.hpp"
#include "nn/pickle.hpp"

#include <algorithm>
#include <unordered_map>

namespace microtome {
namespace {

using Kind = PickledValue::Kind;

constexpr uint64_t kMaxPickle = uint64_t{1} << 28;
constexpr uint64_t kMaxStorage = uint64_t{1} << 36;
// Tensors may share storages, and are widened; no model's are so many times larger than its storages.
constexpr uint64_t kMostCopies = 16;
constexpr std::string_view kPickle = "data.pkl";

class Archive {
  public:
    Archive(const std::vector<ZipMember>& members, const std::string& where) : where_(where) {
        for (const ZipMember& member : members) {
            members_.emplace(member.name, &member);
            bytes_ += member.bytes.size();
            if (!member.name.ends_with(kPickle)) continue;
            const std::string_view folder =
                std::string_view(member.name).substr(0, member.name.size() - kPickle.size());
            if (!folder.empty() && folder.find('/') != folder.size() - 1) continue;
            folder_ = folder;
            pickle_ = &member;
        }
        if (!pickle_) throw FormatError(where, "expected a PyTorch file with a data.pkl, got none");
        if (members_.contains(folder_ + "constants.pkl"))
            throw FormatError(where, "expected a state dict, got a TorchScript archive",
                              "in Python, torch.save(torch.jit.load(FILE).state_dict(), NEW)");
        if (const ZipMember* order = find("byteorder"))
            if (read_member(*order, where, 16) != "little")
                throw FormatError(where, "expected numbers with their little end first, got another order");
    }

    std::string pickle() const { return read_member(*pickle_, where_, kMaxPickle); }
    uint64_t bytes() const { return bytes_; }

    Tensor tensor(const PickledTensor& pickled, const std::string& key) {
        const PickledStorage& storage = *pickled.storage;
        const ZipMember* member = find("data/" + storage.key);
        if (!member)
            throw FormatError(where_, str("expected the storage ", storage.key, " of ", key, ", got none"));
        const uint64_t size = size_of(storage.type);
        if (member->size % size || member->size / size != storage.elements)
            throw FormatError(where_,
                              str("expected ", storage.elements, " elements of ", size, " bytes for ", key,
                                  " in the storage ", storage.key, ", got ", member->size, " bytes"));
        if (member != open_) {  // of tensors that share one, the next is mostly of the same
            bytes_open_ = read_member(*member, str(where_, ": ", member->name), kMaxStorage);
            open_ = member;
        }
        return read_strided(storage.type, pickled.shape, pickled.strides,
                            pickled.shape.elements() == 0
                                ? nullptr
                                : bytes_open_.data() + static_cast<uint64_t>(pickled.offset) * size);
    }

  private:
    const ZipMember* find(const std::string& name) const {
        const auto found = members_.find(folder_ + name);
        return found == members_.end() ? nullptr : found->second;
    }

    const std::string& where_;
    std::unordered_map<std::string, const ZipMember*> members_;
    std::string folder_;  // that all is in, with its slash
    const ZipMember* pickle_ = nullptr;
    uint64_t bytes_ = 0;
    const ZipMember* open_ = nullptr;  // the storage read last
    std::string bytes_open_;
};

// A dictionary's value under a text; the last of several, as in Python.
const PickledValue* value_of(const PickledValue& dictionary, std::string_view key) {
    for (std::size_t i = dictionary.items.size(); i >= 2; i -= 2)
        if (dictionary.items[i - 2]->kind == Kind::text && dictionary.items[i - 2]->text == key)
            return dictionary.items[i - 1];
    return nullptr;
}

bool has_tensors(const PickledValue& dictionary) {
    for (std::size_t i = 1; i < dictionary.items.size(); i += 2)
        if (dictionary.items[i]->kind == Kind::tensor) return true;
    return false;
}

// The dictionary of tensors: the pickle's root or something under it.
const PickledValue& state_dict(const Pickle& pickle, const std::string& where,
                               std::vector<std::string>& notes) {
    const PickledValue& root = *pickle.root;
    if (root.kind != Kind::dictionary)
        throw FormatError(where, str("expected a dictionary of tensors, got ", name_of(root.kind)));
    if (has_tensors(root)) return root;
    for (const char* key : {"state_dict", "model_state_dict", "model"}) {
        const PickledValue* inner = value_of(root, key);
        if (!inner || inner->kind != Kind::dictionary || !has_tensors(*inner)) continue;
        notes.push_back(str("the weights are those under ", key, "; what lies beside it is passed over"));
        return *inner;
    }
    std::string keys;
    for (std::size_t i = 0; i < std::min<std::size_t>(root.items.size(), 12); i += 2)
        if (root.items[i]->kind == Kind::text)
            keys += str(keys.empty() ? "" : ", ", root.items[i]->text.substr(0, 60));
    throw FormatError(where,
                      str("expected a dictionary of tensors, got one of ", keys.empty() ? "nothing" : keys),
                      "state_dict, model_state_dict and model are looked into");
}

}  // namespace

WeightsFile read_pth(const std::vector<ZipMember>& members, const std::string& where) {
    Archive archive(members, where);
    const std::string bytes = archive.pickle();
    const Pickle pickle = read_pickle(bytes, str(where, ": ", kPickle));
    WeightsFile result;
    const PickledValue& state = state_dict(pickle, where, result.notes);

    uint64_t copied = 0;
    std::unordered_map<std::string_view, bool> names;
    for (std::size_t i = 0; i < state.items.size(); i += 2) {
        const PickledValue &key = *state.items[i], &value = *state.items[i + 1];
        if (key.kind != Kind::text)
            throw FormatError(where, str("expected names of tensors, got ", name_of(key.kind), " as a key"));
        if (value.kind != Kind::tensor)
            throw FormatError(where,
                              str("expected a tensor under ", key.text, ", got ", name_of(value.kind)));
        if (!names.emplace(key.text, true).second)
            throw FormatError(where, str("expected each key once, got a second ", key.text));
        copied += static_cast<uint64_t>(value.tensor.shape.elements()) *
                  size_of(dtype_of(value.tensor.storage->type));
        if (copied / kMostCopies > archive.bytes())
            throw FormatError(where, str("expected tensors of at most ", kMostCopies, " times the archive's ",
                                         archive.bytes(), " bytes, got more"));
        result.tensors.push_back({key.text, archive.tensor(value.tensor, key.text)});
    }
    return result;
}

}  // namespace microtome
