#include "apps/data_synth.hpp"

#include "apps/command.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "base/progress.hpp"
#include "data/mobileodt_tissue.hpp"
#include "data/open.hpp"
#include "data/tissue.hpp"

#include <iostream>
#include <map>

namespace microtome::apps {

namespace {

int synth_mobileodt(const DataSynthOptions& options) {
    int64_t done = 0;
    bool complete = false;
    {
        const InterruptGuard guard;
        Progress progress("data synth", 0, "images", ProgressOptions::detect(options.quiet));
        complete = write_mobileodt_tissue(
            options.out, {.per_class = options.per_class, .size = options.size, .seed = options.seed},
            [&](int64_t count) {
                done = count;
                progress.advance();
                return !interrupted();
            });
    }
    if (!complete) {
        std::cerr << "microtome: stopped after " << done << " images; remove " << options.out
                  << " to begin anew\n";
        return kMachineFailed;
    }
    std::cout << "wrote " << done << " files, " << options.size << " pixels high, to " << options.out
              << ", as the Intel and MobileODT set has them, broken files and wrong labels included\n\n";
    const std::unique_ptr<Dataset> set = open_dataset(options.out);
    for (const std::string& note : set->notes()) std::cout << "  " << note << '\n';
    if (!options.quiet)
        std::cout << "\nnext: microtome data audit --data " << options.out
                  << "\n      microtome study presets/cervix.toml --data " << options.out << " --out RUN\n";
    return kDone;
}

}  // namespace

int data_synth(const DataSynthOptions& options) {
    if (options.layout == "mobileodt") return synth_mobileodt(options);
    if (options.layout != "folder")
        throw OptionsError("data synth",
                           str("expected --layout folder or mobileodt, got '", options.layout, "'"));
    const TissueOptions tissue{.per_class = options.per_class, .size = options.size, .seed = options.seed};
    const TissueDataset set(tissue);  // says what there will be, before anything is written
    int64_t done = 0;
    bool complete = false;
    {
        const InterruptGuard guard;
        Progress progress("data synth", set.size(), "images", ProgressOptions::detect(options.quiet));
        complete = write_tissue(options.out, tissue, [&](int64_t count) {
            done = count;
            progress.advance();
            return !interrupted();
        });
    }
    if (!complete) {
        std::cerr << "microtome: stopped after " << done << " of " << set.size()
                  << " images; the same command again begins anew\n";
        return kMachineFailed;
    }
    std::map<std::string, int64_t> parts;
    for (const Sample& sample : set.samples()) ++parts[sample.part];
    std::cout << "wrote " << set.size() << " images of " << options.size << " x " << options.size
              << " pixels to " << options.out << "\n\n";
    for (const std::string& name : set.classes())
        std::cout << "  " << name << "  " << options.per_class << '\n';
    std::cout << "\n  train " << parts["train"] << ", val " << parts["val"] << ", test " << parts["test"]
              << "; manifest.csv lists them\n";
    if (!options.quiet)
        std::cout << "\nnext: microtome data audit --data " << options.out
                  << "\n      microtome train --data " << options.out << " --arch resnet-small --out RUN\n";
    return kDone;
}

}  // namespace microtome::apps
