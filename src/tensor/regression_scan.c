/* The diagonal recurrence of online regression: states of channels times keys, one token after the other,
 * over blocks of channels. For going back in time the states are kept at the starts of segments of about
 * sqrt(T) tokens and computed again in between. */
#include "tensor/loops/regression_scan.h"
#include "tensor/operation.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { U, DELTA, K, Q, INITIAL, INPUTS };
enum { LANES = REGRESSION_LANES }; /* channels of one task */

struct regression_scan {
    int64_t batch, steps, channels, states, segment;
    bool has_initial;
};

static int64_t blocks_of(const struct regression_scan *r)
{
    return (r->channels + LANES - 1) / LANES;
}

static int64_t state_size(const struct regression_scan *r)
{
    return r->states * LANES;
}

/* Where a task's channels of one batch entry lie: in u, in k, and in states [B, C, N]. */
struct place {
    int64_t u, k, state;
};

static struct place place_of(const struct regression_scan *r, int64_t task)
{
    int64_t batch = task / blocks_of(r), first = task % blocks_of(r) * LANES;
    return (struct place){batch * r->steps * r->channels + first, batch * r->steps * r->states,
                          (batch * r->channels + first) * r->states};
}

static struct regression_block block_of(const tensor *y, int64_t task)
{
    const struct regression_scan *r = y->attributes;
    struct place place = place_of(r, task);
    int64_t left = r->channels - task % blocks_of(r) * LANES;
    return (struct regression_block){.count = left < LANES ? left : LANES,
                                     .channels = r->channels,
                                     .states = r->states,
                                     .u = y->inputs[U]->data + place.u,
                                     .delta = y->inputs[DELTA]->data + place.u,
                                     .k = y->inputs[K]->data + place.k,
                                     .q = y->inputs[Q]->data + place.k};
}

static double work_of(const struct regression_scan *r)
{
    return 7.0 * (double)(r->batch * r->steps * r->channels * r->states);
}

/* From [channels, states] to [states, LANES], zeros if there is nothing. */
static void gather(const struct regression_block *b, const real *from, real *h)
{
    memset(h, 0, (size_t)(b->states * LANES) * sizeof *h);
    for (int64_t c = 0; from && c < b->count; c++)
        for (int64_t n = 0; n < b->states; n++)
            h[n * LANES + c] = from[c * b->states + n];
}

/* And back, set or added. */
static void scatter(const struct regression_block *b, const real *h, real *to, bool add)
{
    for (int64_t c = 0; c < b->count; c++)
        for (int64_t n = 0; n < b->states; n++)
            to[c * b->states + n] = (add ? to[c * b->states + n] : 0) + h[n * LANES + c];
}

static const real *initial_at(const tensor *y, const struct place *place)
{
    const struct regression_scan *r = y->attributes;
    return r->has_initial ? y->inputs[INITIAL]->data + place->state : NULL;
}

/* Blocks that step together, so that a token's row is read in longer stretches, and how many tokens ahead it
 * is fetched: with one block at a time the processor waits for memory. */
enum { TOGETHER = 8, AHEAD = 4 };

static int64_t teams_of(const struct regression_scan *r)
{
    return (blocks_of(r) + TOGETHER - 1) / TOGETHER;
}

static void run_team(tensor *y, int64_t first, int64_t count, real *states)
{
    const struct regression_scan *r = y->attributes;
    const struct regression_scan_loops *loops = regression_scan_loops();
    struct place place[TOGETHER];
    struct regression_block block[TOGETHER];
    for (int64_t i = 0; i < count; i++) {
        place[i] = place_of(r, first + i);
        block[i] = block_of(y, first + i);
        gather(&block[i], initial_at(y, &place[i]), states + i * state_size(r));
    }
    for (int64_t t = 0; t < r->steps; t++)
        for (int64_t i = 0; i < count; i++) {
            real *h = states + i * state_size(r);
            if (t + AHEAD < r->steps) {
                __builtin_prefetch(block[i].u + (t + AHEAD) * r->channels);
                __builtin_prefetch(block[i].delta + (t + AHEAD) * r->channels);
            }
            loops->advance(&block[i], t, h, h, y->data + place[i].u + t * r->channels);
        }
    for (int64_t i = 0; i < count; i++)
        scatter(&block[i], states + i * state_size(r), node_output(y, 1)->data + place[i].state, false);
}

static void regression_scan_forward(tensor *y)
{
    const struct regression_scan *r = y->attributes;
    int threads = threads_for(work_of(r));
    int64_t room = TOGETHER * state_size(r), blocks = blocks_of(r), teams = teams_of(r);
    real *states = scratch_take(y->graph, (size_t)(threads * room));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < r->batch * teams; task++) {
        int64_t start = task % teams * TOGETHER, left = blocks - start;
        run_team(y, task / teams * blocks + start, left < TOGETHER ? left : TOGETHER,
                 states + omp_get_thread_num() * room);
    }
    scratch_give(y->graph, states);
}

/* ---- Going back ---- */

/* Room of one thread: the states at the start of each segment and before each token of one; dL/dh. */
struct room {
    real *starts, *inside, *g;
};

static int64_t segments_of(const struct regression_scan *r)
{
    return (r->steps + r->segment - 1) / r->segment;
}

static int64_t room_size(const struct regression_scan *r)
{
    return (segments_of(r) + r->segment + 2) * state_size(r);
}

static struct room room_of(const struct regression_scan *r, real *at)
{
    int64_t size = state_size(r);
    return (struct room){at, at + segments_of(r) * size, at + (segments_of(r) + r->segment + 1) * size};
}

