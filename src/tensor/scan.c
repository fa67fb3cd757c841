/* Diagonal linear recurrences h_t = a_t h_{t-1} + b_t, real and complex. */
#include "tensor/loops/scan.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

enum {
    CHANNELS = 256
}; /* of one iteration of a parallel loop: its rows of h stay in the first-level cache */

/* b as [batch, steps, count] numbers of `numbers` reals; a as [1 or batch, 1 or steps, 1 or count]. */
struct scan {
    bool complex;
    int64_t batch, steps, count, numbers;
    int64_t a_batch_step, a_step, a_size; /* in reals; 0 where a is the same for all */
    bool a_shared, has_initial;
};

static int64_t blocks_of(const struct scan *scan)
{
    return (scan->count + CHANNELS - 1) / CHANNELS;
}

static int64_t block_count(const struct scan *scan, int64_t block)
{
    return scan->count - block * CHANNELS < CHANNELS ? scan->count - block * CHANNELS : CHANNELS;
}

/* Where block `block` of batch entry `batch` starts in arrays shaped like b, in reals. */
static int64_t start_of(const struct scan *scan, int64_t batch, int64_t block, int64_t steps)
{
    return (batch * steps * scan->count + block * CHANNELS) * scan->numbers;
}

static struct scan_block describe(const struct scan *scan, const real *a, int64_t batch, int64_t block)
{
    return (struct scan_block){.steps = scan->steps,
                               .count = block_count(scan, block),
                               .stride = scan->count * scan->numbers,
                               .a = a + batch * scan->a_batch_step +
                                    (scan->a_shared ? 0 : block * CHANNELS * scan->numbers),
                               .a_step = scan->a_step,
                               .a_shared = scan->a_shared};
}

static double work_of(const struct scan *scan)
{
    return 2.0 * (double)(scan->batch * scan->steps * scan->count * scan->numbers);
}

static void scan_forward(tensor *y)
{
    const struct scan *scan = y->attributes;
    const real *a = y->inputs[0]->data, *b = y->inputs[1]->data,
               *initial = scan->has_initial ? y->inputs[2]->data : NULL;
    real *final = node_output(y, 1)->data;
    int64_t blocks = blocks_of(scan), row = scan->count * scan->numbers;
#pragma omp parallel for num_threads(threads_for(work_of(scan))) schedule(static)
    for (int64_t task = 0; task < scan->batch * blocks; task++) {
        int64_t batch = task / blocks, block = task % blocks, at = start_of(scan, batch, block, scan->steps);
        int64_t edge = start_of(scan, batch, block, 1);
        struct scan_block k = describe(scan, a, batch, block);
        scan_loops()->forward[scan->complex](&k, b + at, initial ? initial + edge : NULL, y->data + at);
        const real *last = scan->steps ? y->data + at + (scan->steps - 1) * row
                           : initial   ? initial + edge
                                       : NULL;
        for (int64_t i = 0; i < k.count * scan->numbers; i++)
            final[edge + i] = last ? last[i] : 0;
    }
}

/* One block of one batch entry; its gradient of a goes to `da`, which no other block writes. */
static void backward_block(tensor *y, int64_t batch, int64_t block, real *g, real *da)
{
    const struct scan *scan = y->attributes;
    const real *initial = scan->has_initial ? y->inputs[2]->data : NULL;
    const real *dy = output_gradient(y), *dfinal = output_gradient(node_output(y, 1));
    real *db = y->inputs[1]->gradient, *dinitial = scan->has_initial ? y->inputs[2]->gradient : NULL;
    int64_t at = start_of(scan, batch, block, scan->steps), edge = start_of(scan, batch, block, 1);
    struct scan_block k = describe(scan, y->inputs[0]->data, batch, block);
    for (int64_t i = 0; i < k.count * scan->numbers; i++)
        g[i] = dfinal ? dfinal[edge + i] : 0;
    scan_loops()->backward[scan->complex](&k, y->data + at, initial ? initial + edge : NULL,
                                          dy ? dy + at : NULL, g, db ? db + at : NULL, da);
    for (int64_t i = 0; dinitial && i < k.count * scan->numbers; i++)
        dinitial[edge + i] += g[i];
}

