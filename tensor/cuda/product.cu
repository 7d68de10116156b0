// Products of matrices and convolutions, all as one: element (i, j) of a result is a sum over k of left(i, k)
// right(k, j), where left and right say where they find their elements. A convolution's left factor gathers
// pixels as it goes ("implicit GEMM"), so nothing is laid out beforehand.
//
// Least work: 2 m n k operations on m k + k n + m n elements. A block keeps 64 x 64 results in registers and
// reads each of its elements once for 64 of them, so that f32 is bound by arithmetic from k of some tens on.
// No tensor cores: these are the reference for cuBLAS and cuDNN, and what there is without them. Not measured
// on a GPU yet.
//
// Factors are rounded to a precision as they are read (tensor/precision.hpp), so that tf32 and bf16 mean the
// same without tensor cores.
//
// Sums are in the order of tensor/reference/ordered_sum.hpp; its slices of 4096 products go to different
// blocks where there are too few results to go round, and are joined in order by a second kernel.
#include "tensor/cuda/device.hpp"
#include "tensor/reference/ordered_sum.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

constexpr int kTile = 64;   // rows and columns of a block's results
constexpr int kDepth = 16;  // products between two barriers; divides kSumBlock
constexpr int kOwn = 4;     // rows and columns of a thread's results
constexpr int kTileThreads = (kTile / kOwn) * (kTile / kOwn);
constexpr int kLoads = kTile * kDepth / kTileThreads;  // of each factor by each thread
static_assert(kSumBlock % kDepth == 0);

// What is to be made: `batch` results of m x n, each sum cut into `slices` or not (1).
struct ProductShape {
    int64_t batch, m, n, k, slices;
};

// Slice number `slice`, where sums are cut, begins with product slice * kSumSlice and ends before this one.
MICROTOME_HD int64_t slice_end(const ProductShape& s, int64_t slice) {
    const int64_t end = (slice + 1) * kSumSlice;
    return s.slices == 1 || end > s.k ? s.k : end;
}

// Where a sum of all products goes, and where one of a slice.
template <class T, class Result>
struct Finish {
    Result result;
    Epilogue<T> epilogue;
    T* c;
    T* parts;

    MICROTOME_HD T start(int64_t z, int64_t i, int64_t j) const { return c[result.offset(z, i, j)]; }
    MICROTOME_HD void operator()(const ProductShape& s, int64_t slice, int64_t z, int64_t i, int64_t j,
                                 T sum) const {
        if (s.slices > 1) {
            parts[((slice * s.batch + z) * s.m + i) * s.n + j] = sum;
        } else {
            const int64_t at = result.offset(z, i, j);
            c[at] = epilogue.finish(sum, result.column(z, j), at);
        }
    }
};

template <class T>
struct Tiles {
    T left[kDepth][kTile + 4], right[kDepth][kTile + 4];
};

