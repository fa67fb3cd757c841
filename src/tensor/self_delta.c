/* The delta rule on fast weights whose own output enters the next query, key, value and rate: token by token,
 * one task for each head of each batch entry. For going back in time the weights are kept at the starts of
 * segments of about sqrt(T) tokens and computed again in between. */
#include "tensor/loops/self_delta.h"
#include "tensor/blas.h"
#include "tensor/operation.h"
#include "tensor/vector_math.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum input { PROGRAM, MIX, ADDED, WEIGHTS, OUTPUT, INPUTS };

struct self_delta {
    int64_t batch, steps, heads, d, segment;
    int place[INPUTS]; /* among the node's inputs; -1 for none */
};

static real *input_data(const tensor *y, enum input which)
{
    const struct self_delta *k = y->attributes;
    return k->place[which] < 0 ? NULL : y->inputs[k->place[which]]->data;
}

static real *input_slope(tensor *y, enum input which)
{
    const struct self_delta *k = y->attributes;
    return k->place[which] < 0 ? NULL : input_gradient(y, k->place[which]);
}

static int64_t wide_of(const struct self_delta *k)
{
    return 3 * k->d + 1;
}

/* Offsets of one head's first row of d and of 3 d + 1 numbers. */
static int64_t row_of(const struct self_delta *k, int64_t task)
{
    return (task / k->heads * k->steps * k->heads + task % k->heads) * k->d;
}

static int64_t wide_row_of(const struct self_delta *k, int64_t task)
{
    return row_of(k, task) / k->d * wide_of(k);
}

static const real *moved(const real *data, int64_t by)
{
    return data ? data + by : NULL;
}

static struct self_delta_head head_of(tensor *y, int64_t task)
{
    const struct self_delta *k = y->attributes;
    int64_t d = k->d, wide = wide_of(k), at = row_of(k, task), wide_at = wide_row_of(k, task);
    return (struct self_delta_head){
        .d = d,
        .wide = wide,
        .steps = k->steps,
        .row = k->heads * d,
        .wide_row = k->heads * wide,
        .mix_row = wide,
        .program = input_data(y, PROGRAM) + wide_at,
        .mix = moved(input_data(y, MIX), task % k->heads * d * wide),
        .added = moved(input_data(y, ADDED), at),
        .output = moved(input_data(y, OUTPUT), task * d),
        .y = y->data + at,
        .used = node_output(y, 2)->data + wide_at,
    };
}

/* 12 d^2 multiply-adds of a token with a mix, 6 without. */
static double work_of(const struct self_delta *k)
{
    return (k->place[MIX] < 0 ? 6.0 : 12.0) * (double)(k->batch * k->steps * k->heads) *
           (double)(k->d * k->d);
}

/* From the gradient of softmax's output y to that of its input, in place. */
static void softmax_slope(int64_t n, const real *y, real *g)
{
    real along = 0;
    for (int64_t i = 0; i < n; i++)
        along += y[i] * g[i];
    for (int64_t i = 0; i < n; i++)
        g[i] = y[i] * (g[i] - along);
}

static void add_outer(int64_t d, real scale, const real *a, const real *b, real *w)
{
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < d; j++)
            w[i * d + j] += scale * a[i] * b[j];
}

/* The output before token t; NULL for the first without an initial state, where it is zero. */
static const real *output_before(const struct self_delta_head *h, int64_t t)
{
    return t > 0 ? h->y + (t - 1) * h->row : h->output;
}

/* error = v - W k, w being W^T. */
static void find_error(const struct self_delta_head *h, const real *used, const real *w, real *error)
{
    memcpy(error, used + 2 * h->d, (size_t)h->d * sizeof *error);
    gemv(true, h->d, h->d, -1, w, h->d, used + h->d, 1, error);
}

static void write_weights(const struct self_delta_head *h, const real *used, real *w, real *error)
{
    find_error(h, used, w, error);
    add_outer(h->d, used[3 * h->d], used + h->d, error, w);
}

/* W^T before the first token. */
static void start_weights(tensor *y, int64_t task, real *w)
{
    const struct self_delta *k = y->attributes;
    const real *initial = input_data(y, WEIGHTS);
    size_t square = (size_t)(k->d * k->d);
    if (initial)
        memcpy(w, initial + task * k->d * k->d, square * sizeof *w);
    else
        memset(w, 0, square * sizeof *w);
}

