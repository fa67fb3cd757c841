/* Sequences that funnel.c shortens: windows of `stride` tokens become one, their mean or maximum. */
#ifndef CLADE_KERNELS_POOLED_SEQUENCE_H
#define CLADE_KERNELS_POOLED_SEQUENCE_H

#include "block/kernel.h"
#include <math.h>

/* A sequence with the places of its tokens, [T], and their segments, [B, T] or NULL. */
struct sequence {
    tensor *rows, *places, *segments;
};

/* Windows of x [B, T, ..] along time: [B, n, stride, ..] of the tokens that are pooled, the last filled up
 * with `fill`. */
static inline tensor *windows(struct scope *s, tensor *x, double fill)
{
    int64_t stride = option(s, "stride"), T = x->shape[1];
    if (option(s, "separate_cls")) {
        tensor *rest = tensor_slice(x, 1, 0, option(s, "truncate") ? T - 1 : T);
        x = tensor_concat(2, (tensor *[]){tensor_slice(x, 1, 0, 1), rest}, 1);
    }
    int64_t length = x->shape[1], count = (length + stride - 1) / stride;
    x = tensor_pad(x, 1, 0, count * stride - length, fill);
    return tensor_reshape(x, 4, SHAPE(x->shape[0], count, stride, x->rank > 2 ? x->shape[2] : 1));
}

static inline tensor *first_of_windows(struct scope *s, tensor *x)
{
    tensor *w = windows(s, x, 0);
    return tensor_reshape(tensor_slice(w, 2, 0, 1), 2, SHAPE(w->shape[0], w->shape[1]));
}

static inline struct sequence pooled(struct scope *s, struct sequence h)
{
    bool largest = option_is(s, "pooling", "max");
    tensor *w = windows(s, h.rows, largest ? -INFINITY : 0), *rows;
    if (largest) {
        rows = tensor_max(w, 2);
    } else {
        tensor *present = windows(s, tensor_full(s->graph, 1, 3, SHAPE(1, h.rows->shape[1], 1)), 0);
        rows = tensor_divide(tensor_sum(w, 2), tensor_sum(present, 2));
    }
    rows = tensor_reshape(rows, 3, SHAPE(w->shape[0], w->shape[1], w->shape[3]));
    tensor *places = first_of_windows(s, tensor_reshape(h.places, 2, SHAPE(1, -1)));
    return (struct sequence){rows, tensor_reshape(places, 1, SHAPE(-1)),
                             h.segments ? first_of_windows(s, h.segments) : NULL};
}

#endif
