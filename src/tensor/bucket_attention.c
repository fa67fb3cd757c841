/* Softmax attention within buckets (Pagliardini et al. 2023): queries and keys are put in order of their
 * buckets, within one in order of their places, and of each bucket's rectangle only the tiles are computed
 * that causality leaves. A head of an entry of the batch is a task of its own. */
#include "tensor/attention.h"
#include "tensor/blas.h"
#include "tensor/loops/attention.h"
#include "tensor/loops/rows.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { ROWS = 64, PANEL = 128 }; /* queries of a tile and keys taken at once, at most */

/* The attributes of the node. Its inputs are q, k, v and the buckets of queries and keys, its further output
 * the log sums. */
struct bucket_attention {
    int64_t batch, queries, keys, heads, width, value_width, buckets, offset;
    bool causal;
    double scale, pairs; /* pairs of a query and a key that it sees, if all buckets are equally full */
};

/* Places in order of their buckets: those of bucket i are order[start[i]] .. order[start[i + 1] - 1]; before
 * them, from order[0] on, those of none. */
struct bucket_order {
    int32_t *order, *start;
};

struct workspace {
    struct bucket_order queries, keys;
    real *k, *v, *dk, *dv;    /* the bucket's keys and values side by side, and their gradients */
    real *q, *dy, *dq, *sums; /* the tile's rows */
    real *scores, *gradients; /* [ROWS, PANEL] */
    real largest[ROWS], totals[ROWS];
};

/* Lays the workspace out from `memory` on, unless that is NULL, and says how much it takes. */
static size_t lay_out(const struct bucket_attention *a, real *memory, struct workspace *w)
{
    int32_t **places[] = {&w->queries.order, &w->queries.start, &w->keys.order, &w->keys.start};
    const int64_t counts[] = {a->queries, a->buckets + 2, a->keys, a->buckets + 2};
    real **rows[] = {&w->k,  &w->dk, &w->v,    &w->dv,     &w->q,
                     &w->dq, &w->dy, &w->sums, &w->scores, &w->gradients};
    const int64_t sizes[] = {
        a->keys * a->width, a->keys * a->width, a->keys * a->value_width, a->keys * a->value_width,
        ROWS * a->width,    ROWS * a->width,    ROWS * a->value_width,    ROWS * a->value_width,
        ROWS * PANEL,       ROWS * PANEL};
    size_t used = 0;
    for (int i = 0; i < 4; i++) { /* a real has room for a place */
        if (memory)
            *places[i] = (int32_t *)(void *)(memory + used);
        used += (size_t)counts[i];
    }
    for (int i = 0; i < 10; i++) {
        if (memory)
            *rows[i] = memory + used;
        used += (size_t)sizes[i];
    }
    return used;
}

/* ---- Order ---- */

static const real *buckets_of(const tensor *buckets, int64_t b, int64_t head)
{
    return buckets->data + (buckets->shape[0] == 1 ? 0 : b * buckets->stride[0]) +
           (buckets->shape[1] == 1 ? 0 : head * buckets->stride[1]);
}

/* 0 for none, else one more than the bucket. */
static int64_t group_of(real bucket)
{
    return bucket < 0 ? 0 : (int64_t)bucket + 1;
}

static void sort_places(const real *bucket, int64_t count, int64_t buckets, struct bucket_order *o)
{
    int32_t *next =
        o->start; /* next[g]: where group g begins; placing its entries makes that where bucket g begins */
    memset(next, 0, (size_t)(buckets + 2) * sizeof *next);
    for (int64_t t = 0; t < count; t++)
        next[group_of(bucket[t]) + 1]++;
    for (int64_t g = 1; g < buckets + 2; g++)
        next[g] += next[g - 1];
    for (int64_t t = 0; t < count; t++)
        o->order[next[group_of(bucket[t])]++] = (int32_t)t;
}

static bool buckets_are_right(const tensor *y, const tensor *buckets)
{
    const struct bucket_attention *a = y->attributes;
    for (int64_t i = 0; i < tensor_size(buckets); i++)
        if (!(buckets->data[i] < (real)a->buckets)) {
            graph_fail(y->graph, STATUS_USAGE, "bucket_attention: %g is not one of the %lld buckets",
                       (double)buckets->data[i], (long long)a->buckets);
            return false;
        }
    return true;
}