/* `count` tokens from `first` on. */
static struct self_delta_head tokens_of(struct self_delta_head h, int64_t first, int64_t count)
{
    h.output = output_before(&h, first);
    h.program += first * h.wide_row;
    h.added = moved(h.added, first * h.row);
    h.y += first * h.row;
    h.used += first * h.wide_row;
    h.steps = count;
    return h;
}

/* A copy of all mixes with rows that begin where cache lines do: theirs are of 3 d + 1 numbers, so that most vectors
 * would lie across two. They are read whole for every token. */
struct aligned_mixes {
    real *data; /* [H, d, row]; NULL if there are none */
    int64_t row;
};

static struct aligned_mixes align_mixes(tensor *y)
{
    enum { LINE = 64 / sizeof(real) };
    const struct self_delta *k = y->attributes;
    const real *mix = input_data(y, MIX);
    int64_t wide = wide_of(k), rows = k->heads * k->d;
    struct aligned_mixes mixes = {.row = (wide + LINE - 1) / LINE * LINE};
    if (!mix)
        return mixes;
    mixes.data = scratch_take(y->graph, (size_t)(rows * mixes.row));
    for (int64_t i = 0; i < rows; i++)
        memcpy(mixes.data + i * mixes.row, mix + i * wide, (size_t)wide * sizeof *mix);
    return mixes;
}

/* Heads take turns, some tokens each: what they read and write lies side by side, and one head's whole
 * sequence would touch a new page of memory for every token. */
static void run_heads(tensor *y, struct aligned_mixes mixes, int64_t first, int64_t last, real *scratch)
{
    enum { TURN = 16 };
    const struct self_delta *k = y->attributes;
    int64_t square = k->d * k->d;
    real *states = node_output(y, 1)->data;
    for (int64_t task = first; task < last; task++)
        start_weights(y, task, states + task * square);
    for (int64_t t = 0; t < k->steps; t += TURN)
        for (int64_t task = first; task < last; task++) {
            int64_t count = k->steps - t < TURN ? k->steps - t : TURN;
            struct self_delta_head h = tokens_of(head_of(y, task), t, count);
            h.mix = moved(mixes.data, task % k->heads * k->d * mixes.row);
            h.mix_row = mixes.row;
            h.state = states + task * square;
            h.scratch = scratch;
            self_delta_loops()->forward(&h);
        }
}

static void self_delta_forward(tensor *y)
{
    const struct self_delta *k = y->attributes;
    int64_t tasks = k->batch * k->heads;
    int threads = threads_for(work_of(k));
    struct aligned_mixes mixes = align_mixes(y);
    real *scratch = scratch_take(y->graph, (size_t)(threads * 2 * k->d));
#pragma omp parallel num_threads(threads)
    {
        int64_t thread = omp_get_thread_num(), count = omp_get_num_threads();
        run_heads(y, mixes, tasks * thread / count, tasks * (thread + 1) / count,
                  scratch + thread * 2 * k->d);
    }
    scratch_give(y->graph, scratch);
    scratch_give(y->graph, mixes.data);
}

/* ---- Going back ---- */

/* Room of one thread: the weights at the start of each segment and before each token of one, and what is
 * being carried. */
struct room {
    real *starts, *inside, *g, *carried, *error, *slope; /* g = dL/dW^T; carried = dL/do; slope: 3 d + 1 */
};

static int64_t room_size(const struct self_delta *k)
{
    int64_t segments = (k->steps + k->segment - 1) / k->segment;
    return (segments + k->segment + 2) * k->d * k->d + 2 * k->d + wide_of(k);
}

static struct room room_of(const struct self_delta *k, real *at)
{
    int64_t square = k->d * k->d, segments = (k->steps + k->segment - 1) / k->segment;
    struct room room = {.starts = at, .inside = at + segments * square};
    room.g = room.inside + (k->segment + 1) * square;
    room.carried = room.g + square;
    room.error = room.carried + k->d;
    room.slope = room.error + k->d;
    return room;
}

/* The weights before each token from `first` to `last`, and after the last. */
static void replay(const struct self_delta_head *h, int64_t first, int64_t last, const struct room *room)
{
    int64_t square = h->d * h->d;
    for (int64_t t = first; t < last; t++) {
        real *w = room->inside + (t - first) * square;
        memcpy(w + square, w, (size_t)square * sizeof *w);
        write_weights(h, h->used + t * h->wide_row, w + square, room->error);
    }
}

