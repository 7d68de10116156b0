#include "base/interrupt.hpp"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

using namespace microtome;

TEST_CASE("a signal is remembered as long as its guard", "[base][interrupt]") {
    for (int signal : {SIGINT, SIGTERM}) {
        InterruptGuard guard;
        CHECK_FALSE(interrupted());
        std::raise(signal);
        CHECK(interrupted());
    }
    CHECK_FALSE(interrupted());
}

TEST_CASE("the second signal kills", "[base][interrupt]") {
    pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::signal(SIGINT, SIG_DFL);
        InterruptGuard guard;
        std::raise(SIGINT);
        std::raise(SIGINT);
        ::_exit(0);  // reached only when it did not
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGINT);
}

TEST_CASE("a guard restores what was in force", "[base][interrupt]") {
    auto before = std::signal(SIGINT, SIG_IGN);
    { InterruptGuard guard; }
    CHECK(std::signal(SIGINT, before) == SIG_IGN);
}
