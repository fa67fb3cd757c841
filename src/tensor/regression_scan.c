/* The diagonal recurrence of online regression: states of channels times keys, one token after the other, over blocks of channels. For
 * going back in time the states are kept at the starts of segments of about sqrt(T) tokens and computed again in between. */
#include "tensor/operation.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    CHANNELS = 32
}; /* of one task, which also bounds the partial sums of the gradients of keys and queries */

enum { U, DELTA, K, Q, INITIAL, INPUTS };

struct regression_scan {
    int64_t batch, steps, channels, states, segment;
    bool has_initial;
};

/* A block of channels of one batch entry: pointers to its first token, NULL if absent. */
struct block {
    int64_t count, channels, states;
    const real *u, *delta, *k, *q, *initial;
    int64_t at, keys_at, edge; /* offsets of u, of k and of the states of this block */
};

static int64_t blocks_of(const struct regression_scan *r)
{
    return (r->channels + CHANNELS - 1) / CHANNELS;
}

static struct block block_of(const tensor *y, int64_t task)
{
    const struct regression_scan *r = y->attributes;
    int64_t batch = task / blocks_of(r), first = task % blocks_of(r) * CHANNELS;
    struct block b = {.count = r->channels - first < CHANNELS ? r->channels - first : CHANNELS,
                      .channels = r->channels,
                      .states = r->states,
                      .at = batch * r->steps * r->channels + first,
                      .keys_at = batch * r->steps * r->states,
                      .edge = (batch * r->channels + first) * r->states};
    b.u = y->inputs[U]->data + b.at;
    b.delta = y->inputs[DELTA]->data + b.at;
    b.k = y->inputs[K]->data + b.keys_at;
    b.q = y->inputs[Q]->data + b.keys_at;
    b.initial = r->has_initial ? y->inputs[INITIAL]->data + b.edge : NULL;
    return b;
}

static double work_of(const struct regression_scan *r)
{
    return 7.0 * (double)(r->batch * r->steps * r->channels * r->states);
}

static void start(const struct block *b, real *h)
{
    if (b->initial)
        memcpy(h, b->initial, (size_t)(b->count * b->states) * sizeof *h);
    else
        memset(h, 0, (size_t)(b->count * b->states) * sizeof *h);
}

/* h of token t from that of the token before. */
static void advance(const struct block *b, int64_t t, const real *before, real *h)
{
    const real *k = b->k + t * b->states, *u = b->u + t * b->channels, *delta = b->delta + t * b->channels;
    for (int64_t c = 0; c < b->count; c++) {
        const real *from = before + c * b->states;
        real *to = h + c * b->states, rate = delta[c], written = rate * u[c];
        for (int64_t n = 0; n < b->states; n++)
            to[n] = from[n] + (written - rate * k[n] * from[n]) * k[n];
    }
}

static void regression_scan_forward(tensor *y)
{
    const struct regression_scan *r = y->attributes;
    real *final = node_output(y, 1)->data;
#pragma omp parallel for num_threads(threads_for(work_of(r))) schedule(static)
    for (int64_t task = 0; task < r->batch * blocks_of(r); task++) {
        struct block b = block_of(y, task);
        real *h = final + b.edge, *out = y->data + b.at;
        start(&b, h);
        for (int64_t t = 0; t < r->steps; t++) {
            const real *q = b.q + t * r->states;
            advance(&b, t, h, h);
            for (int64_t c = 0; c < b.count; c++) {
                real sum = 0;
                for (int64_t n = 0; n < r->states; n++)
                    sum += q[n] * h[c * r->states + n];
                out[t * r->channels + c] = sum;
            }
        }
    }
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
    return (segments_of(r) + r->segment + 2) * CHANNELS * r->states;
}

static struct room room_of(const struct regression_scan *r, real *at)
{
    int64_t size = CHANNELS * r->states;
    return (struct room){at, at + segments_of(r) * size, at + (segments_of(r) + r->segment + 1) * size};
}

