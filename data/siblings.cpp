#include "data/siblings.hpp"

#include "tensor/kernels/context.hpp"
#include "tensor/kernels/matmul.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

namespace microtome {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kSide = 128;  // pixels of the square that is compared
constexpr double kMiddle = (kSide - 1) / 2.0;
constexpr double kRadius = 62;           // of the disc
constexpr double kPlain = 0.5;           // grey levels of detail, root mean square
constexpr int kBlack = 24;               // a pixel whose channels are all below shows nothing
constexpr float kSeen = 0.98f;           // share of its surroundings that a pixel needs to count
constexpr double kSmallestField = 4000;  // pixels of the disc, a third, that must show something
constexpr float kUnit = 24;              // of Fingerprint::detail: 24 is the root mean square

constexpr int kRings = 62;
constexpr double kRingStep = 0.0375;  // of the logarithm of the radius
constexpr int kAngles = 128;
constexpr int kOrders = 25;  // 0 to 24 periods round the ring
constexpr int kRingFloats = 2 * kOrders;

// Augmentor's rectangles have not quite the proportions of the image, so that what it turned is also
// stretched, the more the further it was turned. An image is looked at as it is, and as it would be if
// its height had been stretched so much more than its width by a turn of some 12 or 21 degrees.
constexpr std::array<double, 3> kStretches{1, 1.12, 1.28};
constexpr int kViews = static_cast<int>(kStretches.size());

// Stage 1 takes rings in pairs, called bands. A view of the first image is laid over a view of the second at
// these shifts, in bands: a wide range of zooms as the images are, and what turns of so much bring about.
constexpr int kBands = kRings / 2;
constexpr int kBandOrders = 16;  // from 1: order 0 would be shade
struct ViewPair {
    int first, second, low, high;
};
constexpr std::array<ViewPair, 9> kViewPairs{{{0, 0, -4, 4},
                                              {1, 1, -3, 3},
                                              {2, 2, -3, 3},
                                              {0, 1, 1, 7},
                                              {1, 0, -7, -1},
                                              {0, 2, 6, 12},
                                              {2, 0, -12, -6},
                                              {1, 2, 1, 9},
                                              {2, 1, -9, -1}}};
constexpr int64_t kBlock = 256;  // images at a time

constexpr double kWorthAligning = 0.4;  // correlation after stage 2

using Plane = std::vector<float>;  // kSide x kSide

const std::array<double, kRings>& ring_radii() {
    static const std::array<double, kRings> radii = [] {
        std::array<double, kRings> result;
        for (int i = 0; i < kRings; ++i) result[i] = kRadius * math::exp((i + 1 - kRings) * kRingStep);
        return result;
    }();
    return radii;
}

struct Turn {
    float cosine, sine;
};
const std::array<Turn, kAngles>& turns() {
    static const std::array<Turn, kAngles> table = [] {
        std::array<Turn, kAngles> result;
        for (int i = 0; i < kAngles; ++i)
            result[i] = {static_cast<float>(math::cos(2 * kPi * i / kAngles)),
                         static_cast<float>(math::sin(2 * kPi * i / kAngles))};
        return result;
    }();
    return table;
}

// Real and imaginary part of e^(-i order angle), by angle and order.
using Waves = std::array<std::array<float, kRingFloats>, kAngles>;
const Waves& waves() {
    static const Waves table = [] {
        Waves result;
        for (int a = 0; a < kAngles; ++a)
            for (int order = 0; order < kOrders; ++order) {
                const Turn& turn = turns()[(a * order) % kAngles];
                result[a][2 * order] = turn.cosine;
                result[a][2 * order + 1] = -turn.sine;
            }
        return result;
    }();
    return table;
}

// The middle square of value(pixel), 128 x 128: each pixel the average of what it covers, under a triangle.
template <class Value>
Plane middle_square(const Tensor& image, Value value) {
    const int64_t height = image.size(0), width = image.size(1), channels = image.size(2);
    const int64_t side = std::min(height, width), top = (height - side) / 2, left = (width - side) / 2;
    const double scale = static_cast<double>(side) / kSide, reach = std::max(scale, 1.0);
    struct Taps {
        int64_t first;
        std::vector<float> weights;
    };
    std::vector<Taps> taps(kSide);
    for (int i = 0; i < kSide; ++i) {
        const double centre = (i + 0.5) * scale - 0.5;
        const auto first = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(centre - reach)));
        const auto last = std::min(side - 1, static_cast<int64_t>(std::floor(centre + reach)));
        double sum = 0;
        taps[i].first = first;
        for (int64_t p = first; p <= last; ++p) sum += 1 - std::abs(static_cast<double>(p) - centre) / reach;
        for (int64_t p = first; p <= last; ++p)
            taps[i].weights.push_back(
                static_cast<float>((1 - std::abs(static_cast<double>(p) - centre) / reach) / sum));
    }
    const std::span<const uint8_t> pixels = image.data<uint8_t>();
    Plane rows(static_cast<std::size_t>(side * kSide)), result(kSide * kSide);
    std::vector<float> values(static_cast<std::size_t>(side));
    for (int64_t y = 0; y < side; ++y) {
        const uint8_t* line = pixels.data() + ((top + y) * width + left) * channels;
        for (int64_t x = 0; x < side; ++x) values[x] = value(line + x * channels);
        for (int i = 0; i < kSide; ++i) {
            float sum = 0;
            const float* from = values.data() + taps[i].first;
            for (std::size_t p = 0; p < taps[i].weights.size(); ++p) sum += taps[i].weights[p] * from[p];
            rows[y * kSide + i] = sum;
        }
    }
    for (int i = 0; i < kSide; ++i)
        for (std::size_t p = 0; p < taps[i].weights.size(); ++p)
            for (int x = 0; x < kSide; ++x)
                result[i * kSide + x] +=
                    taps[i].weights[p] * rows[(taps[i].first + static_cast<int64_t>(p)) * kSide + x];
    return result;
}

