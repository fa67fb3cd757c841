/* Recurrent cells, backward through time. */
#include "tensor/blas.h"
#include "tensor/recurrent_cell_run.h"
#include <string.h>

enum { OUTPUTS = 64 /* rows of a matrix in one iteration of a parallel loop, for its gradient */ };

struct sweep {
    struct run run;
    real *gradient; /* [B, 2, gradients]: of the present token's vectors; for the one before, of the states */
    real *sums;     /* [B, T, sums] */
    real *inputs[TENSOR_MAX_INPUTS]; /* the node's input gradients; NULL where there are none */
};

static real *gradient_of(const struct sweep *s, int vector, int64_t row)
{
    return s->gradient + row * 2 * s->run.cell->gradients + s->run.cell->list[vector].gradient;
}

static real *carried(const struct sweep *s, int state, int64_t row)
{
    return gradient_of(s, state, row) + s->run.cell->gradients;
}

static void add(int64_t n, const real *x, real *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* What reaches a token's vectors from outside and from the token after. */
static void start_token(const struct sweep *s, const tensor *y, struct tile tile)
{
    const struct recurrent_cell *cell = s->run.cell;
    const real *dy = output_gradient(y);
    int64_t width = width_of(cell, cell->output);
    for (int64_t row = tile.first; row < tile.first + tile.count; row++) {
        memset(gradient_of(s, 0, row), 0, (size_t)cell->gradients * sizeof *s->gradient);
        if (dy)
            add(width, dy + (row * cell->length + tile.t) * width, gradient_of(s, cell->output, row));
        int number = 1;
        for (int n = 0; n < cell->count; n++) {
            const struct instruction *i = &cell->list[n];
            if (i->kind != CELL_STATE)
                continue;
            const real *last = output_gradient(node_output((tensor *)y, number++));
            if (tile.t < cell->length - 1)
                add(i->width, carried(s, n, row), gradient_of(s, i->a, row));
            else if (last)
                add(i->width, last + row * i->width, gradient_of(s, i->a, row));
        }
    }
}

static void pass_row_back(const struct sweep *s, int number, int64_t row, int64_t t)
{
    const struct run *r = &s->run;
    const struct instruction *i = &r->cell->list[number];
    const real *g = gradient_of(s, number, row);
    if (i->kind == CELL_INPUT) {
        if (s->inputs[i->input])
            add(i->width, g, s->inputs[i->input] + (row * r->cell->length + t) * i->width);
    } else if (i->kind == CELL_STATE) {
        memcpy(carried(s, number, row), g, (size_t)i->width * sizeof *g);
        if (t == 0 && i->input >= 0 && s->inputs[i->input])
            add(i->width, g, s->inputs[i->input] + row * i->width);
    } else if (i->kind == CELL_PARAMETER || i->kind == CELL_PRODUCT) {
        memcpy(s->sums + (row * r->cell->length + t) * r->cell->sums + i->sums, g,
               (size_t)i->width * sizeof *g);
    } else if (i->kind == CELL_UNARY) {
        pointwise_loops()->unary_backward[i->function](i->width, value_of(r, i->a, row, t),
                                                       value_of(r, number, row, t), g,
                                                       gradient_of(s, i->a, row), i->p);
    } else if (i->kind == CELL_BINARY) {
        const real *a = value_of(r, i->a, row, t), *b = value_of(r, i->b, row, t);
        pointwise_loops()->binary_backward[i->function](i->width, a, 1, b, 1, g, gradient_of(s, i->a, row),
                                                        NULL);
        pointwise_loops()->binary_backward[i->function](i->width, a, 1, b, 1, g, NULL,
                                                        gradient_of(s, i->b, row));
    } else if (i->kind == CELL_PART) {
        int64_t size = i->width / i->heads, whole = r->cell->list[i->a].width / i->heads;
        for (int64_t h = 0; h < i->heads; h++)
            add(size, g + h * size, gradient_of(s, i->a, row) + h * whole + i->start);
    }
}

static void pass_token_back(const struct sweep *s, struct tile tile)
{
    const struct recurrent_cell *cell = s->run.cell;
    for (int n = cell->count - 1; n >= 0; n--) {
        const struct instruction *i = &cell->list[n];
        if (i->kind == CELL_PRODUCT)
            cell_multiply(i, s->run.inputs[i->input], true, &tile, gradient_of(s, n, tile.first),
                          2 * cell->gradients, gradient_of(s, i->a, tile.first), 2 * cell->gradients);
        for (int64_t row = tile.first; row < tile.first + tile.count; row++)
            pass_row_back(s, n, row, tile.t);
    }
}

/* dW += sum over all tokens of the product's gradient times the vector that it read. */
static void collect_matrix(const struct sweep *s, const struct instruction *i)
{
    const struct recurrent_cell *cell = s->run.cell;
    const tensor *w = s->run.inputs[i->input];
    int64_t outputs = w->shape[w->rank - 2], inputs = w->shape[w->rank - 1];
    int64_t pieces = (outputs + OUTPUTS - 1) / OUTPUTS;
    int64_t tokens = cell->batch * cell->length,
            step = cell->list[i->a].kind == CELL_INPUT ? cell->list[i->a].width : cell->columns;
    const real *read = value_of(&s->run, i->a, 0, 0);
#pragma omp parallel for num_threads(threads_for(cell_work(cell))) schedule(static)
    for (int64_t task = 0; task < i->heads * pieces; task++) {
        int64_t h = task / pieces, first = task % pieces * OUTPUTS;
        int64_t count = outputs - first < OUTPUTS ? outputs - first : OUTPUTS;
        gemm(true, false, count, inputs, tokens, 1, s->sums + i->sums + h * outputs + first, cell->sums,
             read + h * inputs, step, 1, s->inputs[i->input] + (h * outputs + first) * inputs, inputs);
    }
}

void cell_backward(tensor *y)
{
    const struct recurrent_cell *cell = cell_of(y);
    int64_t tokens = cell->batch * cell->length;
    struct sweep s = {
        .run = {cell, y->inputs, node_output(y, cell->states + 1)->data, cell->length},
        .gradient = scratch_take(cell->graph, (size_t)(cell->batch * 2 * cell->gradients)),
        .sums = scratch_take(cell->graph, (size_t)(tokens * cell->sums) + 1),
    };
    for (int i = 0; i < cell->input_count; i++)
        s.inputs[i] = input_gradient(y, i);
#pragma omp parallel for num_threads(threads_for(2 * cell_work(cell))) schedule(static)
    for (int64_t number = 0; number < tile_count(cell); number++) {
        struct tile tile = tile_at(cell, number);
        for (tile.t = cell->length - 1; tile.t >= 0; tile.t--) {
            start_token(&s, y, tile);
            pass_token_back(&s, tile);
        }
    }
    for (int n = 0; n < cell->count; n++) {
        const struct instruction *i = &cell->list[n];
        if ((i->kind != CELL_PRODUCT && i->kind != CELL_PARAMETER) || !s.inputs[i->input])
            continue;
        if (i->kind == CELL_PRODUCT)
            collect_matrix(&s, i);
        for (int64_t t = 0; t < tokens && i->kind == CELL_PARAMETER; t++)
            add(i->width, s.sums + t * cell->sums + i->sums, s.inputs[i->input]);
    }
    scratch_give(cell->graph, s.sums);
    scratch_give(cell->graph, s.gradient);
}