/* From dL/do_t in room->carried and dL/dW_t in room->g: dL/d of what the token used in room->slope, and
 * dL/dW_{t-1}. */
static void back_through_weights(const struct self_delta_head *h, const real *used, const real *before,
                                 const struct room *room)
{
    int64_t d = h->d;
    real rate = used[3 * d], *dq = room->slope, *dk = dq + d, *dv = dk + d;
    gemv(false, d, d, 1, before + d * d, d, room->carried, 0, dq);
    add_outer(d, 1, used, room->carried, room->g);
    find_error(h, used, before, room->error);
    gemv(false, d, d, rate, room->g, d, room->error, 0, dk);
    gemv(true, d, d, 1, room->g, d, used + d, 0, dv);
    real drate = 0;
    for (int64_t i = 0; i < d; i++) {
        drate += room->error[i] * dv[i];
        dv[i] *= rate;
    }
    room->slope[3 * d] = drate;
    gemv(false, d, d, -1, before, d, dv, 1, dk);
    add_outer(d, -1, used + d, dv, room->g);
}

/* From dL/d of what the token used to that of its program, in place, and dL/do_{t-1} in room->carried. */
static void back_through_program(const struct self_delta_head *h, const real *used, const real *before,
                                 const struct room *room)
{
    int64_t d = h->d;
    real *slope = room->slope, rate = used[3 * d];
    softmax_slope(d, used, slope);
    softmax_slope(d, used + d, slope + d);
    slope[3 * d] *= rate * (1 - rate);
    if (!h->mix) {
        memcpy(room->carried, slope, (size_t)d * sizeof *slope);
        return;
    }
    gemv(false, d, h->wide, 1, h->mix, h->wide, slope, 0, room->carried);
    for (int64_t i = 0; i < d && before; i++) {
        real squashed = real_tanh(before[i]);
        room->carried[i] *= 1 - squashed * squashed;
    }
}

/* `slopes` gets dL/d of every token's program. */
static void back_through_head(tensor *y, int64_t task, const struct room *room, real *slopes)
{
    const struct self_delta *k = y->attributes;
    struct self_delta_head h = head_of(y, task);
    int64_t d = k->d, square = d * d;
    const real *dy = output_gradient(y), *dfinal = output_gradient(node_output(y, 1));
    int64_t segments = (k->steps + k->segment - 1) / k->segment;
    start_weights(y, task, room->starts);
    for (int64_t i = 1; i < segments; i++) {
        real *w = room->starts + i * square;
        memcpy(w, w - square, (size_t)square * sizeof *w);
        for (int64_t t = (i - 1) * k->segment; t < i * k->segment; t++)
            write_weights(&h, h.used + t * h.wide_row, w, room->error);
    }
    memset(room->carried, 0, (size_t)d * sizeof *room->carried);
    for (int64_t i = 0; i < square; i++)
        room->g[i] = dfinal ? dfinal[task * square + i] : 0;
    real *dadded = k->place[ADDED] < 0 ? NULL : y->inputs[k->place[ADDED]]->gradient;
    for (int64_t s = segments - 1; s >= 0; s--) {
        int64_t first = s * k->segment, last = first + k->segment < k->steps ? first + k->segment : k->steps;
        memcpy(room->inside, room->starts + s * square, (size_t)square * sizeof *room->inside);
        replay(&h, first, last, room);
        for (int64_t t = last - 1; t >= first; t--) {
            const real *used = h.used + t * h.wide_row;
            int64_t at = row_of(k, task) + t * h.row;
            for (int64_t i = 0; i < d && dy; i++)
                room->carried[i] += dy[at + i];
            for (int64_t i = 0; i < d && dadded; i++)
                dadded[at + i] += room->carried[i];
            back_through_weights(&h, used, room->inside + (t - first) * square, room);
            back_through_program(&h, used, output_before(&h, t), room);
            memcpy(slopes + t * h.wide_row, room->slope, (size_t)h.wide * sizeof *slopes);
        }
    }
}

/* dM of one head: sum over batch entries and tokens of tanh(o_{t-1}) (dL/dp'_t)^T. `outputs` is room for [T,
 * d]. */