template <class T, class Left, class Right, class Result>
MICROTOME_KERNEL void tiled_product(ProductShape s, Left left, Right right, Finish<T, Result> finish) {
    auto& tile = shared<Tiles<T>>();
    const int thread = static_cast<int>(threadIdx.x);
    const int row = thread / (kTile / kOwn) * kOwn, column = thread % (kTile / kOwn) * kOwn;
    const int64_t tiles_m = (s.m + kTile - 1) / kTile, tiles_n = (s.n + kTile - 1) / kTile;
    const int64_t tasks = tiles_m * tiles_n * s.slices * s.batch;
    for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
        const int64_t first_j = task % tiles_n * kTile, first_i = task / tiles_n % tiles_m * kTile;
        const int64_t slice = task / (tiles_n * tiles_m) % s.slices,
                      z = task / (tiles_n * tiles_m * s.slices);
        const int64_t begin = slice * kSumSlice, end = slice_end(s, slice);
        T block[kOwn][kOwn] = {}, sum[kOwn][kOwn] = {}, total[kOwn][kOwn] = {};
        bool sum_open = false, total_open = false;
        if (finish.epilogue.accumulate && slice == 0) {
            sum_open = true;
            for (int i = 0; i < kOwn; ++i)
                for (int j = 0; j < kOwn; ++j)
                    if (first_i + row + i < s.m && first_j + column + j < s.n)
                        sum[i][j] = finish.start(z, first_i + row + i, first_j + column + j);
        }
        // As OrderedSum does, for all of a thread's sums at once.
        auto close_block = [&] {
            for (int i = 0; i < kOwn; ++i)
                for (int j = 0; j < kOwn; ++j) {
                    sum[i][j] = sum_open ? sum[i][j] + block[i][j] : block[i][j];
                    block[i][j] = T(0);
                }
            sum_open = true;
        };
        auto close_slice = [&] {
            for (int i = 0; i < kOwn; ++i)
                for (int j = 0; j < kOwn; ++j) total[i][j] = total_open ? total[i][j] + sum[i][j] : sum[i][j];
            total_open = true;
            sum_open = false;
        };
        for (int64_t k = begin; k < end; k += kDepth) {
            for (int load = 0; load < kLoads; ++load) {
                // Neighbouring threads take elements that lie side by side in memory.
                const int at = load * kTileThreads + thread;
                const int left_k = Left::along_k(left) ? at % kDepth : at / kTile;
                const int left_i = Left::along_k(left) ? at / kDepth : at % kTile;
                tile.left[left_k][left_i] =
                    k + left_k < end && first_i + left_i < s.m ? left(z, first_i + left_i, k + left_k) : T(0);
                const int right_k = Right::along_k(right) ? at % kDepth : at / kTile;
                const int right_j = Right::along_k(right) ? at / kDepth : at % kTile;
                tile.right[right_k][right_j] = k + right_k < end && first_j + right_j < s.n
                                                   ? right(z, first_j + right_j, k + right_k)
                                                   : T(0);
            }
            barrier();
            const int depth = end - k < kDepth ? static_cast<int>(end - k) : kDepth;
#pragma unroll 4
            for (int d = 0; d < depth; ++d) {
                T a[kOwn], b[kOwn];
                for (int i = 0; i < kOwn; ++i) a[i] = tile.left[d][row + i];
                for (int j = 0; j < kOwn; ++j) b[j] = tile.right[d][column + j];
                for (int i = 0; i < kOwn; ++i)
                    for (int j = 0; j < kOwn; ++j) block[i][j] = math::fma(a[i], b[j], block[i][j]);
            }
            barrier();
            const int64_t done = k + depth;
            if (done % kSumBlock == 0 || done == end) close_block();
            if (done % kSumSlice == 0) close_slice();
        }
        if (sum_open) close_slice();
        for (int i = 0; i < kOwn; ++i)
            for (int j = 0; j < kOwn; ++j)
                if (first_i + row + i < s.m && first_j + column + j < s.n)
                    finish(s, slice, z, first_i + row + i, first_j + column + j, total[i][j]);
    }
}

// A thread an element: for results with few rows or columns, which would leave most of a tile empty.
template <class T, class Left, class Right, class Result>
MICROTOME_KERNEL void single_products(ProductShape s, Left left, Right right, Finish<T, Result> finish) {
    const int64_t tasks = s.batch * s.m * s.n * s.slices;
    for (int64_t task = first_element(); task < tasks; task += all_threads()) {
        const int64_t j = task % s.n, i = task / s.n % s.m, z = task / (s.n * s.m) % s.batch;
        const int64_t slice = task / (s.n * s.m * s.batch), end = slice_end(s, slice);
        reference::OrderedSum<T> sum;
        if (finish.epilogue.accumulate && slice == 0) sum = reference::OrderedSum<T>(finish.start(z, i, j));
        for (int64_t k = slice * kSumSlice; k < end; ++k) sum.add(left(z, i, k), right(z, j, k));
        finish(s, slice, z, i, j, sum.result());
    }
}

