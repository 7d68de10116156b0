// Says how far a long run is: on a terminal a bar with rate and time left, in a pipe a plain line every few
// seconds, and nothing at all for what is over within two seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

namespace microtome {

struct ProgressOptions {
    bool quiet = false;
    bool terminal = false;               // redraw one line, rather than append lines
    bool colour = false;                 // only on a terminal
    std::ostream* out = nullptr;         // nullptr: standard error
    std::function<double()> clock = {};  // seconds since any moment; empty: the steady clock

    // What suits standard error: TERM=dumb is no terminal, and NO_COLOR (set, not empty) forbids colour.
    static ProgressOptions detect(bool quiet);
};

// To be used from one thread.
class Progress {
  public:
    // total: how many units there will be; 0 when nobody knows. unit: "images", "steps".
    Progress(std::string task, int64_t total, std::string unit, ProgressOptions options);
    ~Progress();  // the last word: units done, rate, duration
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void advance(int64_t units = 1);
    void note(std::string text) { note_ = std::move(text); }  // shown behind the numbers: "loss 0.31"

  private:
    void show(double elapsed, bool finished);
    std::string line(double elapsed, bool finished) const;

    std::string task_;
    int64_t total_;
    std::string unit_;
    ProgressOptions options_;
    std::string note_;
    int64_t done_ = 0;
    double began_;
    double shown_ = -1;  // seconds after the beginning; negative: never yet
};

// 7 s, 3 min 20 s, 2 h 05 min.
std::string duration_text(double seconds);

}  // namespace microtome
