// The `microtome` command: one subcommand per file of this folder.
#include "base/version.hpp"

#include <iostream>

int main() {
    std::cout << "microtome " << microtome::kVersion << '\n';
}
