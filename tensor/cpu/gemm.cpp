#include "tensor/cpu/gemm.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <algorithm>
namespace microtome::cpu {

const GemmTable& gemm_kernels() {
#if defined(__x86_64__)
    return pick(reference::gemm_table, avx2::gemm_table, avx512::gemm_table);
#else
    return reference::gemm_table;
#endif
}
const PackTable& pack_kernels() {
#if defined(__x86_64__)
    return pick(reference::pack_table, avx2::pack_table, avx512::pack_table);
#else
    return reference::pack_table;
#endif
}

namespace {

static_assert(kSumBlock <= kPanelStride && kSumBlock >= kMaxPanelRows);

constexpr int64_t kTileColumns = 512;   // with one block of k, half a megabyte of strips: at home in L2
constexpr int64_t kMaxTileRows = 1024;  // share the strips that one thread has packed
constexpr int64_t kGatheredRows = 8;    // of the right factor's patches at a time
constexpr int64_t kPanelFloats = kMaxPanelRows * kPanelStride;
constexpr int64_t kPartialFloats = int64_t{1} << 21;  // for sums of slices that await their turn

int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}
int64_t round_up(int64_t a, int64_t b) {
    return divide_up(a, b) * b;
}

// The floats one thread needs: a panel, the strips of one block, a few gathered rows.
int64_t thread_floats(int64_t n) {
    int64_t columns = round_up(std::min(n, kTileColumns), kMaxStripColumns);
    return kPanelFloats + (kSumBlock + kGatheredRows) * columns;
}

// How many slices after the first are summed side by side before they are added to the result, in order.
int64_t slices_at_once(int64_t m, int64_t n, int64_t k) {
    int64_t further = divide_up(k, kSumSlice) - 1;
    if (further <= 0 || m * n == 0) return 0;
    return std::clamp<int64_t>(kPartialFloats / (m * n), 1, further);
}

// What their sums need. Not less for a larger product, so that a caller may ask once for several products.
int64_t partial_floats(int64_t m, int64_t n, int64_t k) {
    int64_t further = std::max<int64_t>(divide_up(k, kSumSlice) - 1, 0);
    return std::min(further * m * n, std::max(kPartialFloats, m * n));
}

// Walks down the rows of a Result.
class RowWalk {
  public:
    RowWalk(const Result& c, float* data, int64_t row)
        : c_(c), j_(row % c.grid_w), i_(row / c.grid_w % c.grid_h), start_(data) {
        start_ += row / c.grid_w / c.grid_h * c.image_stride;
    }
    float* next() {
        float* row = start_ + i_ * c_.stride_h + j_ * c_.stride_w;
        if (++j_ == c_.grid_w) {
            j_ = 0;
            if (++i_ == c_.grid_h) i_ = 0, start_ += c_.image_stride;
        }
        return row;
    }

