// The lung and colon study's attacks as its notebooks ran them, mistakes included, for comparison with what
// the same attacks do to a model that is fed as it was trained. Nothing here is used by any other evaluation.
//
// The network divides images by 255 itself; the notebooks hand it images that were divided already, so it
// looks at values in [0, 1/255] and answers with one class whatever they show. What was reported as accuracy
// under attack is the share of that class. The universal perturbation's images were even divided twice before
// they reached it.
#pragma once

#include "attacks/attack.hpp"
#include "evaluation/rails.hpp"
#include "studies/stages.hpp"

#include <string>
#include <vector>

namespace microtome {

// A classifier that divides by 255 once more than it should.
class TwiceScaled : public Classifier {
  public:
    explicit TwiceScaled(Classifier& inner) : inner_(inner) {}
    int64_t classes() const override { return inner_.classes(); }
    const ImageOptions& image() const override { return inner_.image(); }

  private:
    Tensor run(const Batch& batch, const Query& query) override;
    Tensor pull(const Tensor& dlogits) override;
    Classifier& inner_;
};

// Images of a source, divided by 255 once more.
class TwiceScaledBatches : public BatchSource {
  public:
    explicit TwiceScaledBatches(BatchSource& inner) : inner_(inner) {}
    void start(int64_t epoch) override { inner_.start(epoch); }
    std::optional<Batch> next() override;
    int64_t images() const override { return inner_.images(); }
    int64_t batches() const override { return inner_.batches(); }

  private:
    BatchSource& inner_;
};

// An attack made and judged at the far end of the second division: it is given the images that the network
// saw, x / 255, attacks 255 times them through TwiceScaled, and returns what the network saw then.
class NotebookAttack : public Attack {
  public:
    NotebookAttack(std::string name, const Attack& inner) : name_(std::move(name)), inner_(inner) {}
    std::string_view name() const override { return name_; }
    AttackOptions options() const override;
    Threat threat() const override;
    Passes cost() const override { return inner_.cost(); }
    Tensor run(Classifier& classifier, const Batch& batch) const override;

  private:
    std::string name_;
    const Attack& inner_;
};

// One published figure: as the report states it, as the notebook printed it, as we find it with the mistake
// kept, and without.
struct NotebookComparison {
    std::string quantity, published, notebook;
    Share reproduced, corrected;
    std::string cause;
};

struct NotebookFindings {
    std::vector<NotebookComparison> comparisons;
    std::vector<Rail> rails;          // with the mistakes: here of the images scaled twice, V1 and V2 fail
    std::vector<Rail> healthy_rails;  // without
    std::string note{};               // for the table of comparisons
};

// The three attacks on the test images, by the same weights, fed once and fed twice. Nothing when
// interrupted.
std::optional<NotebookFindings> notebook_stage(const StudyRun& run, Classifier& classifier);

}  // namespace microtome