// Each pixel the weighted sum of its neighbours in both directions; beyond the border its last pixel goes on.
Plane blurred(const Plane& plane, const std::vector<float>& weights) {
    const int reach = static_cast<int>(weights.size()) / 2;
    Plane across(plane.size()), result(plane.size());
    auto inside = [](int i) { return std::clamp(i, 0, kSide - 1); };
    std::vector<float> row(static_cast<std::size_t>(kSide + 2 * reach));
    for (int y = 0; y < kSide; ++y) {
        for (int x = -reach; x < kSide + reach; ++x) row[x + reach] = plane[y * kSide + inside(x)];
        for (int d = 0; d <= 2 * reach; ++d)
            for (int x = 0; x < kSide; ++x) across[y * kSide + x] += weights[d] * row[x + d];
    }
    for (int y = 0; y < kSide; ++y)
        for (int d = -reach; d <= reach; ++d)
            for (int x = 0; x < kSide; ++x)
                result[y * kSide + x] += weights[d + reach] * across[inside(y + d) * kSide + x];
    return result;
}

std::vector<float> gaussian(double deviation) {
    const int reach = static_cast<int>(std::ceil(3 * deviation));
    std::vector<double> weights;
    for (int d = -reach; d <= reach; ++d)
        weights.push_back(math::exp(-0.5 * d * d / (deviation * deviation)));
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<float> result;
    for (double weight : weights) result.push_back(static_cast<float>(weight / sum));
    return result;
}

bool in_disc(int x, int y) {
    const double dx = x - kMiddle, dy = y - kMiddle;
    return dx * dx + dy * dy <= kRadius * kRadius;
}

// The value between pixels; x and y at least 0 and below kSide - 1.
template <class T>
float between(const T* plane, float x, float y) {
    const int column = static_cast<int>(x), row = static_cast<int>(y);
    const float right = x - static_cast<float>(column), down = y - static_cast<float>(row);
    const T* at = plane + row * kSide + column;
    const float upper = static_cast<float>(at[0]) * (1 - right) + static_cast<float>(at[1]) * right;
    const float lower =
        static_cast<float>(at[kSide]) * (1 - right) + static_cast<float>(at[kSide + 1]) * right;
    return upper * (1 - down) + lower * down;
}