  private:
    const Result& c_;
    int64_t j_, i_;
    float* start_;
};

struct Range {
    int64_t begin, end;
    int64_t size() const { return end - begin; }
};

// One matrix of the batch.
struct Matrices {
    const Gemm& g;
    const float* a;
    const float* b;
    float* c;
    const float* bias;
};

Matrices matrices_of(const Gemm& g, int64_t batch) {
    int64_t outer = batch / g.batch_inner, inner = batch % g.batch_inner;
    auto at = [&](const auto& x) { return outer * x.outer_stride + inner * x.inner_stride; };
    return {g, g.a.data + at(g.a), g.b.data + at(g.b), g.c.data + at(g.c),
            g.epilogue.bias == nullptr ? nullptr : g.epilogue.bias + inner * g.bias_inner_stride};
}

void finish_rows(const Matrices& x, float* const* c, int64_t rows, Range columns, const GemmTable& kernels) {
    const Epilogue<float>& e = x.g.epilogue;
    if (e.empty()) return;
    for (int64_t r = 0; r < rows; ++r) {
        const float* residual = e.residual == nullptr ? nullptr : e.residual + (c[r] - x.g.c.data);
        kernels.finish(columns.size(), c[r], x.bias == nullptr ? nullptr : x.bias + columns.begin, residual,
                       e.relu);
    }
}

// A tile is as wide in every product of n columns.
int64_t tile_columns(int64_t n) {
    return round_up(divide_up(n, divide_up(n, kTileColumns)), kMaxStripColumns);
}

// Where the strips of one block lie in a packed right factor of depth k.
int64_t packed_offset(Range columns, Range block, int64_t k) {
    return columns.begin * k + block.begin * round_up(columns.size(), kMaxStripColumns);
}

void pack_strips(const Matrices& x, Range columns, Range k, float* strips, float* gathered,
                 const PackTable& pack) {
    const Factor& b = x.g.b;
    if (b.patches != nullptr && columns.size() <= gemm_kernels().strip_columns) {
        pack.gather_strip(*b.patches, x.b, k.begin, k.size(), columns.begin, columns.end, strips);
    } else if (b.patches != nullptr) {
        for (int64_t p = k.begin; p < k.end; p += kGatheredRows) {
            int64_t count = std::min(kGatheredRows, k.end - p);
            pack.gather(*b.patches, x.b, p, count, columns.begin, columns.end, gathered, columns.size());
            pack.rows_to_strips(gathered, columns.size(), columns.size(), p - k.begin, count, k.size(),
                                strips);
        }
    } else if (b.by_columns) {
        pack.columns_to_strips(x.b + columns.begin * b.leading_dimension + k.begin, b.leading_dimension,
                               columns.size(), k.size(), strips);
    } else {
        pack.rows_to_strips(x.b + k.begin * b.leading_dimension + columns.begin, b.leading_dimension,
                            columns.size(), 0, k.size(), k.size(), strips);
    }
}

// The left factor of one tile, panel by panel, over one block of k.
class LeftFactor {
  public:
    LeftFactor(const Matrices& x, Range rows, Range k, float* buffer)
        : factor_(x.g.a), data_(x.a), rows_(rows), k_(k), buffer_(buffer), whole_{0, k.size()} {
        if (reads_images()) find_runs();
    }

    // How many rows the panel at `row` has: nearly as many as the others, so that 64 rows are 5 x 11 + 9 and
    // not 5 x 12 + 4. Where images are read directly, a panel stays on one line.
    int64_t height(int64_t row) const {
        int64_t end = rows_.end;
        if (reads_images())
            end = std::min(end, (row / factor_.patches->grid_w + 1) * factor_.patches->grid_w);
        return divide_up(end - row, divide_up(end - row, gemm_kernels().panel_rows));
    }

    Panel panel(int64_t row, int64_t height) const {
        const PackTable& pack = pack_kernels();
        const int64_t stride = factor_.leading_dimension;
        if (factor_.patches != nullptr) {
            const float* first = reads_images() ? inside(row, height) : nullptr;
            if (first != nullptr)
                return {first, false, factor_.patches->step_w * factor_.patches->pixel_stride, runs_,
                        run_count_};
            pack.gather(*factor_.patches, data_, row, height, k_.begin, k_.end, buffer_, kPanelStride);
        } else if (factor_.by_columns) {
            pack.columns_to_panel(data_ + k_.begin * stride + row, stride, height, k_.size(), buffer_);
        } else {
            pack.rows_to_panel(data_ + row * stride + k_.begin, stride, height, k_.size(), buffer_);
        }
        return {buffer_, factor_.by_columns, kPanelStride, &whole_, 1};
    }

  private:
    // Lines that are too short for a panel are better gathered.
    bool reads_images() const {
        return factor_.patches != nullptr && factor_.patches->grid_w >= kMaxPanelRows;
    }

