// A training in one file: everything it takes to go on as if nothing had happened.
#pragma once

#include "training/callback.hpp"

#include <map>

namespace microtome {

// How far an epoch in progress has come.
struct EpochProgress {
    int64_t epoch = 0;                              // from 0
    int64_t batch = 0;                              // batches used up
    int64_t step = 0;                               // optimizer steps since the training began
    int64_t images = 0, labelled = 0, correct = 0;  // of the batches used up
    double loss = 0;                                // summed over images
    double seconds = 0;

    friend bool operator==(const EpochProgress&, const EpochProgress&) = default;
};

struct Checkpoint {
    EpochProgress progress;
    bool finished = false;  // no epoch is left, or a callback said stop
    std::string why{};      // and why
    std::vector<EpochRecord> history;
    std::map<std::string, std::string> config;  // what the training was told
    NamedTensors tensors;                       // "model.", "optimizer.", "average.", "callback.NAME." ...
};

// A safetensors file; what is no tensor is JSON in its metadata. Written whole or not at all. Throw as
// read_tensors() and write_tensors() do.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);
Checkpoint read_checkpoint(const std::string& path);

// Of entries named PREFIX..., the rest of the name and the tensor; and such entries.
NamedTensors entries_under(const NamedTensors& all, const std::string& prefix);
void append_under(NamedTensors& all, const std::string& prefix, const NamedTensors& entries);

}  // namespace microtome
