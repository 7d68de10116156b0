#include "nn/ensemble.hpp"

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/suggest.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

// The members' log-probabilities for one image, and the logarithm of their mean.
struct Opinions {
    std::vector<std::vector<double>> log_p;  // [member][class]
    std::vector<double> log_mean;            // [class]
};

double log_of_sum(const double* begin, int64_t n, int64_t stride) {
    double most = begin[0], sum = 0;
    for (int64_t i = 1; i < n; ++i) most = std::max(most, begin[i * stride]);
    for (int64_t i = 0; i < n; ++i) sum += math::exp(begin[i * stride] - most);
    return most + math::log(sum);
}

Opinions opinions_of(const std::vector<Tensor>& logits, int64_t image) {
    const int64_t classes = logits.front().size(1), members = static_cast<int64_t>(logits.size());
    std::vector<double> all(static_cast<std::size_t>(members * classes));
    for (int64_t k = 0; k < members; ++k) {
        const float* z = logits[k].data<float>().data() + image * classes;
        double* row = all.data() + k * classes;
        std::copy_n(z, classes, row);
        const double total = log_of_sum(row, classes, 1);
        for (int64_t c = 0; c < classes; ++c) row[c] -= total;
    }
    Opinions result;
    for (int64_t k = 0; k < members; ++k)
        result.log_p.emplace_back(all.begin() + k * classes, all.begin() + (k + 1) * classes);
    for (int64_t c = 0; c < classes; ++c)
        result.log_mean.push_back(log_of_sum(all.data() + c, members, classes) -
                                  math::log(static_cast<double>(members)));
    return result;
}

}  // namespace

std::vector<std::string> voting_names() {
    return {"mean-probability", "mean-logit", "vote"};
}

std::string_view name_of(Voting voting) {
    switch (voting) {
        case Voting::mean_probability: return "mean-probability";
        case Voting::mean_logit: return "mean-logit";
        case Voting::vote: break;
    }
    return "vote";
}

Voting voting_named(std::string_view name) {
    for (Voting voting : {Voting::mean_probability, Voting::mean_logit, Voting::vote})
        if (name == name_of(voting)) return voting;
    const std::string meant = closest_name(std::string(name), voting_names());
    throw OptionsError("ensemble", str("expected mean-probability, mean-logit or vote, got '", name, "'"),
                       meant.empty() ? "" : str("did you mean ", meant, "?"));
}

std::string_view gradient_of(Voting voting) {
    return voting == Voting::vote
               ? "substitute: of the mean probability, in place of that of votes, which is 0"
               : "exact";
}

Ensemble::Ensemble(std::vector<std::unique_ptr<Classifier>> members, Voting voting)
    : members_(std::move(members)), voting_(voting) {
    if (members_.empty()) throw OptionsError("ensemble", "expected members, got none");
    const Classifier& first = *members_.front();
    for (const auto& member : members_) {
        if (member->classes() != first.classes())
            throw OptionsError("ensemble", str("expected members of one number of classes, got ",
                                               first.classes(), " and ", member->classes()));
        const ImageOptions &a = image(), &b = member->image();
        if (a.channels != b.channels || (!b.resize && (a.height != b.height || a.width != b.width)))
            throw OptionsError(
                "ensemble", str("expected members that take the same images, got ", a.height, " x ", a.width,
                                " x ", a.channels, " and ", b.height, " x ", b.width, " x ", b.channels));
    }
}

Device Ensemble::device() const {
    const Device first = members_.front()->device();
    for (const auto& member : members_)
        if (!(member->device() == first)) return kCpu;
    return first;
}

const ImageOptions& Ensemble::image() const {
    for (const auto& member : members_)
        if (!member->image().resize) return member->image();
    return members_.front()->image();
}

