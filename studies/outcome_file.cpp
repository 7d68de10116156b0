#include "studies/outcome_file.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"

#include <limits>
#include <nlohmann/json.hpp>

namespace microtome {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxOutcomeBytes = std::size_t{1} << 30;

// JSON has no infinity: null stands for it.
double finite_or_infinite(const Json& number) {
    return number.is_null() ? std::numeric_limits<double>::infinity() : number.get<double>();
}

AttackedImage image_of(const Json& row) {
    AttackedImage image;
    image.id = row.at(0).get<int64_t>();
    image.label = row.at(1).get<int64_t>();
    image.clean = row.at(2).get<int64_t>();
    image.given = row.at(3).get<int64_t>();
    image.adversarial = row.at(4).get<int64_t>();
    image.rounded = row.at(5).get<int64_t>();
    image.given_loss = finite_or_infinite(row.at(6));
    image.adversarial_loss = finite_or_infinite(row.at(7));
    image.distance = {finite_or_infinite(row.at(8)), finite_or_infinite(row.at(9)),
                      finite_or_infinite(row.at(10))};
    image.unchanged = row.at(11).get<bool>();
    return image;
}

}  // namespace

void write_outcome(const std::string& path, const AttackOutcome& outcome) {
    JsonWriter json;
    json.object().field("name", outcome.name).key("options").array();
    for (const auto& [name, value] : outcome.options) json.array().value(name).value(value).end();
    json.end();
    json.field("kind", static_cast<int>(outcome.threat.kind))
        .field("norm", static_cast<int>(outcome.threat.norm));
    json.field("epsilon", outcome.threat.epsilon);
    json.field("cost_forward", outcome.cost.forward).field("cost_backward", outcome.cost.backward);
    json.field("forward_passes", outcome.forward_passes).field("backward_passes", outcome.backward_passes);
    json.field("seconds", outcome.seconds).field("witnesses", outcome.witnesses);
    json.key("images").array();
    for (const AttackedImage& image : outcome.images) {
        json.array().value(image.id).value(image.label).value(image.clean).value(image.given);
        json.value(image.adversarial)
            .value(image.rounded)
            .value(image.given_loss)
            .value(image.adversarial_loss);
        json.value(image.distance.linf).value(image.distance.l2).value(image.distance.excess);
        json.value(image.unchanged).end();
    }
    json.end().end();
    write_file(path, json.text());
}

std::optional<AttackOutcome> read_outcome(const std::string& path) {
    std::string text;
    try {
        text = read_file(path, kMaxOutcomeBytes);
    } catch (const MissingFileError&) {
        return std::nullopt;
    }
    try {
        const Json json = Json::parse(text);
        AttackOutcome outcome;
        outcome.name = json.at("name").get<std::string>();
        for (const Json& option : json.at("options"))
            outcome.options.emplace_back(option.at(0).get<std::string>(), option.at(1).get<std::string>());
        outcome.threat.kind = static_cast<Threat::Kind>(json.at("kind").get<int>());
        outcome.threat.norm = static_cast<Norm>(json.at("norm").get<int>());
        outcome.threat.epsilon = json.at("epsilon").get<double>();
        outcome.cost = {json.at("cost_forward").get<int64_t>(), json.at("cost_backward").get<int64_t>()};
        outcome.forward_passes = json.at("forward_passes").get<int64_t>();
        outcome.backward_passes = json.at("backward_passes").get<int64_t>();
        outcome.seconds = json.at("seconds").get<double>();
        outcome.witnesses = json.at("witnesses").get<std::string>();
        for (const Json& row : json.at("images")) outcome.images.push_back(image_of(row));
        return outcome;
    } catch (const Json::exception& error) {
        throw FormatError(path, str("expected what an attack did, got ", error.what()),
                          "remove the file; the attack will be run again");
    }
}

}  // namespace microtome
