// What a wrong gradient looks like, in words: the pattern of its errors compared with what commonly goes
// wrong. For gradcheck.hpp, of which it is a part when installed.
#ifndef MICROTOME_GRADCHECK_DIAGNOSIS_HPP
#define MICROTOME_GRADCHECK_DIAGNOSIS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace microtome::gradcheck {

using Vector = std::vector<double>;

// One of the tensors that a flat vector consists of, row-major.
struct Part {
    std::string name;
    std::vector<std::size_t> shape;

    std::size_t size() const {
        std::size_t product = 1;
        for (std::size_t n : shape) product *= n;
        return product;
    }
};
using Parts = std::vector<Part>;

namespace detail {

inline std::string number(double value, int digits) {
    std::ostringstream out;
    out.precision(digits);
    out << value;
    return out.str();
}

inline std::string list(const std::vector<std::size_t>& sizes) {
    std::string text = "(";
    for (std::size_t i = 0; i < sizes.size(); ++i) text += (i ? "," : "") + std::to_string(sizes[i]);
    return text + ")";
}

inline std::vector<std::size_t> place_of(std::size_t index, const std::vector<std::size_t>& shape) {
    std::vector<std::size_t> place(shape.size());
    for (std::size_t axis = shape.size(); axis-- > 0; index /= shape[axis]) place[axis] = index % shape[axis];
    return place;
}

inline std::size_t index_of(const std::vector<std::size_t>& place, const std::vector<std::size_t>& shape) {
    std::size_t index = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) index = index * shape[axis] + place[axis];
    return index;
}

// "w(0,2)" for an element of the parts one after another, "random x" for -1.
inline std::string element_of(const Parts& parts, std::ptrdiff_t index) {
    if (index < 0) return parts.empty() ? "random" : "random " + parts[0].name;
    auto rest = static_cast<std::size_t>(index);
    for (const Part& part : parts) {
        if (rest < part.size())
            return part.name + (part.shape.empty() ? "" : list(place_of(rest, part.shape)));
        rest -= part.size();
    }
    return "element " + std::to_string(index);
}

// The parts as told, or one vector where they do not fit.
inline Parts parts_or(const Parts& told, const char* name, std::size_t size) {
    std::size_t total = 0;
    for (const Part& part : told) total += part.size();
    return !told.empty() && total == size ? told : Parts{{name, {size}}};
}

// The derivatives of one output part (rows; or a single row, for a random cotangent) by one input part.
struct Block {
    Part input, output;
    std::size_t rows = 0;
    Vector analytic{}, numeric{}, tolerance{};  // row by row

    std::size_t columns() const { return input.size(); }
    std::size_t at(std::size_t row, std::size_t column) const { return row * columns() + column; }
    bool is_wrong(std::size_t k) const { return !(std::abs(analytic[k] - numeric[k]) <= tolerance[k]); }
    double largest(const Vector& values) const {
        double result = 0;
        for (double value : values) result = std::max(result, std::abs(value));
        return result;
    }
};

struct Finding {
    std::string pattern{}, words{}, map{};
};

// Whether each analytic element is what is right for another place: source(column), or `none` for any value.
constexpr std::size_t none = static_cast<std::size_t>(-1);
template <class Source>
bool moved(const Block& b, const Source& source) {
    bool differs = false;
    for (std::size_t j = 0; j < b.columns(); ++j) {
        const std::size_t from = source(j);
        if (from == none) continue;
        for (std::size_t i = 0; i < b.rows; ++i) {
            const double allowed = b.tolerance[b.at(i, j)] + b.tolerance[b.at(i, from)];
            if (!(std::abs(b.analytic[b.at(i, j)] - b.numeric[b.at(i, from)]) <= allowed)) return false;
            differs = differs || std::abs(b.numeric[b.at(i, j)] - b.numeric[b.at(i, from)]) > allowed;
        }
    }
    return differs;
}

// The one factor between what is and what should be, over the elements that `counts` chooses; NaN if there is
// none.
template <class Counts>
double common_factor(const Block& b, const Counts& counts) {
    double product = 0, square = 0;
    for (std::size_t k = 0; k < b.numeric.size(); ++k)
        if (counts(k)) product += b.analytic[k] * b.numeric[k], square += b.numeric[k] * b.numeric[k];
    const double factor = product / square;
    for (std::size_t k = 0; k < b.numeric.size(); ++k)
        if (counts(k) &&
            !(std::abs(b.analytic[k] - factor * b.numeric[k]) <= (1 + std::abs(factor)) * b.tolerance[k]))
            return std::numeric_limits<double>::quiet_NaN();
    return factor;
}

