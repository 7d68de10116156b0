#include "base/progress.hpp"

#include "base/text.hpp"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <string_view>
#include <unistd.h>

namespace microtome {
namespace {

constexpr double kSilence = 2;           // seconds before the first word
constexpr double kBetweenRedraws = 0.1;  // on a terminal
constexpr double kBetweenLines = 5;      // elsewhere
constexpr int kBarWidth = 24;

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string_view environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

// Three significant digits, but never an exponent: 0.0123, 4.56, 78.9, 12345.
std::string rate_text(double rate) {
    int decimals = rate >= 100 ? 0 : rate >= 10 ? 1 : rate >= 1 ? 2 : 4;
    return str(std::fixed, std::setprecision(decimals), rate);
}

}  // namespace

std::string duration_text(double seconds) {
    auto whole = static_cast<int64_t>(std::llround(std::max(seconds, 0.0)));
    int64_t hours = whole / 3600, minutes = whole / 60 % 60;
    if (hours > 0) return str(hours, " h ", std::setfill('0'), std::setw(2), minutes, " min");
    if (minutes > 0) return str(minutes, " min ", std::setfill('0'), std::setw(2), whole % 60, " s");
    return str(whole, " s");
}

ProgressOptions ProgressOptions::detect(bool quiet) {
    ProgressOptions options;
    options.quiet = quiet;
    options.terminal = ::isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb";
    options.colour = options.terminal && environment("NO_COLOR").empty();
    return options;
}

Progress::Progress(std::string task, int64_t total, std::string unit, ProgressOptions options)
    : task_(std::move(task)), total_(total), unit_(std::move(unit)), options_(std::move(options)) {
    if (!options_.out) options_.out = &std::cerr;
    if (!options_.clock) options_.clock = steady_seconds;
    began_ = options_.clock();
}

Progress::~Progress() {
    if (shown_ >= 0) show(options_.clock() - began_, true);
}

void Progress::advance(int64_t units) {
    done_ += units;
    if (options_.quiet) return;
    double elapsed = options_.clock() - began_;
    double pause = options_.terminal ? kBetweenRedraws : kBetweenLines;
    if (elapsed >= kSilence && (shown_ < 0 || elapsed - shown_ >= pause)) show(elapsed, false);
}

void Progress::show(double elapsed, bool finished) {
    shown_ = elapsed;
    // Return to the start of the line and erase it; only the last line stays.
    if (options_.terminal) *options_.out << "\r\033[K";
    *options_.out << line(elapsed, finished);
    if (!options_.terminal || finished) *options_.out << '\n';
    options_.out->flush();
}

std::string Progress::line(double elapsed, bool finished) const {
    double rate = static_cast<double>(done_) / std::max(elapsed, 1e-9);
    std::string text = task_ + "  ";
    if (options_.terminal && !finished && total_ > 0) {
        int filled = static_cast<int>(std::min<int64_t>(done_, total_) * kBarWidth / total_);
        std::string bar = std::string(filled, '#') + std::string(kBarWidth - filled, '.');
        text += options_.colour ? "\033[32m" + bar + "\033[0m  " : bar + "  ";
    }
    text += total_ > 0 ? str(done_, '/', total_, ' ', unit_) : str(done_, ' ', unit_);
    text += str("  ", rate_text(rate), "/s");
    if (finished)
        text += str("  in ", duration_text(elapsed));
    else if (total_ > 0 && done_ > 0)
        text += str("  ", duration_text(static_cast<double>(total_ - done_) / rate), " left");
    if (!note_.empty()) text += "  " + note_;
    return text;
}

}  // namespace microtome
