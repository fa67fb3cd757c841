/* recurrent_cell_run.h: what writing a recurrent cell (recurrent_cell.c), running it
 * (recurrent_cell_forward.c) and its gradients (recurrent_cell_backward.c) share: its instructions, and where
 * their results lie. */
#ifndef CLADE_TENSOR_RECURRENT_CELL_RUN_H
#define CLADE_TENSOR_RECURRENT_CELL_RUN_H

#include "tensor/operation.h"
#include "tensor/recurrent_cell.h"

enum { CELL_MAX = 512, CELL_ROWS = 16 /* of the batch in one iteration of a parallel loop */ };

enum kind {
    CELL_INPUT,
    CELL_PARAMETER,
    CELL_STATE,
    CELL_PRODUCT,
    CELL_UNARY,
    CELL_BINARY,
    CELL_PART,
    CELL_STOP
};

struct instruction {
    enum kind kind;
    int function; /* enum unary or binary */
    double p[2];
    int a, b;               /* vectors that it reads; a of a state: its update, -1 until there is one */
    int input;              /* the node's input with the values, matrix or initial state; -1: none */
    int64_t width;          /* of the result */
    int64_t heads, start;   /* of products and parts */
    bool by_token;          /* of products: a matrix for each token */
    int64_t column;         /* of the result in a token's trace, unless it lies in an input */
    int64_t gradient, sums; /* column of its gradient; of the gradient that is kept for all tokens */
};

struct recurrent_cell {
    struct graph *graph;
    int64_t batch, length;
    tensor *inputs[TENSOR_MAX_INPUTS];
    int input_count;
    int64_t columns, gradients, sums; /* widths of the traces */
    tensor *result;                   /* its further outputs: final states in order, then the trace */
    int output, states, count;
    struct instruction list[CELL_MAX];
};

static inline int64_t width_of(const struct recurrent_cell *cell, int vector)
{
    return cell->list[vector].width;
}

/* One run; the trace has [B, held, columns]: all tokens if backward follows, else the newest two. */
struct run {
    const struct recurrent_cell *cell;
    tensor *const *inputs; /* the node's */
    real *trace;
    int64_t held;
};

/* Rows [first, first + count) of the batch at token t. */
struct tile {
    int64_t first, count, t;
};

static inline const struct recurrent_cell *cell_of(const tensor *y)
{
    return *(struct recurrent_cell *const *)y->attributes;
}

/* A vector of the first row; that of the next row lies value_step() further. */
static inline real *value_of(const struct run *r, int vector, int64_t row, int64_t t)
{
    const struct instruction *i = &r->cell->list[vector];
    if (i->kind == CELL_PARAMETER)
        return r->inputs[i->input]->data;
    if (i->kind == CELL_INPUT)
        return r->inputs[i->input]->data + (row * r->cell->length + t) * i->width;
    return r->trace + (row * r->held + t % r->held) * r->cell->columns + i->column;
}

static inline int64_t value_step(const struct run *r, int vector)
{
    const struct instruction *i = &r->cell->list[vector];
    if (i->kind == CELL_PARAMETER)
        return 0;
    return i->kind == CELL_INPUT ? r->cell->length * i->width : r->held * r->cell->columns;
}

static inline int64_t tile_count(const struct recurrent_cell *cell)
{
    return (cell->batch + CELL_ROWS - 1) / CELL_ROWS;
}

static inline struct tile tile_at(const struct recurrent_cell *cell, int64_t number)
{
    int64_t first = number * CELL_ROWS;
    return (struct tile){first, cell->batch - first < CELL_ROWS ? cell->batch - first : CELL_ROWS, 0};
}

/* Operations of all tokens, multiply-adds counting two. */
double cell_work(const struct recurrent_cell *cell);
/* to [count, o] = W from [count, i] (transposed: to [count, i] += W^T from), for every head. */
void cell_multiply(const struct instruction *i, const tensor *w, bool transposed, const struct tile *tile,
                   const real *from, int64_t from_step, real *to, int64_t step);

void cell_forward(tensor *y);
void cell_backward(tensor *y);

#endif
