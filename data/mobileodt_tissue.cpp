#include "data/mobileodt_tissue.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"
#include "data/image.hpp"
#include "data/tissue.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

namespace microtome {
namespace {

namespace fs = std::filesystem;

constexpr int kQuality = 90;
constexpr std::array<TissueClass, 3> kDrawn{TissueClass::lung_n, TissueClass::lung_scc, TissueClass::colon_n};

// One file of the set. The same type and piece are the same picture.
struct Planned {
    std::string name;
    int type = 0;  // that is drawn, from 0
    int64_t piece = 0;
    enum class Damage { none, empty, cut_short } damage = Damage::none;
};

std::string in_train(int type, int64_t number) {
    return str("train/train/Type_", type + 1, '/', number, ".jpg");
}
std::string in_additional(int type, int64_t number) {
    return str("additional_Type_", type + 1, "_v2/Type_", type + 1, '/', number, ".jpg");
}

struct Plan {
    std::vector<Planned> files;
    std::string solution = "image_name,Type_1,Type_2,Type_3\n";
};

Plan plan_of(int64_t per_class) {
    using Damage = Planned::Damage;
    Plan plan;
    const std::array<int64_t, 3> counts{std::max<int64_t>(2, per_class / 2), per_class * 3 / 2, per_class};
    std::array<int64_t, 3> pieces{};
    // Beyond the numbers that the published lists name.
    int64_t train = 2000, additional = 7000, test = 0;
    for (int type = 0; type < 3; ++type)
        for (int64_t i = 0; i < counts[type]; ++i) {
            plan.files.push_back({in_train(type, train++), type, pieces[type]++});
            plan.files.push_back({in_additional(type, additional++), type, pieces[type]++});
        }
    auto add_test = [&](int type, int64_t piece) {
        plan.files.push_back({str("test/test/", test, ".jpg"), type, piece});
        plan.solution += str(test++, ".jpg,", type == 0, ',', type == 1, ',', type == 2, '\n');
    };
    for (int64_t i = 0; i < counts[0]; ++i)
        for (int type = 0; type < 3; ++type) add_test(type, pieces[type]++);

    // Every other training image of Type_2 again, for a while, among the additional ones as Type_3; and the
    // second in the test.
    for (int64_t i = 0; i < per_class / 2; ++i)
        plan.files.push_back({in_additional(2, additional++), 1, 4 * i});
    add_test(1, 2);
    plan.files.push_back({in_train(2, 968), 0, pieces[0]++});
    plan.files.push_back({in_train(2, 1120), 0, pieces[0]++});
    plan.files.push_back({in_train(0, 80), 2, pieces[2]++});
    plan.files.push_back({in_additional(0, 5893), 0, 0, Damage::empty});
    plan.files.push_back({in_additional(1, 2845), 1, 0, Damage::empty});
    plan.files.push_back({in_additional(1, 5892), 1, 0, Damage::empty});
    plan.files.push_back({in_additional(0, 3068), 0, pieces[0]++, Damage::cut_short});
    plan.files.push_back({in_additional(1, 7), 1, pieces[1]++, Damage::cut_short});
    plan.files.push_back({in_train(0, 1339), 0, pieces[0]++, Damage::cut_short});
    return plan;
}

std::string picture(const Planned& file, const MobileodtTissueOptions& options) {
    if (file.damage == Planned::Damage::empty) return "";
    const Tensor square = draw_tissue(kDrawn[file.type], file.piece, options.size, options.seed);
    const int64_t height = options.size, width = options.size * 3 / 4;
    Tensor upright(Spec{{height, width, 3}, Dtype::u8, kCpu});
    const std::span<const uint8_t> from = square.data<uint8_t>();
    std::span<uint8_t> to = upright.mutable_data<uint8_t>();
    for (int64_t row = 0; row < height; ++row)
        std::copy_n(from.begin() + row * options.size * 3, width * 3, to.begin() + row * width * 3);
    std::string bytes = encode_jpeg(upright, kQuality);
    if (file.damage == Planned::Damage::cut_short) bytes.resize(bytes.size() / 2);
    return bytes;
}

}  // namespace

bool write_mobileodt_tissue(const std::string& folder, const MobileodtTissueOptions& options,
                            const std::function<bool(int64_t)>& written) {
    if (options.per_class < 4 || options.per_class > 100000)
        throw OptionsError("data synth",
                           str("expected from 4 to 100000 images of a class, got ", options.per_class));
    const Plan plan = plan_of(options.per_class);
    try {
        if (fs::exists(folder) && !fs::is_empty(folder))
            throw OptionsError(folder, "expected a new or empty folder, got one with something in it",
                               "choose another folder; nothing was changed in this one");
        for (const Planned& file : plan.files)
            fs::create_directories((fs::path(folder) / file.name).parent_path());
    } catch (const fs::filesystem_error& error) {
        throw IoError(folder, str("cannot write there: ", error.code().message()));
    }
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("made_by", "microtome data synth").field("layout", "mobileodt");
    json.field("content", "drawn tissue; no cervix").field("per_class", options.per_class);
    json.field("size", options.size).field("seed", options.seed);
    write_file(folder + "/drawn.json", json.end().text() + '\n');
    int64_t count = 0;
    for (const Planned& file : plan.files) {
        write_file((fs::path(folder) / file.name).string(), picture(file, options));
        if (written && !written(++count)) return false;
    }
    write_file(folder + "/solution_stg1_release.csv", plan.solution);
    return true;
}

}  // namespace microtome