std::optional<uint64_t> Ensemble::fingerprint() const {
    uint64_t hash = hash_bytes(name_of(voting_));
    for (const auto& member : members_) {
        const std::optional<uint64_t> one = member->fingerprint();
        if (!one) return std::nullopt;
        hash = hash_bytes(hex(*one), hash);
    }
    return hash;
}

int64_t Ensemble::suggested_batch(const Spec& images) {
    int64_t least = images.shape[0];
    for (const auto& member : members_) least = std::min(least, member->suggested_batch(images));
    return least;
}

Tensor Ensemble::run(const Batch& batch, const Query& query) {
    logits_.clear();
    for (const auto& member : members_) logits_.push_back(member->logits(batch, query).to(kCpu));
    const int64_t images = logits_.front().size(0), classes = this->classes();
    const auto members = static_cast<double>(size());
    Tensor result(logits_.front().spec());
    std::span<float> y = result.mutable_data<float>();
    for (int64_t i = 0; i < images; ++i) {
        if (voting_ == Voting::mean_logit) {
            for (int64_t c = 0; c < classes; ++c) {
                double sum = 0;
                for (const Tensor& z : logits_) sum += z.data<float>()[i * classes + c];
                y[i * classes + c] = static_cast<float>(sum / members);
            }
            continue;
        }
        const Opinions opinions = opinions_of(logits_, i);
        std::vector<double> answer = opinions.log_mean;
        if (voting_ == Voting::vote) {
            std::vector<double> votes(answer.size(), 0);
            for (const std::vector<double>& one : opinions.log_p)
                ++votes[std::max_element(one.begin(), one.end()) - one.begin()];
            for (int64_t c = 0; c < classes; ++c)
                // exp() of what is very improbable is 0; its logarithm must stay a number.
                answer[c] = math::log(std::max((votes[c] + math::exp(answer[c])) / (members + 1), 1e-30));
        }
        for (int64_t c = 0; c < classes; ++c) y[i * classes + c] = static_cast<float>(answer[c]);
    }
    return result.to(batch.images.device());
}

// With r_kc = p_kc / sum over k of p_kc: dy_c / dz_kj = r_kc ([c = j] - p_kj).
Tensor Ensemble::pull(const Tensor& dlogits) {
    const int64_t images = dlogits.size(0), classes = dlogits.size(1);
    const auto members = static_cast<double>(size());
    std::vector<Tensor> by_member;
    for (std::size_t k = 0; k < members_.size(); ++k) by_member.emplace_back(logits_.front().spec());
    const Tensor here = dlogits.to(kCpu);
    const std::span<const float> g = here.data<float>();
    for (int64_t i = 0; i < images; ++i) {
        const Opinions opinions = voting_ == Voting::mean_logit ? Opinions{} : opinions_of(logits_, i);
        for (std::size_t k = 0; k < members_.size(); ++k) {
            std::span<float> dz = by_member[k].mutable_data<float>().subspan(i * classes, classes);
            const std::span<const float> dy = g.subspan(i * classes, classes);
            if (voting_ == Voting::mean_logit) {
                for (int64_t c = 0; c < classes; ++c) dz[c] = static_cast<float>(dy[c] / members);
                continue;
            }
            const std::vector<double>& log_p = opinions.log_p[k];
            std::vector<double> shares(log_p.size());
            double sum = 0;
            for (int64_t c = 0; c < classes; ++c) {
                shares[c] = dy[c] * math::exp(log_p[c] - opinions.log_mean[c]) / members;
                sum += shares[c];
            }
            for (int64_t c = 0; c < classes; ++c)
                dz[c] = static_cast<float>(shares[c] - math::exp(log_p[c]) * sum);
        }
    }
    Tensor total = members_.front()->vjp(by_member.front().to(dlogits.device()));
    for (std::size_t k = 1; k < members_.size(); ++k) {
        const Tensor more = members_[k]->vjp(by_member[k].to(dlogits.device()));
        kernels::binary(kernels::Binary::add, total, more, total);
    }
    return total;
}

}  // namespace microtome