    // Where the patches' elements in this block lie, from the first tap on.
    void find_runs() {
        const Patches& s = *factor_.patches;
        const bool joined = s.tap_w == 1 && s.pixel_stride == s.channels;  // a row of taps is one run
        const int64_t length = joined ? s.taps_w * s.channels : s.channels, per_row = joined ? 1 : s.taps_w;
        for (int64_t k = k_.begin; k < k_.end; k += runs_[run_count_++].length) {
            const int64_t run = k / length, within = k % length;
            runs_[run_count_] = {
                (run / per_row * s.tap_h * s.width + run % per_row * s.tap_w) * s.pixel_stride + within,
                std::min(length - within, k_.end - k)};
        }
    }

    // The first tap of position `row`, if this and the patches to its right lie wholly inside the image.
    const float* inside(int64_t row, int64_t height) const {
        const Patches& s = *factor_.patches;
        const int64_t j = row % s.grid_w, i = row / s.grid_w % s.grid_h, image = row / s.grid_w / s.grid_h;
        const int64_t h = i * s.step_h + s.origin_h, w = j * s.step_w + s.origin_w;
        if (h < 0 || h + (s.taps_h - 1) * s.tap_h >= s.height) return nullptr;
        if (w < 0 || w + (height - 1) * s.step_w + (s.taps_w - 1) * s.tap_w >= s.width) return nullptr;
        return data_ + ((image * s.height + h) * s.width + w) * s.pixel_stride;
    }

    const Factor& factor_;
    const float* data_;
    Range rows_, k_;
    float* buffer_;
    Run whole_;
    Run runs_[kSumBlock];
    int64_t run_count_ = 0;
};

// Rows and columns of the result, over the products in k (one slice at most). The sums go to `to`, laid out
// as `layout`; `add`: on top of what is there. `last`: they are then complete.
void multiply_tile(const Matrices& x, const Result& layout, float* to, Range rows, Range columns, Range k,
                   bool add, bool last, float* work) {
    const GemmTable& kernels = gemm_kernels();
    float* buffer = work;
    float* strips = buffer + kPanelFloats;
    float* gathered = strips + kSumBlock * round_up(columns.size(), kMaxStripColumns);
    const float* packed = x.g.b.packed;
    for (int64_t p = k.begin; p == k.begin || p < k.end; p += kSumBlock) {
        const Range block{p, std::min(p + kSumBlock, k.end)};
        if (packed == nullptr) pack_strips(x, columns, block, strips, gathered, pack_kernels());
        const float* b = packed == nullptr ? strips : packed + packed_offset(columns, block, x.g.k);
        const LeftFactor left(x, rows, block, buffer);
        RowWalk walk(layout, to, rows.begin);
        for (int64_t i = rows.begin, height = 0; i < rows.end; i += height) {
            height = left.height(i);
            const Panel panel = left.panel(i, height);
            float* c[kMaxPanelRows];
            for (int64_t r = 0; r < height; ++r) c[r] = walk.next() + columns.begin;
            kernels.multiply(panel, height, columns.size(), block.size(), b, c, add || p > k.begin);
            if (last && block.end == k.end) finish_rows(x, c, height, columns, kernels);
        }
    }
}

// Cuts the results into tiles: large enough that packing is cheap, small enough to go round.
struct Tiling {
    int64_t rows, columns;            // of a tile
    int64_t row_tiles, column_tiles;  // how many
    Tiling(int64_t m, int64_t n, int64_t repeats, int threads) {
        column_tiles = divide_up(n, kTileColumns);
        columns = tile_columns(n);
        int64_t wanted = divide_up(4 * threads, column_tiles * repeats);
        rows = std::clamp(divide_up(m, wanted), std::min<int64_t>(m, 8 * kMaxPanelRows), kMaxTileRows);
        row_tiles = divide_up(m, rows);
    }
    int64_t count() const { return row_tiles * column_tiles; }
    Range rows_of(int64_t tile, int64_t m) const {
        int64_t begin = tile / column_tiles * rows;
        return {begin, std::min(begin + rows, m)};
    }
    Range columns_of(int64_t tile, int64_t n) const {
        int64_t begin = tile % column_tiles * columns;
        return {begin, std::min(begin + columns, n)};
    }
};

// A sum of several slices, for one matrix of the batch: the first goes to the result itself, the others, some
// at a time, to buffers from which they are added in order.
void multiply_slices(const Matrices& x, const KernelContext& context, float* work, int64_t work_stride,
                     float* partial) {
    const Gemm& g = x.g;
    const int64_t slices = divide_up(g.k, kSumSlice), at_once = slices_at_once(g.m, g.n, g.k);
    for (int64_t first = 0; first < slices;) {
        const int64_t count = first == 0 ? std::min(slices, at_once + 1) : std::min(slices - first, at_once);
        const Tiling tiling(g.m, g.n, count, context.threads);
        const Result dense = Result::matrix(nullptr, g.m, g.n);
        parallel_tasks(count * tiling.count(), context.threads, [&](int64_t task, int thread) {
            const int64_t slice = first + task / tiling.count(), tile = task % tiling.count();
            const Range k{slice * kSumSlice, std::min((slice + 1) * kSumSlice, g.k)};
            const bool own = slice == 0;
            float* buffer = partial + (slice - std::max<int64_t>(first, 1)) * g.m * g.n;
            multiply_tile(x, own ? g.c : dense, own ? x.c : buffer, tiling.rows_of(tile, g.m),
                          tiling.columns_of(tile, g.n), k, own && g.epilogue.accumulate, false,
                          work + thread * work_stride);
        });
        const int64_t summed = first == 0 ? count - 1 : count;
        const bool last = first + count == slices;
        parallel_tasks(g.m, context.threads, [&](int64_t row, int) {
            float* c = RowWalk(g.c, x.c, row).next();
            for (int64_t s = 0; s < summed; ++s) {
                const float* sum = partial + (s * g.m + row) * g.n;
                for (int64_t j = 0; j < g.n; ++j) c[j] = c[j] + sum[j];
            }
            if (last) finish_rows(x, &c, 1, {0, g.n}, gemm_kernels());
        });
        first += count;
    }
}

}  // namespace

