/* Mamba's selective scan. States are kept for a few channels at a time and never for all steps: the backward form first stores
 * one state a chunk, then goes through the chunks from the last, making their states anew. */
#include "tensor/loops/selective_scan.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

enum {
    LANES = SELECTIVE_LANES,
    GROUP =
        4 /* blocks of channels of one iteration of a parallel loop: they share partial gradients of B and C */
};

enum { INPUT_X, INPUT_DELTA, INPUT_A, INPUT_B, INPUT_C, INPUT_INITIAL };

struct sizes {
    int64_t batch, steps, channels, states, blocks, groups, chunks;
};

static struct sizes sizes_of(const tensor *y)
{
    struct sizes s = {y->shape[0], y->shape[1], y->shape[2], y->inputs[INPUT_A]->shape[1], 0, 0, 0};
    s.blocks = (s.channels + LANES - 1) / LANES;
    s.groups = (s.blocks + GROUP - 1) / GROUP;
    s.chunks = (s.steps + SELECTIVE_CHUNK - 1) / SELECTIVE_CHUNK;
    return s;
}

static double work_of(const struct sizes *s)
{
    return 16.0 * (double)(s->batch * s->steps) * (double)(s->channels * s->states);
}

/* [channels, states] of one block -> [states, LANES], or back. */
static void gather_states(const struct sizes *s, int64_t block, const real *from, real *lanes)
{
    for (int64_t n = 0; n < s->states; n++)
        for (int64_t c = 0; c < LANES; c++) {
            int64_t channel = block * LANES + c;
            lanes[n * LANES + c] = from && channel < s->channels ? from[channel * s->states + n] : 0;
        }
}

static void scatter_states(const struct sizes *s, int64_t block, const real *lanes, real *to, bool add)
{
    for (int64_t c = 0; c < LANES && block * LANES + c < s->channels; c++)
        for (int64_t n = 0; n < s->states; n++) {
            real *place = to + (block * LANES + c) * s->states + n;
            *place = lanes[n * LANES + c] + (add ? *place : 0);
        }
}

static const real *row_of(const tensor *x, int64_t batch, int64_t step)
{
    return x->data + batch * x->stride[0] + step * x->stride[1];
}

/* The steps [start, start + count) of one block of one batch entry. */
static struct selective_scan_block describe(const tensor *y, const struct sizes *s, int64_t batch,
                                            int64_t block, int64_t start, int64_t count, const real *A)
{
    tensor *const *in = y->inputs;
    int64_t channel = block * LANES;
    return (struct selective_scan_block){.steps = count,
                                         .width =
                                             s->channels - channel < LANES ? s->channels - channel : LANES,
                                         .states = s->states,
                                         .x = row_of(in[INPUT_X], batch, start) + channel,
                                         .delta = row_of(in[INPUT_DELTA], batch, start) + channel,
                                         .B = row_of(in[INPUT_B], batch, start),
                                         .C = row_of(in[INPUT_C], batch, start),
                                         .x_stride = in[INPUT_X]->stride[1],
                                         .delta_stride = in[INPUT_DELTA]->stride[1],
                                         .B_stride = in[INPUT_B]->stride[1],
                                         .C_stride = in[INPUT_C]->stride[1],
                                         .A = A};
}

static const real *initial_state(const tensor *y, const struct sizes *s, int64_t batch)
{
    return y->input_count > INPUT_INITIAL ? y->inputs[INPUT_INITIAL]->data + batch * s->channels * s->states
                                          : NULL;
}

static void selective_forward(tensor *y)
{
    struct sizes s = sizes_of(y);
    int64_t size = s.states * LANES, tasks = s.batch * s.blocks;
    real *final = node_output(y, 1)->data, *scratch = scratch_take(y->graph, (size_t)(tasks * 2 * size));
#pragma omp parallel for num_threads(threads_for(work_of(&s))) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t batch = task / s.blocks, block = task % s.blocks;
        real *A = scratch + task * 2 * size, *h = A + size;
        gather_states(&s, block, y->inputs[INPUT_A]->data, A);
        gather_states(&s, block, initial_state(y, &s, batch), h);
        struct selective_scan_block k = describe(y, &s, batch, block, 0, s.steps, A);
        selective_scan_loops()->forward(&k, h, y->data + batch * s.steps * s.channels + block * LANES,
                                        s.channels);
        scatter_states(&s, block, h, final + batch * s.channels * s.states, false);
    }
    scratch_give(y->graph, scratch);
}

/* What one task of the backward form works with. */
struct task {
    real *A, *dA, *g; /* [states, LANES] */
    real *held;       /* [SELECTIVE_CHUNK + 1, states, LANES] */
    real *starts;     /* [chunks, states, LANES]: the state before each chunk */
    real *dB, *dC;    /* [steps, states] of the group */
};

