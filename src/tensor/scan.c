/* Diagonal linear recurrences h_t = a_t h_{t-1} + b_t, real and complex. */
#include "tensor/loops/scan.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

/* b as [batch, steps, groups, count] numbers of `numbers` reals. Factors are the same for all channels of a
 * group (a_shared), or all groups have the same ones, or every channel has its own and there is one group. */
struct scan {
    bool complex, a_shared, has_initial;
    int64_t batch, steps, groups, count, numbers;
    int64_t a_batch, a_step, a_group; /* strides in reals; 0 where a is the same for all */
    int64_t block, blocks; /* channels of one iteration of a parallel loop; such blocks in a group */
};

static double work_of(const struct scan *scan)
{
    return 2.0 * (double)(scan->batch * scan->steps * scan->groups * scan->count * scan->numbers);
}

static int64_t row_size(const struct scan *scan)
{
    return scan->groups * scan->count * scan->numbers;
}

/* One iteration of a parallel loop. */
struct task {
    int64_t batch, group, channel; /* the first of its channels in the group */
    int64_t row;                   /* where they start in a row of b, in reals */
    struct scan_block block;
};

static int64_t task_count(const struct scan *scan)
{
    return scan->batch * scan->groups * scan->blocks;
}

static struct task task_of(const tensor *y, int64_t number)
{
    const struct scan *scan = y->attributes;
    const tensor *b = y->inputs[1];
    struct task task = {.batch = number / scan->blocks / scan->groups,
                        .group = number / scan->blocks % scan->groups,
                        .channel = number % scan->blocks * scan->block};
    task.row = (task.group * scan->count + task.channel) * scan->numbers;
    int64_t left = scan->count - task.channel;
    task.block = (struct scan_block){
        .steps = scan->steps,
        .count = left < scan->block ? left : scan->block,
        .a_shared = scan->a_shared,
        .a = y->inputs[0]->data + task.batch * scan->a_batch + task.group * scan->a_group +
             (scan->a_shared ? 0 : task.channel * scan->numbers),
        .b = b->data + task.batch * b->stride[0] + task.row,
        .before = scan->has_initial ? y->inputs[2]->data + task.batch * row_size(scan) + task.row : NULL,
        .a_step = scan->a_step,
        .b_step = b->stride[1],
        .h_step = row_size(scan),
    };
    return task;
}

static void scan_forward(tensor *y)
{
    const struct scan *scan = y->attributes;
    real *final = node_output(y, 1)->data;
    int64_t row = row_size(scan);
#pragma omp parallel for num_threads(threads_for(work_of(scan))) schedule(static)
    for (int64_t number = 0; number < task_count(scan); number++) {
        struct task task = task_of(y, number);
        real *h = y->data + task.batch * scan->steps * row + task.row,
             *edge = final + task.batch * row + task.row;
        scan_loops()->forward[scan->complex](&task.block, h);
        const real *last = scan->steps ? h + (scan->steps - 1) * row : task.block.before;
        for (int64_t i = 0; i < task.block.count * scan->numbers; i++)
            edge[i] = last ? last[i] : 0;
    }
}

/* ---- Backward ---- */

/* Whether several tasks have the same factors. Then each gathers their gradient in a share of its own, and
 * the shares are added in order. */
static bool tasks_meet(const struct scan *scan)
{
    return (scan->a_batch == 0 && scan->batch > 1) || (scan->a_group == 0 && scan->groups > 1) ||
           (scan->a_shared && scan->blocks > 1);
}

static int64_t factors_of_task(const struct scan *scan)
{
    return (scan->a_shared ? 1 : scan->block) * scan->numbers;
}

static int64_t share_size(const struct scan *scan)
{
    return (scan->a_step ? scan->steps : 1) * factors_of_task(scan);
}

static void backward_task(tensor *y, const struct task *task, real *g, real *da, int64_t da_step)
{
    const struct scan *scan = y->attributes;
    const real *dy = output_gradient(y), *dfinal = output_gradient(node_output(y, 1));
    real *db = y->inputs[1]->gradient, *dinitial = scan->has_initial ? y->inputs[2]->gradient : NULL;
    int64_t row = row_size(scan), at = task->batch * scan->steps * row + task->row;
    int64_t edge = task->batch * row + task->row, size = task->block.count * scan->numbers;
    for (int64_t i = 0; i < size; i++)
        g[i] = dfinal ? dfinal[edge + i] : 0;
    scan_loops()->backward[scan->complex](&task->block, y->data + at, dy ? dy + at : NULL, g,
                                          db ? db + task->batch * y->inputs[1]->stride[0] + task->row : NULL,
                                          da, da_step);
    for (int64_t i = 0; dinitial && i < size; i++)
        dinitial[edge + i] += g[i];
}

static void add_shares(tensor *y, const real *shares, real *da)
{
    const struct scan *scan = y->attributes;
    int64_t width = factors_of_task(scan), steps = scan->a_step ? scan->steps : 1;
    for (int64_t number = 0; number < task_count(scan); number++) {
        struct task task = task_of(y, number);
        real *to = da + (task.block.a - y->inputs[0]->data);
        int64_t used = scan->a_shared ? width : task.block.count * scan->numbers;
        for (int64_t t = 0; t < steps; t++)
            row_loops()->add(used, shares + number * share_size(scan) + t * width, to + t * scan->a_step);
    }
}

