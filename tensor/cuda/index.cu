// Gathering and scattering along an axis and by rows, sorting, one-hot labels, and the corners of a warp. An
// index outside its range is noted as a Fault, and 0 is used in its place.
//
// Least work: an index and an element are read and an element is written for each that moves, 16 bytes in
// f32. Where several go to one place they are added in their order: scatter_add by a thread for each column,
// add_rows by lists of who goes where. Sorting n elements of a row compares each n log2(n) / 2 times or so.
// Not measured on a GPU yet.
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

MICROTOME_DEVICE int64_t checked(int64_t index, int64_t size, Fault* fault) {
    if (index >= 0 && index < size) return index;
    note_fault(fault, index, size);
    return 0;
}

// `shape` is that of index and y; x has `size` elements along the axis.
template <class T>
MICROTOME_KERNEL void gather_kernel(AxisShape shape, int64_t size, const T* x, const int64_t* index, T* y,
                                    Fault* fault) {
    for (int64_t i = first_element(); i < shape.outer * shape.length * shape.inner; i += all_threads()) {
        const int64_t outer = i / (shape.length * shape.inner), inner = i % shape.inner;
        y[i] = x[(outer * size + checked(index[i], size, fault)) * shape.inner + inner];
    }
}

template <class T>
MICROTOME_KERNEL void scatter_add_kernel(AxisShape shape, int64_t size, const T* g, const int64_t* index,
                                         T* x, Fault* fault) {
    for (int64_t i = first_element(); i < shape.outer * shape.inner; i += all_threads()) {
        const int64_t outer = i / shape.inner, inner = i % shape.inner;
        for (int64_t k = 0; k < size; ++k) x[(outer * size + k) * shape.inner + inner] = T(0);
        for (int64_t k = 0; k < shape.length; ++k) {
            const int64_t at = (outer * shape.length + k) * shape.inner + inner;
            T& sum = x[(outer * size + checked(index[at], size, fault)) * shape.inner + inner];
            sum = sum + g[at];
        }
    }
}

template <class T>
MICROTOME_KERNEL void take_rows_kernel(int64_t rows, int64_t size, int64_t count, const T* x,
                                       const int64_t* index, T* y, Fault* fault) {
    for (int64_t i = first_element(); i < count * size; i += all_threads()) {
        const int64_t row = i / size;
        y[i] = x[checked(index[row], rows, fault) * size + (i - row * size)];
    }
}

// --- add_rows. Row r of x gets the rows places[start[r]] to places[start[r + 1]] - 1 of g. The list is made
// in four steps of which only whole numbers know the order, then each row sorts its own part.

constexpr int64_t kTile = 256;  // rows whose counts one thread adds up

MICROTOME_KERNEL void clear_kernel(int64_t* x, int64_t n) {
    for (int64_t i = first_element(); i < n; i += all_threads()) x[i] = 0;
}

MICROTOME_KERNEL void count_rows_kernel(int64_t rows, int64_t count, const int64_t* index, int64_t* counts,
                                        Fault* fault) {
    for (int64_t i = first_element(); i < count; i += all_threads())
        add_atomically(&counts[checked(index[i], rows, fault)], 1);
}
MICROTOME_KERNEL void sum_tiles_kernel(int64_t rows, const int64_t* counts, int64_t* tiles) {
    for (int64_t tile = first_element(); tile * kTile < rows; tile += all_threads()) {
        int64_t sum = 0;
        for (int64_t r = tile * kTile; r < rows && r < (tile + 1) * kTile; ++r) sum += counts[r];
        tiles[tile] = sum;
    }
}
MICROTOME_KERNEL void start_tiles_kernel(int64_t rows, int64_t* tiles) {
    int64_t sum = 0;
    for (int64_t tile = 0; tile * kTile < rows; ++tile) {
        const int64_t next = sum + tiles[tile];
        tiles[tile] = sum;
        sum = next;
    }
}
// counts become starts; `ends` begin as the starts and will be the ends once the places are listed.
MICROTOME_KERNEL void start_rows_kernel(int64_t rows, const int64_t* tiles, int64_t* counts, int64_t* ends) {
    for (int64_t tile = first_element(); tile * kTile < rows; tile += all_threads()) {
        int64_t sum = tiles[tile];
        for (int64_t r = tile * kTile; r < rows && r < (tile + 1) * kTile; ++r) {
            const int64_t next = sum + counts[r];
            counts[r] = ends[r] = sum;
            sum = next;
        }
    }
}
MICROTOME_KERNEL void list_places_kernel(int64_t rows, int64_t count, const int64_t* index, int64_t* ends,
                                         int64_t* places) {
    for (int64_t i = first_element(); i < count; i += all_threads()) {
        const int64_t row = index[i] >= 0 && index[i] < rows ? index[i] : 0;
        places[add_atomically(&ends[row], 1)] = i;
    }
}
// Heapsort: whatever the length, in place.
MICROTOME_DEVICE void sort_places(int64_t* places, int64_t n) {
    auto sink = [places](int64_t parent, int64_t size) {
        for (int64_t child = 2 * parent + 1; child < size; child = 2 * parent + 1) {
            if (child + 1 < size && places[child + 1] > places[child]) ++child;
            if (places[parent] >= places[child]) return;
            const int64_t larger = places[child];
            places[child] = places[parent];
            places[parent] = larger;
            parent = child;
        }
    };
    for (int64_t i = n / 2 - 1; i >= 0; --i) sink(i, n);
    for (int64_t size = n - 1; size > 0; --size) {
        const int64_t largest = places[0];
        places[0] = places[size];
        places[size] = largest;
        sink(0, size);
    }
}
MICROTOME_KERNEL void sort_places_kernel(int64_t rows, const int64_t* starts, const int64_t* ends,
                                         int64_t* places) {
    for (int64_t r = first_element(); r < rows; r += all_threads())
        sort_places(places + starts[r], ends[r] - starts[r]);
}
template <class T>
MICROTOME_KERNEL void sum_rows_kernel(int64_t rows, int64_t size, const T* g, const int64_t* starts,
                                      const int64_t* ends, const int64_t* places, T* x) {
    for (int64_t i = first_element(); i < rows * size; i += all_threads()) {
        const int64_t row = i / size, column = i - row * size;
        T sum = T(0);
        for (int64_t k = starts[row]; k < ends[row]; ++k) sum = sum + g[places[k] * size + column];
        x[i] = sum;
    }
}

