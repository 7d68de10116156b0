#include "nn/pickle.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <unordered_map>

namespace microtome {
namespace {

using Kind = PickledValue::Kind;

// What is not executed and why that is no loss.
constexpr std::string_view kAdvice =
    "nothing in a pickle is executed here; in Python, torch.save(model.state_dict(), FILE) writes a file of "
    "weights "
    "alone";

constexpr std::array<std::pair<std::string_view, FileType>, 9> kStorages{
    {{"torch.DoubleStorage", FileType::f64},
     {"torch.FloatStorage", FileType::f32},
     {"torch.HalfStorage", FileType::f16},
     {"torch.BFloat16Storage", FileType::bf16},
     {"torch.LongStorage", FileType::i64},
     {"torch.IntStorage", FileType::i32},
     {"torch.ShortStorage", FileType::i16},
     {"torch.CharStorage", FileType::i8},
     {"torch.ByteStorage", FileType::u8}}};
constexpr std::size_t kLongestKey = 100;  // they are numbers
constexpr std::string_view kBooleans = "torch.BoolStorage";
constexpr std::array<std::string_view, 4> kFunctions{
    "collections.OrderedDict", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter"};

std::optional<FileType> storage_type(std::string_view global) {
    if (global == kBooleans) return FileType::boolean;
    for (const auto& [name, type] : kStorages)
        if (name == global) return type;
    return std::nullopt;
}

// Instructions that a pickle may have and a state dict has no use for.
std::string name_of_instruction(uint8_t code) {
    constexpr std::array<std::pair<uint8_t, const char*>, 24> kKnown{
        {{'0', "POP"},        {'1', "POP_MARK"},
         {'2', "DUP"},        {'F', "FLOAT"},
         {'I', "INT"},        {'L', "LONG"},
         {'P', "PERSID"},     {'S', "STRING"},
         {'T', "BINSTRING"},  {'U', "SHORT_BINSTRING"},
         {'V', "UNICODE"},    {'d', "DICT"},
         {'g', "GET"},        {'i', "INST"},
         {'l', "LIST"},       {'o', "OBJ"},
         {'p', "PUT"},        {0x81, "NEWOBJ"},
         {0x82, "EXT1"},      {0x83, "EXT2"},
         {0x84, "EXT4"},      {0x8f, "EMPTY_SET"},
         {0x92, "NEWOBJ_EX"}, {0x96, "BYTEARRAY8"}}};
    for (const auto& [known, name] : kKnown)
        if (known == code) return name;
    constexpr char kDigits[] = "0123456789abcdef";
    return str("0x", kDigits[code >> 4], kDigits[code & 15]);
}

class Machine {
  public:
    Machine(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

    Pickle run() {
        if (bytes_.size() < 2 || next() != 0x80) fail("expected a pickle, got something else");
        const int protocol = next();
        if (protocol < 2 || protocol > 4) fail(str("expected a pickle of protocol 2 to 4, got ", protocol));
        while (true) {
            begin_ = at_;
            const uint8_t code = next();
            if (code == '.') break;
            step(code);
        }
        result_.root = pop();
        return std::move(result_);
    }

  private:
    [[noreturn]] void fail(const std::string& what, std::string_view hint = "") const {
        throw FormatError(where_, str(what, ", at byte ", begin_), hint);
    }

    std::string_view take(uint64_t count) {
        if (count > bytes_.size() - at_) fail("expected a whole pickle, got one that is cut short");
        const std::string_view result = bytes_.substr(at_, count);
        at_ += count;
        return result;
    }
    uint8_t next() { return static_cast<uint8_t>(take(1)[0]); }
    uint64_t number(int size) {  // little end first
        const std::string_view bytes = take(static_cast<uint64_t>(size));
        uint64_t value = 0;
        for (int i = size; i-- > 0;)
            value = value << 8 | static_cast<uint8_t>(bytes[static_cast<std::size_t>(i)]);
        return value;
    }
    std::string_view line() {
        const std::size_t end = bytes_.find('\n', at_);
        if (end == std::string_view::npos) fail("expected a whole pickle, got one that is cut short");
        const std::string_view result = bytes_.substr(at_, end - at_);
        at_ = end + 1;
        return result;
    }

    PickledValue& push(Kind kind) {
        PickledValue& value = result_.values.emplace_back();
        value.kind = kind;
        stack_.push_back(&value);
        return value;
    }
    void push_integer(int64_t number) { push(Kind::integer).integer = number; }
    void push_boolean(bool truth) { push(Kind::boolean).integer = truth; }

    // The stack down to the last mark, or to its end.
    std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
    PickledValue* pop() {
        PickledValue* value = top();
        stack_.pop_back();
        return value;
    }
    PickledValue* top() const {
        if (stack_.size() <= floor()) fail("expected a value on the stack, got none");
        return stack_.back();
    }
    PickledValue* pop(Kind kind, const char* what) {
        PickledValue* value = pop();
        if (value->kind != kind) fail(str("expected ", what, ", got ", name_of(value->kind)));
        return value;
    }
    // What was pushed since the last mark, which goes too.
    std::vector<const PickledValue*> pop_mark() {
        if (marks_.empty()) fail("expected a mark on the stack, got none");
        const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
        std::vector<const PickledValue*> items(begin, stack_.end());
        stack_.erase(begin, stack_.end());
        marks_.pop_back();
        return items;
    }
    void push_sequence(std::vector<const PickledValue*> items) {
        push(Kind::sequence).items = std::move(items);
    }
    void push_tuple(std::size_t count) {
        std::vector<const PickledValue*> items(count);
        for (std::size_t i = count; i-- > 0;) items[i] = pop();
        push_sequence(std::move(items));
    }

    void remember(uint64_t place) { memo_[place] = top(); }
    void recall(uint64_t place) {
        const auto found = memo_.find(place);
        if (found == memo_.end()) fail(str("expected something under ", place, ", got nothing"));
        stack_.push_back(found->second);
    }

    void step(uint8_t code) {
        switch (code) {
            case 0x95: number(8); break;  // FRAME: a hint for readers
            case '(': marks_.push_back(stack_.size()); break;
            case 'N': push(Kind::none); break;
            case 0x88: push_boolean(true); break;
            case 0x89: push_boolean(false); break;
            case 'J': push_integer(static_cast<int32_t>(number(4))); break;
            case 'K': push_integer(static_cast<int64_t>(number(1))); break;
            case 'M': push_integer(static_cast<int64_t>(number(2))); break;
            case 0x8a: push_long(); break;
            case 'G': push_real(); break;
            case 'X': push(Kind::text).text = take(number(4)); break;
            case 0x8c: push(Kind::text).text = take(number(1)); break;
            case 0x8d: push(Kind::text).text = take(number(8)); break;
            case ')':
            case ']': push_sequence({}); break;
            case '}': push(Kind::dictionary); break;
            case 't': push_sequence(pop_mark()); break;
            case 0x85: push_tuple(1); break;
            case 0x86: push_tuple(2); break;
            case 0x87: push_tuple(3); break;
            case 'a': append({pop()}); break;
            case 'e': append(pop_mark()); break;
            case 's': {
                const PickledValue *value = pop(), *key = pop();
                set_items({key, value});
                break;
            }
            case 'u': set_items(pop_mark()); break;
            case 'q': remember(number(1)); break;
            case 'r': remember(number(4)); break;
            case 0x94: remember(memo_.size()); break;
            case 'h': recall(number(1)); break;
            case 'j': recall(number(4)); break;
            case 'c': {
                const std::string_view module = line(), name = line();
                push_global(str(module, '.', name));
                break;
            }
            case 0x93: {
                const std::string name = pop(Kind::text, "a name")->text;
                push_global(str(pop(Kind::text, "a module's name")->text, '.', name));
                break;
            }
            case 'Q': push_storage(); break;
            case 'R': call(); break;
            case 'b': build(); break;
            default:
                fail(str("expected a state dict, got the pickle instruction ", name_of_instruction(code)),
                     kAdvice);
        }
    }

    // So many bytes of a two's complement.
    void push_long() {
        const int size = next();
        if (size > 8) fail(str("expected an integer of at most 8 bytes, got ", size));
        const uint64_t bits = number(size);
        const int unused = 64 - 8 * size;
        push_integer(size == 0 ? 0 : static_cast<int64_t>(bits << unused) >> unused);
    }
    void push_real() {  // the one number with its big end first
        uint64_t bits = 0;
        for (char byte : take(8)) bits = bits << 8 | static_cast<uint8_t>(byte);
        push(Kind::real).real = std::bit_cast<double>(bits);
    }
    void append(const std::vector<const PickledValue*>& items) {
        PickledValue* list = top();
        if (list->kind != Kind::sequence) fail(str("expected a list, got ", name_of(list->kind)));
        list->items.insert(list->items.end(), items.begin(), items.end());
    }
    void set_items(const std::vector<const PickledValue*>& items) {
        PickledValue* dictionary = top();
        if (dictionary->kind != Kind::dictionary)
            fail(str("expected a dictionary, got ", name_of(dictionary->kind)));
        if (items.size() % 2) fail("expected a value for each key, got one key more");
        dictionary->items.insert(dictionary->items.end(), items.begin(), items.end());
    }
    void push_global(std::string name) {
        if (std::find(kFunctions.begin(), kFunctions.end(), name) == kFunctions.end() &&
            !storage_type(name)) {
            // Names come from strangers and go to a terminal.
            name.resize(std::min<std::size_t>(name.size(), 100));
            for (char& letter : name)
                if (letter < ' ' || letter > '~') letter = '?';
            fail(str("expected a state dict, got the name ", name), kAdvice);
        }
        push(Kind::global).text = std::move(name);
    }

    // ("storage", torch.FloatStorage, key, device, elements): what lies beside the pickle.
    void push_storage() {
        const PickledValue* id = pop(Kind::sequence, "a tuple that names a storage");
        const auto& items = id->items;
        const bool good = items.size() == 5 && items[0]->kind == Kind::text && items[0]->text == "storage" &&
                          items[1]->kind == Kind::global && storage_type(items[1]->text) &&
                          items[2]->kind == Kind::text && items[2]->text.size() <= kLongestKey &&
                          items[4]->kind == Kind::integer && items[4]->integer >= 0;
        if (!good) fail("expected a storage with its type, key, device and size, got something else");
        push(Kind::storage).storage = {*storage_type(items[1]->text), items[2]->text,
                                       static_cast<uint64_t>(items[4]->integer)};
    }

    void call() {
        const PickledValue* arguments = pop(Kind::sequence, "a tuple of arguments");
        const std::string& function = pop(Kind::global, "the name of a function")->text;
        const auto& items = arguments->items;
        if (function == kFunctions[0])
            push_dictionary(items);
        else if (function == kFunctions[1] || function == kFunctions[2])
            push_tensor(items);
        else if (function == kFunctions[3]) {
            if (items.empty() || items[0]->kind != Kind::tensor) fail("expected a tensor as a parameter");
            push(Kind::tensor).tensor = items[0]->tensor;
        } else {
            fail(str("expected a function, got ", function));
        }
    }
    // OrderedDict(), or of one sequence of pairs.
    void push_dictionary(const std::vector<const PickledValue*>& arguments) {
        PickledValue& dictionary = push(Kind::dictionary);
        if (arguments.empty()) return;
        if (arguments.size() > 1 || arguments[0]->kind != Kind::sequence)
            fail("expected a dictionary of pairs, got something else");
        // One list may be named again and again; the values it makes may not be more than the file could
        // hold.
        pairs_ += arguments[0]->items.size();
        if (pairs_ > bytes_.size()) fail("expected each list of pairs once, got it again and again");
        for (const PickledValue* pair : arguments[0]->items) {
            if (pair->kind != Kind::sequence || pair->items.size() != 2)
                fail("expected a dictionary of pairs, got something else");
            dictionary.items.insert(dictionary.items.end(), pair->items.begin(), pair->items.end());
        }
    }
    // (storage, offset, sizes, strides, ...); what follows is about gradients.
    void push_tensor(const std::vector<const PickledValue*>& arguments) {
        const bool good = arguments.size() >= 4 && arguments[0]->kind == Kind::storage &&
                          arguments[1]->kind == Kind::integer && arguments[2]->kind == Kind::sequence &&
                          arguments[3]->kind == Kind::sequence;
        if (!good) fail("expected a tensor's storage, offset, sizes and strides, got something else");
        PickledTensor tensor;
        tensor.storage = &arguments[0]->storage;
        tensor.offset = arguments[1]->integer;
        std::vector<int64_t> sizes = integers(*arguments[2]);
        tensor.strides = integers(*arguments[3]);
        if (sizes.size() != tensor.strides.size())
            fail(str("expected a stride for each of ", sizes.size(), " axes, got ", tensor.strides.size()));
        try {
            tensor.shape = Shape(sizes);
        } catch (const ShapeError& error) {
            fail(error.what());
        }
        require_inside(tensor);
        push(Kind::tensor).tensor = std::move(tensor);
    }
    std::vector<int64_t> integers(const PickledValue& sequence) const {
        if (sequence.items.size() > Shape::kMaxRank)
            fail(str("expected at most ", Shape::kMaxRank, " axes, got ", sequence.items.size()));
        std::vector<int64_t> result;
        for (const PickledValue* item : sequence.items) {
            if (item->kind != Kind::integer || item->integer < 0)
                fail(str("expected sizes and strides of 0 or more, got ", name_of(item->kind)));
            result.push_back(item->integer);
        }
        return result;
    }
    void require_inside(const PickledTensor& tensor) const {
        const auto elements = static_cast<uint64_t>(tensor.shape.elements());
        if (elements == 0) return;
        const uint64_t there = tensor.storage->elements;
        bool inside = tensor.offset >= 0 && static_cast<uint64_t>(tensor.offset) < there && elements <= there;
        uint64_t last = inside ? static_cast<uint64_t>(tensor.offset) : 0;
        for (std::size_t axis = 0; inside && axis < tensor.strides.size(); ++axis) {
            const auto steps = static_cast<uint64_t>(tensor.shape[static_cast<int>(axis)] - 1);
            const auto stride = static_cast<uint64_t>(tensor.strides[axis]);
            inside = steps == 0 || stride <= (there - 1 - last) / steps;
            if (inside) last += steps * stride;
        }
        if (!inside)
            fail(str("expected a tensor ", tensor.shape, " within its storage of ", there,
                     " elements, got one from ", tensor.offset, " on that is not"));
    }

    // Attributes of a dictionary are about versions of layers; nothing else here has any.
    void build() {
        pop();
        if (top()->kind != Kind::dictionary)
            fail(str("expected a state dict, got attributes of ", name_of(top()->kind)), kAdvice);
    }

    std::string_view bytes_;
    const std::string& where_;
    std::size_t at_ = 0, begin_ = 0;  // the next byte, and that of this instruction
    std::size_t pairs_ = 0;           // copied out of lists
    Pickle result_;
    std::vector<PickledValue*> stack_;
    std::vector<std::size_t> marks_;  // sizes of the stack
    std::unordered_map<uint64_t, PickledValue*> memo_;
};

}  // namespace

std::string_view name_of(PickledValue::Kind kind) {
    switch (kind) {
        case Kind::none: return "None";
        case Kind::boolean: return "a truth value";
        case Kind::integer: return "an integer";
        case Kind::real: return "a real number";
        case Kind::text: return "a text";
        case Kind::sequence: return "a list";
        case Kind::dictionary: return "a dictionary";
        case Kind::global: return "a name";
        case Kind::storage: return "a storage";
        case Kind::tensor: break;
    }
    return "a tensor";
}

Pickle read_pickle(std::string_view bytes, const std::string& where) {
    return Machine(bytes, where).run();
}

}  // namespace microtome
