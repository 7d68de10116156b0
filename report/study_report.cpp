#include "report/study_report.hpp"

#include "base/progress.hpp"
#include "base/text.hpp"
#include "report/interval_plot.hpp"
#include "report/layout.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::report {
namespace {

std::string join(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
    return out;
}

// "V1 and V2", "V1, V2 and V5".
std::string enumerate(const std::vector<std::string>& words) {
    if (words.size() < 2) return join(words);
    return join({words.begin(), words.end() - 1}) + " and " + words.back();
}

Table facts_table(const std::vector<std::pair<std::string, std::string>>& facts) {
    Table table;
    table.columns = {{"", false}, {"", true}};
    for (const auto& [name, value] : facts) table.add({name, value});
    return table;
}

// A failed rail is the first thing a reader must know.
void rails_callout(Content& content, const std::vector<RailReport>& rails) {
    if (rails.empty()) return;
    std::vector<std::string> failed;
    std::string texts;
    for (const RailReport& rail : rails) {
        if (rail.pass) continue;
        failed.push_back(rail.id);
        texts += (texts.empty() ? "" : " ") + rail.id + ": " + rail.text;
        if (!texts.ends_with('.')) texts += '.';
    }
    if (failed.empty())
        content.callout(Verdict::passed,
                        rails.size() == 1 ? str("The check ", rails[0].id, " was passed")
                                          : str("All ", rails.size(), " validity checks were passed"),
                        "");
    else
        content.callout(
            Verdict::failed,
            str(failed.size(), " of ", rails.size(), " validity checks failed: ", enumerate(failed)), texts);
}

Content first_page(const StudyReport& report) {
    Content content;
    rails_callout(content, report.rails);
    content.key_figures(report.key_figures);
    content.answers({{"What was asked", report.asked},
                     {"What was found", report.found},
                     {"What this does not show", report.not_shown}});
    return content;
}

Content data_section(const StudyReport& report) {
    const DataReport& data = report.data;
    Content content;
    content.paragraph(data.description);
    for (const DataReport::Audit& audit : data.audits)
        content.callout(audit.verdict, audit.title, audit.text);
    if (!data.counts.empty()) {
        Table table;
        table.caption = "Images per class and part";
        table.columns.push_back({"class", false});
        for (const std::string& part : data.parts) table.columns.push_back({part, true});
        table.columns.push_back({"all", true});
        std::vector<int64_t> totals(data.parts.size() + 1, 0);
        for (std::size_t i = 0; i < std::min(data.classes.size(), data.counts.size()); ++i) {
            std::vector<Cell> row{data.classes[i]};
            int64_t total = 0;
            for (std::size_t part = 0; part < std::min(data.parts.size(), data.counts[i].size()); ++part) {
                row.push_back(count_text(data.counts[i][part]));
                total += data.counts[i][part];
                totals[part] += data.counts[i][part];
            }
            totals.back() += total;
            row.push_back(count_text(total));
            table.add(row);
        }
        std::vector<Cell> sums{"all"};
        for (int64_t total : totals) sums.push_back(count_text(total));
        for (Cell& cell : sums) cell.strong = true;
        table.add(sums);
        content.table(table);
    }
    if (!data.damaged.empty()) {
        Content names;
        names.list(data.damaged);
        content.details(data.damaged.size() == 1 ? "One file could not be read and was left out"
                                                 : str(count_text(static_cast<int64_t>(data.damaged.size())),
                                                       " files could not be read and were left out"),
                        names);
    }
    return content;
}

LinePlot learning_plot(const ModelReport& model, const char* what, double Epoch::*train, double Epoch::*val,
                       bool shares) {
    LinePlot plot;
    plot.title = str(model.name, ": ", what, " over epochs");
    plot.x_label = "epoch";
    plot.y_label = what;
    plot.shares = shares;
    Curve training{"training", {}, true}, validation{"validation"};
    for (const Epoch& epoch : model.epochs) {
        auto add = [&](Curve& curve, double y) {
            std::string number = shares ? share_text(y) : number_text(y);
            curve.points.push_back({static_cast<double>(epoch.number), y, NAN, NAN,
                                    str(curve.name, ", epoch ", epoch.number, ": ", number)});
        };
        add(validation, epoch.*val);
        add(training, epoch.*train);
    }
    for (Curve* curve : {&validation, &training})
        if (std::any_of(curve->points.begin(), curve->points.end(),
                        [](const auto& p) { return std::isfinite(p.y); }))
            plot.curves.push_back(*curve);
    if (model.best_epoch > 0)
        plot.moments.push_back(
            {static_cast<double>(model.best_epoch), str("best: epoch ", model.best_epoch)});
    return plot;
}

void add_learning_curves(Content& content, const ModelReport& model) {
    std::vector<Html> drawings;
    LinePlot loss = learning_plot(model, "loss", &Epoch::train_loss, &Epoch::val_loss, false);
    LinePlot accuracy = learning_plot(model, "accuracy", &Epoch::train_accuracy, &Epoch::val_accuracy, true);
    for (const LinePlot* plot : {&loss, &accuracy})
        if (!plot->curves.empty()) drawings.push_back(draw_line_plot(*plot, kNarrow));
    if (drawings.empty()) return;
    std::string caption = "How training went.";
    if (model.best_epoch > 0)
        caption += str(" The weights of epoch ", model.best_epoch, " are the ones used from here on.");
    content.figure(side_by_side(drawings), caption);
}

void add_model(Content& content, const ModelReport& model, bool with_heading) {
    if (with_heading) content.heading(model.name);
    content.paragraph(model.description);
    add_learning_curves(content, model);
    if (!model.confusion.empty()) {
        ConfusionPlot plot{model.name + ": confusion matrix", model.classes, model.confusion, model.grave};
        bool framed = std::any_of(model.grave.begin(), model.grave.end(), [&](const auto& cell) {
            return cell.first < model.confusion.size() && cell.second < model.confusion[cell.first].size() &&
                   model.confusion[cell.first][cell.second] > 0;
        });
        content.figure(responsive([&](double width) { return draw_confusion(plot, width); }),
                       str("What clean test images of each class were taken for: counts, and below them "
                           "shares of the row.",
                           framed ? " Framed: mistakes that would do harm." : ""));
    }
    if (!model.class_rows.empty()) {
        Table table;
        table.columns = {
            {"class", false}, {"precision", true}, {"recall", true}, {"F1", true}, {"images", true}};
        for (const ModelReport::ClassRow& row : model.class_rows)
            table.add({row.name, share_text(row.precision), share_text(row.recall), share_text(row.f1),
                       count_text(row.support)});
        content.table(table);
    }
    content.table(facts_table(model.measures));
    if (!model.reliability.empty()) {
        ReliabilityPlot plot{model.name + ": share that is right over confidence", model.reliability};
        content.figure(responsive([&](double width) { return draw_reliability(plot, width); }),
                       str("Whether its confidence can be believed: on the dashed line it could. ",
                           "Below: how many images have that confidence. ", model.reliability_note));
    }
    Content facts;
    facts.table(facts_table(model.facts));
    content.details("How it was trained", facts);
}

Content models_section(const StudyReport& report) {
    Content content;
    if (!report.samples.empty()) content.figure(draw_samples(report.samples), report.samples_note);
    for (const ModelReport& model : report.models) add_model(content, model, report.models.size() > 1);
    return content;
}

Content attacks_section(const StudyReport& report) {
    Content content;
    std::vector<std::string> groups;
    for (const EpsilonCurve& curve : report.epsilon_curves)
        if (std::find(groups.begin(), groups.end(), curve.group) == groups.end())
            groups.push_back(curve.group);
    for (const std::string& group : groups) {
        LinePlot plot;
        plot.title = str("Accuracy over epsilon", group.empty() ? "" : ", " + group);
        plot.x_label = "largest change of a pixel, ε × 255";
        plot.y_label = "accuracy";
        plot.x = LinePlot::X::epsilon;
        plot.shares = true;
        plot.level = report.chance;
        bool intervals = false;
        for (const EpsilonCurve& curve : report.epsilon_curves) {
            if (curve.group != group) continue;
            Curve drawn{curve.model};
            for (const EpsilonCurve::Point& point : curve.points) {
                const Share& share = point.accuracy;
                intervals = intervals || std::isfinite(share.low);
                drawn.points.push_back(
                    {point.epsilon, share.value, share.low, share.high,
                     str(curve.model, ", ε = ", number_text(point.epsilon * 255),
                         "/255: ", interval_text(share), share.n > 0 ? ", n = " + count_text(share.n) : "")});
            }
            plot.curves.push_back(std::move(drawn));
        }
        if (plot.curves.size() == 1) plot.y_label += ", " + plot.curves[0].name;
        std::string caption = group.empty() ? "" : group + ". ";
        if (intervals) caption += "Bands: 95 % intervals. ";
        content.figure(responsive([&](double width) { return draw_line_plot(plot, width); }),
                       caption + report.epsilon_note);
    }
    if (!report.strips.empty()) content.figure(draw_strips(report.strips), report.strips_note);
    if (!report.attention.empty()) content.figure(draw_pictures(report.attention), report.attention_note);
    std::vector<Picture> pictures = report.universal;
    pictures.insert(pictures.end(), report.patches.begin(), report.patches.end());
    if (!pictures.empty()) content.figure(draw_pictures(pictures), report.universal_note);
    content.table(report.results);
    return content;
}

Content hardening_section(const BeforeAfter& before_after) {
    Content content;
    if (before_after.rows.empty()) return content;
    content.table(before_after_table(before_after)).paragraph(before_after.note);
    IntervalPlot plot{"Accuracy before and after hardening, by attack", "accuracy"};
    for (std::size_t i = 0; i < before_after.attacks.size(); ++i) {
        IntervalPlot::Group group{before_after.attacks[i]};
        for (const BeforeAfter::Row& row : before_after.rows)
            if (i < row.accuracies.size() && row.accuracies[i])
                group.rows.push_back({row.name, *row.accuracies[i]});
        if (!group.rows.empty()) plot.groups.push_back(std::move(group));
    }
    content.figure(responsive([&](double width) { return draw_intervals(plot, width); }),
                   "The same figures with their 95 % intervals. Intervals that do not overlap differ by more "
                   "than chance.");
    return content;
}

Content comparisons_section(const StudyReport& report) {
    Content content;
    if (report.comparisons.empty()) return content;
    content.paragraph(report.comparisons_note);
    // A column that nobody filled is not shown.
    struct Field {
        const char* title;
        std::string Comparison::*text;
    };
    std::vector<Field> fields;
    for (const Field& field :
         {Field{"published", &Comparison::published}, Field{"notebook", &Comparison::notebook},
          Field{"reproduced", &Comparison::reproduced}, Field{"corrected", &Comparison::corrected}})
        if (std::any_of(report.comparisons.begin(), report.comparisons.end(),
                        [&](const Comparison& row) { return !(row.*field.text).empty(); }))
            fields.push_back(field);
    Table table;
    table.columns.push_back({"accuracy", false});
    for (const Field& field : fields) table.columns.push_back({field.title, true});
    table.columns.push_back({"cause of the difference", false});
    for (const Comparison& row : report.comparisons) {
        std::vector<Cell> cells{row.quantity};
        for (const Field& field : fields) {
            Cell cell{(row.*field.text).empty() ? "–" : row.*field.text};
            cell.strong = field.text == &Comparison::corrected;
            cells.push_back(cell);
        }
        cells.push_back(row.cause);
        table.add(cells);
    }
    content.table(table);
    return content;
}

Content compute_section(const std::vector<ComputeRow>& compute) {
    Content content;
    Table table;
    table.columns = {{"task", false}, {"forward passes", true}, {"backward passes", true}, {"time", true}};
    for (const ComputeRow& row : compute)
        table.add({row.task, count_text(row.forward_passes), count_text(row.backward_passes),
                   duration_text(row.seconds)});
    content.table(table);
    if (!compute.empty())
        content.paragraph("A pass is one image through the model once, forward or backward.");
    return content;
}

}  // namespace