// Fourier coefficients of each ring. Samples are weighted by the root of the radius, so that a ring counts by
// its length: neither all alike, which would be the middle alone, nor by area, which would be the rim.
std::vector<float> spectrum_of(const std::vector<int8_t>& detail) {
    std::vector<float> spectrum;
    spectrum.reserve(kViews * kRings * kRingFloats);
    std::array<float, kAngles> ring;
    for (double stretch : kStretches) {
        for (double radius : ring_radii()) {
            const auto weight = static_cast<float>(math::sqrt(radius) / kAngles);
            for (int a = 0; a < kAngles; ++a)
                ring[a] = weight * between(detail.data(),
                                           static_cast<float>(kMiddle + radius / stretch * turns()[a].cosine),
                                           static_cast<float>(kMiddle - radius * turns()[a].sine));
            std::array<float, kRingFloats> sums{};
            for (int a = 0; a < kAngles; ++a)
                for (int k = 0; k < kRingFloats; ++k) sums[k] += ring[a] * waves()[a][k];
            spectrum.insert(spectrum.end(), sums.begin(), sums.end());
        }
    }
    return spectrum;
}

const float* view_of(const Fingerprint& image, int view) {
    return image.spectrum.data() + view * kRings * kRingFloats;
}

// Energy of the rings up to and including each, counting orders m and -m.
std::array<double, kRings + 1> energies_up_to(const float* spectrum) {
    std::array<double, kRings + 1> sums{};
    for (int i = 0; i < kRings; ++i) {
        double energy = 0;
        for (int order = 0; order < kOrders; ++order) {
            const double real = spectrum[i * kRingFloats + 2 * order];
            const double imaginary = spectrum[i * kRingFloats + 2 * order + 1];
            energy += (order == 0 ? 1 : 2) * (real * real + imaginary * imaginary);
        }
        sums[i + 1] = sums[i] + energy;
    }
    return sums;
}

// What takes a place in the first image, from its middle, to the place of the same thing in the second, from
// there: right and up, in pixels.
struct Pose {
    double xx = 1, xy = 0, yx = 0, yy = 1;
    double correlation = -1;
};

// The second image turned, zoomed and stretched further.
Pose turned(const Pose& pose, double angle) {
    const double cosine = math::cos(angle), sine = math::sin(angle);
    return {cosine * pose.xx - sine * pose.yx, cosine * pose.xy - sine * pose.yy,
            sine * pose.xx + cosine * pose.yx, sine * pose.xy + cosine * pose.yy, -1};
}
Pose stretched(const Pose& pose, double across, double up) {
    return {pose.xx * across, pose.xy * across, pose.yx * up, pose.yy * up, -1};
}

// Two views, the second shifted by so many rings.
struct Overlay {
    int first = 0, second = 0, shift = 0;
};

Pose pose_of(const Overlay& overlay, double angle, bool mirrored) {
    const double zoom = math::exp(overlay.shift * kRingStep);
    Pose pose;
    pose.xx = kStretches[overlay.first];  // back from the first view to the first image, and on to the second
    if (mirrored) pose.yy = -1;
    return stretched(turned(pose, angle), zoom / kStretches[overlay.second], zoom);
}

// Stage 2 at one zoom: ring i of the first lies on ring i + shift of the second.
void try_overlay(const Fingerprint& one, const Fingerprint& other, const Overlay& overlay, double norm,
                 Pose& best) {
    const float *first = view_of(one, overlay.first), *second = view_of(other, overlay.second);
    const int shift = overlay.shift;
    const int begin = std::max(0, -shift), end = std::min(kRings, kRings - shift);
    std::array<float, kRingFloats> straight{}, mirror{};  // sums over rings of conj(a) b, and of a b
    for (int i = begin; i < end; ++i) {
        const float* a = first + i * kRingFloats;
        const float* b = second + (i + shift) * kRingFloats;
        for (int k = 0; k < kRingFloats; k += 2) {
            const float rr = a[k] * b[k], ii = a[k + 1] * b[k + 1];
            const float ri = a[k] * b[k + 1], ir = a[k + 1] * b[k];
            straight[k] += rr + ii;
            straight[k + 1] += ri - ir;
            mirror[k] += rr - ii;
            mirror[k + 1] += ri + ir;
        }
    }
    for (bool mirrored : {false, true}) {
        const std::array<float, kRingFloats>& product = mirrored ? mirror : straight;
        for (int a = 0; a < kAngles; ++a) {
            const std::array<float, kRingFloats>& wave = waves()[a];
            float sum = -0.5f * product[0] * wave[0];
            for (int k = 0; k < kRingFloats; ++k) sum += product[k] * wave[k];
            const double correlation = 2 * sum / norm;
            if (correlation <= best.correlation) continue;
            best = pose_of(overlay, 2 * kPi * a / kAngles, mirrored);
            best.correlation = correlation;
        }
    }
}

