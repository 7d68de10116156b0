// What is made of a failure: a diagnosis, the smallest shapes that still fail, a command that shows it again.
#include "autograd/gradcheck/mutation.hpp"
#include "autograd/gradcheck/oracles.hpp"

#include <algorithm>
#include <chrono>
#include <map>

namespace microtome::gradcheck {
namespace {

constexpr int kTries = 80;               // of smaller shapes
constexpr double kSeconds = 2;           // for all of them
constexpr std::size_t kElements = 2000;  // of x, up to which wrong tensors are looked for

std::vector<Shape> shapes_of(const OpSample& sample) {
    std::vector<Shape> shapes;
    for (const Tensor& input : sample.inputs) shapes.push_back(input.shape());
    return shapes;
}

// Two failures are alike when both compared numbers, or when their texts begin alike.
bool alike(const Failure& a, const Failure& b) {
    if (a.where.empty() != b.where.empty()) return false;
    auto beginning = [](const Failure& failure) {
        return failure.text.substr(0, failure.text.find_first_of("0123456789"));
    };
    return !a.where.empty() || beginning(a) == beginning(b);
}

// Makes sizes smaller as long as the oracle fails in the same way: first all axes of one size together, since
// they mostly have to agree, then single ones.
class Shrinker {
  public:
    Shrinker(const OracleInfo& oracle, const OpInfo& op, const OpSample& sample, const Failure& failure,
             uint64_t seed)
        : oracle_(oracle),
          op_(op),
          sample_(sample),
          failure_(failure),
          seed_(seed),
          shapes_(shapes_of(sample)) {}

    std::vector<Shape> smallest() {
        while (step_together() || step_alone()) {
        }
        return shapes_;
    }

  private:
    bool fails(const std::vector<Shape>& shapes) {
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
        if (++tries_ > kTries || seconds > kSeconds) return false;
        try {
            const Row row = run_oracle(oracle_, op_, {{cut_to(sample_, shapes)}, {}, {}}, seed_);
            return !row.pass && alike(row.failures.at(0), failure_);
        } catch (const Error&) {
            return false;  // sizes that do not fit together
        }
    }

    bool accept(const std::vector<Shape>& shapes) {
        if (!fails(shapes)) return false;
        shapes_ = shapes;
        return true;
    }

    static std::vector<int64_t> smaller(int64_t size) {
        std::vector<int64_t> sizes{1};
        if (size / 2 > 1) sizes.push_back(size / 2);
        if (size - 1 > 1 && size - 1 != size / 2) sizes.push_back(size - 1);
        return sizes;
    }

    bool step_together() {
        std::vector<int64_t> sizes;
        for (const Shape& shape : shapes_)
            for (int64_t size : shape)
                if (size > 1) sizes.push_back(size);
        std::sort(sizes.begin(), sizes.end(), std::greater());
        sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
        for (int64_t size : sizes)
            for (int64_t less : smaller(size)) {
                std::vector<Shape> shapes = shapes_;
                for (Shape& shape : shapes)
                    for (int axis = 0; axis < shape.rank(); ++axis)
                        if (shape[axis] == size) shape = shape.with(axis, less);
                if (accept(shapes)) return true;
            }
        return false;
    }

    bool step_alone() {
        for (std::size_t i = 0; i < shapes_.size(); ++i)
            for (int axis = 0; axis < shapes_[i].rank(); ++axis) {
                if (shapes_[i][axis] < 2) continue;
                for (int64_t less : smaller(shapes_[i][axis])) {
                    std::vector<Shape> shapes = shapes_;
                    shapes[i] = shapes[i].with(axis, less);
                    if (accept(shapes)) return true;
                }
            }
        return false;
    }