/* Where one task adds its gradients: those of its own channels, and its shares of those of keys and queries. */
struct slopes {
    real *u, *delta, *k, *q;
    const real *y;
};

static void back_through_token(const struct block *b, int64_t t, const real *before, real *g,
                               const struct slopes *to)
{
    int64_t N = b->states;
    const real *k = b->k + t * N, *q = b->q + t * N, *after = before + CHANNELS * N;
    real *dk = to->k + t * N, *dq = to->q + t * N;
    for (int64_t c = 0; c < b->count; c++) {
        int64_t at = t * b->channels + c;
        const real *h = before + c * N, *next = after + c * N;
        real *gc = g + c * N, u = b->u[at], rate = b->delta[at], dy = to->y ? to->y[at] : 0;
        real du = 0, drate = 0;
        for (int64_t n = 0; n < N; n++) {
            real slope = gc[n] + dy * q[n], error = u - k[n] * h[n];
            dq[n] += dy * next[n];
            du += slope * k[n];
            drate += slope * error * k[n];
            dk[n] += slope * rate * (error - k[n] * h[n]);
            gc[n] = slope * (1 - rate * k[n] * k[n]);
        }
        if (to->u)
            to->u[at] += rate * du;
        if (to->delta)
            to->delta[at] += drate;
    }
}

static void back_through_block(tensor *y, const struct block *b, const struct room *room,
                               const struct slopes *to)
{
    const struct regression_scan *r = y->attributes;
    const real *dfinal = output_gradient(node_output(y, 1));
    int64_t size = CHANNELS * r->states;
    start(b, room->starts);
    for (int64_t s = 1; s < segments_of(r); s++) {
        real *h = room->starts + s * size;
        advance(b, (s - 1) * r->segment, h - size, h);
        for (int64_t t = (s - 1) * r->segment + 1; t < s * r->segment; t++)
            advance(b, t, h, h);
    }
    for (int64_t i = 0; i < b->count * r->states; i++)
        room->g[i] = dfinal ? dfinal[b->edge + i] : 0;
    for (int64_t s = segments_of(r) - 1; s >= 0; s--) {
        int64_t first = s * r->segment, last = first + r->segment < r->steps ? first + r->segment : r->steps;
        memcpy(room->inside, room->starts + s * size, (size_t)(b->count * r->states) * sizeof *room->inside);
        for (int64_t t = first; t < last; t++)
            advance(b, t, room->inside + (t - first) * size, room->inside + (t - first + 1) * size);
        for (int64_t t = last - 1; t >= first; t--)
            back_through_token(b, t, room->inside + (t - first) * size, room->g, to);
    }
}

static void regression_scan_backward(tensor *y)
{
    const struct regression_scan *r = y->attributes;
    real *du = input_gradient(y, U), *ddelta = input_gradient(y, DELTA), *dk = input_gradient(y, K),
         *dq = input_gradient(y, Q), *dinitial = r->has_initial ? input_gradient(y, INITIAL) : NULL;
    const real *dy = output_gradient(y);
    int64_t tasks = r->batch * blocks_of(r), keys = r->steps * r->states;
    int threads = threads_for(3 * work_of(r));
    real *rooms = scratch_take(y->graph, (size_t)(threads * room_size(r)));
    real *shares = scratch_take(y->graph, (size_t)(2 * tasks * keys)); /* dk and dq of each task */
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        struct block b = block_of(y, task);
        struct room room = room_of(r, rooms + omp_get_thread_num() * room_size(r));
        real *own = shares + 2 * task * keys;
        memset(own, 0, (size_t)(2 * keys) * sizeof *own);
        struct slopes to = {.u = du ? du + b.at : NULL,
                            .delta = ddelta ? ddelta + b.at : NULL,
                            .k = own,
                            .q = own + keys,
                            .y = dy ? dy + b.at : NULL};
        back_through_block(y, &b, &room, &to);
        for (int64_t i = 0; i < b.count * r->states && dinitial; i++)
            dinitial[b.edge + i] += room.g[i];
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
