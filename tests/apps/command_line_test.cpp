// The program from outside: what it prints, and how it ends.
#include "base/atomic_file.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/wait.h>

using namespace microtome;
using Catch::Contains;

namespace {

struct Outcome {
    int status;
    std::string output;  // both streams
};

Outcome microtome_command(const std::string& arguments, const std::string& environment = "") {
    std::string line = environment + " '" MICROTOME_PROGRAM "' " + arguments + " 2>&1 </dev/null";
    std::FILE* pipe = ::popen(line.c_str(), "r");
    REQUIRE(pipe);
    Outcome outcome;
    for (int c; (c = std::fgetc(pipe)) != EOF;) outcome.output += static_cast<char>(c);
    int status = ::pclose(pipe);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
}

}  // namespace

TEST_CASE("the program says its version", "[apps]") {
    Outcome outcome = microtome_command("--version");
    CHECK(outcome.status == 0);
    CHECK(outcome.output == str("microtome ", kVersion, "\n"));
}

TEST_CASE("the help names every command and what exit statuses mean", "[apps]") {
    Outcome outcome = microtome_command("--help");
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("Exit status: 0 done") && Contains("--version") && Contains("bench"));
    CHECK_THAT(microtome_command("bench --help").output, Contains("--json") && Contains("OpenBLAS"));
}

TEST_CASE("wrong use is status 2 and says what would be right", "[apps]") {
    CHECK(microtome_command("").status == 2);
    CHECK_THAT(microtome_command("").output, Contains("--help"));
    Outcome unknown = microtome_command("xyzzy");
    CHECK(unknown.status == 2);
    CHECK_THAT(unknown.output, Contains("'xyzzy'") && Contains("microtome --help"));
    CHECK(microtome_command("--xyzzy").status == 2);
    Outcome mistyped = microtome_command("bnech");
    CHECK(mistyped.status == 2);
    CHECK_THAT(mistyped.output, Contains("Did you mean bench?"));
    CHECK(microtome_command("bench --suite xyzzy").status == 2);
    CHECK(microtome_command("bench --threads 0").status == 2);
    CHECK(microtome_command("bench --device xyzzy").status == 2);
    const Outcome missing = microtome_command("bench --device cuda:99");
    CHECK(missing.status == 4);
    CHECK_THAT(missing.output, Contains("[device] expected") && Contains("HINT"));
    for (const char* command : {"bench", "train --out /nowhere", "gradcheck"}) {
        const Outcome rounded = microtome_command(str(command, " --precision tf32"));
        CHECK(rounded.status == 2);
        CHECK_THAT(rounded.output, Contains("expected f32 on the processor, got tf32"));
    }
    const Outcome half = microtome_command("attack --model x --data y --precision fp16");
    CHECK(half.status == 2);
    CHECK_THAT(half.output, Contains("expected f32, tf32 or bf16, got 'fp16'"));
    Outcome isa = microtome_command("bench", "MICROTOME_ISA=xyzzy");
    CHECK(isa.status == 2);
    CHECK_THAT(isa.output, Contains("[MICROTOME_ISA]") && Contains("'xyzzy'"));
}

TEST_CASE("the first line says what calculates, and a machine that fails is status 4", "[apps]") {
    // The file for the rows is opened before anything is measured.
    const std::string doomed = "bench --threads 2 --json /nowhere/rows.json";
    Outcome loud = microtome_command(doomed, "MICROTOME_ISA=reference");
    CHECK(loud.status == 4);
    CHECK_THAT(loud.output, Catch::StartsWith(str("microtome ", kVersion, "  reference  2 threads  cpu")));
    CHECK_THAT(loud.output, Contains("[/nowhere/rows.json]") && Contains("HINT"));
    Outcome quiet = microtome_command(doomed + " --quiet");
    CHECK(quiet.status == 4);
    CHECK_THAT(quiet.output, Catch::StartsWith("microtome: [/nowhere/rows.json]"));
}

TEST_CASE("gradcheck checks an op, writes its rows, and knows the names", "[apps][gradcheck]") {
    ScratchFolder folder;
    const std::string file = folder / "rows.json";
    Outcome relu = microtome_command("gradcheck --op relu --verbose --json " + file);
    CHECK(relu.status == 0);
    CHECK_THAT(relu.output, Contains("finite differences") && Contains("1 op checked, 0 failed"));
    const nlohmann::json rows = nlohmann::json::parse(read_file(file, 1 << 20));
    REQUIRE(rows.size() >= 10);
    for (const auto& row : rows) {
        CHECK(row["op"] == "relu");
        if (row.contains("mutants")) continue;
        CHECK(row["pass"] == true);
        CHECK((row["worst_relative_error"].get<double>() <= row["tolerance"].get<double>()));
    }
    Outcome wrong = microtome_command("gradcheck --op rleu");
    CHECK(wrong.status == 2);
    CHECK_THAT(wrong.output, Contains("'rleu'") && Contains("did you mean relu?"));
    CHECK_THAT(microtome_command("--help").output, Contains("gradcheck"));
}

TEST_CASE("a model's layers are printed without calculating anything", "[apps]") {
    Outcome outcome = microtome_command("model info --arch cnn --classes 5");
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("5184 to 64") && Contains("331,840") &&
                                   Contains("425,541 of 425,669 parameters are trainable"));
    outcome = microtome_command("model info --arch cnm");
    CHECK(outcome.status == 2);
    CHECK_THAT(outcome.output, Contains("did you mean cnn?"));
    CHECK(microtome_command("model info").status == 2);
    CHECK(microtome_command("model info --model /no/such/file").status == 3);
}

TEST_CASE("data synth writes tissue, says how to go on, and spares what it did not write", "[apps][tissue]") {
    ScratchFolder folder;
    const std::string out = folder / "tissue";
    const std::string line = "data synth --per-class 3 --size 16 --seed 8 --out '" + out + "'";
    Outcome outcome = microtome_command(line);
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("wrote 15 images of 16 x 16 pixels") && Contains("lung_scc  3") &&
                                   Contains("train 5, val 5, test 5") && Contains("microtome train --data"));
    CHECK_FALSE(read_file(out + "/train/colon_n/00000.png", 100'000).empty());
    CHECK(microtome_command(line).status == 0);  // its own, anew

    write_file(folder / "thesis.txt", "years of work");
    Outcome refused = microtome_command("data synth --per-class 3 --out '" + (folder / "") + "'");
    CHECK(refused.status == 2);
    CHECK_THAT(refused.output, Contains("HINT"));
    CHECK(microtome_command("data synth").status == 2);
    CHECK(microtome_command(line + " --size 4").status == 2);
    CHECK(microtome_command("data synth --per-class 0 --out '" + (folder / "new") + "'").status == 2);
    CHECK(folder.names() == std::vector<std::string>{"thesis.txt", "tissue"});
    CHECK(microtome_command("data synth --per-class 1 --out /proc/tissue").status == 4);
}