static void scan_backward(tensor *y)
{
    const struct scan *scan = y->attributes;
    int64_t blocks = blocks_of(scan), tasks = scan->batch * blocks;
    bool needs_a = y->inputs[0]->needs_gradient;
    input_gradient(y, 1);
    if (scan->has_initial)
        input_gradient(y, 2);
    real *da = input_gradient(y, 0), *g = scratch_take(y->graph, (size_t)(tasks * CHANNELS * scan->numbers));
    /* A factor that several tasks share collects in a place for each task, summed in order afterwards. */
    bool meet = needs_a && (scan->a_shared || (scan->a_batch_step == 0 && scan->batch > 1));
    int64_t part =
        scan->a_shared ? scan->a_size : (scan->a_step ? scan->steps : 1) * scan->count * scan->numbers;
    int64_t parts = scan->a_shared ? tasks : scan->batch;
    real *shares = meet ? scratch_take(y->graph, (size_t)(part * parts)) : NULL;
    if (meet)
        memset(shares, 0, (size_t)(part * parts) * sizeof *shares);
#pragma omp parallel for num_threads(threads_for(2 * work_of(scan))) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t batch = task / blocks, block = task % blocks;
        real *to = !needs_a ? NULL
                   : !meet  ? da + batch * scan->a_batch_step
                            : shares + part * (scan->a_shared ? task : batch);
        if (to && scan->a_shared)
            to += batch * scan->a_batch_step;
        if (to && !scan->a_shared)
            to += block * CHANNELS * scan->numbers;
        backward_block(y, batch, block, g + task * CHANNELS * scan->numbers, to);
    }
    for (int64_t i = 0; i < parts && meet; i++)
        row_loops()->add(part, shares + i * part, da);
    scratch_give(y->graph, shares);
    scratch_give(y->graph, g);
}

static const struct operation scan_operation = {"scan", scan_forward, scan_backward,
                                                SAVES_INPUT(0) | SAVES_INPUT(2) | SAVES_OUTPUT, false};

/* `a` with b's rank, contiguous, its channel axes either all of b's lengths or all 1. */
static tensor *align_factors(tensor *a, const tensor *b, bool complex)
{
    int64_t shape[TENSOR_MAX_RANK];
    int lead = b->rank - a->rank, channel_end = b->rank - (complex ? 1 : 0);
    require(lead >= 0, a, "scan", "factors that broadcast to the inputs");
    for (int i = 0; i < b->rank; i++) {
        shape[i] = i < lead ? 1 : a->shape[i - lead];
        require(shape[i] == 1 || shape[i] == b->shape[i], a, "scan", "factors that broadcast to the inputs");
    }
    bool shared = true;
    for (int i = 2; i < channel_end; i++)
        shared &= shape[i] == 1;
    a = tensor_reshape(a, b->rank, shape);
    bool narrow = false;
    for (int i = 2; i < channel_end && !shared; i++) {
        narrow |= shape[i] != b->shape[i];
        shape[i] = b->shape[i];
    }
    if (complex)
        shape[b->rank - 1] = 2;
    return narrow ? tensor_broadcast(a, b->rank, shape) : tensor_contiguous(a);
}

static tensor *scan(tensor *a, tensor *b, tensor *initial, tensor **final, bool complex)
{
    require(b->rank >= 2 && (!complex || (b->rank >= 3 && b->shape[b->rank - 1] == 2)), b, "scan",
            complex ? "inputs [B, T, .., 2]" : "inputs [B, T, ..]");
    require(!complex || a->shape[a->rank - 1] == 2, a, "scan", "factors [.., 2]");
    b = tensor_contiguous(b);
    a = align_factors(a, b, complex);
    struct scan s = {.complex = complex,
                     .batch = b->shape[0],
                     .steps = b->shape[1],
                     .numbers = complex ? 2 : 1,
                     .has_initial = initial != NULL};
    s.count = s.batch && s.steps ? tensor_size(b) / s.batch / s.steps / s.numbers : 1;
    int64_t row = a->shape[0] && a->shape[1] ? tensor_size(a) / a->shape[0] / a->shape[1] : 0;
    s.a_shared = row == s.numbers && s.count > 1;
    s.a_size = tensor_size(a);
    s.a_step = a->shape[1] > 1 ? row : 0;
    s.a_batch_step = a->shape[0] > 1 ? row * a->shape[1] : 0;
    int64_t edge[TENSOR_MAX_RANK];
    memcpy(edge, b->shape, sizeof edge);
    edge[1] = 1;
    tensor *inputs[3] = {a, b};
    if (initial) {
        require(tensor_size(initial) == s.batch * s.count * s.numbers, initial, "scan",
                "an initial state of one step's shape");
        inputs[2] = tensor_contiguous(initial);
    }
    tensor *y =
        node_create(b->graph, &scan_operation, b->rank, b->shape, initial ? 3 : 2, inputs, &s, sizeof s);
    tensor *last = node_add_output(y, b->rank, edge);
    node_count(y, (complex ? 8.0 : 2.0) * (double)tensor_size(b) / (double)s.numbers, -1);
    if (final)
        *final = last;
    return y;
}

tensor *tensor_scan(tensor *a, tensor *b, tensor *initial, tensor **final)
{
    return scan(a, b, initial, final, false);
}

tensor *tensor_scan_complex(tensor *a, tensor *b, tensor *initial, tensor **final)
{
    return scan(a, b, initial, final, true);
}