    const OracleInfo& oracle_;
    const OpInfo& op_;
    const OpSample& sample_;
    const Failure& failure_;
    uint64_t seed_;
    std::vector<Shape> shapes_;
    int tries_ = 0;
    const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// "reads input 0 where it means input 1", if another saved tensor of the same shape sets a wrong gradient
// right.
std::string wrong_tensor(const OpInfo& op, const OpSample& sample, uint64_t seed) {
    const OpFunction function(op, sample);
    if (function.point().size() > kElements) return "";
    Random random(seed);
    Vector v(function.outputs());
    for (double& value : v) value = random.sign() * (0.5 + random.unit());
    const Gradient right = numeric_gradient([&](View x) { return function.forward(x); }, function.point(), v,
                                            options_for(function, seed));
    // Which variables have the right gradient.
    auto rights = [&](const OpInfo& some) {
        const Vector got = OpFunction(some, sample).vjp(function.point(), v);
        std::vector<bool> result;
        std::size_t i = 0;
        for (const Spec& spec : function.variable_specs()) {
            result.push_back(true);
            for (int64_t k = 0; k < spec.shape.elements(); ++k, ++i)
                if (!(std::abs(got[i] - right.value[i]) <= right.tolerance[i])) result.back() = false;
        }
        return result;
    };
    const std::vector<bool> before = rights(op);
    auto name = [](int number) {
        return number >= 0 ? str("input ", number) : str("output ", output_number(number));
    };
    for (const Mutation& mutation : mutations_of(op, {{sample}, {}, {}})) {
        if (mutation.kind != Mutation::Kind::saved) continue;
        const std::vector<bool> after = rights(MutantOp(op, mutation));
        for (std::size_t k = 0; k < before.size(); ++k)
            if (!before[k] && after[k])
                return str("the gradient of x", k, " is right once its vjp reads ", name(mutation.where),
                           " where it reads ", name(mutation.target),
                           ": the wrong tensor was saved, or read");
    }
    return "";
}

void diagnose(Failure& failure, const OpInfo& op, const OpSample& sample, uint64_t seed) {
    const OpFunction function(op, sample);
    Report report = first_order(function, seed);
    if (report.verdict == Verdict::fail) {
        failure.pattern = report.pattern;
        failure.diagnosis = report.diagnosis;
        failure.map = report.map;
        if (report.pattern == "scattered") {
            const std::string wrong = wrong_tensor(op, sample, seed);
            if (!wrong.empty()) failure.pattern = "wrong saved tensor", failure.diagnosis = wrong;
        }
    } else if (op.second_order != SecondOrder::none) {
        report = second_order(function, seed);
        if (report.verdict == Verdict::fail) {
            failure.pattern = "second order";
            failure.map = report.map;
            failure.diagnosis =
                str("the gradient is right, and wrong when differentiated again (second order): ",
                    report.diagnosis,
                    "; a part of the vjp that tapes do not see (stop_gradient, elements read directly)?");
        }
    }
    if (report.pass()) {
        failure.pattern = "unseen";
        failure.diagnosis =
            "finite differences find nothing wrong here: an error smaller than they can see, or a promise "
            "that is no matter of numbers";
    }
    if (failure.where.empty() && report.verdict == Verdict::fail && report.compared > 0) {
        failure.where = report.where;
        failure.analytic = report.worst.analytic;
        failure.numeric = report.worst.numeric;
        failure.tolerance = report.worst.tolerance;
    }
}

// Where the samples are.
Device device_of(const SampleSet& set) {
    for (const OpSample& sample : set.samples)
        for (const Tensor& input : sample.inputs)
            if (input.defined() && !(input.device() == kCpu)) return input.device();
    return kCpu;
}

std::string command(const OracleInfo& oracle, const OpInfo& op, const Failure& failure, uint64_t seed,
                    Device device) {
    const std::vector<const OpInfo*>& listed = all_ops();
    const MutantOp* mutant = as_mutant(op);
    const bool is_listed =
        std::find(listed.begin(), listed.end(), mutant ? &mutant->original() : &op) != listed.end();
    const std::string sample = failure.sample == "all" ? "" : failure.sample;
    if (!is_listed)
        return str("check_op(op, {.oracle = \"", oracle.name, "\"",
                   sample.empty() ? "" : str(", .sample = \"", sample, "\""),
                   failure.smallest.empty() ? "" : str(", .shapes = \"", failure.smallest, "\""),
                   device == kCpu ? "" : str(", .device = parse_device(\"", device, "\")"),
                   seed == 1 ? "" : str(", .seed = ", seed), "})");
    return str("microtome gradcheck --op ", op.name,
               mutant ? str(" --plant \"", describe(mutant->mutation()), "\"") : "", " --oracle \"",
               oracle.name, "\"", sample.empty() ? "" : str(" --sample \"", sample, "\""),
               failure.smallest.empty() ? "" : str(" --shape \"", failure.smallest, "\""),
               device == kCpu ? "" : str(" --device ", device), seed == 1 ? "" : str(" --seed ", seed));
}

}  // namespace

void explain_failures(Row& row, const OracleInfo& oracle, const OpInfo& op, const SampleSet& set,
                      uint64_t seed) {
    for (Failure& failure : row.failures) {
        const auto sample = std::find_if(set.samples.begin(), set.samples.end(),
                                         [&](const OpSample& one) { return one.name == failure.sample; });
        if (sample != set.samples.end()) {
            failure.inputs = shapes_text(shapes_of(*sample));
            const Failure found = failure;
            try {
                if (oracle.judges_gradients) diagnose(failure, op, *sample, seed);
            } catch (const std::exception&) {  // its text says what it failed with
            }
            const std::vector<Shape> smallest = Shrinker(oracle, op, *sample, found, seed).smallest();
            if (smallest != shapes_of(*sample)) failure.smallest = shapes_text(smallest);
        }
        failure.again = command(oracle, op, failure, seed, device_of(set));
    }
}

OpSample cut_to(const OpSample& sample, const std::vector<Shape>& shapes) {
    if (shapes.size() != sample.inputs.size())
        throw ShapeError("gradcheck", str("expected ", sample.inputs.size(), " shapes, got ", shapes.size()));
    OpSample result = sample;
    std::map<uint64_t, Tensor> done;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        Tensor& input = result.inputs[i];
        const Shape whole = input.shape(), &part = shapes[i];
        bool fits = part.rank() == whole.rank();
        for (int axis = 0; fits && axis < part.rank(); ++axis) fits = part[axis] <= whole[axis];
        if (!fits) throw ShapeError("gradcheck", str("expected a shape within ", whole, ", got ", part));
        Tensor& copy = done[input.id()];
        if (!copy.defined()) {
            copy = Tensor(Spec{part, input.dtype(), kCpu});
            visit_dtype(input.dtype(), [&]<class T>() {
                auto from = input.data<T>();
                auto to = copy.mutable_data<T>();
                for (int64_t k = 0; k < part.elements(); ++k) {
                    int64_t rest = k, source = 0, stride = 1;
                    for (int axis = part.rank(); axis-- > 0; rest /= part[axis], stride *= whole[axis])
                        source += rest % part[axis] * stride;
                    to[static_cast<std::size_t>(k)] = from[static_cast<std::size_t>(source)];
                }
            });
        }
        if (!(copy.shape() == part))
            throw ShapeError("gradcheck",
                             str("expected one shape for one tensor, got ", copy.shape(), " and ", part));
        input = copy;
    }
    return result;
}

std::string shapes_text(const std::vector<Shape>& shapes) {
    std::string text;
    for (const Shape& shape : shapes) text += str(text.empty() ? "" : ",", shape);
    return text;
}

std::vector<Shape> parse_shapes(const std::string& text) {
    std::vector<Shape> shapes;
    std::vector<int64_t> sizes;
    std::string digits;
    bool inside = false, well = true;
    auto take = [&] {
        well = well && !digits.empty() && digits.size() < 10;
        if (well) sizes.push_back(std::stoll(digits));
        digits.clear();
    };
    for (char c : text) {
        if (c >= '0' && c <= '9' && inside) {
            digits += c;
        } else if (c == '(' && !inside) {
            inside = true;
        } else if (c == ')' && inside) {
            if (!digits.empty() || !sizes.empty()) take();
            if (well && sizes.size() <= Shape::kMaxRank) shapes.emplace_back(std::span<const int64_t>(sizes));
            sizes.clear();
            inside = false;
        } else if (c == ',' && inside) {
            take();
        } else if (c != ' ' && !(c == ',' && !inside)) {
            well = false;
        }
        if (!well) break;
    }
    if (!well || inside || shapes.empty())
        throw OptionsError("gradcheck", str("expected shapes like (4,5),(5), got '", text, "'"));
    return shapes;
}

}  // namespace microtome::gradcheck
