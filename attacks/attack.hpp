// An attack: images in, adversarial images out, by the answers of a Classifier.
//
//     Pgd attack({.norm = Norm::linf, .epsilon = 2.0 / 255, .steps = 20, .restarts = 2});
//     Tensor adversarial = attack.run(classifier, batch);
//
// Images are in [0, 1] and epsilon is in the same units. What an attack returns lies in its threat model: in
// the box and no farther than epsilon from the image it came from, for the real numbers, not up to an ulp.
// What it draws at random depends on its seed and the image's id, never on the batch. Whether an image is
// fooled is not for the attack to say: evaluation/ asks the classifier again about what came back.
#pragma once

#include "nn/classifier.hpp"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microtome {

enum class Norm { linf, l2 };

// Around each image, what an attack may return.
struct Threat {
    enum class Kind {
        ball,   // |x' - x| <= epsilon in the norm
        noise,  // no bound on the distance, as for Gaussian noise
        patch,  // any value, but only where the patch lies; epsilon is the most a value may change by
    };
    Kind kind = Kind::ball;
    Norm norm = Norm::linf;
    double epsilon = 0;
};

// What an attack was told, whole and in order, as its results print it: {"epsilon", "8/255 (0.031373)"}.
using AttackOptions = std::vector<std::pair<std::string, std::string>>;

// At most, for one image.
struct Passes {
    int64_t forward = 0, backward = 0;
};

// What happened in one step of an attack that goes by gradients, for the images that took part in it.
struct AttackStep {
    int64_t restart = 0, step = 0;  // from 0
    std::span<const int64_t> ids{};
    // An element per image, where the step began.
    std::span<const float> loss{};           // what the attack raises
    std::span<const float> margin{};         // z_y - max over j != y of z_j: negative where fooled
    std::span<const float> gradient_norm{};  // Euclidean
    std::span<const float> zero_gradient{};  // share of values with a gradient of exactly 0: sign steps leave
                                             // them where they are
    // And where it ended: shares of values that a bound kept from their full step.
    std::span<const float> stopped_by_epsilon{}, stopped_by_box{};
};

class AttackObserver {
  public:
    virtual ~AttackObserver() = default;
    virtual void step(const AttackStep& step) = 0;
};

class Attack {
  public:
    virtual ~Attack() = default;

    virtual std::string_view name() const = 0;  // "pgd": as on the command line and in results
    virtual AttackOptions options() const = 0;
    virtual Threat threat() const = 0;
    virtual Passes cost() const = 0;

    // Adversarial images for batch.images, in their shape, f32. batch.targets are the true classes, i64 (N).
    // The batch is on the CPU, or where takes_images_on() says, and what comes back is where it was.
    // Throws ShapeError, DtypeError for a batch that is not so; OptionsError for images outside [0, 1] and
    // for options that the classifier's classes do not allow.
    virtual Tensor run(Classifier& classifier, const Batch& batch) const = 0;

    // Whether the batch may be on that device, the classifier's, which saves copies.
    virtual bool takes_images_on(Device device) const { return device == kCpu; }

    // Tells `observer` of every step from now on; nullptr: nobody. It must outlive the attack's runs. Attacks
    // without gradient steps have nothing to tell. No result depends on it.
    void observe(AttackObserver* observer) { observer_ = observer; }

  protected:
    AttackObserver* observer_ = nullptr;
};

// Throws what run() throws for a batch that cannot be attacked, in the name of `attack`.
void require_attackable(std::string_view attack, const Classifier& classifier, const Batch& batch);

}  // namespace microtome