// "2", "-1/5", "1.00001", and whose size that is.
inline std::string factor_words(double factor, const Block& b) {
    const double size = std::abs(factor), whole = std::round(size), part = std::round(1 / size);
    const bool is_whole = whole >= 2 && std::abs(size - whole) <= 1e-6 * whole;
    const bool is_part = part >= 2 && std::abs(1 / size - part) <= 1e-6 * part;
    if (!is_whole && !is_part) return number(factor, 8);
    const double n = is_whole ? whole : part;
    std::string words = (factor < 0 ? "-" : "") + std::string(is_whole ? "" : "1/") + number(n, 12);
    auto says = [&](std::size_t count, const std::string& what) {
        if (static_cast<double>(count) != n || words.find(',') != std::string::npos) return;
        words += ", and " + number(n, 12) + " is " + what;
    };
    for (const Part* p : {&b.input, &b.output}) {
        says(p->size(), "the number of elements of " + p->name);
        for (std::size_t axis = 0; axis < p->shape.size(); ++axis)
            says(p->shape[axis], "the size of " + p->name + "'s axis " + std::to_string(axis));
    }
    if (is_whole && n == 2) words += "; added up twice?";
    return words;
}

// "the gradient of w" for outputs that were given no name of their own, else "d loss / d w".
inline std::string subject_of(const Part& input, const Part& output) {
    const bool is_plain =
        output.name.find_first_not_of("0123456789", 1) == std::string::npos && output.name[0] == 'y';
    return is_plain ? "the gradient of " + input.name : "d " + output.name + " / d " + input.name;
}

// What holds of all elements alike.
inline Finding of_values(const Block& b, const std::string& gradient) {
    for (double value : b.analytic)
        if (!std::isfinite(value))
            return {"not finite", gradient + " is not finite: a division by 0, the logarithm or root of 0?"};
    const double largest = b.largest(b.numeric);
    if (largest <= b.largest(b.tolerance))
        return {"scattered", gradient + " should be 0: the function does not depend on " + b.input.name};
    if (b.largest(b.analytic) <= 1e-12 * largest)
        return {"zero", gradient + " is zero, and should not be: forgotten, or cut off on the way"};
    const double factor = common_factor(b, [](std::size_t) { return true; });
    if (std::abs(factor + 1) <= 1e-9) return {"sign", gradient + " has the wrong sign"};
    if (!std::isnan(factor)) return {"factor", gradient + " has the factor " + factor_words(factor, b)};
    return {};
}

// Outputs whose share is missing altogether, while others give the same elements theirs.
inline Finding of_shares(const Block& b, const std::string& gradient) {
    std::size_t missing = 0;
    std::vector<bool> wrong(b.columns(), false), fed(b.columns(), false);
    for (std::size_t i = 0; i < b.rows; ++i) {
        bool lacks = false, gives = false;
        for (std::size_t j = 0; j < b.columns(); ++j) {
            const std::size_t k = b.at(i, j);
            lacks = lacks || b.is_wrong(k);
            gives = gives || std::abs(b.analytic[k]) > b.tolerance[k];
            if (b.is_wrong(k)) wrong[j] = true;
            if (!b.is_wrong(k) && std::abs(b.numeric[k]) > b.tolerance[k]) fed[j] = true;
        }
        if (lacks && gives) return {};
        missing += lacks;
    }
    for (std::size_t j = 0; j < b.columns(); ++j)
        if (wrong[j] && !fed[j]) return {};
    return {"reduction", gradient + " lacks the share of " + std::to_string(missing) + " of the " +
                             std::to_string(b.rows) + " elements of " + b.output.name + ": " + b.input.name +
                             " was broadcast, and the sum over that axis is missing?"};
}