/* ---- Tiles ---- */

struct bucket_tile {
    int64_t b, head, rows, keys; /* keys: those of the bucket that its last query sees */
    const int32_t *query, *key;  /* places of its queries, and of all keys of the bucket */
};

static void gather(const tensor *x, const real *data, const struct bucket_tile *tile, const int32_t *places,
                   int64_t count, real *rows)
{
    for (int64_t i = 0; i < count; i++)
        memcpy(rows + i * x->shape[3], head_rows(x, (real *)data, tile->b, places[i], tile->head),
               (size_t)x->shape[3] * sizeof *rows);
}

static void scatter(const tensor *x, real *gradient, const struct bucket_tile *tile, const int32_t *places,
                    int64_t count, const real *rows)
{
    for (int64_t i = 0; i < count; i++)
        row_loops()->add(x->shape[3], rows + i * x->shape[3],
                         head_rows(x, gradient, tile->b, places[i], tile->head));
}

static bool is_seen(const struct bucket_attention *a, int32_t query, int32_t key)
{
    return !a->causal || key <= query + a->offset;
}

/* scores [rows, PANEL] of the tile with keys [first, first + count) of its bucket, -infinity where they are
 * not seen. */
static void score_panel(const struct bucket_attention *a, const struct bucket_tile *tile,
                        const struct workspace *w, int64_t first, int64_t count)
{
    gemm(false, true, tile->rows, count, a->width, (real)a->scale, w->q, a->width, w->k + first * a->width,
         a->width, 0, w->scores, PANEL);
    int64_t seen = 0;
    for (int64_t r = 0; r < tile->rows; r++) {
        while (seen < count && is_seen(a, tile->query[r], tile->key[first + seen]))
            seen++;
        for (int64_t i = seen; i < count; i++)
            w->scores[r * PANEL + i] = -INFINITY;
    }
}

static real *log_sums_of(const tensor *y, const struct bucket_tile *tile)
{
    const struct bucket_attention *a = y->attributes;
    return y->next_output ? y->next_output->data + (tile->b * a->heads + tile->head) * a->queries : NULL;
}

static void attend(tensor *y, const struct bucket_tile *tile, struct workspace *w)
{
    const struct bucket_attention *a = y->attributes;
    gather(y->inputs[0], y->inputs[0]->data, tile, tile->query, tile->rows, w->q);
    memset(w->sums, 0, (size_t)(tile->rows * a->value_width) * sizeof *w->sums);
    for (int64_t r = 0; r < tile->rows; r++) {
        w->largest[r] = -INFINITY;
        w->totals[r] = 0;
    }
    for (int64_t first = 0; first < tile->keys; first += PANEL) {
        int64_t count = smaller(PANEL, tile->keys - first);
        score_panel(a, tile, w, first, count);
        for (int64_t r = 0; r < tile->rows; r++)
            weigh_scores(count, w->scores + r * PANEL, a->value_width, w->sums + r * a->value_width,
                         w->largest + r, w->totals + r);
        gemm(false, false, tile->rows, a->value_width, count, 1, w->scores, PANEL,
             w->v + first * a->value_width, a->value_width, 1, w->sums, a->value_width);
    }
    for (int64_t r = 0; r < tile->rows; r++)
        write_row(y, tile->b, tile->head, tile->query[r], w->sums + r * a->value_width, 1, w->largest[r],
                  w->totals[r]);
}

