#include "training/logs.hpp"

#include "base/atomic_file.hpp"
#include "tests/full_disk.hpp"
#include "tests/scratch_folder.hpp"
#include "tests/training/training_test_support.hpp"
#include "training/event_file.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

using namespace microtome;
using namespace microtome::test;

namespace {

// A reader of event files of its own: what it accepts is what the format says, written out once more.
struct Event {
    double wall_time = 0;
    uint64_t step = 0;
    std::string version;
    std::map<std::string, float> scalars;
};

// Bit by bit, without the table that the writer uses.
uint32_t slow_crc32c(std::string_view bytes) {
    uint32_t remainder = ~0u;
    for (char byte : bytes)
        for (int bit = 0; bit < 8; ++bit) {
            const uint32_t in = (static_cast<unsigned char>(byte) >> bit) & 1u;
            const bool odd = ((remainder ^ in) & 1u) != 0;
            remainder >>= 1;
            if (odd) remainder ^= 0x82f63b78u;
        }
    return ~remainder;
}

uint32_t unmasked(uint32_t masked) {
    const uint32_t rotated = masked - 0xa282ead8u;
    return rotated << 15 | rotated >> 17;
}

class Bytes {
  public:
    explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
    bool empty() const { return bytes_.empty(); }
    std::string_view take(std::size_t n) {
        REQUIRE(bytes_.size() >= n);
        std::string_view taken = bytes_.substr(0, n);
        bytes_.remove_prefix(n);
        return taken;
    }
    template <class T>
    T number() {
        T value;
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
        return value;
    }
    uint64_t varint() {
        uint64_t value = 0;
        for (int shift = 0;; shift += 7) {
            const auto byte = number<uint8_t>();
            value |= static_cast<uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
    }
    // A field's number times 8 plus its wire type.
    uint64_t key() { return varint(); }
    Bytes message() { return Bytes(take(varint())); }
    std::string text() { return std::string(take(varint())); }

  private:
    std::string_view bytes_;
};

std::vector<Event> decode(const std::string& file) {
    std::vector<Event> events;
    Bytes bytes(file);
    while (!bytes.empty()) {
        const std::string_view length = bytes.take(8);
        CHECK(unmasked(bytes.number<uint32_t>()) == slow_crc32c(length));
        uint64_t size = 0;
        std::memcpy(&size, length.data(), 8);
        const std::string_view data = bytes.take(size);
        CHECK(unmasked(bytes.number<uint32_t>()) == slow_crc32c(data));
        Event event;
        for (Bytes fields(data); !fields.empty();) switch (fields.key()) {
                case 1 << 3 | 1: event.wall_time = fields.number<double>(); break;
                case 2 << 3 | 0: event.step = fields.varint(); break;
                case 3 << 3 | 2: event.version = fields.text(); break;
                case 5 << 3 | 2:
                    for (Bytes summary = fields.message(); !summary.empty();) {
                        REQUIRE(summary.key() == (1 << 3 | 2));
                        Bytes value = summary.message();
                        REQUIRE(value.key() == (1 << 3 | 2));
                        const std::string tag = value.text();
                        REQUIRE(value.key() == (2 << 3 | 5));
                        event.scalars[tag] = value.number<float>();
                        CHECK(value.empty());
                    }
                    break;
                default: FAIL("a field that should not be there");
            }
        events.push_back(event);
    }
    return events;
}

EpochRecord record(int64_t epoch) {
    const double e = static_cast<double>(epoch);
    return {.epoch = epoch,
            .step = 4 * epoch,
            .loss = 1 / (3 * e),
            .accuracy = 0.5,
            .val_loss = 0.25,
            .val_accuracy = 0.75,
            .lr = 1e-3,
            .seconds = 1.5,
            .ended = 1.75e9 + e,
            .metrics = {{"val_auc", 0.875}}};
}

}  // namespace

TEST_CASE("checksums are Castagnoli's, masked", "[training][logs]") {
    CHECK(crc32c("123456789") == 0xe3069283u);
    CHECK(crc32c("") == 0);
    CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);  // RFC 3720, appendix B.4
    CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
    for (const char* text : {"", "a", "loss", "a longer text, with \x80 and \xff in it"}) {
        CHECK(crc32c(text) == slow_crc32c(text));
        CHECK(unmasked(masked_crc32c(text)) == slow_crc32c(text));
    }
}

TEST_CASE("event files decode to what was put in", "[training][logs]") {
    const std::string file = event_file_start(12.5) + scalar_event(13.25, 1, {{"loss/train", 0.5f}}) +
                             scalar_event(14, 300, {{"a", -1e30f}, {std::string(200, 'x'), 3}}) +
                             scalar_event(15, int64_t{1} << 40, {});
    const std::vector<Event> events = decode(file);
    REQUIRE(events.size() == 4);
    CHECK(events[0].version == "brain.Event:2");
    CHECK(events[0].wall_time == 12.5);
    CHECK(events[1].wall_time == 13.25);
    CHECK(events[1].step == 1);
    CHECK(events[1].scalars == std::map<std::string, float>{{"loss/train", 0.5f}});
    CHECK(events[2].step == 300);
    CHECK(events[2].scalars == std::map<std::string, float>{{"a", -1e30f}, {std::string(200, 'x'), 3}});
    CHECK(events[3].step == uint64_t{1} << 40);
    // The first record, byte by byte.
    CHECK(file.substr(0, 12) == std::string("\x18\0\0\0\0\0\0\0", 8) + file.substr(8, 4));
    CHECK(file.substr(12, 26) ==
          std::string("\x09\0\0\0\0\0\0\x29\x40\x1a\x0d", 11) + "brain.Event:2" + file.substr(36, 2));
}