/* room->starts holds the first segment's. */
static void keep_starts(const struct regression_scan *r, const struct regression_block *block,
                        const struct room *room)
{
    const struct regression_scan_loops *loops = regression_scan_loops();
    for (int64_t s = 1; s < segments_of(r); s++) {
        real *h = room->starts + s * state_size(r);
        loops->advance(block, (s - 1) * r->segment, h - state_size(r), h, NULL);
        for (int64_t t = (s - 1) * r->segment + 1; t < s * r->segment; t++)
            loops->advance(block, t, h, h, NULL);
    }
}

/* room->g holds the gradient of the last state, and that of the initial one in the end. */
static void back_through_block(const struct regression_scan *r, const struct regression_block *block,
                               const struct room *room, const struct regression_gradients *to)
{
    const struct regression_scan_loops *loops = regression_scan_loops();
    int64_t size = state_size(r);
    for (int64_t s = segments_of(r) - 1; s >= 0; s--) {
        int64_t first = s * r->segment, last = first + r->segment < r->steps ? first + r->segment : r->steps;
        memcpy(room->inside, room->starts + s * size, (size_t)size * sizeof *room->inside);
        for (int64_t t = first; t < last; t++) {
            real *before = room->inside + (t - first) * size;
            loops->advance(block, t, before, before + size, NULL);
        }
        for (int64_t t = last - 1; t >= first; t--) {
            const real *before = room->inside + (t - first) * size;
            loops->backward(block, t, before, before + size, room->g, to);
        }
    }
}

static void regression_scan_backward(tensor *y)
{
    const struct regression_scan *r = y->attributes;
    real *du = input_gradient(y, U), *ddelta = input_gradient(y, DELTA), *dk = input_gradient(y, K),
         *dq = input_gradient(y, Q), *dinitial = r->has_initial ? input_gradient(y, INITIAL) : NULL;
    const real *dy = output_gradient(y), *dfinal = output_gradient(node_output(y, 1));
    int64_t tasks = r->batch * blocks_of(r), keys = r->steps * r->states;
    int threads = threads_for(3 * work_of(r));
    real *rooms = scratch_take(y->graph, (size_t)(threads * room_size(r)));
    real *shares = scratch_take(y->graph, (size_t)(2 * tasks * keys)); /* dk and dq of each task */
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        struct place place = place_of(r, task);
        struct regression_block block = block_of(y, task);
        struct room room = room_of(r, rooms + omp_get_thread_num() * room_size(r));
        real *own = shares + 2 * task * keys;
        memset(own, 0, (size_t)(2 * keys) * sizeof *own);
        struct regression_gradients to = {.u = du ? du + place.u : NULL,
                                          .delta = ddelta ? ddelta + place.u : NULL,
                                          .k = own,
                                          .q = own + keys,
                                          .y = dy ? dy + place.u : NULL};
        gather(&block, initial_at(y, &place), room.starts);
        gather(&block, dfinal ? dfinal + place.state : NULL, room.g);
        keep_starts(r, &block, &room);
        back_through_block(r, &block, &room, &to);
        if (dinitial)
            scatter(&block, room.g, dinitial + place.state, true);
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t batch = 0; batch < r->batch; batch++)
        for (int64_t block = 0; block < blocks_of(r); block++) {
            const real *own = shares + 2 * (batch * blocks_of(r) + block) * keys;
            for (int64_t i = 0; i < keys && dk; i++)
                dk[batch * keys + i] += own[i];
            for (int64_t i = 0; i < keys && dq; i++)
                dq[batch * keys + i] += own[keys + i];
        }
    scratch_give(y->graph, shares);
    scratch_give(y->graph, rooms);
}

static const struct operation regression_scan_operation = {
    "regression_scan", regression_scan_forward, regression_scan_backward, (1u << INPUTS) - 1, false};

/* ---- Recording ---- */

static bool has_shape(const tensor *x, int64_t batch, int64_t length, int64_t width)
{
    return x->rank == 3 && x->shape[0] == batch && x->shape[1] == length && x->shape[2] == width;
}

tensor *tensor_regression_scan(tensor *u, tensor *delta, tensor *k, tensor *q, tensor *initial,
                               tensor **final)
{
    const char *name = regression_scan_operation.name;
    require(u->rank == 3 && u->shape[1] > 0, u, name, "values [B, T, C] with T > 0");
    int64_t B = u->shape[0], T = u->shape[1], C = u->shape[2];
    require(has_shape(delta, B, T, C), delta, name, "rates of the values' shape");
    require(k->rank == 3 && has_shape(k, B, T, k->shape[2]), k, name, "keys [B, T, N]");
    int64_t N = k->shape[2];
    require(has_shape(q, B, T, N), q, name, "queries of the keys' shape");
    require(!initial || has_shape(initial, B, C, N), initial, name, "an initial state [B, C, N]");
    struct regression_scan r = {B, T, C, N, (int64_t)ceil(sqrt((double)T)), initial != NULL};
    tensor *inputs[INPUTS] = {tensor_contiguous(u), tensor_contiguous(delta), tensor_contiguous(k),
                              tensor_contiguous(q), initial ? tensor_contiguous(initial) : NULL};
    tensor *y = node_create(u->graph, &regression_scan_operation, 3, u->shape, initial ? INPUTS : INITIAL,
                            inputs, &r, sizeof r);
    tensor *last = node_add_output(y, 3, SHAPE(B, C, N));
    node_count(y, work_of(&r), 3 * work_of(&r));
    if (final)
        *final = last;
    return y;
}
