/* Block-sparse softmax attention: the node, the walk over listed keys, and the forward pass, an online
 * softmax over panels of gathered keys. */
#include "tensor/sparse_attention.h"
#include "tensor/attention.h"
#include "tensor/blas.h"
#include "tensor/loops/attention.h"
#include "tensor/loops/rows.h"
#include <math.h>
#include <omp.h>
#include <string.h>

/* ---- Tiles and panels ---- */

struct sparse_tile sparse_tile_at(const tensor *y, int64_t b, int64_t head, int64_t number)
{
    const struct sparse_attention *a = y->attributes;
    const tensor *lists = y->inputs[3];
    int64_t each = (a->query_block + SPARSE_ROWS - 1) / SPARSE_ROWS, block = number / each;
    int64_t query = block * a->query_block + number % each * SPARSE_ROWS;
    int64_t end = smaller((block + 1) * a->query_block, a->queries);
    struct sparse_tile tile = {
        .b = b, .head = head, .key_head = head / (a->heads / a->key_heads), .query = query};
    tile.rows = larger(0, smaller(SPARSE_ROWS, end - query));
    tile.list = lists->data + (lists->shape[0] == 1 ? 0 : b * lists->stride[0]) +
                (lists->shape[1] == 1 ? 0 : head * lists->stride[1]) + block * lists->stride[2];
    return tile;
}

bool sparse_next_panel(const struct sparse_attention *a, struct sparse_tile *tile)
{
    int64_t bound = a->keys;
    if (a->causal)
        bound = smaller(bound, tile->query + tile->rows + a->offset);
    tile->count = 0;
    while (tile->entry < a->listed && tile->count < SPARSE_PANEL) {
        int64_t block = (int64_t)tile->list[tile->entry], key = block * a->key_block + tile->inside;
        int64_t end = block < 0 ? key : smaller((block + 1) * a->key_block, bound);
        int64_t n = smaller(end - key, SPARSE_PANEL - tile->count);
        for (int64_t i = 0; i < n; i++)
            tile->position[tile->count++] = key + i;
        tile->inside += larger(n, 0);
        if (key + n >= end) {
            tile->entry++;
            tile->inside = 0;
        }
    }
    tile->together = true;
    for (int64_t i = 1; i < tile->count && tile->together; i++)
        tile->together = tile->position[i] == tile->position[0] + i;
    return tile->count > 0;
}

const real *sparse_rows(const tensor *x, const struct sparse_tile *tile, real *memory, int64_t *step)
{
    if (tile->together) {
        *step = row_step(x);
        return head_rows(x, x->data, tile->b, tile->position[0], tile->key_head);
    }
    *step = x->shape[3];
    for (int64_t i = 0; i < tile->count; i++)
        memcpy(memory + i * *step, head_rows(x, x->data, tile->b, tile->position[i], tile->key_head),
               (size_t)*step * sizeof(real));
    return memory;
}

void sparse_products(const tensor *a, const real *data, const tensor *x, const struct sparse_tile *tile,
                     double factor, real *memory, real *scores)
{
    const real *left = head_rows(a, (real *)data, tile->b, tile->query, tile->head);
    int64_t width = x->shape[3], step;
    if (tile->rows > FEW_ROWS) {
        const real *right = sparse_rows(x, tile, memory, &step);
        gemm(false, true, tile->rows, tile->count, width, (real)factor, left, row_step(a), right, step, 0,
             scores, SPARSE_PANEL);
        return;
    }
    for (int64_t r = 0; r < tile->rows; r++)
        for (int64_t i = 0; i < tile->count; i++)
            scores[r * SPARSE_PANEL + i] =
                (real)factor *
                row_loops()->dot(width, left + r * a->stride[1],
                                 head_rows(x, x->data, tile->b, tile->position[i], tile->key_head));
}

