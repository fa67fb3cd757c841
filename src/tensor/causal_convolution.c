/* Short depthwise causal convolution: a sum of shifted rows, each times a row of taps. */
#include "tensor/loops/causal_convolution.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <stdlib.h>
#include <string.h>

/* Steps of one iteration of a parallel loop, and of one partial sum of gradients of taps. */
enum { ROWS = 64 };

struct convolution {
    bool has_bias, has_previous;
};

struct sizes {
    int64_t batch, steps, channels, taps, pieces;
};

static struct sizes sizes_of(const tensor *y)
{
    const tensor *x = y->inputs[0], *w = y->inputs[1];
    return (struct sizes){x->shape[0], x->shape[1], x->shape[2], w->shape[1],
                          (x->shape[1] + ROWS - 1) / ROWS};
}

static double work_of(const struct sizes *s)
{
    return 2.0 * (double)(s->batch * s->steps * s->channels) * (double)s->taps;
}

static tensor *optional_input(const tensor *y, bool bias)
{
    const struct convolution *c = y->attributes;
    if (bias)
        return c->has_bias ? y->inputs[2] : NULL;
    return c->has_previous ? y->inputs[y->input_count - 1] : NULL;
}

/* Rows of one batch entry, from -(taps - 1) to steps - 1: x's or its gradient's, with those of `previous`
 * before them. */
struct rows {
    real *x, *previous; /* may be NULL */
    int64_t stride, before, steps, channels;
};

static struct rows rows_of(const tensor *y, const struct sizes *s, int64_t batch, real *x, real *previous)
{
    return (struct rows){x ? x + batch * y->inputs[0]->stride[0] : NULL,
                         previous ? previous + batch * (s->taps - 1) * s->channels : NULL,
                         y->inputs[0]->stride[1],
                         s->taps - 1,
                         s->steps,
                         s->channels};
}

static struct rows output_rows(const struct sizes *s, int64_t batch, real *y)
{
    return (struct rows){y + batch * s->steps * s->channels, NULL, s->channels, 0, s->steps, s->channels};
}

/* Row t; `absent` where there is none. */
static real *row_at(const struct rows *rows, int64_t t, real *absent)
{
    if (t >= 0 && t < rows->steps && rows->x)
        return rows->x + t * rows->stride;
    if (t < 0 && t >= -rows->before && rows->previous)
        return rows->previous + (rows->before + t) * rows->channels;
    return absent;
}

/* Pointers to rows start .. start + count - 1, to be freed. */
static real **point(const struct rows *rows, int64_t start, int64_t count, real *absent)
{
    real **at = memory_allocate(size_multiply((size_t)(count > 0 ? count : 1), sizeof *at));
    for (int64_t i = 0; i < count; i++)
        at[i] = row_at(rows, start + i, absent);
    return at;
}

/* Taps as rows [K, C], in order or from the last, and after them a row of zeros. */
static real *take_taps(const tensor *y, const struct sizes *s, bool reverse)
{
    const tensor *w = y->inputs[1];
    real *taps = scratch_take(y->graph, (size_t)((s->taps + 1) * s->channels));
    for (int64_t j = 0; j < s->taps; j++)
        for (int64_t c = 0; c < s->channels; c++)
            taps[j * s->channels + c] =
                w->data[c * w->stride[0] + (reverse ? s->taps - 1 - j : j) * w->stride[1]];
    memset(taps + s->taps * s->channels, 0, (size_t)s->channels * sizeof *taps);
    return taps;
}

/* Rows [start, end) of `out` from the rows of `in` that begin `shift` later. */
static void convolve(const struct sizes *s, const real *taps, const real *bias, const struct rows *in,
                     int64_t shift, bool add, const struct rows *out, int64_t start, int64_t end)
{
    real *zeros = (real *)taps + s->taps * s->channels;
    real **from = point(in, start + shift, end - start + s->taps - 1, zeros),
         **to = point(out, start, end - start, NULL);
    convolution_loops()->convolve(end - start, s->channels, s->taps, taps, bias, (const real *const *)from,
                                  add, to);
    free(from);
    free(to);
}

static void convolution_forward(tensor *y)
{
    const tensor *x = y->inputs[0], *bias = optional_input(y, true), *previous = optional_input(y, false);
    struct sizes s = sizes_of(y);
    real *taps = take_taps(y, &s, false);
#pragma omp parallel for num_threads(threads_for(work_of(&s))) schedule(static)
    for (int64_t task = 0; task < s.batch * s.pieces; task++) {
        int64_t b = task / s.pieces, start = task % s.pieces * ROWS,
                end = start + ROWS < s.steps ? start + ROWS : s.steps;
        struct rows in = rows_of(y, &s, b, x->data, previous ? previous->data : NULL),
                    out = output_rows(&s, b, y->data);
        convolve(&s, taps, bias ? bias->data : NULL, &in, 1 - s.taps, false, &out, start, end);
    }
    scratch_give(y->graph, taps);
}