static void scan_backward(tensor *y)
{
    const struct scan *scan = y->attributes;
    real *da = input_gradient(y, 0);
    input_gradient(y, 1);
    if (scan->has_initial)
        input_gradient(y, 2);
    int64_t tasks = task_count(scan), width = scan->block * scan->numbers;
    real *g = scratch_take(y->graph, (size_t)(tasks * width)), *shares = NULL;
    if (da && tasks_meet(scan)) {
        shares = scratch_take(y->graph, (size_t)(tasks * share_size(scan)));
        memset(shares, 0, (size_t)(tasks * share_size(scan)) * sizeof *shares);
    }
#pragma omp parallel for num_threads(threads_for(2 * work_of(scan))) schedule(static)
    for (int64_t number = 0; number < tasks; number++) {
        struct task task = task_of(y, number);
        real *to = da ? da + (task.block.a - y->inputs[0]->data) : NULL;
        int64_t step = scan->a_step;
        if (shares) {
            to = shares + number * share_size(scan);
            step = scan->a_step ? factors_of_task(scan) : 0;
        }
        backward_task(y, &task, g + number * width, to, step);
    }
    if (shares)
        add_shares(y, shares, da);
    scratch_give(y->graph, shares);
    scratch_give(y->graph, g);
}

static const struct operation scan_operation = {"scan", scan_forward, scan_backward,
                                                SAVES_INPUT(0) | SAVES_INPUT(2) | SAVES_OUTPUT, false};

/* ---- Recording ---- */

/* b, or a copy if the channels of a step are not neighbours. */
static tensor *with_joined_channels(tensor *b)
{
    int64_t stride = 1;
    for (int i = b->rank - 1; i >= 2; i--) {
        if (b->shape[i] != 1 && b->stride[i] != stride)
            return tensor_contiguous(b);
        stride *= b->shape[i];
    }
    return b;
}

/* Cuts the channel axes [2, end) into groups and channels of a group by where a has length 1; false if that
 * takes more than two pieces. */
static bool find_groups(const int64_t *a_shape, const tensor *b, int end, struct scan *scan)
{
    bool repeated[2] = {false, false}; /* per piece */
    int64_t size[2] = {1, 1};
    int piece = -1;
    for (int i = 2; i < end; i++) {
        if (b->shape[i] == 1)
            continue;
        bool repeats = a_shape[i] == 1;
        if (piece < 0 || repeats != repeated[piece]) {
            if (++piece == 2)
                return false;
            repeated[piece] = repeats;
        }
        size[piece] *= b->shape[i];
    }
    int inner = piece < 0 ? 0 : piece; /* one piece only: one group */
    scan->groups = inner == 1 ? size[0] : 1;
    scan->count = size[inner];
    scan->a_shared = repeated[inner];
    scan->a_group = inner == 1 && !repeated[0] ? scan->numbers : 0;
    return true;
}

/* `a` contiguous and of b's rank; describes in `scan` how it broadcasts. */
static tensor *align_factors(tensor *a, const tensor *b, struct scan *scan)
{
    int64_t shape[TENSOR_MAX_RANK];
    int lead = b->rank - a->rank, end = b->rank - (scan->complex ? 1 : 0);
    bool fits = lead >= 0;
    for (int i = 0; i < b->rank && fits; i++) {
        shape[i] = i < lead ? 1 : a->shape[i - lead];
        fits = shape[i] == 1 || shape[i] == b->shape[i];
    }
    require(fits && (!scan->complex || shape[b->rank - 1] == 2), a, "scan",
            scan->complex ? "factors [.., 2] that broadcast to the inputs"
                          : "factors that broadcast to the inputs");
    a = tensor_reshape(a, b->rank, shape);
    if (!find_groups(shape, b, end, scan)) {
        memcpy(shape + 2, b->shape + 2, (size_t)(b->rank - 2) * sizeof *shape);
        a = tensor_broadcast(a, b->rank, shape);
        find_groups(shape, b, end, scan);
    }
    int64_t row = 1;
    for (int i = 2; i < b->rank; i++)
        row *= shape[i];
    scan->a_step = shape[1] > 1 ? row : 0;
    scan->a_batch = shape[0] > 1 ? row * shape[1] : 0;
    return tensor_contiguous(a);
}

/* Blocks whose rows of h stay in the first-level cache, or smaller ones if there are few. */
static void find_blocks(struct scan *scan)
{
    int64_t wide = 256 / scan->numbers, narrow = 128 / scan->numbers;
    scan->block = scan->batch * scan->groups * (scan->count / wide) < 16 ? narrow : wide;
    scan->block = scan->block < scan->count ? scan->block : scan->count;
    scan->blocks = scan->block ? (scan->count + scan->block - 1) / scan->block : 0;
}

static tensor *scan(tensor *a, tensor *b, tensor *initial, tensor **final, bool complex)
{
    require(b->rank >= 2 && (!complex || (b->rank >= 3 && b->shape[b->rank - 1] == 2)), b, "scan",
            complex ? "inputs [B, T, .., 2]" : "inputs [B, T, ..]");
    b = with_joined_channels(b);
    struct scan s = {.complex = complex,
                     .batch = b->shape[0],
                     .steps = b->shape[1],
                     .numbers = complex ? 2 : 1,
                     .has_initial = initial != NULL};
    a = align_factors(a, b, &s);
    find_blocks(&s);
    int64_t edge[TENSOR_MAX_RANK];
    memcpy(edge, b->shape, sizeof edge);
    edge[1] = 1;
    tensor *inputs[3] = {a, b};
    if (initial) {
        bool fits = initial->rank == b->rank;
        for (int i = 0; i < b->rank && fits; i++)
            fits = initial->shape[i] == edge[i];
        require(fits, initial, "scan", "an initial state of the inputs' shape with length 1 on axis 1");
        inputs[2] = tensor_contiguous(initial);
    }
    tensor *y =
        node_create(b->graph, &scan_operation, b->rank, b->shape, initial ? 3 : 2, inputs, &s, sizeof s);
    tensor *last = node_add_output(y, b->rank, edge);
    node_count(y, (complex ? 4.0 : 2.0) * (double)tensor_size(b), -1);
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
