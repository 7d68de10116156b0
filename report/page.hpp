// One HTML page in one file: no script, no font, nothing from elsewhere. It reads on a desktop and on a
// phone, in light and dark, and prints.
#pragma once

#include "report/svg.hpp"
#include "report/table.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microtome::report {

enum class Verdict { passed, failed, caution };

// A number to be seen before anything else.
struct KeyFigure {
    std::string label{};
    std::string value{};  // ".93"
    std::string aside{};  // "[.90, .95], n = 500"
    std::string note{};   // "same images under PGD, ε = 2/255"
};

// What stands in a page, one piece under another. Texts are plain: everything in them is escaped.
class Content {
  public:
    Content& heading(std::string_view text);  // below the section's own
    Content& paragraph(std::string_view text);
    Content& list(const std::vector<std::string>& items);
    Content& table(const Table& table);
    Content& figure(const Html& drawing,
                    std::string_view caption);  // the caption is beside it on wide screens
    Content& callout(Verdict verdict, std::string_view title, std::string_view text);
    Content& key_figures(const std::vector<KeyFigure>& figures);
    Content& details(std::string_view summary, const Content& content);  // opens at a click; open on paper

    // Labelled paragraphs: "What was asked", ... A single one is a paragraph, several are a list.
    struct Answer {
        std::string label{};
        std::vector<std::string> texts{};
    };
    Content& answers(const std::vector<Answer>& answers);

    bool empty() const { return html_.text.empty(); }
    const Html& html() const { return html_; }

  private:
    Html html_;
};

// Drawings beside one another where there is room, under one another where not.
Html side_by_side(const std::vector<Html>& drawings);

struct PageFoot {
    std::string version{};
    std::string command{};                                     // as it was typed
    std::vector<std::pair<std::string, std::string>> facts{};  // seed, hashes, ...
};

class Page {
  public:
    // kicker: a few words above the title that say what kind of page this is.
    Page(std::string title, std::string kicker = "");

    void lead(std::string_view text);                              // a larger paragraph under the title
    void top(const Content& content);                              // before the first section
    void section(std::string_view title, const Content& content);  // left out when empty
    void foot(const PageFoot& foot);

    std::string html() const;

  private:
    std::string title_, kicker_, lead_, top_, foot_;
    struct Section {
        std::string title, html;
    };
    std::vector<Section> sections_;
};

}  // namespace microtome::report
