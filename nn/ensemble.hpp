// Several classifiers that answer as one.
//
//     std::vector<std::unique_ptr<Classifier>> members = ...;
//     Ensemble ensemble(std::move(members), Voting::mean_probability);
//     pgd.run(ensemble, batch);                       // goes through all members at once
#pragma once

#include "nn/classifier.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace microtome {

// How K members' logits z_k, with probabilities p_k = softmax(z_k), become one answer y:
//
//     mean-probability   y = log(mean over k of p_k), so that softmax(y) is the mean: soft voting
//     mean-logit         y = mean over k of z_k
//     vote               y = log((votes + mean over k of p_k) / (K + 1)): hard voting. Each member has one
//                        vote; the mean probability is below 1 and decides ties only
//
// The gradient of the first two is exact. That of votes is 0 almost everywhere and leads nowhere; in its
// place vote has that of mean-probability, a substitute: an attack that fails by it may succeed by another.
enum class Voting { mean_probability, mean_logit, vote };
std::vector<std::string> voting_names();
std::string_view name_of(Voting voting);
// Throws OptionsError, with the name that was meant.
Voting voting_named(std::string_view name);
// For records: "exact", or what stands in for it.
std::string_view gradient_of(Voting voting);

// One pass of the ensemble is one of each member; what is counted are the ensemble's own. Members on one GPU
// are asked and pulled there; what is put together on the CPU are their logits.
class Ensemble : public Classifier {
  public:
    // Throws OptionsError for no members, and for members of other numbers of classes, or that take images
    // of other channels or, where one does not resize, other sizes.
    Ensemble(std::vector<std::unique_ptr<Classifier>> members, Voting voting);

    int64_t classes() const override { return members_.front()->classes(); }
    Device device() const override;              // that of all members, else the CPU
    const ImageOptions& image() const override;  // of a member that does not resize, if there is one
    std::optional<uint64_t> fingerprint() const override;
    std::string_view mode() const override { return members_.front()->mode(); }
    int64_t suggested_batch(const Spec& images) override;
    Voting voting() const { return voting_; }
    int64_t size() const { return static_cast<int64_t>(members_.size()); }

  private:
    Tensor run(const Batch& batch, const Query& query) override;
    Tensor pull(const Tensor& dlogits) override;

    std::vector<std::unique_ptr<Classifier>> members_;
    Voting voting_;
    std::vector<Tensor> logits_;  // the members' last, on the CPU
};

}  // namespace microtome
