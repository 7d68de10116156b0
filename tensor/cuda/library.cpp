#include "tensor/cuda/library.hpp"

#include "base/error.hpp"

#include <dlfcn.h>

namespace microtome::cuda {

Library::Library(std::span<const std::string> files) {
    for (const std::string& file : files) {
        handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle_ == nullptr) continue;
        file_ = file;
        return;
    }
    problem_ = files.empty() ? "no library is known here" : str(files.front(), " is not found");
}

void* Library::address(const char* name) {
    void* found = handle_ != nullptr ? dlsym(handle_, name) : nullptr;
    if (found == nullptr && problem_.empty()) problem_ = str(file_, " has no ", name);
    return found;
}

std::vector<std::string> library_files(const std::string& name, std::initializer_list<int> versions) {
    std::vector<std::string> files;
    for (const char* folder : {"", "/usr/local/cuda/lib64/"})
        for (int version : versions) files.push_back(str(folder, "lib", name, ".so.", version));
    return files;
}

}  // namespace microtome::cuda