template <class T>
void add_rows(Stream stream, int64_t rows, int64_t size, int64_t count, const T* g, const int64_t* index,
              int64_t* scratch, T* x) {
    int64_t *starts = scratch, *ends = starts + rows, *tiles = ends + rows, *places = tiles + rows;
    launch(stream, flat(rows), clear_kernel, starts, rows);
    if (count > 0) launch(stream, flat(count), count_rows_kernel, rows, count, index, starts, stream.fault);
    const int64_t tile_count = (rows + kTile - 1) / kTile;
    launch(stream, flat(tile_count), sum_tiles_kernel, rows, starts, tiles);
    launch(stream, {.threads = 1, .meets = false}, start_tiles_kernel, rows, tiles);
    launch(stream, flat(tile_count), start_rows_kernel, rows, tiles, starts, ends);
    if (count > 0) launch(stream, flat(count), list_places_kernel, rows, count, index, ends, places);
    launch(stream, flat(rows), sort_places_kernel, rows, starts, ends, places);
    launch(stream, flat(rows * size), sum_rows_kernel<T>, rows, size, g, starts, ends, places, x);
}

// --- sorting rows of n: the first of equals comes first, NaN last in either direction

template <class T>
struct Order {
    const T* x;  // a row
    bool descending;

    MICROTOME_HD bool operator()(int64_t i, int64_t j) const {
        const T a = x[i], b = x[j];
        const bool a_last = a != a, b_last = b != b;
        if (a_last != b_last) return b_last;
        if (a_last || a == b) return i < j;
        return descending ? a > b : a < b;
    }
};

// Short rows: each element counts those before it.
template <class T>
MICROTOME_KERNEL void rank_kernel(bool descending, int64_t rows, int64_t n, int64_t count, const T* x, T* y,
                                  int64_t* places) {
    for (int64_t at = first_element(); at < rows * n; at += all_threads()) {
        const int64_t row = at / n, i = at - row * n;
        const Order<T> before{x + row * n, descending};
        int64_t rank = 0;
        for (int64_t j = 0; j < n && rank < count; ++j) rank += before(j, i);
        if (rank >= count) continue;
        y[row * count + rank] = x[at];
        places[row * count + rank] = i;
    }
}