Table rails_table(const std::vector<RailReport>& rails) {
    Table table;
    table.columns = {{"check", false}, {"result", false}, {"value", true}, {"what it says", false}};
    for (const RailReport& rail : rails)
        table.add({rail.id, rail.pass ? Cell("✓ pass", Tone::good) : Cell("✗ FAIL", Tone::bad), rail.value,
                   rail.text});
    return table;
}

Table before_after_table(const BeforeAfter& before_after) {
    Table table;
    table.columns.push_back({"accuracy", false});
    for (const std::string& attack : before_after.attacks) table.columns.push_back({attack, true});
    for (const BeforeAfter::Row& row : before_after.rows) {
        std::vector<Cell> cells{row.name};
        for (std::size_t i = 0; i < before_after.attacks.size(); ++i)
            cells.push_back(i < row.accuracies.size() && row.accuracies[i] ? Cell(*row.accuracies[i])
                                                                           : Cell("–"));
        table.add(cells);
    }
    return table;
}

std::string study_page(const StudyReport& report) {
    Page page(report.title, report.kicker);
    page.lead(report.lead);
    page.top(first_page(report));
    page.section(report.data.name.empty() ? "Images" : "Images: " + report.data.name, data_section(report));
    page.section(report.models.size() == 1 ? "The model on clean images" : "The models on clean images",
                 models_section(report));
    page.section("Under attack", attacks_section(report));
    page.section("Before and after hardening", hardening_section(report.before_after));
    page.section("Published and corrected figures", comparisons_section(report));
    Content rails;
    rails.table(rails_table(report.rails));
    page.section("Validity checks", rails);
    page.section("What it cost", compute_section(report.compute));
    page.foot(report.foot);
    return page.html();
}

}  // namespace microtome::report
