// Data sets for tests, made of a few bytes.
#pragma once

#include "base/atomic_file.hpp"
#include "data/image.hpp"
#include "tests/scratch_folder.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>
#include <zlib.h>

// A grey or coloured image of one value, which tells it from others.
inline microtome::Tensor flat_image(int value, int64_t height = 4, int64_t width = 5, int64_t channels = 3) {
    return microtome::Tensor::full({height, width, channels}, value, microtome::Dtype::u8);
}

// Writes a file and the folders above it; without waiting for the disk, as write_file() would.
inline void put(const std::string& path, const std::string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
}
inline void put(const std::string& path, const microtome::Tensor& image) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    microtome::write_png(path, image);
}

inline std::string big_end_first(uint32_t number) {
    std::string bytes;
    for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(number >> shift);
    return bytes;
}
inline std::string little_end_first(uint64_t number, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(number >> (8 * i));
    return bytes;
}

// window_bits: -15 for bare deflate, 31 for gzip.
inline std::string packed(const std::string& bytes, int window_bits) {
    z_stream state{};
    deflateInit2(&state, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&state, bytes.size()) + 64, '\0');
    state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    state.avail_in = static_cast<uInt>(bytes.size());
    state.next_out = reinterpret_cast<Bytef*>(out.data());
    state.avail_out = static_cast<uInt>(out.size());
    deflate(&state, Z_FINISH);
    out.resize(state.total_out);
    deflateEnd(&state);
    return out;
}

// A PNG that says it has this many pixels, and ends there.
inline std::string png_header(uint32_t width, uint32_t height) {
    std::string file = "\x89PNG\r\n\x1a\n";
    file += big_end_first(13) + "IHDR" + big_end_first(width) + big_end_first(height);
    file += '\x08';
    file += '\x02';
    file.append(3, '\0');
    return file + big_end_first(0) + big_end_first(1000) + "IDAT";
}
