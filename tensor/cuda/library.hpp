// Shared libraries that the program is not linked with: opened when they are first wanted, so that one
// program runs with and without them.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace microtome::cuda {

class Library {
  public:
    // The first of these files that can be opened. It is never closed: a library of this kind keeps threads
    // and handlers of its own until the process ends.
    explicit Library(std::span<const std::string> files);

    // Whether there is one and all functions asked for were in it.
    bool complete() const { return problem_.empty(); }
    // What is missing, for people.
    const std::string& problem() const { return problem_; }

    // The function of this name. Null, and the library incomplete, where it has none.
    template <class Function>
    void find(const char* name, Function*& function) {
        function = reinterpret_cast<Function*>(address(name));
    }

  private:
    void* address(const char* name);

    std::string file_, problem_;
    void* handle_ = nullptr;
};

// The names under which the dynamic linker finds NVIDIA's library `name` in one of these major versions, then
// the places where CUDA is installed that the linker does not know. The first is the one to prefer.
std::vector<std::string> library_files(const std::string& name, std::initializer_list<int> versions);

}  // namespace microtome::cuda