void align_rings(const Fingerprint& first, const Fingerprint& second, const Overlay& first_overlay,
                 int last_shift, Pose& best) {
    const auto energy_first = energies_up_to(view_of(first, first_overlay.first));
    const auto energy_second = energies_up_to(view_of(second, first_overlay.second));
    for (Overlay overlay = first_overlay; overlay.shift <= last_shift; ++overlay.shift) {
        const int shift = overlay.shift, begin = std::max(0, -shift), end = std::min(kRings, kRings - shift);
        const double norm = math::sqrt((energy_first[end] - energy_first[begin]) *
                                       (energy_second[end + shift] - energy_second[begin + shift]));
        if (norm > 0) try_overlay(first, second, overlay, norm, best);
    }
}

// Correlation of detail where the two discs meet, every `stride`th pixel each way.
double correlation_at(const Fingerprint& first, const Fingerprint& second, const Pose& pose, int stride) {
    const auto xx = static_cast<float>(pose.xx), xy = static_cast<float>(pose.xy);
    const auto yx = static_cast<float>(pose.yx), yy = static_cast<float>(pose.yy);
    const auto middle = static_cast<float>(kMiddle);
    const auto limit = static_cast<float>(kRadius * kRadius);
    double n = 0, a_sum = 0, b_sum = 0, aa = 0, bb = 0, ab = 0;
    for (int row = 1; row < kSide; row += stride) {
        for (int column = 1; column < kSide; column += stride) {
            const float x = static_cast<float>(column) - middle, y = middle - static_cast<float>(row);
            if (x * x + y * y > limit) continue;
            const float to_x = xx * x + xy * y, to_y = yx * x + yy * y;
            if (to_x * to_x + to_y * to_y > limit) continue;
            const double a = first.detail[row * kSide + column];
            const double b = between(second.detail.data(), middle + to_x, middle - to_y);
            n += 1;
            a_sum += a;
            b_sum += b;
            aa += a * a;
            bb += b * b;
            ab += a * b;
        }
    }
    if (n < 100) return 0;
    const double variances = (aa - a_sum * a_sum / n) * (bb - b_sum * b_sum / n);
    return variances > 0 ? (ab - a_sum * b_sum / n) / math::sqrt(variances) : 0;
}

// Stage 3: uphill by one way of moving at a time, in steps that halve.
void refine(const Fingerprint& first, const Fingerprint& second, Pose& pose) {
    pose.correlation = correlation_at(first, second, pose, 2);
    double step = kPi / kAngles;
    for (int halvings = 0; halvings < 4;) {
        bool moved = false;
        for (double d : {-step, step}) {
            const double grow = math::exp(d);
            const Pose slanted = turned(stretched(turned(pose, kPi / 4), grow, 1 / grow), -kPi / 4);
            for (Pose trial :
                 {turned(pose, d), stretched(pose, grow, grow), stretched(pose, grow, 1 / grow), slanted}) {
                trial.correlation = correlation_at(first, second, trial, 2);
                if (trial.correlation <= pose.correlation) continue;
                pose = trial;
                moved = true;
            }
        }
        if (moved) continue;
        step /= 2;
        ++halvings;
    }
    pose.correlation = correlation_at(first, second, pose, 1);
}

double angle_of(double x, double y) {  // degrees, -180 to 180; for people to read
    return std::atan2(y, x) * 180 / kPi;
}

Sibling to_sibling(int64_t first, int64_t second, const Pose& pose) {
    const double determinant = pose.xx * pose.yy - pose.xy * pose.yx;
    const bool mirrored = determinant < 0;
    const double degrees = mirrored ? angle_of(pose.xx - pose.yy, pose.yx + pose.xy)
                                    : angle_of(pose.xx + pose.yy, pose.yx - pose.xy);
    return {first, second, pose.correlation, degrees, math::sqrt(std::abs(determinant)), mirrored};
}

