// Ctrl-C asks; it does not kill. Long loops poll interrupted() between steps, finish what they are at, save,
// and say how to go on. A second Ctrl-C kills as usual.
#pragma once

#include "base/error.hpp"

#include <csignal>

namespace microtome {

// Catches SIGINT and SIGTERM for its lifetime, then restores what was in force. One at a time.
class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

  private:
    struct sigaction previous_interrupt_ {};
    struct sigaction previous_terminate_ {};
};

// Whether a signal came to the InterruptGuard in force; false where there is none.
bool interrupted();

// What work throws that was interrupted before it had anything to hand back.
class Interrupted : public Error {
  public:
    explicit Interrupted(std::string_view where) : Error(where, "interrupted") {}
};

}  // namespace microtome