template <class T, class Result>
MICROTOME_KERNEL void join_slices(ProductShape s, Finish<T, Result> finish) {
    const int64_t results = s.batch * s.m * s.n;
    const ProductShape whole{s.batch, s.m, s.n, s.k, 1};
    for (int64_t at = first_element(); at < results; at += all_threads()) {
        T total = finish.parts[at];
        for (int64_t slice = 1; slice < s.slices; ++slice) total = total + finish.parts[slice * results + at];
        finish(whole, 0, at / (s.n * s.m), at / s.n % s.m, at % s.n, total);
    }
}

// A factor whose elements are rounded.
template <class Factor>
struct Rounded {
    Factor factor;
    Precision precision;

    static MICROTOME_HD bool along_k(const Rounded& f) { return Factor::along_k(f.factor); }
    MICROTOME_HD auto operator()(int64_t z, int64_t place, int64_t k) const {
        return rounded(factor(z, place, k), precision);
    }
};

template <class T, class LeftFactor, class RightFactor, class Result>
void product(Stream stream, ProductShape s, Precision precision, const LeftFactor& left_factor,
             const RightFactor& right_factor, Result result, T* c, const Epilogue<T>& epilogue, T* parts) {
    using Left = Rounded<LeftFactor>;
    using Right = Rounded<RightFactor>;
    const Left left{left_factor, precision};
    const Right right{right_factor, precision};
    if (s.batch * s.m * s.n == 0) return;
    s.slices = slices_of(s.batch, s.m, s.n, s.k);
    const Finish<T, Result> finish{result, epilogue, c, parts};
    if (fills_tiles(s.m, s.n)) {
        const int64_t tiles = (s.m + kTile - 1) / kTile * ((s.n + kTile - 1) / kTile) * s.slices * s.batch;
        const Launch how{
            .blocks = blocks_for(tiles, 1), .threads = kTileThreads, .shared_bytes = sizeof(Tiles<T>)};
        launch(stream, how, tiled_product<T, Left, Right, Result>, s, left, right, finish);
    } else {
        launch(stream, flat(s.batch * s.m * s.n * s.slices), single_products<T, Left, Right, Result>, s, left,
               right, finish);
    }
    if (s.slices > 1) launch(stream, flat(s.batch * s.m * s.n), join_slices<T, Result>, s, finish);
}

// --- factors and results. A factor's element is asked for by batch, row (left) or column (right), and k.

struct Batches {
    int64_t inner;
    MICROTOME_HD int64_t offset(const MatrixLayout& layout, int64_t z) const {
        return z / inner * layout.outer_stride + z % inner * layout.inner_stride;
    }
};

template <class T, bool left>
struct MatrixFactor {
    const T* x;
    MatrixLayout layout;
    Batches batches;

    static MICROTOME_HD bool along_k(const MatrixFactor& f) { return f.layout.transposed != left; }
    MICROTOME_HD T operator()(int64_t z, int64_t place, int64_t k) const {
        const int64_t ld = layout.leading_dimension;
        return x[batches.offset(layout, z) + (along_k(*this) ? place * ld + k : k * ld + place)];
    }
};
struct MatrixResult {
    MatrixLayout layout;
    Batches batches;

    MICROTOME_HD int64_t offset(int64_t z, int64_t i, int64_t j) const {
        return batches.offset(layout, z) + i * layout.leading_dimension + j;
    }
    MICROTOME_HD int64_t column(int64_t, int64_t j) const { return j; }
};

template <class T>
void matmul(Stream stream, const MatmulShape& s, Precision precision, const T* a, const T* b, T* c,
            const Epilogue<T>& epilogue, T* parts) {
    if (s.c.transposed) return matmul(stream, transposed(s), precision, b, a, c, epilogue, parts);
    const Batches batches{s.batch_inner};
    product(stream, {s.batch_outer * s.batch_inner, s.m, s.n, s.k, 1}, precision,
            MatrixFactor<T, true>{a, s.a, batches}, MatrixFactor<T, false>{b, s.b, batches},
            MatrixResult{s.c, batches}, c, epilogue, parts);
}