std::size_t right_factor_floats(int64_t n, int64_t k) {
    return static_cast<std::size_t>(round_up(n, kMaxStripColumns) * k);
}

void pack_right_factor(const Factor& b, int64_t n, int64_t k, float* packed) {
    if (n == 0) return;
    Gemm g;
    g.b = b;
    const Matrices x{g, nullptr, b.data, nullptr, nullptr};
    for (int64_t begin = 0; begin < n; begin += tile_columns(n)) {
        const Range columns{begin, std::min(begin + tile_columns(n), n)};
        for (int64_t p = 0; p < k; p += kSumBlock) {
            const Range block{p, std::min(p + kSumBlock, k)};
            pack_strips(x, columns, block, packed + packed_offset(columns, block, k), nullptr,
                        pack_kernels());
        }
    }
}

std::size_t gemm_workspace(int64_t m, int64_t n, int64_t k, int threads) {
    return static_cast<std::size_t>(threads * thread_floats(n) + partial_floats(m, n, k)) * sizeof(float);
}

void gemm(const Gemm& g, const KernelContext& context) {
    const int64_t batch = g.batch_outer * g.batch_inner;
    if (batch == 0 || g.m == 0 || g.n == 0) return;
    float* work = reinterpret_cast<float*>(context.workspace.data());
    const int64_t work_stride = thread_floats(g.n);
    if (g.k > kSumSlice) {
        for (int64_t i = 0; i < batch; ++i)
            multiply_slices(matrices_of(g, i), context, work, work_stride,
                            work + context.threads * work_stride);
        return;
    }
    const Tiling tiling(g.m, g.n, batch, context.threads);
    parallel_tasks(batch * tiling.count(), context.threads, [&](int64_t task, int thread) {
        const Matrices x = matrices_of(g, task / tiling.count());
        const int64_t tile = task % tiling.count();
        multiply_tile(x, g.c, x.c, tiling.rows_of(tile, g.m), tiling.columns_of(tile, g.n), {0, g.k},
                      g.epilogue.accumulate, true, work + thread * work_stride);
    });
}

}  // namespace microtome::cpu