// Elements that stand in each other's places.
inline Finding of_moves(const Block& b, const std::string& gradient) {
    const std::vector<std::size_t>& shape = b.input.shape;
    for (std::size_t p = 0; p < shape.size(); ++p)
        for (std::size_t q = p + 1; q < shape.size(); ++q) {
            std::vector<std::size_t> swapped = shape;
            std::swap(swapped[p], swapped[q]);
            auto source = [&](std::size_t j) {
                std::vector<std::size_t> place = place_of(j, swapped);
                std::swap(place[p], place[q]);
                return index_of(place, shape);
            };
            if (shape[p] > 1 && shape[q] > 1 && moved(b, source))
                return {"transposed", gradient + " is transposed: its axes " + std::to_string(p) + " and " +
                                          std::to_string(q) + " are swapped"};
        }
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
        for (int by : {1, -1}) {
            auto source = [&](std::size_t j) {
                std::vector<std::size_t> place = place_of(j, shape);
                if (place[axis] == (by > 0 ? 0 : shape[axis] - 1)) return none;
                place[axis] -= static_cast<std::size_t>(by);
                return index_of(place, shape);
            };
            if (moved(b, source))
                return {"shifted", gradient + " is shifted by " + (by > 0 ? "+1" : "-1") + " along axis " +
                                       std::to_string(axis) + ": an index that is off by one"};
        }
    for (std::size_t axes = 1; shape.size() <= 8 && axes < std::size_t{1} << shape.size(); ++axes) {
        auto source = [&](std::size_t j) {
            std::vector<std::size_t> place = place_of(j, shape);
            for (std::size_t axis = 0; axis < shape.size(); ++axis)
                if (axes >> axis & 1) place[axis] = shape[axis] - 1 - place[axis];
            return index_of(place, shape);
        };
        if (moved(b, source)) return {"mirrored", gradient + " is mirrored: an index runs the wrong way"};
    }
    return {};
}

// Places, where all others are right: the last element, what a loop over several at a time leaves, a border.
inline Finding of_places(const Block& b, const std::string& gradient) {
    const std::vector<std::size_t>& shape = b.input.shape;
    const std::size_t n = b.columns(), length = shape.empty() ? 1 : shape.back();
    std::vector<bool> wrong(n, false), matters(n, false);
    for (std::size_t k = 0; k < b.analytic.size(); ++k) {
        if (b.is_wrong(k)) wrong[k % n] = true;
        if (std::abs(b.numeric[k]) > b.tolerance[k]) matters[k % n] = true;
    }
    auto wrong_are = [&](const auto& chosen) {
        for (std::size_t j = 0; j < n; ++j)
            if (wrong[j] ? !chosen(j) : chosen(j) && matters[j]) return false;
        return true;
    };
    const double factor = common_factor(b, [&](std::size_t k) { return wrong[k % n]; });
    const std::string how = std::abs(factor) <= 1e-12 ? "missing (0)"
                            : std::isnan(factor)      ? "wrong"
                                                      : "wrong by the factor " + factor_words(factor, b);

    if (n > 1 && wrong_are([&](std::size_t j) { return j + 1 == n; }))
        return {"last element", "only the last element of " + gradient + " is " + how +
                                    ": a loop that ends one too early" +
                                    (n % 4 == 1 ? ", or the tail of a vector loop" : "") + "?"};
    std::string widths, tail;
    for (std::size_t width : {4u, 8u, 16u, 32u}) {
        std::string which;
        if (n > width && wrong_are([&](std::size_t j) { return j >= n - n % width; }))
            which = "the last " + std::to_string(n % width) + " of the " + std::to_string(n) + " elements";
        else if (length > width && length % width > 1 &&
                 wrong_are([&](std::size_t j) { return j % length >= length - length % width; }))
            which = "the last " + std::to_string(length % width) + " of each " + std::to_string(length) +
                    " elements";
        if (which.empty()) continue;
        widths += (widths.empty() ? "" : " or ") + std::to_string(width);
        tail = which;
    }
    const std::string loop = "the tail of a loop over " + widths + " at a time";
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
        for (bool last : {true, false})
            if (shape[axis] > 1 && wrong_are([&](std::size_t j) {
                    return place_of(j, shape)[axis] == (last ? shape[axis] - 1 : 0);
                }))
                return {"border", std::string("only the ") + (last ? "last" : "first") +
                                      " place along axis " + std::to_string(axis) + " of " + gradient +
                                      " is " + how + ": padding, an index that is off by one" +
                                      (tail.empty() ? "" : ", or " + loop)};
    if (!tail.empty())
        return {"vector tail", "only " + tail + " of " + gradient + " are " + how + ": " + loop};
    const auto count = std::count(wrong.begin(), wrong.end(), true);
    return {"scattered",
            std::to_string(count) + " of the " + std::to_string(n) + " elements of " + gradient + " are " +
                how +
                ", in no plain pattern: another formula, or a wrong tensor kept from the forward pass?"};
}

