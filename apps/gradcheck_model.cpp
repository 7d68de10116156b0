#include "apps/gradcheck_model.hpp"

#include "apps/command.hpp"
#include "apps/evaluation_images.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "base/json_writer.hpp"
#include "base/progress.hpp"
#include "evaluation/gradient_audit.hpp"

#include <cstdio>
#include <optional>

namespace microtome::apps {
namespace {

std::string json_of(const GradientAudit& audit, const GradcheckModelOptions& options) {
    JsonWriter json(JsonWriter::Layout::pretty);
    json.object().field("model", options.model).field("data", options.data);
    json.field("verdict", gradcheck::name_of(audit.verdict())).field("text", audit.text());
    json.field("tolerance", kAuditTolerance).field("seconds", audit.seconds).key("places").array();
    for (const AuditedPoint& point : audit.points) {
        json.object().field("image", point.id).field("step", point.step);
        json.field("verdict", gradcheck::name_of(point.verdict())).field("text", point.text());
        json.field("worst_relative_error", point.worst().relative_error).field("f32_error", point.f32_error);
        json.field("f32_bound", point.f32_bound).field("sign_agreement", point.sign_agreement);
        json.field("signs_looked_at", point.signs_looked_at).field("same_branches", point.same_branches);
        json.key("directions").array();
        for (const AuditedPoint::Direction& direction : point.directions)
            json.object()
                .field("direction", direction.name)
                .field("analytic", direction.analytic)
                .field("exact", direction.exact)
                .field("relative_error", direction.relative_error)
                .end();
        json.end().end();
    }
    json.end().end();
    return json.text() + "\n";
}

}  // namespace

GradientAudit audit_model(const GradcheckModelOptions& options) {
    if (options.images < 1 || options.steps < 1)
        throw OptionsError("gradcheck", str("expected 1 image and 1 step or more, got ", options.images,
                                            " and ", options.steps));
    LoadedModel loaded = load_model(options.model);
    const EvaluationImages chosen =
        choose_images(options.data, options.model, loaded.card, options.images, options.seed);
    const std::unique_ptr<Loader> loader = load_images(chosen, chosen.images, loaded.card, options.images);
    loader->start(0);
    const std::optional<Batch> batch = loader->next();
    if (!batch) throw FormatError(options.data, "expected images, got none");

    const GradientAudit audit =
        audit_gradients(*loaded.model, loaded.card.options, *batch,
                        {.attack = {.epsilon = options.epsilon, .steps = options.steps, .seed = options.seed},
                         .device = options.device,
                         .progress = ProgressOptions::detect(options.quiet)});
    if (!options.quiet) {
        std::printf("gradients of %s on %s, where pgd with epsilon %.4g goes in %lld steps\n",
                    options.model.c_str(), chosen.which.c_str(), options.epsilon,
                    static_cast<long long>(options.steps));
        for (const AuditedPoint& point : audit.points)
            std::printf("    image %-6lld step %-3lld f64 %.1e   f32 %.1e of %.1e   signs %7.3f %%   %s\n",
                        static_cast<long long>(point.id), static_cast<long long>(point.step),
                        point.worst().relative_error, point.f32_error, point.f32_bound,
                        100 * point.sign_agreement, gradcheck::name_of(point.verdict()));
    }
    std::printf("%s (%.1f s)\n", audit.text().c_str(), audit.seconds);
    std::fflush(stdout);
    return audit;
}

int check_model_gradients(const GradcheckModelOptions& options) {
    std::optional<AtomicFile> file;  // opened first, so that a wrong path is found out before the work
    if (!options.json.empty()) file.emplace(options.json);
    InterruptGuard guard;
    const GradientAudit audit = audit_model(options);
    if (file) {
        file->write(json_of(audit, options));
        file->commit();
    }
    return audit.verdict() == gradcheck::Verdict::pass ? kDone : kCheckFailed;
}

}  // namespace microtome::apps
