/* Gradients of attention. The scores of each tile of queries and panel of keys are computed again from q, k
 * and the saved log-sum-exp (Dao et al. 2022, algorithm 4): P = exp(S - log_sum),  dV += P^T dY,  dP = dY
 * V^T,  dS = P (dP - mean),  dQ += dS K,  dK += dS^T Q with mean = sum_s P dP = sum_i dY Y for each row.
 *
 * Each gradient is added up in one order: a row of dQ over keys ascending, a row of dK and dV over the heads
 * of its group and then over queries ascending. So the work can be cut by key heads, where there are enough
 * of them, or by panels for dK and dV and by query tiles for dQ, which computes the scores twice, with the
 * same bits. */
#include "tensor/attention.h"
#include "tensor/blas.h"
#include "tensor/loops/attention.h"
#include "tensor/loops/rows.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { WANT_QUERY = 1, WANT_KEY = 2, WANT_BIAS = 4 }; /* WANT_KEY stands for values too */

struct backward {
    tensor *y;
    const struct attention *a;
    const real *dy;
    real *dq, *dk, *dv, *dbias; /* NULL: not wanted */
    /* The gradient of distance_bias, or, where queries share it, that by batch entry and head, [B, H, N];
     * NULL: not wanted. */
    real *distances;
    real *mean;          /* [B, H, T] */
    const real *log_sum; /* [B, H, T] */
    /* [B, H, T] or NULL: the log sum's derivative by a score is the weight, so it lessens the mean. */
    const real *dlog_sum;
    real *keys, *values; /* packed panels */
    real *memory;        /* what each thread needs for a tile */
};

struct tile {
    int64_t b, head, query, rows, key, n;
    real *weights, *gradients, *slopes; /* [QUERY_TILE, panel] each */
};

static size_t tile_memory(const struct attention *a)
{
    return (size_t)(3 * QUERY_TILE * a->panel);
}

static int64_t tile_count(const struct attention *a)
{
    return (a->queries + QUERY_TILE - 1) / QUERY_TILE;
}

/* ---- One tile ---- */

static void add_bias_gradient(const struct backward *w, const struct tile *tile, int64_t r, int64_t begin,
                              int64_t end)
{
    const real *gradient = tile->gradients + r * w->a->panel + begin;
    int64_t n = end - begin, key = tile->key + begin, query = tile->query + r;
    if (w->dbias) {
        const tensor *bias = w->y->inputs[w->a->bias];
        real *row = w->dbias;
        const int64_t at[] = {tile->b, tile->head, query};
        for (int i = 0; i < 3; i++)
            row += bias->shape[i] == 1 ? 0 : at[i] * bias->stride[i];
        row_loops()->add(n, gradient, row + key);
    }
    if (w->distances) {
        const tensor *bias = w->y->inputs[w->a->distance_bias];
        int64_t count = tensor_length(bias, -1);
        real *row = w->distances + (bias->rank == 4 ? distance_row(bias, tile->b, tile->head, query)
                                                    : (tile->b * w->a->heads + tile->head) * count);
        int64_t distance = query + w->a->options.offset - key;
        int64_t far = smaller(n, larger(0, distance - (count - 1)));
        if (far > 0)
            row[count - 1] += row_loops()->sum(far, gradient);
        if (far < n)
            attention_loops()->add_to_reversed(n - far, gradient + far, row + distance - far);
    }
}

/* Products to weights and gradients of the products (before scale). */
static void differentiate_scores(const struct backward *w, const struct tile *tile, unsigned want)
{
    const struct attention *a = w->a;
    int64_t first = (tile->b * a->heads + tile->head) * a->queries + tile->query;
    bool capped = a->options.soft_cap > 0;
    for (int64_t r = 0; r < tile->rows; r++) {
        real *weights = tile->weights + r * a->panel, *gradients = tile->gradients + r * a->panel;
        real *slopes = tile->slopes + r * a->panel;
        int64_t begin, end;
        finish_scores(w->y, tile->b, tile->head, tile->query + r, tile->key, tile->n, weights,
                      capped ? slopes : NULL, &begin, &end);
        attention_loops()->score_gradient(end - begin, w->log_sum[first + r], w->mean[first + r],
                                          weights + begin, gradients + begin);
        if (want & WANT_BIAS)
            add_bias_gradient(w, tile, r, begin, end);
        if (capped)
            for (int64_t i = begin; i < end; i++)
                gradients[i] *= slopes[i];
        for (int side = 0; side < 2; side++) {
            int64_t from = side ? end : 0, length = side ? tile->n - end : begin;
            memset(weights + from, 0, (size_t)length * sizeof *weights);
            memset(gradients + from, 0, (size_t)length * sizeof *gradients);
        }
    }
}