// Stage 1: what of the images neither a turn nor a mirror changes, as rows of bands.
class Rows {
  public:
    static constexpr int kLength = kBands * kBandOrders;

    Rows(const std::vector<const Fingerprint*>& images, int view)
        : values_(images.size() * kLength), energies_(images.size() * (kBands + 1)) {
        const auto count = static_cast<int64_t>(images.size());
#pragma omp parallel for num_threads(thread_limit())
        for (int64_t i = 0; i < count; ++i) fill(view_of(*images[i], view), values_.data() + i * kLength);
        centre(count);
        for (int64_t i = 0; i < count; ++i)
            for (int band = 0; band < kBands; ++band) {
                double energy = 0;
                for (int k = 0; k < kBandOrders; ++k) {
                    const double value = values_[i * kLength + band * kBandOrders + k];
                    energy += value * value;
                }
                energies_[i * (kBands + 1) + band + 1] = energies_[i * (kBands + 1) + band] + energy;
            }
    }

    const float* from(int64_t image, int band) const {
        return values_.data() + image * kLength + band * kBandOrders;
    }
    // Of `bands` bands from `band` on.
    float norm(int64_t image, int band, int bands) const {
        const double* sums = energies_.data() + image * (kBands + 1);
        return static_cast<float>(math::sqrt(sums[band + bands] - sums[band]));
    }

  private:
    static void fill(const float* spectrum, float* row) {
        for (int band = 0; band < kBands; ++band)
            for (int order = 1; order <= kBandOrders; ++order) {
                const float* a = spectrum + 2 * band * kRingFloats + 2 * order;
                const float* b = a + kRingFloats;
                row[band * kBandOrders + order - 1] =
                    math::sqrt(a[0] * a[0] + a[1] * a[1] + b[0] * b[0] + b[1] * b[1]);
            }
    }

    // Every column with mean 0 and variance 1: what all images have in common says nothing.
    void centre(int64_t count) {
        for (int k = 0; k < kLength; ++k) {
            double sum = 0, squares = 0;
            for (int64_t i = 0; i < count; ++i) sum += values_[i * kLength + k];
            const double mean = sum / static_cast<double>(count);
            for (int64_t i = 0; i < count; ++i) {
                const double d = values_[i * kLength + k] - mean;
                squares += d * d;
            }
            const double deviation = math::sqrt(squares / static_cast<double>(count));
            const double factor = deviation > 0 ? 1 / deviation : 0;
            for (int64_t i = 0; i < count; ++i)
                values_[i * kLength + k] = static_cast<float>((values_[i * kLength + k] - mean) * factor);
        }
    }

    std::vector<float> values_;
    std::vector<double> energies_;  // of the bands before each, so that any stretch is a difference
};

struct Candidate {
    int64_t first, second;
    Overlay overlay;
};

// What one multiplication of matrices has to be given besides the matrices.
struct Workspace {
    std::vector<std::byte> bytes;

    KernelContext context_for(const MatmulShape& shape) {
        KernelContext context;
        const std::size_t needed = kernels::matmul_workspace<float>(shape, context.threads);
        if (bytes.size() < needed + 64) bytes.resize(needed + 64);
        void* aligned = bytes.data();
        std::size_t room = bytes.size();
        std::align(64, needed, aligned, room);
        context.workspace = {static_cast<std::byte*>(aligned), needed};
        return context;
    }
};