// Long rows: Batcher's (1968) bitonic network over places, each row padded to a power of two with n, which
// comes last. One launch compares places `distance` apart, in runs of `run` that rise and fall by turns.
template <class T>
MICROTOME_KERNEL void bitonic_kernel(bool descending, int64_t rows, int64_t n, int64_t padded, int64_t run,
                                     int64_t distance, const T* x, int64_t* order) {
    for (int64_t at = first_element(); at < rows * padded; at += all_threads()) {
        const int64_t row = at / padded, i = at - row * padded, j = i ^ distance;
        if (j < i) continue;
        int64_t* own = order + row * padded;
        const int64_t a = own[i], b = own[j];
        const bool wrong = b < n && (a >= n || Order<T>{x + row * n, descending}(b, a)),
                   falls = (i & run) != 0;
        if (a != b && wrong == falls) continue;
        if (a == b) continue;
        own[i] = b;
        own[j] = a;
    }
}
MICROTOME_KERNEL void first_order_kernel(int64_t rows, int64_t n, int64_t padded, int64_t* order) {
    for (int64_t at = first_element(); at < rows * padded; at += all_threads())
        order[at] = at % padded < n ? at % padded : n + at % padded;
}
template <class T>
MICROTOME_KERNEL void take_order_kernel(int64_t rows, int64_t n, int64_t count, int64_t padded, const T* x,
                                        const int64_t* order, T* y, int64_t* places) {
    for (int64_t at = first_element(); at < rows * count; at += all_threads()) {
        const int64_t row = at / count, place = order[row * padded + (at - row * count)];
        y[at] = x[row * n + place];
        places[at] = place;
    }
}

template <class T>
void sort_rows(Stream stream, bool descending, int64_t rows, int64_t n, int64_t count, const T* x,
               int64_t* scratch, T* y, int64_t* places) {
    const int64_t padded = sort_padding(n);
    if (padded == 0)
        return launch(stream, flat(rows * n), rank_kernel<T>, descending, rows, n, count, x, y, places);
    launch(stream, flat(rows * padded), first_order_kernel, rows, n, padded, scratch);
    for (int64_t run = 2; run <= padded; run *= 2)
        for (int64_t distance = run / 2; distance > 0; distance /= 2)
            launch(stream, flat(rows * padded), bitonic_kernel<T>, descending, rows, n, padded, run, distance,
                   x, scratch);
    launch(stream, flat(rows * count), take_order_kernel<T>, rows, n, count, padded, x, scratch, y, places);
}

// --- labels and warps

template <class T>
MICROTOME_KERNEL void one_hot_kernel(const int64_t* labels, int64_t rows, int64_t classes, T* y,
                                     Fault* fault) {
    for (int64_t i = first_element(); i < rows * classes; i += all_threads()) {
        const int64_t row = i / classes;
        y[i] = checked(labels[row], classes, fault) == i - row * classes ? T(1) : T(0);
    }
}

template <class T>
MICROTOME_KERNEL void corners_kernel(WarpShape shape, const T* columns, const T* rows, T* left, T* top,
                                     WarpCorners<T> to) {
    for (int64_t p = first_element(); p < shape.points; p += all_threads()) {
        left[p] = shape.cell(columns[p], shape.w);
        top[p] = shape.cell(rows[p], shape.h);
        for (int corner = 0; corner < 4; ++corner) {
            const int64_t pixel = shape.pixel(p, left[p], top[p], corner / 2, corner % 2);
            to.index[corner][p] = pixel < 0 ? 0 : pixel;
            to.inside[corner][p] = pixel < 0 ? T(0) : T(1);
        }
    }
}

template <class T>
void gather(Stream stream, const AxisShape& shape, int64_t size, const T* x, const int64_t* index, T* y) {
    launch(stream, flat(shape.outer * shape.length * shape.inner), gather_kernel<T>, shape, size, x, index, y,
           stream.fault);
}
template <class T>
void scatter_add(Stream stream, const AxisShape& shape, int64_t size, const T* g, const int64_t* index,
                 T* x) {
    launch(stream, flat(shape.outer * shape.inner), scatter_add_kernel<T>, shape, size, g, index, x,
           stream.fault);
}
template <class T>
void take_rows(Stream stream, int64_t rows, int64_t size, int64_t count, const T* x, const int64_t* index,
               T* y) {
    launch(stream, flat(count * size), take_rows_kernel<T>, rows, size, count, x, index, y, stream.fault);
}
template <class T>
void one_hot(Stream stream, const int64_t* labels, int64_t rows, int64_t classes, T* y) {
    launch(stream, flat(rows * classes), one_hot_kernel<T>, labels, rows, classes, y, stream.fault);
}
template <class T>
void corners(Stream stream, const WarpShape& shape, const T* columns, const T* rows, T* left, T* top,
             const WarpCorners<T>& to) {
    launch(stream, flat(shape.points), corners_kernel<T>, shape, columns, rows, left, top, to);
}

template <class T>
void add_to(Kernels<T>& kernels) {
    kernels.gather = gather<T>;
    kernels.scatter_add = scatter_add<T>;
    kernels.take_rows = take_rows<T>;
    kernels.add_rows = add_rows<T>;
    kernels.sort_rows = sort_rows<T>;
    kernels.one_hot = one_hot<T>;
    kernels.corners = corners<T>;
}

}  // namespace

void add_index(KernelTable& table) {
    add_to(table.f32);
    add_to(table.f64);
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
