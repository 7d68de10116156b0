// Images that were made against one model, shown to another: what a static set of adversarial images
// measures.
#pragma once

#include "attacks/attack.hpp"

#include <memory>

namespace microtome {

// Runs the attack against `source`, whatever classifier it is given. It costs that one nothing.
class Transferred : public Attack {
  public:
    // source must outlive it; `made_against` is what options() call it.
    Transferred(std::unique_ptr<Attack> attack, Classifier& source, std::string made_against)
        : attack_(std::move(attack)),
          source_(source),
          made_against_(std::move(made_against)),
          name_("static-" + std::string(attack_->name())) {}

    std::string_view name() const override { return name_; }
    AttackOptions options() const override {
        AttackOptions options = attack_->options();
        options.emplace_back("made against", made_against_);
        return options;
    }
    Threat threat() const override { return attack_->threat(); }
    Passes cost() const override { return {}; }
    Tensor run(Classifier&, const Batch& batch) const override { return attack_->run(source_, batch); }

  private:
    std::unique_ptr<Attack> attack_;
    Classifier& source_;
    std::string made_against_, name_;
};

}  // namespace microtome
