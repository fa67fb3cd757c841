/* Mamba's selective scan. States are kept for a few channels at a time and never for all steps: the backward
 * form first stores one state a chunk, then goes through the chunks from the last, making their states anew.
 */
#include "tensor/loops/selective_scan.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <omp.h>
#include <string.h>

enum {
    LANES = SELECTIVE_LANES,
    CHUNK = SELECTIVE_CHUNK,
    SPAN = 32, /* blocks of channels of one task of the forward form, at most: their states stay in a near
                  cache */
    GROUP = 4  /* of the backward form: they share partial gradients of B and C */
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
    s.chunks = (s.steps + CHUNK - 1) / CHUNK;
    return s;
}

static double work_of(const struct sizes *s)
{
    return 16.0 * (double)(s->batch * s->steps) * (double)(s->channels * s->states);
}

/* scale times [channels, states] of one block -> [states, LANES], or back. */
static void gather_states(const struct sizes *s, int64_t block, real scale, const real *from, real *lanes)
{
    for (int64_t n = 0; n < s->states; n++)
        for (int64_t c = 0; c < LANES; c++) {
            int64_t channel = block * LANES + c;
            lanes[n * LANES + c] = from && channel < s->channels ? scale * from[channel * s->states + n] : 0;
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

/* The steps of one chunk of one block of one batch entry. */
static struct selective_scan_block describe(const tensor *y, const struct sizes *s, int64_t batch,
                                            int64_t block, int64_t chunk, const real *A)
{
    tensor *const *in = y->inputs;
    int64_t channel = block * LANES, start = chunk * CHUNK, left = s->steps - start;
    return (struct selective_scan_block){.steps = left < CHUNK ? left : CHUNK,
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
                                         .A = A,
                                         .ahead = left - CHUNK,
                                         .behind = start};
}

static const real *initial_state(const tensor *y, const struct sizes *s, int64_t batch)
{
    return y->input_count > INPUT_INITIAL ? y->inputs[INPUT_INITIAL]->data + batch * s->channels * s->states
                                          : NULL;
}

/* Chunk by chunk through the blocks from `first` to `last`, so that neighbouring channels are read together.
 */
static void forward_span(tensor *y, const struct sizes *s, int64_t batch, int64_t first, int64_t last,
                         real *A, real *h)
{
    int64_t size = s->states * LANES;
    for (int64_t block = first; block < last; block++) {
        gather_states(s, block, (real)SELECTIVE_UNIT, y->inputs[INPUT_A]->data, A + (block - first) * size);
        gather_states(s, block, 1, initial_state(y, s, batch), h + (block - first) * size);
    }
    for (int64_t chunk = 0; chunk < s->chunks; chunk++)
        for (int64_t block = first; block < last; block++) {
            struct selective_scan_block k = describe(y, s, batch, block, chunk, A + (block - first) * size);
            selective_scan_loops()->forward(
                &k, h + (block - first) * size,
                y->data + (batch * s->steps + chunk * CHUNK) * s->channels + block * LANES, s->channels);
        }
    for (int64_t block = first; block < last; block++)
        scatter_states(s, block, h + (block - first) * size,
                       node_output(y, 1)->data + batch * s->channels * s->states, false);
}

/* A single step leaves states where they are. */
static void step_forward(tensor *y, const struct sizes *s)
{
#pragma omp parallel for num_threads(threads_for(work_of(s))) schedule(static)
    for (int64_t task = 0; task < s->batch * s->blocks; task++) {
        int64_t batch = task / s->blocks, channel = task % s->blocks * LANES,
                at = batch * s->channels + channel;
        struct selective_scan_block k = describe(y, s, batch, task % s->blocks, 0, NULL);
        const real *before = initial_state(y, s, batch);
        selective_scan_loops()->step(k.width, s->states, k.x, k.delta,
                                     y->inputs[INPUT_A]->data + channel * s->states, k.B, k.C,
                                     before ? before + channel * s->states : NULL,
                                     node_output(y, 1)->data + at * s->states, y->data + at);
    }
}

static void selective_forward(tensor *y)
{
    struct sizes s = sizes_of(y);
    if (s.steps == 1) {
        step_forward(y, &s);
        return;
    }
    /* Channels do not depend on one another: however they are shared out, results are the same. */
    int threads = threads_for(work_of(&s));
    int64_t span = (s.batch * s.blocks + threads - 1) / threads;
    span = span < SPAN ? span : SPAN;
    span = span < s.blocks ? span : s.blocks;
    int64_t spans = span ? (s.blocks + span - 1) / span : 0, size = span * s.states * LANES;
    real *scratch = scratch_take(y->graph, (size_t)(threads * 2 * size));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < s.batch * spans; task++) {
        int64_t first = task % spans * span, last = first + span < s.blocks ? first + span : s.blocks;
        real *A = scratch + omp_get_thread_num() * 2 * size;
        forward_span(y, &s, task / spans, first, last, A, A + size);
    }
    scratch_give(y->graph, scratch);
}

/* What one task of the backward form works with: for each of its blocks A, dA and the gradient g of the state
 * [states, LANES], and the state before each chunk [chunks, states, LANES]; for all [CHUNK + 1, states,
 * LANES] states and as many decays, and shares of dB and dC [steps, states]. */
struct task {
    real *A[GROUP], *dA[GROUP], *g[GROUP], *starts[GROUP], *held, *dB, *dC;
};

static int64_t task_size(const struct sizes *s)
{
    return s->states * LANES * (GROUP * (3 + s->chunks) + 2 * CHUNK + 1);
}

static struct task task_in(const struct sizes *s, real *scratch)
{
    struct task task;
    int64_t size = s->states * LANES;
    for (int i = 0; i < GROUP; i++) {
        real *own = scratch + i * (3 + s->chunks) * size;
        task.A[i] = own;
        task.dA[i] = own + size;
        task.g[i] = own + 2 * size;
        task.starts[i] = own + 3 * size;
    }
    task.held = scratch + GROUP * (3 + s->chunks) * size;
    return task;
}

/* The states before all chunks. */
static void find_starts(tensor *y, const struct sizes *s, int64_t batch, int64_t first, int64_t count,
                        const struct task *task)
{
    int64_t size = s->states * LANES;
    for (int64_t chunk = 0; chunk + 1 < s->chunks; chunk++)
        for (int64_t i = 0; i < count; i++) {
            real *next = task->starts[i] + (chunk + 1) * size;
            memcpy(next, task->starts[i] + chunk * size, (size_t)size * sizeof *next);
            struct selective_scan_block k = describe(y, s, batch, first + i, chunk, task->A[i]);
            selective_scan_loops()->forward(&k, next, NULL, 0);
        }
}

static real *gradient_at(const tensor *x, int64_t batch, int64_t step, int64_t channel)
{
    return x->gradient ? x->gradient + batch * x->stride[0] + step * x->stride[1] + channel : NULL;
}

static void backward_chunk(tensor *y, const struct sizes *s, int64_t batch, int64_t block, int64_t chunk,
                           int64_t i, const struct task *task)
{
    int64_t start = chunk * CHUNK, channel = block * LANES;
    const real *dy = output_gradient(y);
    struct selective_scan_block k = describe(y, s, batch, block, chunk, task->A[i]);
    struct selective_scan_gradients d = {
        .dy = dy ? dy + (batch * s->steps + start) * s->channels + channel : NULL,
        .dy_stride = s->channels,
        .dx = gradient_at(y->inputs[INPUT_X], batch, start, channel),
        .ddelta = gradient_at(y->inputs[INPUT_DELTA], batch, start, channel),
        .dA = task->dA[i],
        .dB = task->dB + start * s->states,
        .dC = task->dC + start * s->states,
    };
    selective_scan_loops()->backward(&k, task->starts[i] + chunk * s->states * LANES, task->held, task->g[i],
                                     &d);
}

static void backward_group(tensor *y, const struct sizes *s, int64_t batch, int64_t group,
                           const struct task *task)
{
    int64_t first = group * GROUP, count = s->blocks - first < GROUP ? s->blocks - first : GROUP;
    int64_t states = s->channels * s->states;
    const real *dfinal = output_gradient(node_output(y, 1));
    real *dA = y->inputs[INPUT_A]->gradient;
    real *dinitial = y->input_count > INPUT_INITIAL ? y->inputs[INPUT_INITIAL]->gradient : NULL;
    for (int64_t i = 0; i < count; i++) {
        gather_states(s, first + i, (real)SELECTIVE_UNIT, y->inputs[INPUT_A]->data, task->A[i]);
        gather_states(s, first + i, 1, NULL, task->dA[i]);
        gather_states(s, first + i, 1, dfinal ? dfinal + batch * states : NULL, task->g[i]);
        gather_states(s, first + i, 1, initial_state(y, s, batch), task->starts[i]);
    }
    find_starts(y, s, batch, first, count, task);
    for (int64_t chunk = s->chunks - 1; chunk >= 0; chunk--)
        for (int64_t i = 0; i < count; i++)
            backward_chunk(y, s, batch, first + i, chunk, i, task);
    for (int64_t i = 0; i < count; i++) {
        if (dA)
            scatter_states(s, first + i, task->dA[i], dA, true);
        if (dinitial)
            scatter_states(s, first + i, task->g[i], dinitial + batch * states, true);
    }
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
    int64_t share = s.steps * s.states;
    for (int i = 0; i < y->input_count; i++)
        input_gradient(y, i);
    int threads = threads_for(3 * work_of(&s) / (double)(s.batch ? s.batch : 1));
    real *scratch = scratch_take(y->graph, (size_t)(threads * task_size(&s)));
    real *shares = scratch_take(y->graph, (size_t)(2 * s.groups * share));
    for (int64_t batch = 0; batch < s.batch; batch++) { /* one after the other, as all add to dA */
        memset(shares, 0, (size_t)(2 * s.groups * share) * sizeof *shares);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (int64_t group = 0; group < s.groups; group++) {
            struct task task = task_in(&s, scratch + omp_get_thread_num() * task_size(&s));
            task.dB = shares + group * share;
            task.dC = shares + (s.groups + group) * share;
            backward_group(y, &s, batch, group, &task);
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