static void differentiate_tile(const struct backward *w, const struct tile *tile, unsigned want)
{
    const struct attention *a = w->a;
    const tensor *q = w->y->inputs[0], *k = w->y->inputs[1], *v = w->y->inputs[2];
    int64_t b = tile->b, rows = tile->rows, n = tile->n, panel = a->panel;
    int64_t key_head = tile->head / (a->heads / a->key_heads), number = tile->key / panel,
            inside = tile->key % panel;
    real scale = (real)a->options.scale;
    const real *queries = head_rows(q, q->data, b, tile->query, tile->head);
    const real *dy = head_rows(w->y, (real *)w->dy, b, tile->query, tile->head);
    gemm(false, false, rows, n, a->width, scale, queries, row_step(q),
         packed_panel(a, w->keys, a->width, b, key_head, number) + inside, panel, 0, tile->weights, panel);
    gemm(false, false, rows, n, a->value_width, 1, dy, row_step(w->y),
         packed_panel(a, w->values, a->value_width, b, key_head, number) + inside, panel, 0, tile->gradients,
         panel);
    differentiate_scores(w, tile, want);
    if (w->dv && want & WANT_KEY)
        gemm(true, false, n, a->value_width, rows, 1, tile->weights, panel, dy, row_step(w->y), 1,
             head_rows(v, w->dv, b, tile->key, key_head), row_step(v));
    if (w->dk && want & WANT_KEY)
        gemm(true, false, n, a->width, rows, scale, tile->gradients, panel, queries, row_step(q), 1,
             head_rows(k, w->dk, b, tile->key, key_head), row_step(k));
    if (w->dq && want & WANT_QUERY)
        gemm(false, false, rows, a->width, n, scale, tile->gradients, panel,
             head_rows(k, k->data, b, tile->key, key_head), row_step(k), 1,
             head_rows(q, w->dq, b, tile->query, tile->head), row_step(q));
}

/* The part of a panel that a query tile sees: false if there is none. */
static bool meet(const struct attention *a, int64_t query_tile, int64_t panel, struct tile *tile)
{
    tile->query = query_tile * QUERY_TILE;
    tile->rows = smaller(QUERY_TILE, a->queries - tile->query);
    int64_t from = panel * a->panel, to = smaller(from + a->panel, a->keys);
    struct seen_keys seen = seen_keys(a, tile->query, tile->rows);
    tile->key = from < seen.sinks ? from : larger(from, seen.first / 16 * 16);
    int64_t last = to > seen.first ? smaller(to, seen.last) : smaller(to, seen.sinks);
    tile->n = last - tile->key;
    return tile->n > 0;
}

/* ---- Loops over tiles ---- */

static struct tile thread_tile(const struct backward *w, int64_t b, int64_t head)
{
    struct tile tile = {.b = b, .head = head};
    tile.weights = w->memory + (size_t)omp_get_thread_num() * tile_memory(w->a);
    tile.gradients = tile.weights + QUERY_TILE * w->a->panel;
    tile.slopes = tile.gradients + QUERY_TILE * w->a->panel;
    return tile;
}

/* The first query tile that sees a key at or after the start of the panel: tiles before it need not be looked
 * at. */