static void differentiate(tensor *y, const struct bucket_tile *tile, struct workspace *w)
{
    const struct bucket_attention *a = y->attributes;
    const tensor *q = y->inputs[0];
    const real *dy = output_gradient(y), *log_sums = log_sums_of(y, tile);
    gather(q, q->data, tile, tile->query, tile->rows, w->q);
    gather(y, y->data, tile, tile->query, tile->rows, w->sums);
    gather(y, dy, tile, tile->query, tile->rows, w->dy);
    memset(w->dq, 0, (size_t)(tile->rows * a->width) * sizeof *w->dq);
    for (int64_t r = 0; r < tile->rows; r++)
        w->totals[r] =
            row_loops()->dot(a->value_width, w->sums + r * a->value_width, w->dy + r * a->value_width);
    for (int64_t first = 0; first < tile->keys; first += PANEL) {
        int64_t count = smaller(PANEL, tile->keys - first);
        const real *k = w->k + first * a->width, *v = w->v + first * a->value_width;
        score_panel(a, tile, w, first, count);
        gemm(false, true, tile->rows, count, a->value_width, 1, w->dy, a->value_width, v, a->value_width, 0,
             w->gradients, PANEL);
        for (int64_t r = 0; r < tile->rows; r++)
            attention_loops()->score_gradient(count, log_sums[tile->query[r]], w->totals[r],
                                              w->scores + r * PANEL, w->gradients + r * PANEL);
        gemm(false, false, tile->rows, a->width, count, (real)a->scale, w->gradients, PANEL, k, a->width, 1,
             w->dq, a->width);
        gemm(true, false, count, a->width, tile->rows, (real)a->scale, w->gradients, PANEL, w->q, a->width, 1,
             w->dk + first * a->width, a->width);
        gemm(true, false, count, a->value_width, tile->rows, 1, w->scores, PANEL, w->dy, a->value_width, 1,
             w->dv + first * a->value_width, a->value_width);
    }
    if (input_gradient(y, 0))
        scatter(q, input_gradient(y, 0), tile, tile->query, tile->rows, w->dq);
}

/* ---- Heads ---- */

/* All tiles of the bucket whose queries and keys these are. */
static void walk_bucket(tensor *y, struct bucket_tile tile, const int32_t *queries, int64_t query_count,
                        int64_t key_count, struct workspace *w, bool backward)
{
    const struct bucket_attention *a = y->attributes;
    for (int64_t first = 0; first < query_count; first += ROWS) {
        tile.query = queries + first;
        tile.rows = smaller(ROWS, query_count - first);
        while (tile.keys < key_count && is_seen(a, tile.query[tile.rows - 1], tile.key[tile.keys]))
            tile.keys++;
        (backward ? differentiate : attend)(y, &tile, w);
    }
}

static void walk_head(tensor *y, int64_t b, int64_t head, struct workspace *w, bool backward)
{
    const struct bucket_attention *a = y->attributes;
    const tensor *k = y->inputs[1], *v = y->inputs[2];
    real *dk = backward ? input_gradient(y, 1) : NULL, *dv = backward ? input_gradient(y, 2) : NULL;
    sort_places(buckets_of(y->inputs[3], b, head), a->queries, a->buckets, &w->queries);
    sort_places(buckets_of(y->inputs[4], b, head), a->keys, a->buckets, &w->keys);
    struct bucket_tile tile = {.b = b, .head = head};
    if (!backward) /* queries of no bucket see nothing */
        walk_bucket(y, tile, w->queries.order, w->queries.start[0], 0, w, false);
    for (int64_t i = 0; i < a->buckets; i++) {
        int64_t first = w->queries.start[i], query_count = w->queries.start[i + 1] - first;
        int64_t count = w->keys.start[i + 1] - w->keys.start[i];
        if (!query_count)
            continue;
        tile.key = w->keys.order + w->keys.start[i];
        gather(k, k->data, &tile, tile.key, count, w->k);
        gather(v, v->data, &tile, tile.key, count, w->v);
        if (backward) {
            memset(w->dk, 0, (size_t)(count * a->width) * sizeof *w->dk);
            memset(w->dv, 0, (size_t)(count * a->value_width) * sizeof *w->dv);
        }
        walk_bucket(y, tile, w->queries.order + first, query_count, count, w, backward);
        if (dk)
            scatter(k, dk, &tile, tile.key, count, w->dk);
        if (dv)
            scatter(v, dv, &tile, tile.key, count, w->dv);
    }
}

static void walk(tensor *y, bool backward)
{
    const struct bucket_attention *a = y->attributes;
    struct workspace none;
    size_t size = lay_out(a, NULL, &none);
    int threads = threads_for((backward ? 2 : 1) * a->pairs * (double)(a->width + a->value_width));
    real *memory = scratch_take(y->graph, (size_t)threads * size);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < a->batch * a->heads; task++) {
        struct workspace w;
        lay_out(a, memory + (size_t)omp_get_thread_num() * size, &w);
        walk_head(y, task / a->heads, task % a->heads, &w, backward);
    }
    scratch_give(y->graph, memory);
}

