/* Gradients of block-sparse attention, from recomputed scores and the saved log sums as attention_backward.c
 * has them. A task is a key head with all heads that read it, so that each row of dK and dV is added up by
 * one thread, in the order of the lists. */
#include "tensor/attention.h"
#include "tensor/blas.h"
#include "tensor/loops/attention.h"
#include "tensor/loops/rows.h"
#include "tensor/sparse_attention.h"
#include <omp.h>
#include <string.h>

struct backward {
    tensor *y;
    const struct sparse_attention *a;
    const real *dy, *dlog_sum; /* dlog_sum may be NULL */
    real *dq, *dk, *dv;        /* NULL: not wanted */
};

struct tile_memory {
    real *weights, *gradients; /* [SPARSE_ROWS, SPARSE_PANEL] */
    real *rows, *added;        /* [SPARSE_PANEL, the wider of keys and values] */
    real means[SPARSE_ROWS];
};

static size_t memory_of(const struct sparse_attention *a)
{
    return (size_t)(2 * SPARSE_ROWS * SPARSE_PANEL + 2 * SPARSE_PANEL * larger(a->width, a->value_width));
}

/* Adds factor weights^T rows, `rows` being the tile's queries of x or dy, to the gradient of the panel's keys
 * or values. */
static void add_to_keys(const struct sparse_tile *tile, const real *weights, double factor, const tensor *x,
                        const real *data, const tensor *target, real *gradient, real *added)
{
    const real *rows = head_rows(x, (real *)data, tile->b, tile->query, tile->head);
    int64_t width = target->shape[3];
    if (tile->together) {
        gemm(true, false, tile->count, width, tile->rows, (real)factor, weights, SPARSE_PANEL, rows,
             row_step(x), 1, head_rows(target, gradient, tile->b, tile->position[0], tile->key_head),
             row_step(target));
        return;
    }
    if (tile->rows > FEW_ROWS)
        gemm(true, false, tile->count, width, tile->rows, (real)factor, weights, SPARSE_PANEL, rows,
             row_step(x), 0, added, width);
    for (int64_t i = 0; i < tile->count; i++) {
        real *to = head_rows(target, gradient, tile->b, tile->position[i], tile->key_head);
        if (tile->rows > FEW_ROWS)
            row_loops()->add(width, added + i * width, to);
        for (int64_t r = 0; tile->rows <= FEW_ROWS && r < tile->rows; r++) {
            real weight = (real)factor * weights[r * SPARSE_PANEL + i];
            row_loops()->add_weighted(width, 1, &weight, (const real *[]){rows + r * x->stride[1]}, to);
        }
    }
}

static void differentiate_panel(const struct backward *w, const struct sparse_tile *tile,
                                struct tile_memory *m)
{
    const struct sparse_attention *a = w->a;
    const tensor *q = w->y->inputs[0], *k = w->y->inputs[1], *v = w->y->inputs[2];
    const real *log_sum =
        node_output(w->y, 1)->data + (tile->b * a->heads + tile->head) * a->queries + tile->query;
    sparse_products(q, q->data, k, tile, a->scale, m->rows, m->weights);
    sparse_hide(a, tile, m->weights);
    sparse_products(w->y, w->dy, v, tile, 1, m->rows, m->gradients);
    for (int64_t r = 0; r < tile->rows; r++)
        attention_loops()->score_gradient(tile->count, log_sum[r], m->means[r], m->weights + r * SPARSE_PANEL,
                                          m->gradients + r * SPARSE_PANEL);
    if (w->dq)
        sparse_weighted_sums(k, tile, m->gradients, a->scale, m->rows,
                             head_rows(q, w->dq, tile->b, tile->query, tile->head), row_step(q));
    if (w->dk)
        add_to_keys(tile, m->gradients, a->scale, q, q->data, k, w->dk, m->added);
    if (w->dv)
        add_to_keys(tile, m->weights, 1, w->y, w->dy, v, w->dv, m->added);
}

static void differentiate_tile(const struct backward *w, struct sparse_tile *tile, struct tile_memory *m)
{
    const struct sparse_attention *a = w->a;
    for (int64_t r = 0; r < tile->rows; r++) {
        m->means[r] = row_loops()->dot(a->value_width,
                                       head_rows(w->y, w->y->data, tile->b, tile->query + r, tile->head),
                                       head_rows(w->y, (real *)w->dy, tile->b, tile->query + r, tile->head));
        if (w->dlog_sum)
            m->means[r] -= w->dlog_sum[(tile->b * a->heads + tile->head) * a->queries + tile->query + r];
    }
    while (sparse_next_panel(a, tile))
        differentiate_panel(w, tile, m);
}

void sparse_attention_backward(tensor *y)
{
    const struct sparse_attention *a = y->attributes;
    struct backward w = {
        .y = y, .a = a, .dy = output_gradient(y), .dlog_sum = output_gradient(node_output(y, 1))};
    if (!w.dy && !w.dlog_sum)
        return;
    real *zeros = NULL;
    if (!w.dy) {
        w.dy = zeros = scratch_take(y->graph, (size_t)tensor_size(y));
        memset(zeros, 0, (size_t)tensor_size(y) * sizeof *zeros);
    }
    w.dq = input_gradient(y, 0);
    w.dk = input_gradient(y, 1);
    w.dv = input_gradient(y, 2);
    int64_t group = a->heads / a->key_heads;
    int threads = threads_for(2 * a->pairs * (double)(a->width + a->value_width));
    real *memory = scratch_take(y->graph, (size_t)threads * memory_of(a));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < a->batch * a->key_heads; task++) {
        struct tile_memory m = {.weights = memory + (size_t)omp_get_thread_num() * memory_of(a)};
        m.gradients = m.weights + SPARSE_ROWS * SPARSE_PANEL;
        m.rows = m.gradients + SPARSE_ROWS * SPARSE_PANEL;
        m.added = m.rows + SPARSE_PANEL * larger(a->width, a->value_width);
        for (int64_t i = 0; i < group * a->tiles; i++) {
            int64_t head = task % a->key_heads * group + i / a->tiles;
            struct sparse_tile tile = sparse_tile_at(y, task / a->key_heads, head, i % a->tiles);
            differentiate_tile(&w, &tile, &m);
        }
    }
    scratch_give(y->graph, memory);
    if (zeros)
        scratch_give(y->graph, zeros);
}