// The nearest of images first to last - 1, among all.
std::vector<Candidate> nearest(const std::vector<Rows>& views, int64_t first, int64_t last, int64_t count,
                               int64_t neighbours, Workspace& workspace) {
    const int64_t block = last - first;
    std::vector<float> products(static_cast<std::size_t>(block * count)),
        norms(static_cast<std::size_t>(count));
    std::vector<float> best(products.size(), -1e9f);
    std::vector<std::array<int8_t, 2>> best_overlay(products.size());  // place in kViewPairs, shift
    for (std::size_t p = 0; p < kViewPairs.size(); ++p) {
        const Rows &of_first = views[kViewPairs[p].first], &of_second = views[kViewPairs[p].second];
        for (int shift = kViewPairs[p].low; shift <= kViewPairs[p].high; ++shift) {
            const int a_band = std::max(0, -shift), b_band = std::max(0, shift);
            const int bands = kBands - std::abs(shift);
            MatmulShape shape = MatmulShape::dense(block, count, bands * kBandOrders, false, true);
            shape.a.leading_dimension = shape.b.leading_dimension = Rows::kLength;
            kernels::matmul(shape, of_first.from(first, a_band), of_second.from(0, b_band), products.data(),
                            workspace.context_for(shape));
            for (int64_t j = 0; j < count; ++j) norms[j] = of_second.norm(j, b_band, bands);
            // Chance makes few bands more alike than many: correlations are compared in deviations of chance.
            const float root = math::sqrt(static_cast<float>(bands));
#pragma omp parallel for num_threads(thread_limit())
            for (int64_t i = 0; i < block; ++i) {
                const float norm = of_first.norm(first + i, a_band, bands);
                for (int64_t j = 0; j < count; ++j) {
                    const float similarity =
                        root * products[i * count + j] / std::max(norm * norms[j], 1e-20f);
                    if (similarity <= best[i * count + j]) continue;
                    best[i * count + j] = similarity;
                    best_overlay[i * count + j] = {static_cast<int8_t>(p), static_cast<int8_t>(shift)};
                }
            }
        }
    }
    std::vector<Candidate> result;
    std::vector<int64_t> order;
    for (int64_t i = 0; i < block; ++i) {
        const float* similarity = best.data() + i * count;
        order.resize(static_cast<std::size_t>(count));
        std::iota(order.begin(), order.end(), 0);
        order.erase(order.begin() + first + i);
        const int64_t kept = std::min(neighbours, count - 1);
        std::partial_sort(order.begin(), order.begin() + kept, order.end(), [&](int64_t a, int64_t b) {
            return std::pair(-similarity[a], a) < std::pair(-similarity[b], b);
        });
        for (int64_t k = 0; k < kept; ++k) {
            const int64_t a = first + i, b = order[k];
            const auto& [pair, shift] = best_overlay[i * count + b];
            const ViewPair& views_of = kViewPairs[pair];
            if (a < b)
                result.push_back({a, b, {views_of.first, views_of.second, 2 * shift}});
            else
                result.push_back({b, a, {views_of.second, views_of.first, -2 * shift}});
        }
    }
    return result;
}

// What rings do not show has no correlation.
void refine_if_worth_it(const Fingerprint& first, const Fingerprint& second, Pose& pose) {
    if (pose.correlation >= kWorthAligning)
        refine(first, second, pose);
    else
        pose.correlation = 0;
}

// Stages 2 and 3 from where the pose is known roughly, or from everywhere.
void register_near(const Fingerprint& first, const Fingerprint& second, Overlay overlay, Pose& pose) {
    overlay.shift -= 2;
    align_rings(first, second, overlay, overlay.shift + 4, pose);
    refine_if_worth_it(first, second, pose);
}
void register_anywhere(const Fingerprint& first, const Fingerprint& second, Pose& pose) {
    for (const ViewPair& pair : kViewPairs)
        align_rings(first, second, {pair.first, pair.second, 2 * pair.low - 1}, 2 * pair.high + 1, pose);
    refine_if_worth_it(first, second, pose);
}

}  // namespace

