/* Short depthwise causal convolution: a sum of shifted rows, each times a row of taps. */
#include "tensor/loops/causal_convolution.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

enum { ROWS = 64 }; /* steps of one iteration of a parallel loop, and of one partial sum of tap gradients */

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

/* Row t of batch entry b of x, t >= -(taps - 1): before the start from `previous`, or NULL for zeros. */
static real *input_row(const tensor *x, real *values, real *previous, const struct sizes *s, int64_t b,
                       int64_t t)
{
    if (t >= 0)
        return values ? values + b * x->stride[0] + t * x->stride[1] : NULL;
    return previous ? previous + (b * (s->taps - 1) + s->taps - 1 + t) * s->channels : NULL;
}

/* Taps as rows: [K, C] from [C, K]. */
static void transpose_taps(const tensor *w, const struct sizes *s, real *rows)
{
    for (int64_t j = 0; j < s->taps; j++)
        for (int64_t c = 0; c < s->channels; c++)
            rows[j * s->channels + c] = w->data[c * w->stride[0] + j * w->stride[1]];
}

static const tensor *optional_input(const tensor *y, bool bias)
{
    const struct convolution *c = y->attributes;
    if (bias)
        return c->has_bias ? y->inputs[2] : NULL;
    return c->has_previous ? y->inputs[y->input_count - 1] : NULL;
}

static void convolution_forward(tensor *y)
{
    const tensor *x = y->inputs[0], *bias = optional_input(y, true), *previous = optional_input(y, false);
    struct sizes s = sizes_of(y);
    real *taps = scratch_take(y->graph, (size_t)(s.taps * s.channels));
    transpose_taps(y->inputs[1], &s, taps);
#pragma omp parallel for num_threads(threads_for(work_of(&s))) schedule(static)
    for (int64_t task = 0; task < s.batch * s.pieces; task++) {
        int64_t b = task / s.pieces, start = task % s.pieces * ROWS,
                end = start + ROWS < s.steps ? start + ROWS : s.steps;
        for (int64_t t = start; t < end; t++) {
            real *out = y->data + (b * s.steps + t) * s.channels;
            if (bias)
                memcpy(out, bias->data, (size_t)s.channels * sizeof *out);
            else
                memset(out, 0, (size_t)s.channels * sizeof *out);
            for (int64_t j = 0; j < s.taps; j++) {
                const real *in =
                    input_row(x, x->data, previous ? previous->data : NULL, &s, b, t - s.taps + 1 + j);
                if (in)
                    tap_loops()->multiply_add(s.channels, taps + j * s.channels, in, out);
            }
        }
    }
    scratch_give(y->graph, taps);
}

/* dx_t = sum_j w_j dy_{t + K - 1 - j}: each row of dx (and of the rows before the start) by one thread. */
static void backward_inputs(tensor *y, const struct sizes *s, const real *taps)
{
    const tensor *x = y->inputs[0], *previous = optional_input(y, false);
    real *dx = input_gradient(y, 0), *dprevious = previous ? input_gradient(y, y->input_count - 1) : NULL;
    int64_t before = s->taps - 1, pieces = (before + s->steps + ROWS - 1) / ROWS;
#pragma omp parallel for num_threads(threads_for(work_of(s))) schedule(static)
    for (int64_t task = 0; task < s->batch * pieces; task++) {
        int64_t b = task / pieces, start = task % pieces * ROWS - before;
        int64_t end = start + ROWS < s->steps ? start + ROWS : s->steps;
        for (int64_t t = start; t < end; t++) {
            real *to = input_row(x, dx, dprevious, s, b, t);
            for (int64_t j = 0; to && j < s->taps; j++) {
                int64_t from = t + s->taps - 1 - j;
                if (from >= 0 && from < s->steps)
                    tap_loops()->multiply_add(s->channels, taps + j * s->channels,
                                              y->gradient + (b * s->steps + from) * s->channels, to);
            }
        }
    }
}

/* Sums over fixed pieces of the steps, then over the pieces in order. */
static void backward_weights(tensor *y, const struct sizes *s, real *dw, real *dbias)
{
    const tensor *x = y->inputs[0], *w = y->inputs[1], *previous = optional_input(y, false);
    int64_t tasks = s->batch * s->pieces, part = (s->taps + 1) * s->channels;
    real *parts = scratch_take(y->graph, (size_t)(tasks * part));
    memset(parts, 0, (size_t)(tasks * part) * sizeof *parts);
#pragma omp parallel for num_threads(threads_for(work_of(s))) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t b = task / s->pieces, start = task % s->pieces * ROWS,
                end = start + ROWS < s->steps ? start + ROWS : s->steps;
        real *sum = parts + task * part;
        for (int64_t t = start; t < end; t++) {
            const real *dy = y->gradient + (b * s->steps + t) * s->channels;
            for (int64_t j = 0; dw && j < s->taps; j++) {
                const real *in =
                    input_row(x, x->data, previous ? previous->data : NULL, s, b, t - s->taps + 1 + j);
                if (in)
                    tap_loops()->multiply_add(s->channels, dy, in, sum + j * s->channels);
            }
            if (dbias)
                row_loops()->add(s->channels, dy, sum + s->taps * s->channels);
        }
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
    real *taps = scratch_take(y->graph, (size_t)(s.taps * s.channels));
    transpose_taps(y->inputs[1], &s, taps);
    backward_inputs(y, &s, taps);
    scratch_give(y->graph, taps);
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
    require(!bias || tensor_size(bias) == x->shape[2], bias ? bias : x, "causal_convolution", "a bias [C]");
    tensor *inputs[4] = {with_contiguous_rows(x), weight};
    struct convolution c = {bias != NULL, previous != NULL && weight->shape[1] > 1};
    int count = 2;
    if (bias)
        inputs[count++] = tensor_contiguous(bias);
    if (c.has_previous) {
        require(tensor_size(previous) == x->shape[0] * (weight->shape[1] - 1) * x->shape[2], previous,
                "causal_convolution", "earlier inputs [B, K - 1, C]");
        inputs[count++] = tensor_contiguous(previous);
    }
    tensor *y = node_create(x->graph, &convolution_operation, 3, x->shape, count, inputs, &c, sizeof c);
    node_count(y, 2.0 * (double)tensor_size(x) * (double)weight->shape[1], -1);
    return y;
}
