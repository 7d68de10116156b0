// A graph whose steps are being replaced: what passes that fuse share.
#pragma once

#include "autograd/op_list.hpp"
#include "autograd/plan/graph.hpp"

#include <utility>
#include <vector>

namespace microtome::plan {

template <class A>
const A& attributes_of(const Step& step) {
    return *static_cast<const A*>(step.attributes.get());
}

// Who makes and who reads each value, while steps are being replaced. A pass marks what it has absorbed.
class Rewriter {
  public:
    explicit Rewriter(Graph& graph)
        : graph_(graph),
          maker_(graph.values.size(), -1),
          readers_(graph.values.size()),
          absorbed_(graph.steps.size(), 0) {
        for (std::size_t s = 0; s < graph.steps.size(); ++s) {
            for (int v : graph.steps[s].inputs) readers_[v].push_back(static_cast<int>(s));
            for (int v : graph.steps[s].outputs) maker_[v] = static_cast<int>(s);
        }
        for (int v : graph.results) readers_[v].push_back(kCaller);
    }

    Step& step(int s) { return graph_.steps[s]; }
    bool is(int s, const OpInfo& op) const { return s >= 0 && !absorbed_[s] && graph_.steps[s].op == &op; }
    int maker(int v) const { return v < static_cast<int>(maker_.size()) ? maker_[v] : -1; }
    bool is_read(int v) const { return !readers_of(v).empty(); }

    // The step that reads v and that nobody else does, in the same phase as `s`; -1: there is none. Reshapes
    // on the way are followed, and noted in `passed`.
    int only_reader(int v, int s, std::vector<int>* passed = nullptr) const {
        while (true) {
            if (readers_[v].size() != 1 || readers_[v][0] == kCaller) return -1;
            const int reader = readers_[v][0];
            if (graph_.steps[reader].phase != graph_.steps[s].phase || absorbed_[reader]) return -1;
            if (passed == nullptr || graph_.steps[reader].op != &op_info<op::Reshape>()) return reader;
            passed->push_back(reader);
            v = graph_.steps[reader].outputs[0];
        }
    }

    // The one reader of v, in whatever phase; -1: there is none.
    int single_reader(int v) const { return readers_of(v).size() == 1 ? readers_of(v)[0] : kCaller; }

    void absorb(int s) { absorbed_[s] = 1; }
    // Puts `fused` where step s was.
    void replace(int s, Step fused) {
        graph_.steps[s] = std::move(fused);
        absorbed_[s] = 0;
    }
    ~Rewriter() {
        std::vector<Step> left;
        for (std::size_t s = 0; s < graph_.steps.size(); ++s)
            if (!absorbed_[s]) left.push_back(std::move(graph_.steps[s]));
        graph_.steps = std::move(left);
    }

  private:
    static constexpr int kCaller = -1;
    // None for a value that a pass has added, and for no value (-1).
    const std::vector<int>& readers_of(int v) const {
        static const std::vector<int> nobody;
        return v >= 0 && v < static_cast<int>(readers_.size()) ? readers_[v] : nobody;
    }

    Graph& graph_;
    std::vector<int> maker_;
    std::vector<std::vector<int>> readers_;
    std::vector<char> absorbed_;
};

}  // namespace microtome::plan
