#include "tensor/npy.hpp"

#include "base/error.hpp"
#include "tensor/half.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace microtome {
namespace {

constexpr uint64_t kMaxHeader = 65536;

// {'descr': '<i8', 'fortran_order': False, 'shape': (3, 4), }
class Header {
  public:
    Header(std::string text, std::string name) : text_(std::move(text)), name_(std::move(name)) {}

    std::string type() const {
        std::string_view rest = after("'descr':");
        if (rest.empty() || rest[0] != '\'') fail("one type of its elements");
        rest.remove_prefix(1);
        return std::string(rest.substr(0, rest.find('\'')));
    }
    bool columns_first() const { return after("'fortran_order':").starts_with("True"); }
    std::vector<int64_t> sizes() const {
        std::string_view rest = after("'shape':");
        const std::size_t end = rest.find(')');
        if (!rest.starts_with('(') || end == std::string_view::npos) fail("a shape");
        rest = rest.substr(1, end - 1);
        std::vector<int64_t> result;
        while (true) {
            const std::size_t begin = rest.find_first_not_of(" ,");
            if (begin == std::string_view::npos) return result;
            rest.remove_prefix(begin);
            int64_t size = 0;
            const auto [stop, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
            if (problem != std::errc() || size < 0 || result.size() == Shape::kMaxRank)
                fail(str("at most ", Shape::kMaxRank, " sizes of 0 or more"));
            result.push_back(size);
            rest.remove_prefix(stop - rest.data());
        }
    }

  private:
    [[noreturn]] void fail(const std::string& wanted) const {
        throw FormatError(
            name_, str("expected ", wanted, " in the header of the array, got ", text_.substr(0, 200)));
    }
    std::string_view after(std::string_view key) const {
        const std::size_t at = text_.find(key);
        if (at == std::string::npos) fail(std::string(key));
        std::string_view rest = std::string_view(text_).substr(at + key.size());
        rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
        return rest;
    }

    std::string text_, name_;
};

// An integer of `size` bytes.
int64_t decode(const std::byte* bytes, int size, bool is_signed, bool big_end_first) {
    uint64_t value = 0;
    for (int i = 0; i < size; ++i)
        value = value << 8 | static_cast<uint64_t>(bytes[big_end_first ? i : size - 1 - i]);
    const int unused = 64 - 8 * size;  // the sign is spread over these bits
    return is_signed ? static_cast<int64_t>(value << unused) >> unused : static_cast<int64_t>(value);
}

}  // namespace

Tensor read_npy(ByteStream& stream, uint64_t size, const std::string& name) {
    auto take = [&](uint64_t count) {
        if (count > size) throw FormatError(name, "expected a numpy array, got one that is cut short");
        size -= count;
        std::string bytes(count, '\0');
        stream.read(std::as_writable_bytes(std::span(bytes)));
        return bytes;
    };
    const std::string magic = take(8);
    if (!magic.starts_with("\x93NUMPY") || magic[6] < 1 || magic[6] > 3)
        throw FormatError(name, "expected a numpy array, got something else");
    uint64_t length = 0;
    const std::string length_bytes = take(magic[6] == 1 ? 2 : 4);
    for (std::size_t i = length_bytes.size(); i-- > 0;)
        length = length << 8 | static_cast<uint8_t>(length_bytes[i]);
    if (length > kMaxHeader)
        throw FormatError(name, str("expected a header of at most ", kMaxHeader, " bytes, got ", length));
    const Header header(take(length), name);

    const std::string type = header.type();  // byte order, kind, bytes
    const bool known = type.size() == 3 && std::string_view("<>|=").find(type[0]) != std::string_view::npos &&
                       ((type[1] == 'b' && type[2] == '1') ||
                        ((type[1] == 'u' || type[1] == 'i') && (type[2] == '1' || type[2] == '2')) ||
                        (std::string_view("uif").find(type[1]) != std::string_view::npos &&
                         (type[2] == '4' || type[2] == '8')) ||
                        (type[1] == 'f' && type[2] == '2'));
    if (!known)
        throw FormatError(
            name, str("expected integers or floating-point numbers, got elements of the type ", type));
    const int bytes = type[2] - '0';
    const std::vector<int64_t> sizes = header.sizes();
    const uint64_t elements_there = size / bytes;
    uint64_t elements = 1;
    for (int64_t axis : sizes)  // no product of sizes may overflow before it is compared
        elements =
            axis > 0 && elements > elements_there / static_cast<uint64_t>(axis) ? size + 1 : elements * axis;
    if (elements > elements_there || elements * bytes != size)
        throw FormatError(
            name, str("expected ", type, " elements for the shape its header says, got ", size, " bytes"),
            "the file is damaged");
    const auto long_axes = std::count_if(sizes.begin(), sizes.end(), [](int64_t axis) { return axis > 1; });
    if (header.columns_first() && long_axes > 1)
        throw FormatError(name, "expected an array with rows first, got Fortran's order",
                          "numpy.ascontiguousarray() before saving");

    const auto shape = [&] {
        try {
            return Shape(sizes);
        } catch (const ShapeError& error) {  // no elements, but another axis beyond all measure
            throw FormatError(name, error.what());
        }
    }();
    const bool floating = type[1] == 'f', as_bytes = bytes == 1 && type[1] != 'i';
    const Dtype dtype = as_bytes ? Dtype::u8 : !floating ? Dtype::i64 : bytes == 8 ? Dtype::f64 : Dtype::f32;
    Tensor array(Spec{shape, dtype, kCpu});
    if (as_bytes) {
        stream.read(std::as_writable_bytes(array.mutable_data<uint8_t>()));
        return array;
    }
    const std::string elements_read = take(size);
    const auto* from = reinterpret_cast<const std::byte*>(elements_read.data());
    const auto decode_all = [&]<class T>(auto&& convert) {
        for (T& element : array.mutable_data<T>()) {
            element = convert(decode(from, bytes, type[1] == 'i', type[0] == '>'));
            from += bytes;
        }
    };
    if (!floating)
        decode_all.template operator()<int64_t>([](int64_t bits) { return bits; });
    else if (bytes == 8)
        decode_all.template operator()<double>([](int64_t bits) { return std::bit_cast<double>(bits); });
    else if (bytes == 4)
        decode_all.template operator()<float>(
            [](int64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); });
    else
        decode_all.template operator()<float>(
            [](int64_t bits) { return widen_half(static_cast<uint16_t>(bits)); });
    return array;
}

}  // namespace microtome
