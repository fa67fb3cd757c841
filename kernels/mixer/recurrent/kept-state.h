/* States of recurrent cells that the recurrent form keeps from step to step, and what several cells share. */
#ifndef CLADE_KERNELS_KEPT_STATE_H
#define CLADE_KERNELS_KEPT_STATE_H

#include "block/kernel.h"
#include "tensor/recurrent_cell.h"

/* A cell over x [B, T, ..]. */
static inline struct recurrent_cell *cell_over(tensor *x)
{
    return recurrent_cell(x->graph, x->shape[0], x->shape[1]);
}

/* cell_state() that starts as `name` was left, or from `initial`. */
static inline int kept_state(struct scope *s, struct recurrent_cell *cell, tensor *x, const char *name,
                             int64_t width, double initial)
{
    const int64_t *shape = SHAPE(x->shape[0], 1, width);
    tensor *first = s->state ? state(s, name, initial, 3, shape) : tensor_full(s->graph, initial, 3, shape);
    return cell_state(cell, width, first);
}

/* After cell_run(). */
static inline void keep_state(struct scope *s, const struct recurrent_cell *cell, const char *name,
                              int number)
{
    if (s->state)
        state_set(s, name, cell_final(cell, number));
}

/* a b + c d */
static inline int cell_mixture(struct recurrent_cell *cell, int a, int b, int c, int d)
{
    return cell_binary(cell, BINARY_add, cell_binary(cell, BINARY_multiply, a, b),
                       cell_binary(cell, BINARY_multiply, c, d));
}

/* The LSTM's gates (i, f, g, o) in `gates` and the memory before it: the new memory, and in *h the output. */
static inline int lstm_memory(struct recurrent_cell *cell, int gates, int memory, int *h)
{
    int i = cell_unary(cell, UNARY_sigmoid, cell_part(cell, gates, 1, 0, 4));
    int f = cell_unary(cell, UNARY_sigmoid, cell_part(cell, gates, 1, 1, 4));
    int g = cell_unary(cell, UNARY_tanh, cell_part(cell, gates, 1, 2, 4));
    int o = cell_unary(cell, UNARY_sigmoid, cell_part(cell, gates, 1, 3, 4));
    int c = cell_mixture(cell, f, memory, i, g);
    *h = cell_binary(cell, BINARY_multiply, o, cell_unary(cell, UNARY_tanh, c));
    return c;
}

#endif
