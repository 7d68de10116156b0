#include "apps/bench_data.hpp"

#include "base/error.hpp"
#include "data/loader.hpp"
#include "data/open.hpp"
#include "tensor/kernels/context.hpp"

#include <chrono>
#include <iomanip>
#include <numeric>

namespace microtome::apps {
namespace {

constexpr double kLeastSeconds = 2;  // at least, for what is measured over and over

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// One epoch; how many images there were.
int64_t run_epoch(Loader& loader, int64_t epoch) {
    int64_t images = 0;
    loader.start(epoch);
    while (std::optional<Batch> batch = loader.next()) images += batch->images.size(0);
    return images;
}

}  // namespace

int bench_data(const std::string& data, int64_t size, std::ostream& out, std::vector<BenchRow>& rows) {
    if (data.empty())
        throw OptionsError("bench", "expected --data with the suite data, got none",
                           "`microtome data synth --out DIR` makes a set");
    const std::unique_ptr<Dataset> dataset = open_dataset(data);
    std::vector<int64_t> all(static_cast<std::size_t>(dataset->size()));
    std::iota(all.begin(), all.end(), int64_t{0});
    out << data << ", " << all.size() << " images, " << thread_limit()
        << (thread_limit() == 1 ? " thread\n" : " threads\n");
    auto options = [&](const Augmentation& augmentation) {
        return LoaderOptions{.shuffle = true,
                             .seed = 1,
                             .augmentation = augmentation,
                             .height = size,
                             .width = size,
                             .threads = thread_limit()};
    };
    auto report = [&](const char* name, int64_t images, double seconds) {
        BenchRow row{.suite = "data", .name = name, .seconds = seconds};
        row.images_per_second = static_cast<double>(images) / seconds;
        out << "    " << std::left << std::setw(44) << name << std::right << std::fixed
            << std::setprecision(0) << std::setw(8) << row.images_per_second << " images/s\n"
            << std::flush;
        rows.push_back(row);
    };
    // What is decoded stays in the loader's memory, so that decoding is measured in one epoch.
    const std::pair<const char*, Augmentation> kinds[] = {
        {"from memory", {}},
        {"flips, right angles, brightness",
         {.flip_horizontal = true, .flip_vertical = true, .right_angles = true, .brightness = 0.1}},
        {"turned by any angle, zoomed, shifted", {.rotation = 20, .zoom = 0.1, .shift = 0.1}}};
    bool decoded = false;
    for (const auto& [name, augmentation] : kinds) {
        Loader loader(*dataset, all, options(augmentation));
        const double began = now();
        const int64_t read = run_epoch(loader, 0);
        if (!decoded) report("read and decoded", read, now() - began);
        decoded = true;
        const double start = now();
        int64_t images = 0;
        for (int64_t epoch = 1; epoch == 1 || now() - start < kLeastSeconds; ++epoch)
            images += run_epoch(loader, epoch);
        report(name, images, now() - start);
    }
    return 0;
}

}  // namespace microtome::apps