/* dx_t = sum_j w_j dy_{t + K - 1 - j}: each row of dx (and of the rows before the start) by one thread. */
static void backward_inputs(tensor *y, const struct sizes *s)
{
    const tensor *previous = optional_input(y, false);
    real *dx = input_gradient(y, 0), *dprevious = previous ? input_gradient(y, y->input_count - 1) : NULL;
    int64_t first = dprevious ? 1 - s->taps : 0, last = dx ? s->steps : 0,
            pieces = (last - first + ROWS - 1) / ROWS;
    real *taps = take_taps(y, s, true);
#pragma omp parallel for num_threads(threads_for(work_of(s))) schedule(static)
    for (int64_t task = 0; task < s->batch * pieces; task++) {
        int64_t b = task / pieces, start = first + task % pieces * ROWS,
                end = start + ROWS < last ? start + ROWS : last;
        struct rows in = output_rows(s, b, y->gradient), out = rows_of(y, s, b, dx, dprevious);
        convolve(s, taps, NULL, &in, 0, true, &out, start, end);
    }
    scratch_give(y->graph, taps);
}

/* Sums over fixed pieces of the steps, then over the pieces in order. */
static void backward_weights(tensor *y, const struct sizes *s, real *dw, real *dbias)
{
    const tensor *x = y->inputs[0], *w = y->inputs[1], *previous = optional_input(y, false);
    int64_t tasks = s->batch * s->pieces, part = (s->taps + 1) * s->channels;
    real *parts = scratch_take(y->graph, (size_t)(tasks * part + s->channels)), *zeros = parts + tasks * part;
    memset(parts, 0, (size_t)(tasks * part + s->channels) * sizeof *parts);
#pragma omp parallel for num_threads(threads_for(work_of(s))) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t b = task / s->pieces, start = task % s->pieces * ROWS;
        int64_t count = s->steps - start < ROWS ? s->steps - start : ROWS;
        struct rows in = rows_of(y, s, b, x->data, previous ? previous->data : NULL);
        struct rows out = output_rows(s, b, y->gradient);
        real **from = point(&in, start + 1 - s->taps, count + s->taps - 1, zeros),
             **dy = point(&out, start, count, NULL);
        convolution_loops()->gradient(count, s->channels, s->taps, (const real *const *)dy,
                                      (const real *const *)from, dw ? parts + task * part : NULL,
                                      dbias ? parts + task * part + s->taps * s->channels : NULL);
        free(from);
        free(dy);
    }
    for (int64_t task = 1; task < tasks; task++)
        row_loops()->add(part, parts + task * part, parts);
    for (int64_t j = 0; dw && tasks && j < s->taps; j++)
        for (int64_t c = 0; c < s->channels; c++)
            dw[c * w->stride[0] + j * w->stride[1]] += parts[j * s->channels + c];
    if (dbias && tasks)
        row_loops()->add(s->channels, parts + s->taps * s->channels, dbias);
    scratch_give(y->graph, parts);
}

static void convolution_backward(tensor *y)
{
    const struct convolution *c = y->attributes;
    struct sizes s = sizes_of(y);
    backward_inputs(y, &s);
    real *dw = input_gradient(y, 1), *dbias = c->has_bias ? input_gradient(y, 2) : NULL;
    if (dw || dbias)
        backward_weights(y, &s, dw, dbias);
}

static const struct operation convolution_operation = {
    "causal_convolution", convolution_forward, convolution_backward,
    SAVES_INPUT(0) | SAVES_INPUT(1) | SAVES_INPUT(2) | SAVES_INPUT(3), false};

tensor *tensor_causal_convolution(tensor *x, tensor *weight, tensor *bias, tensor *previous)
{
    require(x->rank == 3, x, "causal_convolution", "inputs [B, T, C]");
    require(weight->rank == 2 && weight->shape[0] == x->shape[2] && weight->shape[1] > 0, weight,
            "causal_convolution", "taps [C, K]");
    require(!bias || (bias->rank == 1 && bias->shape[0] == x->shape[2]), bias, "causal_convolution",
            "a bias [C]");
    require(!previous || (previous->rank == 3 && previous->shape[0] == x->shape[0] &&
                          previous->shape[1] == weight->shape[1] - 1 && previous->shape[2] == x->shape[2]),
            previous, "causal_convolution", "earlier inputs [B, K - 1, C]");
    tensor *inputs[4] = {with_contiguous_rows(x), weight};
    struct convolution c = {bias != NULL, previous != NULL && weight->shape[1] > 1};
    int count = 2;
    if (bias)
        inputs[count++] = tensor_contiguous(bias);
    if (c.has_previous)
        inputs[count++] = tensor_contiguous(previous);
    tensor *y = node_create(x->graph, &convolution_operation, 3, x->shape, count, inputs, &c, sizeof c);
    node_count(y, 2.0 * (double)tensor_size(x) * (double)weight->shape[1], -1);
    return y;
}
