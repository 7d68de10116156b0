// Is the gradient of a hand-written layer right? y = tanh(w x), asked of the checker's one header
#include <cmath>
#include <iostream>
#include <microtome/gradcheck.hpp>
using namespace microtome::gradcheck;

int main(int arguments, char**) {
    const double slip = arguments > 1 ? 2 : 1;  // any argument plants a mistake
    auto layer = [](View p) {
        return Vector{std::tanh(p[2] * p[0] + p[3] * p[1]), std::tanh(p[4] * p[0] + p[5] * p[1])};
    };
    auto vjp = [&](View p, View v) {
        const Vector y = layer(p);
        const double a = v[0] * (1 - y[0] * y[0]), b = v[1] * (1 - y[1] * y[1]);
        return Vector{a * p[2] + b * p[4], a * p[3] + b * p[5], slip * a * p[0],
                      slip * a * p[1],     slip * b * p[0],     slip * b * p[1]};
    };
    Options options;
    options.inputs = {{"x", {2}}, {"w", {2, 2}}};
    const Report report = check(layer, vjp, Vector{0.4, -0.7, 0.3, 0.9, -0.5, 0.2}, options);
    std::cout << explain(report);
    return report.pass() ? 0 : 1;
}