static void backward_block(tensor *y, const struct sizes *s, int64_t batch, int64_t block,
                           const struct task *w)
{
    int64_t size = s->states * LANES, at = batch * s->steps * s->channels + block * LANES;
    tensor *x = y->inputs[INPUT_X], *delta = y->inputs[INPUT_DELTA];
    const real *dfinal = output_gradient(node_output(y, 1)), *dy = output_gradient(y);
    gather_states(s, block, y->inputs[INPUT_A]->data, w->A);
    gather_states(s, block, dfinal ? dfinal + batch * s->channels * s->states : NULL, w->g);
    gather_states(s, block, initial_state(y, s, batch), w->starts);
    for (int64_t chunk = 0; chunk + 1 < s->chunks; chunk++) {
        real *next = w->starts + (chunk + 1) * size;
        memcpy(next, w->starts + chunk * size, (size_t)size * sizeof *next);
        struct selective_scan_block k =
            describe(y, s, batch, block, chunk * SELECTIVE_CHUNK, SELECTIVE_CHUNK, w->A);
        selective_scan_loops()->forward(&k, next, NULL, 0);
    }
    for (int64_t chunk = s->chunks - 1; chunk >= 0; chunk--) {
        int64_t start = chunk * SELECTIVE_CHUNK;
        int64_t count = s->steps - start < SELECTIVE_CHUNK ? s->steps - start : SELECTIVE_CHUNK;
        struct selective_scan_block k = describe(y, s, batch, block, start, count, w->A);
        struct selective_scan_gradients d = {
            .dy = dy ? dy + at + start * s->channels : NULL,
            .dy_stride = s->channels,
            .dx = x->gradient ? x->gradient + batch * x->stride[0] + start * x->stride[1] + block * LANES
                              : NULL,
            .ddelta = delta->gradient ? delta->gradient + batch * delta->stride[0] +
                                            start * delta->stride[1] + block * LANES
                                      : NULL,
            .dA = w->dA,
            .dB = w->dB + start * s->states,
            .dC = w->dC + start * s->states};
        selective_scan_loops()->backward(&k, w->starts + chunk * size, w->held, w->g, &d);
    }
    if (y->input_count > INPUT_INITIAL && y->inputs[INPUT_INITIAL]->gradient)
        scatter_states(s, block, w->g, y->inputs[INPUT_INITIAL]->gradient + batch * s->channels * s->states,
                       true);
}

/* Adds the groups' shares of dB or dC [groups, steps, states] of one batch entry to the strided gradient. */
static void add_shares(const struct sizes *s, tensor *x, int64_t batch, const real *shares)
{
    for (int64_t group = 0; x->gradient && group < s->groups; group++)
        for (int64_t t = 0; t < s->steps; t++)
            row_loops()->add(s->states, shares + (group * s->steps + t) * s->states,
                             x->gradient + batch * x->stride[0] + t * x->stride[1]);
}

static void selective_backward(tensor *y)
{
    struct sizes s = sizes_of(y);
    int64_t size = s.states * LANES, share = s.steps * s.states;
    int64_t own = size * (3 + SELECTIVE_CHUNK + 1 + s.chunks); /* of a group's task */
    for (int i = 0; i < y->input_count; i++)
        input_gradient(y, i);
    real *dA = y->inputs[INPUT_A]->gradient;
    real *scratch = scratch_take(y->graph, (size_t)(s.groups * own)),
         *shares = scratch_take(y->graph, (size_t)(2 * s.groups * share));
    for (int64_t batch = 0; batch < s.batch; batch++) {
        memset(shares, 0, (size_t)(2 * s.groups * share) * sizeof *shares);
#pragma omp parallel for num_threads(threads_for(3 * work_of(&s) / (double)s.batch)) schedule(static)
        for (int64_t group = 0; group < s.groups; group++) {
            real *base = scratch + group * own;
            struct task w = {.A = base, .dA = base + size, .g = base + 2 * size, .held = base + 3 * size};
            w.starts = w.held + (SELECTIVE_CHUNK + 1) * size;
            w.dB = shares + group * share;
            w.dC = shares + (s.groups + group) * share;
            for (int64_t block = group * GROUP; block < s.blocks && block < (group + 1) * GROUP; block++) {
                memset(w.dA, 0, (size_t)size * sizeof *w.dA);
                backward_block(y, &s, batch, block, &w);
                if (dA)
                    scatter_states(&s, block, w.dA, dA, true);
            }
        }
        add_shares(&s, y->inputs[INPUT_B], batch, shares);
        add_shares(&s, y->inputs[INPUT_C], batch, shares + s.groups * share);
    }
    scratch_give(y->graph, shares);
    scratch_give(y->graph, scratch);
}

static const struct operation selective_operation = {"selective_scan", selective_forward, selective_backward,
                                                     0x3f, false};

tensor *tensor_selective_scan(tensor *x, tensor *delta, tensor *A, tensor *Bt, tensor *Ct, tensor *initial,
                              tensor **final)
{
    require(x->rank == 3, x, "selective_scan", "x [B, T, C]");
    require(delta->rank == 3 && delta->shape[0] == x->shape[0] && delta->shape[1] == x->shape[1] &&
                delta->shape[2] == x->shape[2],
            delta, "selective_scan", "steps of x's shape");
    require(A->rank == 2 && A->shape[0] == x->shape[2], A, "selective_scan", "A [C, N]");
    tensor *maps[] = {Bt, Ct};
    for (int i = 0; i < 2; i++)
        require(maps[i]->rank == 3 && maps[i]->shape[0] == x->shape[0] && maps[i]->shape[1] == x->shape[1] &&
                    maps[i]->shape[2] == A->shape[1],
                maps[i], "selective_scan", "B and C [B, T, N]");
    tensor *inputs[] = {with_contiguous_rows(x),  with_contiguous_rows(delta),
                        tensor_contiguous(A),     with_contiguous_rows(Bt),
                        with_contiguous_rows(Ct), initial ? tensor_contiguous(initial) : NULL};
    const int64_t *state = SHAPE(x->shape[0], x->shape[2], A->shape[1]);
    require(!initial || tensor_size(initial) == state[0] * state[1] * state[2], initial ? initial : x,
            "selective_scan", "an initial state [B, C, N]");
    tensor *y = node_create(x->graph, &selective_operation, 3, x->shape, initial ? 6 : 5, inputs, NULL, 0);
    tensor *last = node_add_output(y, 3, state);
    node_count(y, 7.0 * (double)tensor_size(x) * (double)A->shape[1], -1);
    if (final)
        *final = last;
    return y;
}