static int64_t first_query_tile(const struct attention *a, int64_t panel)
{
    int64_t low = 0, high = tile_count(a);
    while (low < high) {
        int64_t middle = (low + high) / 2, query = middle * QUERY_TILE;
        if (seen_keys(a, query, smaller(QUERY_TILE, a->queries - query)).last > panel * a->panel)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void panel_pass(const struct backward *w, int64_t b, int64_t head, int64_t panel, unsigned want)
{
    const struct attention *a = w->a;
    struct tile tile = thread_tile(w, b, head);
    int64_t end = (panel + 1) * a->panel;
    for (int64_t i = first_query_tile(a, panel); i < tile_count(a); i++)
        if (meet(a, i, panel, &tile))
            differentiate_tile(w, &tile, want);
        else if (panel * a->panel >= a->options.sinks && seen_keys(a, tile.query, 1).first >= end)
            break; /* so it stays for later queries */
}

static void query_pass(const struct backward *w, int64_t b, int64_t head, int64_t query_tile)
{
    const struct attention *a = w->a;
    struct tile tile = thread_tile(w, b, head);
    int64_t query = query_tile * QUERY_TILE;
    struct seen_keys seen = seen_keys(a, query, smaller(QUERY_TILE, a->queries - query));
    for (int64_t panel = 0; panel * a->panel < seen.last; panel++) {
        if (panel * a->panel >= seen.sinks)
            panel = larger(panel, seen.first / a->panel);
        if (meet(a, query_tile, panel, &tile))
            differentiate_tile(w, &tile, WANT_QUERY);
    }
}

/* All pairs of a head. */
static void head_pass(const struct backward *w, int64_t b, int64_t head, unsigned want)
{
    for (int64_t panel = 0; panel < panel_count(w->a); panel++)
        panel_pass(w, b, head, panel, want);
}

static void by_key_heads(const struct backward *w, int threads, unsigned want)
{
    const struct attention *a = w->a;
    int64_t group = a->heads / a->key_heads;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < a->batch * a->key_heads; task++)
        for (int64_t i = 0; i < group; i++)
            head_pass(w, task / a->key_heads, task % a->key_heads * group + i, want);
}

static void by_panels(const struct backward *w, int threads)
{
    const struct attention *a = w->a;
    int64_t group = a->heads / a->key_heads, panels = panel_count(a);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < a->batch * a->key_heads * panels; task++)
        for (int64_t i = 0; i < group; i++)
            panel_pass(w, task / panels / a->key_heads, task / panels % a->key_heads * group + i,
                       task % panels, WANT_KEY);
}

static void by_query_tiles(const struct backward *w, int threads)
{
    const struct attention *a = w->a;
    int64_t tiles = tile_count(a);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < a->batch * a->heads * tiles; task++)
        query_pass(w, task / tiles / a->heads, task / tiles % a->heads, tiles - 1 - task % tiles);
}

/* Heads and entries of the batch that share a bias are one task. */
static void by_biases(const struct backward *w, int threads)
{
    const struct attention *a = w->a;
    const tensor *bias = w->dbias ? w->y->inputs[a->bias] : NULL;
    int64_t batches = bias && bias->shape[0] == 1 ? 1 : a->batch,
            heads = bias && bias->shape[1] == 1 ? 1 : a->heads;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < batches * heads; task++)
        for (int64_t b = task / heads; b < a->batch; b += batches)
            for (int64_t head = task % heads; head < a->heads; head += heads)
                head_pass(w, b, head, WANT_BIAS);
}

/* ---- The rest ---- */

static void take_means(const struct backward *w, int threads)
{
    const struct attention *a = w->a;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < a->batch * a->heads * a->queries; row++) {
        int64_t b = row / a->queries / a->heads, head = row / a->queries % a->heads, query = row % a->queries;
        w->mean[row] = row_loops()->dot(a->value_width, head_rows(w->y, w->y->data, b, query, head),
                                        head_rows(w->y, (real *)w->dy, b, query, head));
        if (w->dlog_sum)
            w->mean[row] -= w->dlog_sum[row];
    }
}

static void add_distance_gradient(const struct backward *w, real *gradient)
{
    const tensor *bias = w->y->inputs[w->a->distance_bias];
    int64_t count = tensor_length(bias, -1);
    for (int64_t row = 0; row < w->a->batch * w->a->heads; row++)
        row_loops()->add(count, w->distances + row * count,
                         gradient + distance_row(bias, 0, row % w->a->heads, 0));
}

