#include "report/page.hpp"

#include "base/text.hpp"
#include "report/format.hpp"
#include "report/page_style.hpp"

#include <algorithm>

namespace microtome::report {
namespace {

std::string_view class_of(Tone tone) {
    switch (tone) {
        case Tone::good: return "good";
        case Tone::bad: return "bad";
        case Tone::caution: return "caution";
        case Tone::plain: break;
    }
    return "";
}

std::string cell_html(const Cell& cell) {
    std::string text = escape(cell.text);
    if (cell.tone != Tone::plain)
        text = str("<b class=\"", class_of(cell.tone), "\">", text, "</b>");
    else if (cell.strong)
        text = "<b>" + text + "</b>";
    return cell.aside.empty() ? text : str(text, " <small>", escape(cell.aside), "</small>");
}

// A text with its line breaks where they do no harm: not between a number and its interval or unit, nor
// inside an interval.
std::string prose(std::string_view text) {
    std::string from = escape(text), to;
    constexpr std::string_view numeric = "0123456789., ";
    bool inside = false;
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (from[i] == '[') inside = from.find_first_not_of(numeric, i + 1) == from.find(']', i + 1);
        if (from[i] == ']') inside = false;
        char next = i + 1 < from.size() ? from[i + 1] : ' ';
        bool after_digit = i > 0 && from[i - 1] >= '0' && from[i - 1] <= '9';
        bool together = inside || (after_digit && (next == '[' || next == '%'));
        to += from[i] == ' ' && together ? "&nbsp;" : std::string(1, from[i]);
    }
    return to;
}

std::string list_html(const std::vector<std::string>& items) {
    std::string out = "<ul>\n";
    for (const std::string& item : items) out += str("<li>", prose(item), "</li>\n");
    return out + "</ul>\n";
}

}  // namespace

Content& Content::heading(std::string_view text) {
    html_.text += str("<h3>", escape(text), "</h3>\n");
    return *this;
}

Content& Content::paragraph(std::string_view text) {
    if (!text.empty()) html_.text += str("<p>", prose(text), "</p>\n");
    return *this;
}

Content& Content::list(const std::vector<std::string>& items) {
    if (!items.empty()) html_.text += list_html(items);
    return *this;
}

Content& Content::table(const Table& table) {
    if (table.rows.empty()) return *this;
    std::string out = str("<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"",
                          escape(table.caption.empty() ? "table" : table.caption), "\">\n<table>\n");
    if (!table.caption.empty()) out += str("<caption>", escape(table.caption), "</caption>\n");
    bool titled = std::any_of(table.columns.begin(), table.columns.end(),
                              [](const Column& column) { return !column.title.empty(); });
    if (titled) {
        out += "<thead><tr>";
        for (const Column& column : table.columns)
            out += str("<th scope=\"col\"", column.number ? " class=\"number\"" : "", ">",
                       escape(column.title), "</th>");
        out += "</tr></thead>\n";
    }
    out += "<tbody>\n";
    for (const auto& row : table.rows) {
        out += "<tr>";
        for (std::size_t i = 0; i < table.columns.size(); ++i) {
            std::string_view element = i == 0 ? "th" : "td";
            out += str('<', element, i == 0 ? " scope=\"row\"" : "",
                       table.columns[i].number ? " class=\"number\"" : "", '>',
                       i < row.size() ? cell_html(row[i]) : "", "</", element, '>');
        }
        out += "</tr>\n";
    }
    html_.text += out + "</tbody>\n</table>\n</div>\n";
    return *this;
}

Content& Content::figure(const Html& drawing, std::string_view caption) {
    html_.text +=
        str("<figure class=\"figure\">\n<div class=\"drawing\">", drawing.text, "</div>\n",
            caption.empty() ? "" : str("<figcaption>", prose(caption), "</figcaption>\n"), "</figure>\n");
    return *this;
}

Content& Content::callout(Verdict verdict, std::string_view title, std::string_view text) {
    std::string_view kind = "caution", mark = "!";
    if (verdict == Verdict::passed) kind = "good", mark = "✓";
    if (verdict == Verdict::failed) kind = "bad", mark = "✗";
    html_.text += str("<div class=\"callout ", kind, "-box\" role=\"note\"><p class=\"callout-title ", kind,
                      "\"><span aria-hidden=\"true\">", mark, "</span> ", escape(title), "</p>\n",
                      text.empty() ? "" : str("<p>", prose(text), "</p>\n"), "</div>\n");
    return *this;
}

