#include "tests/report/html_check.hpp"

#include "base/text.hpp"
#include "report/layout.hpp"

#include <catch2/catch.hpp>
#include <cctype>
#include <cstdlib>
#include <set>

using namespace microtome;

namespace {

// The value of an attribute in a tag; empty when it has none.
std::string attribute(std::string_view tag, std::string_view name) {
    std::size_t at = tag.find(str(' ', name, "=\""));
    if (at == std::string_view::npos) return "";
    at += name.size() + 3;
    return std::string(tag.substr(at, tag.find('"', at) - at));
}

std::string entity_fault(std::string_view text) {
    for (std::size_t at = text.find('&'); at != std::string_view::npos; at = text.find('&', at + 1)) {
        std::size_t end = text.find(';', at);
        std::string_view name = text.substr(at + 1, end == std::string_view::npos ? 0 : end - at - 1);
        static const std::set<std::string_view> known{"amp", "lt", "gt", "quot", "#39", "nbsp"};
        if (!known.contains(name)) return str("a bare & in: ", text.substr(at, 20));
    }
    return "";
}

// What is between the name of a tag and its end: attributes, each quoted.
std::string attributes_fault(std::string_view rest) {
    while (true) {
        std::size_t at = rest.find_first_not_of(" \n");
        if (at == std::string_view::npos) return "";
        rest.remove_prefix(at);
        std::size_t length = rest.find_first_of("= \n");
        if (length == std::string_view::npos)
            return str("an attribute without a value: ", rest.substr(0, 30));
        if (rest.substr(length, 2) != "=\"") return str("an attribute without quotes: ", rest.substr(0, 30));
        std::size_t end = rest.find('"', length + 2);
        if (end == std::string_view::npos) return "an attribute without an end";
        std::string fault = entity_fault(rest.substr(length + 2, end - length - 2));
        if (!fault.empty()) return fault;
        rest.remove_prefix(end + 1);
    }
}

std::string unescaped(std::string_view text) {
    std::string result(text);
    constexpr const char* pairs[][2] = {
        {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
    for (auto& [name, plain] : pairs)
        for (std::size_t at = result.find(name); at != std::string::npos; at = result.find(name, at + 1))
            result.replace(at, std::string_view(name).size(), plain);
    return result;
}

}  // namespace

std::string html_fault(std::string_view html) {
    static const std::set<std::string> empty{"meta", "img", "br"};
    std::vector<std::string> open;
    std::size_t at = 0;
    constexpr std::string_view doctype = "<!DOCTYPE html>\n";
    if (html.starts_with(doctype)) at = doctype.size();
    while (at < html.size()) {
        std::size_t begin = html.find('<', at);
        std::string fault =
            entity_fault(html.substr(at, begin == std::string_view::npos ? begin : begin - at));
        if (!fault.empty()) return fault;
        if (html.substr(at, begin - at).find('>') != std::string_view::npos &&
            (open.empty() || open.back() != "style"))
            return str("a bare > before: ", html.substr(std::min(begin, html.size()), 30));
        if (begin == std::string_view::npos) break;
        // A > inside an attribute would have been escaped.
        std::size_t end = html.find('>', begin);
        if (end == std::string_view::npos) return "a tag without an end";
        std::string_view tag = html.substr(begin + 1, end - begin - 1);
        at = end + 1;
        if (tag.starts_with('/')) {
            if (open.empty() || open.back() != tag.substr(1))
                return str("</", tag.substr(1), "> closes <", open.empty() ? "nothing" : open.back(), ">");
            open.pop_back();
            continue;
        }
        bool closed = tag.ends_with('/');
        if (closed) tag.remove_suffix(1);
        std::string name(tag.substr(0, tag.find_first_of(" \n")));
        if (name.empty() || !std::isalpha(static_cast<unsigned char>(name[0])))
            return str("a bare < before: ", tag.substr(0, 20));
        fault = attributes_fault(tag.substr(name.size()));
        if (!fault.empty()) return fault;
        if (!closed && !empty.contains(name)) open.push_back(name);
    }
    return open.empty() ? "" : str("<", open.back(), "> is never closed");
}

std::vector<TextBox> text_boxes(std::string_view svg) {
    std::vector<TextBox> boxes;
    for (std::size_t at = svg.find("<text"); at != std::string_view::npos; at = svg.find("<text", at + 1)) {
        std::size_t end = svg.find('>', at), close = svg.find("</text>", end);
        std::string_view tag = svg.substr(at, end - at);
        if (tag.find("rotate") != std::string_view::npos) continue;
        std::string text = unescaped(svg.substr(end + 1, close - end - 1));
        double x = std::atof(attribute(tag, "x").c_str()), y = std::atof(attribute(tag, "y").c_str());
        double size = std::atof(attribute(tag, "font-size").c_str()), width = report::text_width(text, size);
        std::string anchor = attribute(tag, "text-anchor");
        double left = anchor == "middle" ? x - width / 2 : anchor == "end" ? x - width : x;
        boxes.push_back({text, left, left + width, y - .75 * size, y + .2 * size});
    }
    return boxes;
}

std::string text_fault(std::string_view svg) {
    std::vector<TextBox> boxes = text_boxes(svg);
    double width = std::atof(attribute(svg, "width").c_str()),
           height = std::atof(attribute(svg, "height").c_str());
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        const TextBox& a = boxes[i];
        if (a.left < -1 || a.right > width + 1 || a.top < -1 || a.bottom > height + 1)
            return str("'", a.text, "' leaves the drawing: ", a.left, " to ", a.right, " of ", width);
        for (std::size_t k = i + 1; k < boxes.size(); ++k) {
            const TextBox& b = boxes[k];
            if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
                return str("'", a.text, "' overlaps '", b.text, "'");
        }
    }
    return "";
}

TEST_CASE("the checker of pages notices faults", "[report]") {
    CHECK(html_fault("<!DOCTYPE html>\n<p class=\"a\">x<br>&amp;</p><img src=\"x\" alt=\"\"><g/>") == "");
    for (const char* fault :
         {"<p>", "<p></b>", "</p>", "<b><i></b></i>", "<p>a & b</p>", "<p>a < b</p>", "<p>a > b</p>",
          "<p class=a>x</p>", "<p class=\"a>x</p>", "<p hidden>x</p>", "<p", "<p>&copy</p>"}) {
        INFO(fault);
        CHECK(html_fault(fault) != "");
    }
    std::string start = "<svg width=\"100\" height=\"40\">";
    CHECK(text_fault(start + "<text x=\"0\" y=\"12\" font-size=\"12\">a</text><text x=\"20\" y=\"12\" "
                             "font-size=\"12\">b</text>") == "");
    CHECK(text_fault(start + "<text x=\"0\" y=\"12\" font-size=\"12\">aaa</text><text x=\"20\" y=\"12\" "
                             "font-size=\"12\">b</text>") != "");
    CHECK(text_fault(start + "<text x=\"99\" y=\"12\" font-size=\"12\">abc</text>") != "");
}
