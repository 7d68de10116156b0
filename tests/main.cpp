// Catch2's main program, compiled once: the single header is slow to compile.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