static void collect_mix(tensor *y, int64_t head, const real *slopes, real *outputs, real *dmix)
{
    const struct self_delta *k = y->attributes;
    int64_t d = k->d, wide = wide_of(k);
    for (int64_t b = 0; b < k->batch; b++) {
        int64_t task = b * k->heads + head;
        struct self_delta_head h = head_of(y, task);
        for (int64_t t = 0; t < k->steps; t++) {
            const real *before = output_before(&h, t);
            for (int64_t i = 0; i < d; i++)
                outputs[t * d + i] = before ? real_tanh(before[i]) : 0;
        }
        gemm(true, false, d, wide, k->steps, 1, outputs, d, slopes + wide_row_of(k, task), h.wide_row, 1,
             dmix + head * d * wide, wide);
    }
}

static void self_delta_backward(tensor *y)
{
    const struct self_delta *k = y->attributes;
    int64_t d = k->d, wide = wide_of(k), tasks = k->batch * k->heads, size = tasks * k->steps * wide;
    real *dprogram = input_slope(y, PROGRAM), *dmix = input_slope(y, MIX),
         *dweights = input_slope(y, WEIGHTS);
    real *doutput = input_slope(y, OUTPUT);
    input_slope(y, ADDED);
    int threads = threads_for(3 * work_of(k));
    real *slopes = scratch_take(y->graph, (size_t)size);
    real *rooms = scratch_take(y->graph, (size_t)(threads * room_size(k)));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        struct room room = room_of(k, rooms + omp_get_thread_num() * room_size(k));
        back_through_head(y, task, &room, slopes + wide_row_of(k, task));
        for (int64_t i = 0; i < d * d && dweights; i++)
            dweights[task * d * d + i] += room.g[i];
        for (int64_t i = 0; i < d && doutput; i++)
            doutput[task * d + i] += room.carried[i];
    }
    for (int64_t i = 0; i < size && dprogram; i++)
        dprogram[i] += slopes[i];
    if (dmix) {
        real *outputs = scratch_take(y->graph, (size_t)(threads * k->steps * d));
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t head = 0; head < k->heads; head++)
            collect_mix(y, head, slopes, outputs + omp_get_thread_num() * k->steps * d, dmix);
        scratch_give(y->graph, outputs);
    }
    scratch_give(y->graph, rooms);
    scratch_give(y->graph, slopes);
}

static const struct operation self_delta_operation = {"self_delta", self_delta_forward, self_delta_backward,
                                                      (1u << INPUTS) - 1 + SAVES_OUTPUT, false};

/* ---- Recording ---- */

static bool has_shape(const tensor *x, int rank, const int64_t *shape)
{
    return !x || (x->rank == rank && memcmp(x->shape, shape, (size_t)rank * sizeof *shape) == 0);
}

tensor *tensor_self_delta(tensor *program, const struct self_delta_options *options)
{
    const char *name = self_delta_operation.name;
    require(program->rank == 4 && program->shape[1] > 0 && program->shape[3] % 3 == 1 &&
                program->shape[3] > 1,
            program, name, "a program [B, T, H, 3 d + 1] with T and d above 0");
    int64_t B = program->shape[0], T = program->shape[1], H = program->shape[2], d = program->shape[3] / 3;
    require(has_shape(options->mix, 3, SHAPE(H, d, 3 * d + 1)), options->mix, name, "a mix [H, d, 3 d + 1]");
    require(has_shape(options->added, 4, SHAPE(B, T, H, d)), options->added, name,
            "what is added [B, T, H, d]");
    require(has_shape(options->initial_weights, 4, SHAPE(B, H, d, d)), options->initial_weights, name,
            "initial weights [B, H, d, d]");
    require(has_shape(options->initial_output, 4, SHAPE(B, 1, H, d)), options->initial_output, name,
            "an initial output [B, 1, H, d]");
    struct self_delta k = {
        .batch = B, .steps = T, .heads = H, .d = d, .segment = (int64_t)ceil(sqrt((double)T))};
    tensor *given[INPUTS] = {program, options->mix, options->added, options->initial_weights,
                             options->initial_output};
    tensor *inputs[INPUTS];
    int count = 0;
    for (int i = 0; i < INPUTS; i++) {
        k.place[i] = given[i] ? count : -1;
        if (given[i])
            inputs[count++] = tensor_contiguous(given[i]);
    }
    tensor *y =
        node_create(program->graph, &self_delta_operation, 4, SHAPE(B, T, H, d), count, inputs, &k, sizeof k);
    tensor *final = node_add_output(y, 4, SHAPE(B, H, d, d));
    node_add_output(y, 4, program->shape);
    node_count(y, work_of(&k), 3 * work_of(&k));
    if (options->final_weights)
        *options->final_weights = final;
    return y;
}