Fingerprint fingerprint(const Tensor& image) {
    if (image.rank() != 3 || image.size(2) < 1)
        throw ShapeError("fingerprint", str("expected an image (H,W,C), got ", image.shape()));
    if (std::min(image.size(0), image.size(1)) < kSmallestComparable) return {};
    static const std::vector<float> fine = gaussian(1.4), coarse = gaussian(6.5);
    // Black is what a turned image leaves in the corners, or an instrument round its field of view: nothing.
    // Blurs leave it out, and its edge, which would be the strongest detail of all, is no detail.
    const int64_t channels = image.size(2);
    auto seen = [&](const uint8_t* pixel) {
        return std::any_of(pixel, pixel + channels, [](uint8_t x) { return x >= kBlack; }) ? 1.0f : 0.0f;
    };
    auto grey = [&](const uint8_t* pixel) {
        return seen(pixel) * static_cast<float>(std::accumulate(pixel, pixel + channels, 0)) /
               static_cast<float>(channels);
    };
    const Plane light = middle_square(image, grey), share = middle_square(image, seen);
    Plane detail = blurred(light, fine);
    const Plane fine_share = blurred(share, fine);
    const Plane shade = blurred(light, coarse), coarse_share = blurred(share, coarse);
    double n = 0, sum = 0, squares = 0;
    for (int y = 0; y < kSide; ++y)
        for (int x = 0; x < kSide; ++x) {
            const int i = y * kSide + x;
            if (fine_share[i] < kSeen) {
                detail[i] = 0;
                continue;
            }
            detail[i] = detail[i] / fine_share[i] - shade[i] / coarse_share[i];
            if (!in_disc(x, y)) continue;
            n += 1;
            sum += detail[i];
            squares += static_cast<double>(detail[i]) * detail[i];
        }
    if (n < kSmallestField) return {};
    const double deviation = math::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
    if (deviation < kPlain) return {};
    Fingerprint result;
    result.detail.resize(detail.size());
    const auto factor = static_cast<float>(kUnit / deviation);
    for (std::size_t i = 0; i < detail.size(); ++i)
        result.detail[i] =
            static_cast<int8_t>(std::nearbyint(std::clamp(factor * detail[i], -127.0f, 127.0f)));
    result.spectrum = spectrum_of(result.detail);
    return result;
}

Sibling register_pair(const Fingerprint& first, const Fingerprint& second) {
    if (!first.comparable() || !second.comparable()) return {.first = 0, .second = 1};
    Pose pose;
    register_anywhere(first, second, pose);
    return pose.correlation != 0 ? to_sibling(0, 1, pose) : Sibling{.first = 0, .second = 1};
}

std::vector<Sibling> find_siblings(const std::vector<Fingerprint>& images, const SiblingOptions& options,
                                   const std::function<void(int64_t)>& step) {
    if (!(options.correlation > 0 && options.correlation <= 1))
        throw OptionsError("siblings", str("expected a correlation in (0, 1], got ", options.correlation));
    if (options.neighbours < 1)
        throw OptionsError("siblings", str("expected 1 neighbour or more, got ", options.neighbours));
    std::vector<const Fingerprint*> comparable;
    std::vector<int64_t> places;
    for (std::size_t i = 0; i < images.size(); ++i)
        if (images[i].comparable()) {
            comparable.push_back(&images[i]);
            places.push_back(static_cast<int64_t>(i));
        }
    const auto count = static_cast<int64_t>(comparable.size());
    std::vector<Sibling> result;
    if (count < 2) return result;
    std::vector<Rows> views;
    for (int view = 0; view < kViews; ++view) views.emplace_back(comparable, view);
    // A handful of images has no mean to compare with: every pair is a candidate, at every zoom.
    const bool few = count <= 64;
    const int64_t neighbours = few ? count - 1 : options.neighbours;
    Workspace workspace;
    std::set<std::pair<int64_t, int64_t>> seen;
    for (int64_t first = 0; first < count; first += kBlock) {
        const int64_t last = std::min(count, first + kBlock);
        std::vector<Candidate> candidates = nearest(views, first, last, count, neighbours, workspace);
        std::erase_if(candidates,
                      [&](const Candidate& x) { return !seen.emplace(x.first, x.second).second; });
        std::vector<Pose> poses(candidates.size());
        const auto total = static_cast<int64_t>(candidates.size());
#pragma omp parallel for schedule(dynamic, 8) num_threads(thread_limit())
        for (int64_t k = 0; k < total; ++k) {
            const Candidate& candidate = candidates[k];
            const Fingerprint &a = *comparable[candidate.first], &b = *comparable[candidate.second];
            if (few)
                register_anywhere(a, b, poses[k]);
            else
                register_near(a, b, candidate.overlay, poses[k]);
        }
        for (int64_t k = 0; k < total; ++k)
            if (poses[k].correlation >= options.correlation)
                result.push_back(
                    to_sibling(places[candidates[k].first], places[candidates[k].second], poses[k]));
        if (step) step(last - first);
    }
    std::sort(result.begin(), result.end(), [](const Sibling& a, const Sibling& b) {
        return std::pair(a.first, a.second) < std::pair(b.first, b.second);
    });
    return result;
}

}  // namespace microtome