void sparse_weighted_sums(const tensor *x, const struct sparse_tile *tile, const real *weights, double factor,
                          real *memory, real *sums, int64_t step)
{
    int64_t width = x->shape[3], from;
    if (tile->rows > FEW_ROWS) {
        const real *right = sparse_rows(x, tile, memory, &from);
        gemm(false, false, tile->rows, width, tile->count, (real)factor, weights, SPARSE_PANEL, right, from,
             1, sums, step);
        return;
    }
    const real *rows[SPARSE_PANEL];
    real scaled[SPARSE_PANEL];
    for (int64_t i = 0; i < tile->count; i++)
        rows[i] = head_rows(x, x->data, tile->b, tile->position[i], tile->key_head);
    for (int64_t r = 0; r < tile->rows; r++) {
        for (int64_t i = 0; i < tile->count; i++)
            scaled[i] = (real)factor * weights[r * SPARSE_PANEL + i];
        row_loops()->add_weighted(width, (int)tile->count, scaled, rows, sums + r * step);
    }
}

void sparse_hide(const struct sparse_attention *a, const struct sparse_tile *tile, real *scores)
{
    for (int64_t r = 0; a->causal && r < tile->rows; r++)
        for (int64_t i = 0; i < tile->count; i++)
            if (tile->position[i] > tile->query + r + a->offset)
                scores[r * SPARSE_PANEL + i] = -INFINITY;
}

/* ---- Forward ---- */

static size_t memory_of(const struct sparse_attention *a)
{
    return (size_t)(SPARSE_ROWS * (SPARSE_PANEL + a->value_width + 2) +
                    SPARSE_PANEL * larger(a->width, a->value_width));
}

static void attend(tensor *y, struct sparse_tile *tile, real *memory)
{
    const struct sparse_attention *a = y->attributes;
    const tensor *q = y->inputs[0], *k = y->inputs[1], *v = y->inputs[2];
    real *scores = memory, *sums = scores + SPARSE_ROWS * SPARSE_PANEL;
    real *largest = sums + SPARSE_ROWS * a->value_width, *totals = largest + SPARSE_ROWS,
         *rows = totals + SPARSE_ROWS;
    memset(sums, 0, (size_t)(tile->rows * a->value_width) * sizeof *sums);
    for (int64_t r = 0; r < tile->rows; r++) {
        largest[r] = -INFINITY;
        totals[r] = 0;
    }
    while (sparse_next_panel(a, tile)) {
        sparse_products(q, q->data, k, tile, a->scale, rows, scores);
        sparse_hide(a, tile, scores);
        for (int64_t r = 0; r < tile->rows; r++)
            weigh_scores(tile->count, scores + r * SPARSE_PANEL, a->value_width, sums + r * a->value_width,
                         largest + r, totals + r);
        sparse_weighted_sums(v, tile, scores, 1, rows, sums, a->value_width);
    }
    for (int64_t r = 0; r < tile->rows; r++)
        write_row(y, tile->b, tile->head, tile->query + r, sums + r * a->value_width, 1, largest[r],
                  totals[r]);
}

static bool lists_are_right(const tensor *y)
{
    const struct sparse_attention *a = y->attributes;
    const tensor *lists = y->inputs[3];
    int64_t blocks = (a->keys + a->key_block - 1) / a->key_block;
    for (int64_t i = 0; i < tensor_size(lists); i++)
        if (!(lists->data[i] < (real)blocks)) {
            graph_fail(y->graph, STATUS_USAGE,
                       "sparse_attention: block %g is not one of the %lld blocks of keys",
                       (double)lists->data[i], (long long)blocks);
            return false;
        }
    return true;
}

static void forward(tensor *y)
{
    const struct sparse_attention *a = y->attributes;
    if (!lists_are_right(y))
        return;
    int threads = threads_for(a->pairs * (double)(a->width + a->value_width));
    real *memory = scratch_take(y->graph, (size_t)threads * memory_of(a));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < a->batch * a->heads * a->tiles; task++) {
        struct sparse_tile tile =
            sparse_tile_at(y, task / a->tiles / a->heads, task / a->tiles % a->heads, task % a->tiles);
        attend(y, &tile, memory + (size_t)omp_get_thread_num() * memory_of(a));
    }
    scratch_give(y->graph, memory);
}

/* ---- The node ---- */