Content& Content::key_figures(const std::vector<KeyFigure>& figures) {
    if (figures.empty()) return *this;
    html_.text += "<dl class=\"key-figures\">\n";
    for (const KeyFigure& figure : figures)
        html_.text +=
            str("<div><dt>", escape(figure.label), "</dt><dd><span class=\"value\">", escape(figure.value),
                "</span>",
                figure.aside.empty() ? "" : str("<span class=\"aside\">", escape(figure.aside), "</span>"),
                figure.note.empty() ? "" : str("<span class=\"muted\">", escape(figure.note), "</span>"),
                "</dd></div>\n");
    html_.text += "</dl>\n";
    return *this;
}

Content& Content::details(std::string_view summary, const Content& content) {
    if (!content.empty())
        html_.text += str("<details>\n<summary>", escape(summary), "</summary>\n<div>\n", content.html().text,
                          "</div>\n</details>\n");
    return *this;
}

Content& Content::answers(const std::vector<Answer>& answers) {
    std::string out;
    for (const Answer& answer : answers) {
        if (answer.texts.empty()) continue;
        out += str(
            "<div><dt>", escape(answer.label), "</dt><dd>",
            answer.texts.size() == 1 ? str("<p>", prose(answer.texts[0]), "</p>\n") : list_html(answer.texts),
            "</dd></div>\n");
    }
    if (!out.empty()) html_.text += str("<dl class=\"answers\">\n", out, "</dl>\n");
    return *this;
}

Html side_by_side(const std::vector<Html>& drawings) {
    std::string out = "<div class=\"side-by-side\">\n";
    for (const Html& drawing : drawings) out += str("<div>", drawing.text, "</div>\n");
    return {out + "</div>\n"};
}

Page::Page(std::string title, std::string kicker) : title_(std::move(title)), kicker_(std::move(kicker)) {}

void Page::lead(std::string_view text) {
    if (!text.empty()) lead_ += str("<p class=\"lead\">", prose(text), "</p>\n");
}

void Page::top(const Content& content) {
    top_ += content.html().text;
}

void Page::section(std::string_view title, const Content& content) {
    if (!content.empty()) sections_.push_back({escape(title), content.html().text});
}

void Page::foot(const PageFoot& foot) {
    std::string rows;
    auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty())
            rows += str("<div><dt>", escape(name), "</dt><dd><code>", escape(value), "</code></dd></div>\n");
    };
    add("made by", foot.version.empty() ? "" : "microtome " + foot.version);
    add("command", foot.command);
    for (const auto& [name, value] : foot.facts) add(name, value);
    if (!rows.empty()) foot_ = str("<footer>\n<dl>\n", rows, "</dl>\n</footer>\n");
}

std::string Page::html() const {
    std::string title = escape(title_);
    std::string out =
        str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"color-scheme\" content=\"light dark\">\n"
            // Even what should slip through could not run or ask anybody for anything.
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'; "
            "img-src data:\">\n<title>",
            title, "</title>\n<style>\n", kPageStyle, "</style>\n</head>\n<body>\n<header>\n",
            kicker_.empty() ? "" : str("<p class=\"kicker\">", escape(kicker_), "</p>\n"), "<h1>", title,
            "</h1>\n", lead_, "</header>\n<main>\n");
    if (!top_.empty()) out += str("<section class=\"top\">\n", top_, "</section>\n");
    if (sections_.size() > 3) {
        out += "<nav aria-label=\"sections\"><ol>\n";
        for (std::size_t i = 0; i < sections_.size(); ++i)
            out += str("<li><a href=\"#s", i + 1, "\">", sections_[i].title, "</a></li>\n");
        out += "</ol></nav>\n";
    }
    for (std::size_t i = 0; i < sections_.size(); ++i)
        out += str("<section id=\"s", i + 1, "\">\n<h2>", sections_[i].title, "</h2>\n", sections_[i].html,
                   "</section>\n");
    return out + "</main>\n" + foot_ + "</body>\n</html>\n";
}

}  // namespace microtome::report
