/* Sorting and choosing the largest, along the last axis. */
#include "tensor/operation.h"
#include <omp.h>
#include <string.h>

/* An entry of a row under a key whose integer order is the wanted order, equal keys by index. */
struct entry {
    int64_t key;
    int64_t index;
};

enum { RUN = 8 }; /* entries that are sorted by insertion before merging */

/* Numbers in ascending order, -0 with 0, NaN (which would compare with nothing) after infinity. */
static int64_t ascending_key(real x)
{
    if (x != x)
        return INT64_MAX;
    double value = (double)x + 0.0;
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

static bool comes_before(struct entry a, struct entry b)
{
    return a.key < b.key || (a.key == b.key && a.index < b.index);
}

static struct entry entry_of(const real *x, int64_t index, bool descending)
{
    int64_t key = ascending_key(x[index]);
    return (struct entry){descending ? ~key : key, index};
}

/* ---- Merge sort ---- */

static void sort_runs(struct entry *entries, int64_t n)
{
    for (int64_t start = 0; start < n; start += RUN) {
        int64_t end = n - start < RUN ? n : start + RUN;
        for (int64_t i = start + 1; i < end; i++) {
            struct entry entry = entries[i];
            int64_t j = i;
            for (; j > start && entry.key < entries[j - 1].key; j--)
                entries[j] = entries[j - 1];
            entries[j] = entry;
        }
    }
}

/* Without a branch on the keys, which no processor could foresee. */
static void merge(const struct entry *from, int64_t start, int64_t middle, int64_t end, struct entry *to)
{
    int64_t left = start, right = middle;
    to += start;
    while (left < middle && right < end) {
        bool take_right = from[right].key < from[left].key;
        *to++ = from[take_right ? right : left];
        right += take_right;
        left += !take_right;
    }
    memcpy(to, from + left, (size_t)(middle - left) * sizeof *to);
    memcpy(to + (middle - left), from + right, (size_t)(end - right) * sizeof *to);
}

/* Sorts in one of the two arrays of n entries and returns it. */
static struct entry *sort_entries(struct entry *entries, struct entry *other, int64_t n)
{
    sort_runs(entries, n);
    for (int64_t width = RUN; width < n; width *= 2) {
        for (int64_t start = 0; start < n; start += 2 * width) {
            int64_t middle = n - start < width ? n : start + width;
            int64_t end = n - start < 2 * width ? n : start + 2 * width;
            merge(entries, start, middle, end, other);
        }
        struct entry *sorted = other;
        other = entries;
        entries = sorted;
    }
    return entries;
}

/* ---- The first k, by a heap with the last of them on top ---- */

static void sink(struct entry *heap, int64_t n, int64_t at)
{
    struct entry entry = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_before(heap[child], heap[child + 1]))
            child++;
        if (!comes_before(entry, heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = entry;
}

static void select_first(const real *x, int64_t n, int64_t k, bool descending, struct entry *heap)
{
    for (int64_t i = 0; i < k; i++)
        heap[i] = entry_of(x, i, descending);
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sink(heap, k, i);
    for (int64_t i = k; i < n; i++) {
        struct entry entry = entry_of(x, i, descending);
        if (entry.key < heap[0].key) { /* an equal one comes later in the row and so in the order */
            heap[0] = entry;
            sink(heap, k, 0);
        }
    }
    for (int64_t left = k - 1; left > 0; left--) {
        struct entry last = heap[0];
        heap[0] = heap[left];
        sink(heap, left, 0);
        heap[left] = last;
    }
}

/* ---- The operation: values [.., k] and, as a further output, their indices ---- */

struct order {
    bool descending;
};

/* The first k of a row of n in order. `scratch` has room for 2 n entries. */
static const struct entry *order_row(const real *x, int64_t n, int64_t k, bool descending,
                                     struct entry *scratch)
{
    if (k < n / 8) {
        select_first(x, n, k, descending, scratch);
        return scratch;
    }
    for (int64_t i = 0; i < n; i++)
        scratch[i] = entry_of(x, i, descending);
    return sort_entries(scratch, scratch + n, n);
}

static int64_t row_count(const tensor *y)
{
    int64_t k = y->shape[y->rank - 1];
    return k ? tensor_size(y) / k : 0;
}

static void order_forward(tensor *y)
{
    const struct order *order = y->attributes;
    const tensor *x = y->inputs[0];
    real *indices = node_output(y, 1)->data;
    int64_t n = x->shape[x->rank - 1], k = y->shape[y->rank - 1], rows = row_count(y);
    int threads = threads_for(16.0 * (double)tensor_size(x));
    size_t reals_per_thread = (size_t)n * 2 * sizeof(struct entry) / sizeof(real);
    real *scratch = scratch_take(y->graph, (size_t)threads * reals_per_thread);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const real *from = x->data + row * n;
        struct entry *own =
            (struct entry *)(void *)(scratch + (size_t)omp_get_thread_num() * reals_per_thread);
        const struct entry *ordered = order_row(from, n, k, order->descending, own);
        for (int64_t i = 0; i < k; i++) {
            y->data[row * k + i] = from[ordered[i].index];
            indices[row * k + i] = (real)ordered[i].index;
        }
    }
    scratch_give(y->graph, scratch);
}

static void order_backward(tensor *y)
{
    const tensor *x = y->inputs[0];
    const real *dy = output_gradient(y), *indices = node_output(y, 1)->data;
    real *dx = input_gradient(y, 0);
    int64_t n = x->shape[x->rank - 1], k = y->shape[y->rank - 1], rows = row_count(y);
    if (!dx || !dy)
        return;
#pragma omp parallel for num_threads(threads_for(4.0 * (double)tensor_size(y))) schedule(static)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = row * k; i < (row + 1) * k; i++)
            dx[row * n + (int64_t)indices[i]] += dy[i];
}

static tensor *ordered(tensor *x, const struct operation *operation, int64_t k, bool descending,
                       tensor **indices)
{
    x = tensor_contiguous(x);
    int64_t shape[TENSOR_MAX_RANK], n = x->shape[x->rank - 1];
    require(n <= REAL_MAX_INDEX, x, operation->name,
            "indices that are exact as " REAL_NAME "-precision numbers");
    memcpy(shape, x->shape, sizeof shape);
    shape[x->rank - 1] = k;
    struct order order = {descending};
    tensor *y = node_create(x->graph, operation, x->rank, shape, 1, &x, &order, sizeof order);
    tensor *places = node_add_output(y, x->rank, shape);
    places->needs_gradient = false;
    node_count(y, 0, (double)tensor_size(y));
    if (indices)
        *indices = places;
    return y;
}

tensor *tensor_top_k(tensor *x, int64_t k, tensor **indices)
{
    static const struct operation operation = {"top_k", order_forward, order_backward, SAVES_OUTPUT, false};
    if (k < 0 || k > x->shape[x->rank - 1])
        graph_raise(x->graph, STATUS_USAGE, "top_k: %lld is outside a last axis of %s", (long long)k,
                    shape_text(x));
    return ordered(x, &operation, k, true, indices);
}

tensor *tensor_sort(tensor *x, bool descending, tensor **indices)
{
    static const struct operation operation = {"sort", order_forward, order_backward, SAVES_OUTPUT, false};
    return ordered(x, &operation, x->shape[x->rank - 1], descending, indices);
}