static const struct operation sparse_attention_operation = {
    "sparse_attention", forward, sparse_attention_backward,
    SAVES_INPUT(0) | SAVES_INPUT(1) | SAVES_INPUT(2) | SAVES_INPUT(3) | SAVES_OUTPUT, false};

/* Pairs that the lists name, or that lists yet to be computed can. */
static double count_pairs(const struct sparse_attention *a, const tensor *lists)
{
    double each = (double)(smaller(a->query_block, a->queries) * smaller(a->key_block, a->keys));
    double copies = (double)(a->batch * a->heads) / (double)larger(1, lists->shape[0] * lists->shape[1]);
    double named = (double)tensor_size(lists);
    if (!lists->operation && lists->data) {
        named = 0;
        for (int64_t i = 0; i < tensor_size(lists); i++)
            named += lists->data[i] >= 0;
    }
    return each * copies * named;
}

static void check_shapes(const tensor *q, const tensor *k, const tensor *v, const tensor *lists,
                         const struct sparse_attention_options *o)
{
    require(q->rank == 4, q, "sparse_attention", "queries [B, T, H, d]");
    bool keys_fit = k->rank == 4 && k->shape[0] == q->shape[0] && k->shape[3] == q->shape[3] &&
                    k->shape[2] > 0 && q->shape[2] % k->shape[2] == 0;
    bool values_fit = v->rank == 4 && v->shape[0] == k->shape[0] && v->shape[1] == k->shape[1] &&
                      v->shape[2] == k->shape[2];
    if (!keys_fit || !values_fit)
        graph_raise(q->graph, STATUS_USAGE, "sparse_attention: keys %s and values %s do not fit queries %s",
                    shape_text(k), shape_text(v), shape_text(q));
    if (o->query_block < 1 || o->key_block < 1)
        graph_raise(q->graph, STATUS_USAGE,
                    "sparse_attention: blocks of %lld queries and %lld keys, expected 1 or more",
                    (long long)o->query_block, (long long)o->key_block);
    int64_t blocks = (q->shape[1] + o->query_block - 1) / o->query_block;
    bool lists_fit = lists->rank == 4 && (lists->shape[0] == q->shape[0] || lists->shape[0] == 1) &&
                     (lists->shape[1] == q->shape[2] || lists->shape[1] == 1) && lists->shape[2] == blocks;
    if (!lists_fit)
        graph_raise(q->graph, STATUS_USAGE,
                    "sparse_attention: lists %s, expected [%lld or 1, %lld or 1, %lld, any number]",
                    shape_text(lists), (long long)q->shape[0], (long long)q->shape[2], (long long)blocks);
}

tensor *tensor_sparse_attention(tensor *q, tensor *k, tensor *v, tensor *lists,
                                const struct sparse_attention_options *options)
{
    check_shapes(q, k, v, lists, options);
    struct sparse_attention a = {.batch = q->shape[0],
                                 .queries = q->shape[1],
                                 .keys = k->shape[1],
                                 .heads = q->shape[2],
                                 .key_heads = k->shape[2],
                                 .width = q->shape[3],
                                 .value_width = v->shape[3],
                                 .query_block = options->query_block,
                                 .key_block = options->key_block,
                                 .listed = lists->shape[3],
                                 .offset = options->offset,
                                 .causal = options->causal,
                                 .scale = options->scale};
    if (a.scale == 0)
        a.scale = 1 / sqrt((double)larger(a.width, 1));
    a.tiles = lists->shape[2] * ((a.query_block + SPARSE_ROWS - 1) / SPARSE_ROWS);
    tensor *inputs[] = {with_contiguous_rows(q), with_contiguous_rows(k), with_contiguous_rows(v),
                        tensor_contiguous(lists)};
    a.pairs = count_pairs(&a, inputs[3]);
    tensor *y = node_create(q->graph, &sparse_attention_operation, 4,
                            SHAPE(a.batch, a.queries, a.heads, a.value_width), 4, inputs, &a, sizeof a);
    add_log_sums(y, options->log_sum);
    node_count(y, 2 * a.pairs * (double)(a.width + a.value_width), -1);
    return y;
}