/* The sink has a weight and no value: its gradient is -weight mean. */
static void add_sink_gradient(const struct backward *w, real *gradient)
{
    const struct attention *a = w->a;
    const tensor *sinks = w->y->inputs[a->sink_logits];
    for (int64_t head = 0; head < a->heads; head++) {
        double total = 0, logit = (double)sinks->data[head * sinks->stride[0]];
        for (int64_t b = 0; b < a->batch; b++)
            for (int64_t t = 0; t < a->queries; t++) {
                int64_t row = (b * a->heads + head) * a->queries + t;
                total -= exp(logit - (double)w->log_sum[row]) * (double)w->mean[row];
            }
        gradient[head * sinks->stride[0]] += (real)total;
    }
}

static bool bias_is_shared(const struct backward *w)
{
    const struct attention *a = w->a;
    const tensor *bias = w->dbias ? w->y->inputs[a->bias] : NULL;
    return bias && ((bias->shape[0] == 1 && a->batch > 1) || (bias->shape[1] == 1 && a->heads > 1));
}

static void differentiate(const struct backward *w, int threads)
{
    const struct attention *a = w->a;
    bool keys = w->dk || w->dv, biases = w->dbias || w->distances;
    if (a->batch * a->key_heads >= threads) {
        bool biases_too = biases && !bias_is_shared(w);
        unsigned want = (w->dq ? WANT_QUERY : 0) | (keys ? WANT_KEY : 0) | (biases_too ? WANT_BIAS : 0);
        if (want)
            by_key_heads(w, threads, want);
        biases = biases && !biases_too;
    } else {
        if (keys)
            by_panels(w, threads);
        if (w->dq)
            by_query_tiles(w, threads);
    }
    if (biases)
        by_biases(w, threads);
}

static real *optional_gradient(tensor *y, int input)
{
    return input ? input_gradient(y, input) : NULL;
}

void attention_backward(tensor *y)
{
    const struct attention *a = y->attributes;
    struct backward w = {.y = y, .a = a, .dy = output_gradient(y), .log_sum = node_output(y, 1)->data};
    w.dlog_sum = output_gradient(node_output(y, 1));
    real *zeros = NULL;
    if (!w.dy && !w.dlog_sum)
        return;
    if (!w.dy) {
        w.dy = zeros = scratch_take(y->graph, (size_t)tensor_size(y));
        memset(zeros, 0, (size_t)tensor_size(y) * sizeof *zeros);
    }
    int threads = threads_for(attention_work(a, a->width + a->value_width));
    w.dq = input_gradient(y, 0);
    w.dk = input_gradient(y, 1);
    w.dv = input_gradient(y, 2);
    w.dbias = optional_gradient(y, a->bias);
    real *ddistances = optional_gradient(y, a->distance_bias), *dsinks = optional_gradient(y, a->sink_logits);
    bool shared = ddistances && y->inputs[a->distance_bias]->rank == 2;
    w.distances = ddistances;
    if (shared) {
        size_t count = (size_t)(a->batch * a->heads * tensor_length(y->inputs[a->distance_bias], -1));
        w.distances = scratch_take(y->graph, count);
        memset(w.distances, 0, count * sizeof(real));
    }
    w.mean = scratch_take(y->graph, (size_t)(a->batch * a->heads * a->queries));
    w.memory = scratch_take(y->graph, (size_t)threads * tile_memory(a));
    w.keys = pack_panels(y, y->inputs[1]);
    w.values = pack_panels(y, y->inputs[2]);
    take_means(&w, threads);
    differentiate(&w, threads);
    if (shared)
        add_distance_gradient(&w, ddistances);
    if (dsinks)
        add_sink_gradient(&w, dsinks);
    scratch_give(y->graph, w.values);
    scratch_give(y->graph, w.keys);
    scratch_give(y->graph, w.memory);
    scratch_give(y->graph, w.mean);
    if (shared)
        scratch_give(y->graph, w.distances);
    if (zeros)
        scratch_give(y->graph, zeros);
}