// A pixel of an image's group of channels, or 0 beside the image.
template <class T>
MICROTOME_HD T pixel_or_zero(const T* images, int64_t height, int64_t width, int64_t channels, int64_t n,
                             int64_t row, int64_t column, int64_t channel) {
    if (row < 0 || row >= height || column < 0 || column >= width) return T(0);
    return images[((n * height + row) * width + column) * channels + channel];
}

// x as the matrix (output pixels, taps and channels), or its transpose.
template <class T>
struct Windows {
    const T* x;
    ConvShape s;
    Divisor oh, ow, kw, channels;
    bool taps_are_k;

    Windows(const ConvShape& shape, const T* images, bool taps_along_k)
        : x(images),
          s(shape),
          oh(shape.oh),
          ow(shape.ow),
          kw(shape.kw),
          channels(shape.group_c()),
          taps_are_k(taps_along_k) {}

    static MICROTOME_HD bool along_k(const Windows& f) { return f.taps_are_k; }
    MICROTOME_HD T operator()(int64_t z, int64_t place, int64_t k) const {
        const Division across = divide(taps_are_k ? place : k, ow), down = divide(across.quotient, oh);
        const Division channel = divide(taps_are_k ? k : place, channels), tap = divide(channel.quotient, kw);
        return pixel_or_zero(x, s.h, s.w, s.c, down.quotient,
                             down.remainder * s.stride_h + tap.quotient * s.dilation_h - s.pad_top,
                             across.remainder * s.stride_w + tap.remainder * s.dilation_w - s.pad_left,
                             z * channels.value + channel.remainder);
    }
};
// The filters of a group, as (taps and channels, output channels).
template <class T>
struct Filters {
    const T* w;
    int64_t group_o, taps;

    static MICROTOME_HD bool along_k(const Filters&) { return true; }
    MICROTOME_HD T operator()(int64_t z, int64_t o, int64_t k) const {
        return w[(z * group_o + o) * taps + k];
    }
};
struct PixelResult {
    int64_t channels, group;

    MICROTOME_HD int64_t offset(int64_t z, int64_t pixel, int64_t c) const {
        return pixel * channels + column(z, c);
    }
    MICROTOME_HD int64_t column(int64_t z, int64_t c) const { return z * group + c; }
};

template <class T>
void conv2d(Stream stream, const ConvShape& s, Precision precision, const T* x, const T* w, T* y,
            const Epilogue<T>& epilogue, T* parts) {
    const int64_t taps = s.kh * s.kw * s.group_c();
    product(stream, {s.groups, s.n * s.oh * s.ow, s.group_o(), taps, 1}, precision, Windows<T>(s, x, true),
            Filters<T>{w, s.group_o(), taps}, PixelResult{s.o, s.group_o()}, y, epilogue, parts);
}

// Of all pixels of x those that meet the same taps: rows and columns of one phase.
struct PhasePixels {
    ConvPhase rows, columns;
    Divisor down, across;

    PhasePixels(const ConvPhase& r, const ConvPhase& c)
        : rows(r), columns(c), down(r.pixels), across(c.pixels) {}
    struct Place {
        int64_t n, row, column;  // counted within the phase
    };
    MICROTOME_HD Place at(int64_t i) const {
        const Division x = divide(i, across), y = divide(x.quotient, down);
        return {y.quotient, y.remainder, x.remainder};
    }
};
// g as (pixels of a phase, taps and output channels).
template <class T>
struct MeetingGradients {
    const T* g;
    int64_t oh, ow, o;
    PhasePixels pixels;
    Divisor taps_across, channels;

    static MICROTOME_HD bool along_k(const MeetingGradients&) { return true; }
    MICROTOME_HD T operator()(int64_t z, int64_t i, int64_t k) const {
        const auto place = pixels.at(i);
        const Division channel = divide(k, channels), tap = divide(channel.quotient, taps_across);
        return pixel_or_zero(
            g, oh, ow, o, place.n,
            pixels.rows.position + place.row + tap.quotient * pixels.rows.position_step,
            pixels.columns.position + place.column + tap.remainder * pixels.columns.position_step,
            z * channels.value + channel.remainder);
    }
};
// w as (taps of a phase and output channels, input channels).
template <class T>
struct PhaseFilters {
    const T* w;
    int64_t kh, kw, group_c;
    ConvPhase rows, columns;
    Divisor taps_across, channels;

