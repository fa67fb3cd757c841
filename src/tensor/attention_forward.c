/* Attention over tiles of queries and panels of keys: two products a tile, an online softmax between (Rabe &
 * Staats 2021; Dao et al. 2022). */
#include "tensor/attention.h"
#include "tensor/blas.h"
#include "tensor/loops/attention.h"
#include <math.h>
#include <omp.h>
#include <string.h>

/* What a thread holds of the tile of queries that it works on. */
struct tile {
    real *scores;  /* [QUERY_TILE, panel], then the weights in their place */
    real *sums;    /* [QUERY_TILE, value width]: weights times values, so far, over exp(largest) */
    real *largest; /* [QUERY_TILE]: the largest score so far */
    real *totals;  /* [QUERY_TILE]: the sum of the weights so far, over exp(largest) */
};

static size_t tile_size(const struct attention *a)
{
    return (size_t)(QUERY_TILE * (a->panel + a->value_width + 2));
}

static struct tile tile_in(const struct attention *a, real *memory)
{
    struct tile tile = {.scores = memory};
    tile.sums = tile.scores + QUERY_TILE * a->panel;
    tile.largest = tile.sums + QUERY_TILE * a->value_width;
    tile.totals = tile.largest + QUERY_TILE;
    return tile;
}

/* Scores to weights relative to the largest score so far, and the sums so far brought to the same scale. */
static void weigh_tile(const tensor *y, struct tile *tile, int64_t b, int64_t head, int64_t query,
                       int64_t rows, int64_t key, int64_t n)
{
    const struct attention *a = y->attributes;
    for (int64_t r = 0; r < rows; r++) {
        real *row = tile->scores + r * a->panel;
        int64_t begin, end;
        finish_scores(y, b, head, query + r, key, n, row, NULL, &begin, &end);
        memset(row, 0, (size_t)begin * sizeof *row);
        memset(row + end, 0, (size_t)(n - end) * sizeof *row);
        weigh_scores(end - begin, row + begin, a->value_width, tile->sums + r * a->value_width,
                     tile->largest + r, tile->totals + r);
    }
}

static void add_panel(const tensor *y, struct tile *tile, const real *packed, int64_t b, int64_t head,
                      int64_t query, int64_t rows, int64_t key, int64_t n)
{
    const struct attention *a = y->attributes;
    const tensor *q = y->inputs[0], *v = y->inputs[2];
    int64_t key_head = head / (a->heads / a->key_heads);
    const real *panel = packed_panel(a, packed, a->width, b, key_head, key / a->panel) + key % a->panel;
    gemm(false, false, rows, n, a->width, (real)a->options.scale, head_rows(q, q->data, b, query, head),
         row_step(q), panel, a->panel, 0, tile->scores, a->panel);
    weigh_tile(y, tile, b, head, query, rows, key, n);
    gemm(false, false, rows, a->value_width, n, 1, tile->scores, a->panel,
         head_rows(v, v->data, b, key, key_head), row_step(v), 1, tile->sums, a->value_width);
}

static void attend(tensor *y, struct tile tile, const real *packed, int64_t b, int64_t head, int64_t query)
{
    const struct attention *a = y->attributes;
    int64_t rows = smaller(QUERY_TILE, a->queries - query);
    memset(tile.sums, 0, (size_t)(rows * a->value_width) * sizeof *tile.sums);
    for (int64_t r = 0; r < rows; r++) {
        tile.largest[r] = -INFINITY;
        tile.totals[r] = 0;
    }
    struct seen_keys seen = seen_keys(a, query, rows);
    const int64_t ranges[][2] = {{0, seen.sinks}, {larger(seen.sinks, seen.first / 16 * 16), seen.last}};
    for (int i = 0; i < 2; i++)
        for (int64_t key = ranges[i][0], next; key < ranges[i][1]; key = next) {
            next = smaller((key / a->panel + 1) * a->panel, ranges[i][1]);
            add_panel(y, &tile, packed, b, head, query, rows, key, next - key);
        }
    for (int64_t r = 0; r < rows; r++)
        finish_row(y, b, head, query + r, tile.sums + r * a->value_width, tile.largest[r], tile.totals[r]);
}

void attention_forward(tensor *y)
{
    const struct attention *a = y->attributes;
    int threads = threads_for(attention_work(a, a->width + a->value_width));
    real *packed = pack_panels(y, y->inputs[1]);
    real *memory = scratch_take(y->graph, (size_t)threads * tile_size(a));
    int64_t tiles = (a->queries + QUERY_TILE - 1) / QUERY_TILE;
    /* Of each head the last queries come first: under a causal mask they have most to do. */
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < a->batch * a->heads * tiles; task++)
        attend(y, tile_in(a, memory + (size_t)omp_get_thread_num() * tile_size(a)), packed,
               task / tiles / a->heads, task / tiles % a->heads, (tiles - 1 - task % tiles) * QUERY_TILE);
    scratch_give(y->graph, memory);
    scratch_give(y->graph, packed);
}
