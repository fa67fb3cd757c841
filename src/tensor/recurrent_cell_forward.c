/* Recurrent cells, token by token. */
#include "tensor/blas.h"
#include "tensor/recurrent_cell_run.h"
#include <string.h>

void cell_multiply(const struct instruction *i, const tensor *w, bool transposed, const struct tile *tile,
                   const real *from, int64_t from_step, real *to, int64_t step)
{
    int64_t count = tile->count;
    int64_t outputs = w->shape[w->rank - 2], inputs = w->shape[w->rank - 1];
    for (int64_t h = 0; h < i->heads; h++) {
        const real *matrix = w->data + (i->by_token ? tile->t : h) * outputs * inputs,
                   *x = from + h * (transposed ? outputs : inputs);
        real *y = to + h * (transposed ? inputs : outputs), keep = transposed ? 1 : 0;
        if (count == 1)
            gemv(transposed, outputs, inputs, 1, matrix, inputs, x, keep, y);
        else
            gemm(false, !transposed, count, transposed ? inputs : outputs, transposed ? outputs : inputs, 1,
                 x, from_step, matrix, inputs, keep, y, step);
    }
}

static void compute_row(const struct run *r, int number, int64_t row, int64_t t)
{
    const struct instruction *i = &r->cell->list[number];
    real *y = value_of(r, number, row, t);
    const real *a = NULL;
    if (i->kind != CELL_STATE)
        a = value_of(r, i->a, row, t);
    else if (t > 0)
        a = value_of(r, i->a, row, t - 1);
    else if (i->input >= 0)
        a = r->inputs[i->input]->data + row * i->width;
    if (i->kind == CELL_UNARY) {
        pointwise_loops()->unary[i->function](i->width, a, y, i->p);
    } else if (i->kind == CELL_BINARY) {
        pointwise_loops()->binary[i->function](i->width, a, 1, value_of(r, i->b, row, t), 1, y);
    } else if (i->kind == CELL_PART) {
        int64_t size = i->width / i->heads, whole = r->cell->list[i->a].width / i->heads;
        for (int64_t h = 0; h < i->heads; h++)
            memcpy(y + h * size, a + h * whole + i->start, (size_t)size * sizeof *y);
    } else if (a) {
        memcpy(y, a, (size_t)i->width * sizeof *y);
    } else {
        memset(y, 0, (size_t)i->width * sizeof *y);
    }
}

static void compute_token(const struct run *r, struct tile tile)
{
    for (int n = 0; n < r->cell->count; n++) {
        const struct instruction *i = &r->cell->list[n];
        if (i->kind == CELL_PRODUCT)
            cell_multiply(i, r->inputs[i->input], false, &tile, value_of(r, i->a, tile.first, tile.t),
                          value_step(r, i->a), value_of(r, n, tile.first, tile.t), value_step(r, n));
        else if (i->kind != CELL_INPUT && i->kind != CELL_PARAMETER)
            for (int64_t row = tile.first; row < tile.first + tile.count; row++)
                compute_row(r, n, row, tile.t);
    }
}

static void hand_out_finals(const struct run *r, tensor *y, struct tile tile)
{
    int number = 1;
    for (int n = 0; n < r->cell->count; n++) {
        const struct instruction *i = &r->cell->list[n];
        if (i->kind != CELL_STATE)
            continue;
        real *final = node_output(y, number++)->data;
        for (int64_t row = tile.first; row < tile.first + tile.count; row++)
            memcpy(final + row * i->width, value_of(r, i->a, row, r->cell->length - 1),
                   (size_t)i->width * sizeof *final);
    }
}

void cell_forward(tensor *y)
{
    const struct recurrent_cell *cell = cell_of(y);
    int64_t width = width_of(cell, cell->output);
    struct run r = {cell, y->inputs, NULL, y->needs_gradient ? cell->length : 2};
    real *scratch = NULL;
    if (y->needs_gradient)
        r.trace = node_output(y, cell->states + 1)->data;
    else
        r.trace = scratch = scratch_take(cell->graph, (size_t)(cell->batch * r.held * cell->columns));
#pragma omp parallel for num_threads(threads_for(cell_work(cell))) schedule(static)
    for (int64_t number = 0; number < tile_count(cell); number++) {
        struct tile tile = tile_at(cell, number);
        for (tile.t = 0; tile.t < cell->length; tile.t++) {
            compute_token(&r, tile);
            for (int64_t row = tile.first; row < tile.first + tile.count; row++)
                memcpy(y->data + (row * cell->length + tile.t) * width,
                       value_of(&r, cell->output, row, tile.t), (size_t)width * sizeof *y->data);
        }
        hand_out_finals(&r, y, tile);
    }
    if (scratch)
        scratch_give(cell->graph, scratch);
}