static void forward(tensor *y)
{
    if (buckets_are_right(y, y->inputs[3]) && buckets_are_right(y, y->inputs[4]))
        walk(y, false);
}

static void backward(tensor *y)
{
    if (!output_gradient(y))
        return;
    for (int i = 0; i < 3; i++) /* allocated here, outside the parallel loop */
        input_gradient(y, i);
    walk(y, true);
}

/* ---- The node ---- */

static const struct operation bucket_attention_operation = {
    "bucket_attention", forward, backward,
    SAVES_INPUT(0) | SAVES_INPUT(1) | SAVES_INPUT(2) | SAVES_INPUT(3) | SAVES_INPUT(4) | SAVES_OUTPUT, false};

static double count_pairs(const struct bucket_attention *a)
{
    double pairs = 0;
    for (int64_t t = 0; t < a->queries; t++)
        pairs += (double)(a->causal ? smaller(a->keys, larger(0, t + a->offset + 1)) : a->keys);
    return pairs * (double)(a->batch * a->heads) / (double)a->buckets;
}

static void check_buckets(const tensor *x, const tensor *buckets)
{
    bool fits = buckets->rank == 3 && (buckets->shape[0] == x->shape[0] || buckets->shape[0] == 1) &&
                (buckets->shape[1] == x->shape[2] || buckets->shape[1] == 1) &&
                buckets->shape[2] == x->shape[1];
    if (!fits)
        graph_raise(
            x->graph, STATUS_USAGE, "bucket_attention: buckets %s, expected [%lld or 1, %lld or 1, %lld]",
            shape_text(buckets), (long long)x->shape[0], (long long)x->shape[2], (long long)x->shape[1]);
}

tensor *tensor_bucket_attention(tensor *q, tensor *k, tensor *v, tensor *query_buckets, tensor *key_buckets,
                                const struct bucket_attention_options *options)
{
    require(q->rank == 4, q, "bucket_attention", "queries [B, T, H, d]");
    bool keys_fit = k->rank == 4 && k->shape[0] == q->shape[0] && k->shape[2] == q->shape[2] &&
                    k->shape[3] == q->shape[3];
    bool values_fit = v->rank == 4 && v->shape[0] == k->shape[0] && v->shape[1] == k->shape[1] &&
                      v->shape[2] == k->shape[2];
    if (!keys_fit || !values_fit)
        graph_raise(q->graph, STATUS_USAGE, "bucket_attention: keys %s and values %s do not fit queries %s",
                    shape_text(k), shape_text(v), shape_text(q));
    if (options->buckets < 1)
        graph_raise(q->graph, STATUS_USAGE, "bucket_attention: %lld buckets, expected 1 or more",
                    (long long)options->buckets);
    check_buckets(q, query_buckets);
    check_buckets(k, key_buckets);
    struct bucket_attention a = {.batch = q->shape[0],
                                 .queries = q->shape[1],
                                 .keys = k->shape[1],
                                 .heads = q->shape[2],
                                 .width = q->shape[3],
                                 .value_width = v->shape[3],
                                 .buckets = options->buckets,
                                 .offset = options->offset,
                                 .causal = options->causal,
                                 .scale = options->scale};
    if (a.scale == 0)
        a.scale = 1 / sqrt((double)larger(a.width, 1));
    a.pairs = count_pairs(&a);
    tensor *inputs[] = {with_contiguous_rows(q), with_contiguous_rows(k), with_contiguous_rows(v),
                        tensor_contiguous(query_buckets), tensor_contiguous(key_buckets)};
    tensor *y = node_create(q->graph, &bucket_attention_operation, 4,
                            SHAPE(a.batch, a.queries, a.heads, a.value_width), 5, inputs, &a, sizeof a);
    add_log_sums(y, NULL);
    node_count(y, 2 * a.pairs * (double)(a.width + a.value_width), -1);
    return y;
}
