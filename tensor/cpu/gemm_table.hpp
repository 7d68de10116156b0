// The inner loops of matrix products, one table per instruction set, and the layouts they agree on.
//
// A product of (m, k) by (k, n) is cut into blocks of kSumBlock along k. For one block, b is packed into
// strips and a, a few rows at a time, into a panel:
//
//     strips    columns j .. j + 31 (on AVX-512) of every k in turn: [k][32], then the next 32 columns. The
//               last strip is as narrow as 4, 8 or 16 lanes when few columns are left, padded with zeros.
//     panel     up to 12 rows. Rows that are contiguous stay so, kPanelStride apart: copying is all the
//               packing there is, and for rows that are patches of an image not even that is needed. When a's
//               columns are contiguous, [k][12].
//
// Included by files that are compiled once per instruction set: no standard header with inline code here.
#pragma once

#include <cstdint>

namespace microtome::cpu {

// Rows of a panel are a block and one cache line apart: a multiple of 4096 bytes would put all of them into
// the same few lines of the first-level cache.
constexpr int64_t kPanelStride = 256 + 16;
constexpr int64_t kMaxPanelRows = 12;
constexpr int64_t kMaxStripColumns = 32;

// A matrix that is never written down: row r is the patch of an image that a filter meets at one position.
// r counts (image, i, j) over a grid of positions, a column counts (t, u, channel) over taps and channels:
//
//     element (r, e) = image[i * step_h + t * tap_h + origin_h, j * step_w + u * tap_w + origin_w, channel]
//
// or zero outside the image.
struct Patches {
    int64_t height, width;       // of the image
    int64_t pixel_stride;        // channels in memory; >= channels
    int64_t channels;            // those of the patch
    int64_t grid_h, grid_w;      // positions
    int64_t step_h, step_w;      // pixels from one position to the next
    int64_t taps_h, taps_w;      //
    int64_t tap_h, tap_w;        // pixels from one tap to the next
    int64_t origin_h, origin_w;  // of the first tap of the first position
};

// Consecutive elements of a row.
struct Run {
    int64_t offset, length;
};

// A few rows of the left factor, as the inner loop reads them. By rows, they are row_stride apart and each
// is the same sequence of runs; by columns (and then one run), the elements of a column are adjacent and
// columns are GemmTable::panel_rows apart.
struct Panel {
    const float* data;
    bool by_columns;
    int64_t row_stride;
    const Run* runs;
    int64_t run_count;
};

struct GemmTable {
    int64_t panel_rows, strip_columns;  // at most kMaxPanelRows, kMaxStripColumns

    // c[r][j] = or += sum over k of a[r, k] * b[k, j] for the rows of a panel and the n columns of the
    // strips. The sum is a chain of fused multiply-adds from 0 in the order of k. panel_rows or fewer; k at
    // most 256.
    void (*multiply)(const Panel& panel, int64_t rows, int64_t n, int64_t k, const float* strips,
                     float* const* c, bool add);

    // y[j] = relu(y[j] + bias[j] + residual[j]), each of the three where wanted.
    void (*finish)(int64_t n, float* y, const float* bias, const float* residual, bool relu);

    // Runs multiply-adds on registers alone, `count` rounds; returns the operations done, two for each.
    int64_t (*multiply_add_registers)(int64_t count, float* sink);
};

struct PackTable {
    // Rows [first, first + count) of the patch matrix, columns [begin, end), to rows `stride` apart.
    void (*gather)(const Patches& patches, const float* images, int64_t first, int64_t count, int64_t begin,
                   int64_t end, float* rows, int64_t stride);

    // The same as the one strip of a right factor that has few columns.
    void (*gather_strip)(const Patches& patches, const float* images, int64_t first, int64_t count,
                         int64_t begin, int64_t end, float* strip);

    // A panel of `rows` rows of a, by rows and by columns. `stride` is a's leading dimension.
    void (*rows_to_panel)(const float* a, int64_t stride, int64_t rows, int64_t k, float* panel);
    void (*columns_to_panel)(const float* a, int64_t stride, int64_t rows, int64_t k, float* panel);

    // The strips of b (k, n). The first takes `count` rows from `first` on, rows being contiguous; the second
    // all of a b whose columns are.
    void (*rows_to_strips)(const float* b, int64_t stride, int64_t n, int64_t first, int64_t count, int64_t k,
                           float* strips);
    void (*columns_to_strips)(const float* b, int64_t stride, int64_t n, int64_t k, float* strips);
};

#define MICROTOME_DECLARE_GEMM_TABLES(isa) \
    namespace isa {                        \
    extern const GemmTable gemm_table;     \
    extern const PackTable pack_table;     \
    }
MICROTOME_DECLARE_GEMM_TABLES(reference)
#if defined(__x86_64__)
MICROTOME_DECLARE_GEMM_TABLES(avx2)
MICROTOME_DECLARE_GEMM_TABLES(avx512)
#endif
#undef MICROTOME_DECLARE_GEMM_TABLES

}  // namespace microtome::cpu
