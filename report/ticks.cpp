#include "report/ticks.hpp"

#include "report/format.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::report {
namespace {

constexpr double kLevels = 255;

// 1, 2 or 5 times a power of ten: the one nearest to x by ratio.
double nice(double x) {
    double power = std::pow(10.0, std::floor(std::log10(x)));
    double digit = x / power;
    return (digit < 1.5 ? 1 : digit < 3 ? 2 : digit < 7 ? 5 : 10) * power;
}

// 2e12, for what would be long in full.
std::string power_text(double x) {
    if (x == 0) return "0";
    double power = std::floor(std::log10(std::abs(x)) + 1e-9);
    std::string digits = fixed_text(x / std::pow(10.0, power), 3);
    while (digits.back() == '0') digits.pop_back();
    if (digits.back() == '.') digits.pop_back();
    return digits + "e" + fixed_text(power, 0);
}

}  // namespace

std::vector<Tick> nice_ticks(double low, double high, int wanted, bool within, double least) {
    if (!std::isfinite(low) || !std::isfinite(high)) low = 0, high = 1;
    if (low > high) std::swap(low, high);
    double apart = std::max({std::abs(low), std::abs(high), 1e-300}) * 1e-9;
    if (high - low < apart) {
        double half = std::abs(low) < 1e6 ? .5 : std::abs(low) / 2;
        low -= half, high += half;
    }

    double step = std::max(nice((high - low) / std::max(wanted - 1, 1)), least);
    // Bounds that miss a tick by rounding alone are on it.
    double first = within ? std::ceil(low / step - 1e-9) : std::floor(low / step + 1e-9);
    double last = within ? std::floor(high / step + 1e-9) : std::ceil(high / step - 1e-9);
    int decimals = std::max(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0);
    bool plain = decimals <= 6 && std::max(std::abs(low), std::abs(high)) < 1e7;
    std::vector<Tick> ticks;
    for (double k = first; k <= last && ticks.size() < 100; ++k)
        ticks.push_back({k * step, plain ? fixed_text(k * step, decimals) : power_text(k * step)});
    return ticks;
}

std::vector<Tick> share_ticks(bool few) {
    if (few) return {{0, "0"}, {.5, ".5"}, {1, "1"}};
    return {{0, "0"}, {.2, ".2"}, {.4, ".4"}, {.6, ".6"}, {.8, ".8"}, {1, "1"}};
}

EpsilonAxis EpsilonAxis::over(const std::vector<double>& epsilons) {
    double least = INFINITY, most = 0;
    for (double epsilon : epsilons) {
        if (!(epsilon > 0) || !std::isfinite(epsilon)) continue;
        least = std::min(least, epsilon);
        most = std::max(most, epsilon);
    }
    EpsilonAxis axis;
    if (most == 0) return axis;
    // A hair's breadth is for 1/255 that came as 0.0039.
    axis.first = std::clamp(static_cast<int>(std::floor(std::log2(least * kLevels) + .02)), -8, 7);
    axis.last = std::clamp(static_cast<int>(std::ceil(std::log2(most * kLevels) - .02)), axis.first + 1, 8);
    return axis;
}

double EpsilonAxis::position(double epsilon) const {
    double doublings = std::log2(std::max(epsilon, 1e-300) * kLevels) - first;
    return doublings >= 0 ? doublings + 1 : epsilon * kLevels / std::exp2(first);
}

std::vector<Tick> EpsilonAxis::ticks() const {
    std::vector<Tick> ticks{{0, "0"}};
    for (int power = first; power <= last; ++power) {
        auto whole = static_cast<int64_t>(std::exp2(std::abs(power)));
        std::string label = (power < 0 ? "1/" : "") + std::to_string(whole);
        ticks.push_back({std::exp2(power) / kLevels, label});
    }
    return ticks;
}

}  // namespace microtome::report
