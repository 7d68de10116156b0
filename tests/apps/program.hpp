// The program, run from outside.
#pragma once

#include "base/text.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

struct Outcome {
    int status;
    std::string output;  // both streams
};

inline Outcome run_program(const std::string& arguments, const char* program = MICROTOME_PROGRAM) {
    std::FILE* pipe = ::popen(microtome::str("'", program, "' ", arguments, " 2>&1 </dev/null").c_str(), "r");
    REQUIRE(pipe);
    Outcome outcome;
    for (int c; (c = std::fgetc(pipe)) != EOF;) outcome.output += static_cast<char>(c);
    const int status = ::pclose(pipe);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
}

// Runs `microtome COMMAND --out RUN` with these words to begin with and --resume ever after, and sends it a
// signal a little later each time, four times and until one came midway, and then lets it end well. Returns
// how often it was stopped midway, with a checkpoint to go on from.
inline int run_with_interruptions(const std::string& command, const std::vector<std::string>& beginning,
                                  const std::string& run, int signal) {
    int midway = 0;
    double patience = 90;  // in milliseconds; a slow machine's first checkpoint may take many times as long
    for (int start = 0; start < 100; ++start) {
        std::vector<std::string> words{MICROTOME_PROGRAM, command, "--threads", "1", "--quiet", "--out", run};
        if (std::filesystem::exists(run + "/config.json"))
            words.push_back("--resume");
        else
            words.insert(words.end(), beginning.begin(), beginning.end());
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t quiet;
        ::posix_spawn_file_actions_init(&quiet);
        ::posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        ::posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        pid_t child = -1;
        REQUIRE(::posix_spawn(&child, words[0].c_str(), &quiet, nullptr, arguments.data(), environ) == 0);
        ::posix_spawn_file_actions_destroy(&quiet);
        if (start < 4 || midway == 0) {
            std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(patience));
            patience *= 1.15;
            ::kill(child, signal);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return midway;
        if (std::filesystem::exists(run + "/checkpoint.safetensors")) ++midway;
    }
    FAIL("stopped or failed a hundred times: " << command << " into " << run);
    return midway;
}
