/* Leaky integrate-and-fire neurons: a recurrence with a threshold, whose derivative is that of a smooth
 * step. */
#include "tensor/operation.h"
#include <math.h>
#include <string.h>

enum { CHANNELS = 64 }; /* of one iteration of a parallel loop */

struct spikes {
    int64_t batch, steps, channels;
    real keep, gain, threshold, slope;
    bool detached, has_initial,
        held; /* held: inputs are followed by the spikes and potentials of another run */
};

/* What one block of channels of one batch entry reads and writes; rows lie `channels` apart. */
struct block {
    int64_t count, at, edge; /* channels; offset of its first row; of its initial and last state */
};

static struct block block_of(const struct spikes *k, int64_t task)
{
    int64_t blocks = (k->channels + CHANNELS - 1) / CHANNELS;
    int64_t batch = task / blocks, first = task % blocks * CHANNELS;
    return (struct block){k->channels - first < CHANNELS ? k->channels - first : CHANNELS,
                          batch * k->steps * k->channels + first, batch * k->channels + first};
}

static int64_t task_count(const struct spikes *k)
{
    return k->batch * ((k->channels + CHANNELS - 1) / CHANNELS);
}

static double work_of(const struct spikes *k)
{
    return 8.0 * (double)(k->batch * k->steps * k->channels);
}

/* The smooth step and its derivative at a potential u above the threshold. */
static real smooth_step(const struct spikes *k, real u)
{
    return (real)(atan(M_PI / 2 * (double)(k->slope * u)) / M_PI);
}

static real smooth_slope(const struct spikes *k, real u)
{
    real z = (real)(M_PI / 2) * k->slope * u;
    return k->slope / 2 / (1 + z * z);
}

static const real *initial_of(const tensor *y)
{
    const struct spikes *k = y->attributes;
    return k->has_initial ? y->inputs[1]->data : NULL;
}

/* Spikes and potentials of the run that a held one differs from; NULL if it is none. */
static const real *held_of(const tensor *y, int which)
{
    const struct spikes *k = y->attributes;
    return k->held ? y->inputs[1 + k->has_initial + which]->data : NULL;
}

static void spikes_forward(tensor *y)
{
    const struct spikes *k = y->attributes;
    const real *x = y->inputs[0]->data, *initial = initial_of(y);
    const real *held_spikes = held_of(y, 0), *held_potentials = held_of(y, 1);
    real *potential = node_output(y, 1)->data;
#pragma omp parallel for num_threads(threads_for(work_of(k))) schedule(static)
    for (int64_t task = 0; task < task_count(k); task++) {
        struct block b = block_of(k, task);
        real left[CHANNELS]; /* the potential after a spike has reset it */
        for (int64_t c = 0; c < b.count; c++)
            left[c] = initial ? initial[b.edge + c] : 0;
        for (int64_t t = 0; t < k->steps; t++)
            for (int64_t c = 0; c < b.count; c++) {
                int64_t at = b.at + t * k->channels + c;
                real v = k->keep * left[c] + k->gain * x[at];
                real s = v >= k->threshold ? 1 : 0;
                if (held_spikes)
                    s = held_spikes[at] + smooth_step(k, v - k->threshold) -
                        smooth_step(k, held_potentials[at] - k->threshold);
                y->data[at] = s;
                potential[at] = v;
                left[c] = (1 - (held_spikes && k->detached ? held_spikes[at] : s)) * v;
            }
    }
}

static void spikes_backward(tensor *y)
{
    const struct spikes *k = y->attributes;
    const real *dy = output_gradient(y), *dpotential = output_gradient(node_output(y, 1));
    const real *spike = y->data, *potential = node_output(y, 1)->data;
    real *dx = input_gradient(y, 0), *dinitial = k->has_initial ? input_gradient(y, 1) : NULL;
#pragma omp parallel for num_threads(threads_for(2 * work_of(k))) schedule(static)
    for (int64_t task = 0; task < task_count(k); task++) {
        struct block b = block_of(k, task);
        real after[CHANNELS] = {0}; /* dL/d of the potential left by the step */
        for (int64_t t = k->steps - 1; t >= 0; t--)
            for (int64_t c = 0; c < b.count; c++) {
                int64_t at = b.at + t * k->channels + c;
                real v = potential[at];
                real ds = (dy ? dy[at] : 0) - (k->detached ? 0 : v * after[c]);
                real dv = (1 - spike[at]) * after[c] + ds * smooth_slope(k, v - k->threshold) +
                          (dpotential ? dpotential[at] : 0);
                if (dx)
                    dx[at] += k->gain * dv;
                after[c] = k->keep * dv;
            }
        for (int64_t c = 0; dinitial && c < b.count; c++)
            dinitial[b.edge + c] += after[c];
    }
}

static const struct operation spikes_operation = {"spikes", spikes_forward, spikes_backward, SAVES_OUTPUT,
                                                  false};

static tensor *record(tensor *x, const struct spike_options *options, tensor *initial, tensor *held)
{
    struct spikes k = {.batch = x->shape[0],
                       .steps = x->shape[1],
                       .channels = x->shape[2],
                       .keep = (real)options->keep,
                       .gain = (real)options->gain,
                       .threshold = (real)options->threshold,
                       .slope = (real)options->slope,
                       .detached = options->detached,
                       .has_initial = initial != NULL,
                       .held = held != NULL};
    tensor *inputs[4] = {x};
    int count = 1;
    if (initial)
        inputs[count++] = initial;
    if (held) {
        inputs[count++] = held;
        inputs[count++] = node_output(held, 1);
    }
    tensor *y = node_create(x->graph, &spikes_operation, 3, x->shape, count, inputs, &k, sizeof k);
    node_add_output(y, 3, x->shape);
    node_count(y, work_of(&k), -1);
    return y;
}

tensor *tensor_spikes(tensor *x, const struct spike_options *options, tensor **potential)
{
    require(x->rank == 3 && x->shape[1] > 0, x, spikes_operation.name, "inputs [B, T, C] with T > 0");
    tensor *initial = options->initial;
    require(!initial || tensor_size(initial) == x->shape[0] * x->shape[2], x, spikes_operation.name,
            "an initial potential [B, 1, C]");
    x = tensor_contiguous(x);
    initial = initial ? tensor_contiguous(initial) : NULL;
    tensor *held = NULL;
    if (graph_holds(x->graph)) {
        tensor *stopped = initial ? tensor_stop_gradient(initial) : NULL;
        held = record(tensor_stop_gradient(x), options, stopped, NULL);
    }
    tensor *y = record(x, options, initial, held);
    if (potential)
        *potential = node_output(y, 1);
    return y;
}