// Right elements as '.', wrong ones as '#': the last two axes, where some are wrong first. Empty if all are.
inline std::string map_of(const Block& b) {
    constexpr std::size_t kRows = 16, kColumns = 64;
    const std::vector<std::size_t>& shape = b.input.shape;
    const std::size_t n = b.columns(), columns = shape.empty() ? 1 : shape.back();
    const std::size_t rows = shape.size() < 2 ? 1 : shape[shape.size() - 2];
    std::vector<bool> wrong(n, false);
    for (std::size_t k = 0; k < b.analytic.size(); ++k)
        if (b.is_wrong(k)) wrong[k % n] = true;
    const auto first = std::find(wrong.begin(), wrong.end(), true);
    if (std::find(wrong.begin(), wrong.end(), false) == wrong.end() || first == wrong.end()) return "";
    const std::size_t begin =
        static_cast<std::size_t>(first - wrong.begin()) / (rows * columns) * rows * columns;
    std::string map;
    for (std::size_t i = 0; i < std::min(rows, kRows); ++i) {
        for (std::size_t j = 0; j < std::min(columns, kColumns); ++j)
            map += wrong[begin + i * columns + j] ? '#' : '.';
        map += columns > kColumns ? "...\n" : "\n";
    }
    return map + (rows > kRows ? "...\n" : "");
}

inline Finding diagnose(const Block& b) {
    const std::string gradient = subject_of(b.input, b.output);
    Finding finding;
    for (const auto& look : {of_values, of_shares, of_moves, of_places})
        if (finding.pattern.empty()) finding = look(b, gradient);
    finding.map = map_of(b);
    return finding;
}

// The block with the largest error among all, cut along the parts.
inline Finding diagnose(const Parts& inputs, Parts outputs, const Block& all) {
    const std::size_t columns = all.columns();
    if (all.rows == 1 && outputs.size() > 1) outputs = {{"y", {1}}};  // all of them through one cotangent
    Block worst;
    double largest = -1;
    std::string also;
    std::size_t top = 0;
    for (const Part& output : outputs) {
        const std::size_t rows = std::min(output.size(), all.rows - top);
        std::size_t left = 0;
        for (const Part& input : inputs) {
            Block block{input, output, rows};
            double error = 0;
            for (std::size_t i = 0; i < rows; ++i)
                for (std::size_t j = 0; j < input.size(); ++j) {
                    const std::size_t k = (top + i) * columns + left + j;
                    block.analytic.push_back(all.analytic[k]);
                    block.numeric.push_back(all.numeric[k]);
                    block.tolerance.push_back(all.tolerance[k]);
                    if (!all.is_wrong(k)) continue;
                    const double size = std::abs(all.analytic[k] - all.numeric[k]);
                    error = std::max(error, std::isfinite(size) ? size : std::numeric_limits<double>::max());
                }
            left += input.size();
            if (error > 0) also += (also.empty() ? "d " : ", d ") + output.name + " / d " + input.name;
            if (error > largest) largest = error, worst = std::move(block);
        }
        top += rows;
    }
    if (largest <= 0) return {};
    Finding finding = diagnose(worst);
    if (also.find(',') != std::string::npos) finding.words += " (wrong are " + also + ")";
    return finding;
}

// The lines of a map under one another, behind a label of thirteen letters.
inline std::string labelled(const std::string& label, const std::string& map) {
    std::string text;
    for (std::size_t begin = 0, end; begin < map.size(); begin = end + 1) {
        end = std::min(map.find('\n', begin), map.size());
        text += (begin == 0 ? label : std::string(label.size(), ' ')) + map.substr(begin, end - begin) + '\n';
    }
    return text;
}

inline std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        if (c == '\n')
            result += "\\n";
        else if (static_cast<unsigned char>(c) < 0x20)
            result += ' ';
        else
            result += c;
    }
    return result + "\"";
}

}  // namespace detail
}  // namespace microtome::gradcheck

#endif