TEST_CASE("a row and a line an epoch, with what there is", "[training][logs]") {
    CHECK(json_line(record(1)) ==
          "{\"epoch\":1,\"step\":4,\"loss\":0.3333333333333333,\"accuracy\":0.5,\"val_loss\":0.25,"
          "\"val_accuracy\":0.75,\"lr\":0.001,\"seconds\":1.5,\"val_auc\":0.875}\n");
    CHECK(csv_header(record(1)) == "epoch,step,loss,accuracy,val_loss,val_accuracy,lr,seconds,val_auc\n");
    CHECK(csv_line(record(2), record(1)) == "2,8,0.16666666666666666,0.5,0.25,0.75,0.001,1.5,0.875\n");

    EpochRecord bare{.epoch = 3, .step = 6, .loss = 2, .lr = 0.5, .metrics = {{"a,\"b\"", std::nan("")}}};
    CHECK(json_line(bare) ==
          "{\"epoch\":3,\"step\":6,\"loss\":2,\"accuracy\":null,\"val_loss\":null,\"val_accuracy\":null,"
          "\"lr\":0.5,\"seconds\":0,\"a,\\\"b\\\"\":null}\n");
    CHECK(csv_header(bare) == "epoch,step,loss,accuracy,val_loss,val_accuracy,lr,seconds,\"a,\"\"b\"\"\"\n");
    CHECK(csv_line(bare, bare) == "3,6,2,,,,0.5,0,\n");
    CHECK(csv_line(bare, record(1)) == "3,6,2,,,,0.5,0,\n");  // columns stay those of the first epoch
}

TEST_CASE("logs have a row for each epoch of a training, and are put right when it goes on",
          "[training][logs]") {
    ScratchFolder folder;
    const std::string jsonl = folder / kJsonLog, csv = folder / kCsvLog, events = folder / kEventLog;
    SmallNet model;
    Sgd optimizer(model);
    std::vector<EpochRecord> history;
    TrainingState state{.model = model, .optimizer = optimizer, .history = history, .epochs = 3};
    auto all = [&] { return read_file(jsonl, 10000) + read_file(csv, 10000) + read_file(events, 10000); };
    auto run = [&](int64_t until) {
        Logs logs(folder / "");
        logs.began(state);
        for (int64_t epoch = static_cast<int64_t>(history.size()) + 1; epoch <= until; ++epoch) {
            EpochRecord next = record(epoch);
            logs.epoch_ended(state, next);
            history.push_back(next);
        }
    };
    run(3);
    const std::string uncut = all();
    CHECK(std::count(uncut.begin(), uncut.end(), '\n') >= 3 + 4);
    int64_t rows = 0;
    std::istringstream lines(read_file(jsonl, 10000));
    for (std::string line; std::getline(lines, line);)
        CHECK(nlohmann::json::parse(line).at("epoch") == ++rows);
    CHECK(rows == 3);
    const std::vector<Event> decoded = decode(read_file(events, 10000));
    REQUIRE(decoded.size() == 4);
    CHECK(decoded[0].version == "brain.Event:2");
    CHECK(decoded[0].wall_time == 1.75e9 + 1 - 1.5);
    CHECK(decoded[2].step == 2);
    CHECK(decoded[2].wall_time == 1.75e9 + 2);
    CHECK(decoded[2].scalars == std::map<std::string, float>{{"loss/train", 1.0f / 6},
                                                             {"accuracy/train", 0.5f},
                                                             {"loss/validation", 0.25f},
                                                             {"accuracy/validation", 0.75f},
                                                             {"lr", 1e-3f},
                                                             {"seconds", 1.5f},
                                                             {"auc/validation", 0.875f}});
    // A row too many, a row cut short, a file gone: the training goes on from epoch 1 or 2.
    history.resize(2);
    run(3);
    CHECK(all() == uncut);
    history.resize(1);
    write_file(jsonl, read_file(jsonl, 10000).substr(0, 30));
    std::filesystem::remove(csv);
    run(3);
    CHECK(all() == uncut);
    // From the start.
    history.clear();
    run(3);
    CHECK(all() == uncut);
}

TEST_CASE("a log that cannot be written is an error", "[training][logs]") {
    SmallNet model;
    Sgd optimizer(model);
    std::vector<EpochRecord> history;
    TrainingState state{.model = model, .optimizer = optimizer, .history = history, .epochs = 3};
    Logs nowhere("/nowhere/at/all");
    CHECK_THROWS_AS(nowhere.began(state), IoError);
    ScratchFolder folder;
    Logs logs(folder / "");
    logs.began(state);
    EpochRecord first = record(1);
    FullDisk full(20);
    CHECK_THROWS_AS(logs.epoch_ended(state, first), IoError);
}