    static MICROTOME_HD bool along_k(const PhaseFilters&) { return false; }
    MICROTOME_HD T operator()(int64_t z, int64_t c, int64_t k) const {
        const Division channel = divide(k, channels), tap = divide(channel.quotient, taps_across);
        const int64_t p = rows.tap - tap.quotient * rows.tap_step,
                      q = columns.tap - tap.remainder * columns.tap_step;
        return w[(((z * channels.value + channel.remainder) * kh + p) * kw + q) * group_c + c];
    }
};
struct PhaseResult {
    PhasePixels pixels;
    int64_t h, w, c, group_c;

    MICROTOME_HD int64_t offset(int64_t z, int64_t i, int64_t j) const {
        const auto place = pixels.at(i);
        const int64_t row = pixels.rows.first + place.row * pixels.rows.stride,
                      pixel = pixels.columns.first + place.column * pixels.columns.stride;
        return ((place.n * h + row) * w + pixel) * c + column(z, j);
    }
    MICROTOME_HD int64_t column(int64_t z, int64_t j) const { return z * group_c + j; }
};

template <class T>
void conv2d_input_gradient(Stream stream, const ConvShape& s, Precision precision, const T* g, const T* w,
                           T* dx, T* parts) {
    for (int64_t first_row = 0; first_row < std::min(s.stride_h, s.h); ++first_row)
        for (int64_t first_column = 0; first_column < std::min(s.stride_w, s.w); ++first_column) {
            const ConvPhase rows = conv_phase(s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top, first_row),
                            columns =
                                conv_phase(s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left, first_column);
            const PhasePixels pixels(rows, columns);
            const Divisor across(std::max<int64_t>(columns.taps, 1)), channels(s.group_o());
            product(stream,
                    {s.groups, s.n * rows.pixels * columns.pixels, s.group_c(),
                     rows.taps * columns.taps * s.group_o(), 1},
                    precision, MeetingGradients<T>{g, s.oh, s.ow, s.o, pixels, across, channels},
                    PhaseFilters<T>{w, s.kh, s.kw, s.group_c(), rows, columns, across, channels},
                    PhaseResult{pixels, s.h, s.w, s.c, s.group_c()}, dx, {}, parts);
        }
}

// g of a group, as (output channels, output pixels).
template <class T>
struct GradientColumns {
    const T* g;
    int64_t o, group_o;

    static MICROTOME_HD bool along_k(const GradientColumns&) { return false; }
    MICROTOME_HD T operator()(int64_t z, int64_t i, int64_t k) const { return g[k * o + z * group_o + i]; }
};
struct FilterResult {
    int64_t group_o, taps;

    MICROTOME_HD int64_t offset(int64_t z, int64_t i, int64_t j) const {
        return (z * group_o + i) * taps + j;
    }
    MICROTOME_HD int64_t column(int64_t, int64_t j) const { return j; }
};

template <class T>
void conv2d_weight_gradient(Stream stream, const ConvShape& s, Precision precision, const T* x, const T* g,
                            T* dw, T* parts) {
    const int64_t taps = s.kh * s.kw * s.group_c();
    product(stream, {s.groups, s.group_o(), taps, s.n * s.oh * s.ow, 1}, precision,
            GradientColumns<T>{g, s.o, s.group_o()}, Windows<T>(s, x, false), FilterResult{s.group_o(), taps},
            dw, {}, parts);
}

template <class T>
void add_to(Kernels<T>& kernels) {
    kernels.matmul = matmul<T>;
    kernels.conv2d = conv2d<T>;
    kernels.conv2d_input_gradient = conv2d_input_gradient<T>;
    kernels.conv2d_weight_gradient = conv2d_weight_gradient<T>;
}

}  // namespace

void add_product(KernelTable& table) {
    add_to(table.f32);
    add_to(table.f64);
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
