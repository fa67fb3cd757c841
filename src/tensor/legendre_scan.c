/* The scaled Legendre memory, token by token over blocks of channels. The matrix is one of rank 1 below its
 * diagonal, so that a product with it and a solve by substitution are each one running sum over the states
 * (Gu et al. 2020, proposition 3); the two sums only occur together, as u = ahead b . c_{t-1} + (1 - ahead) b
 * . c_t - x_t over the states so far:
 *
 *     c_t[n] = ((1 + ahead d a_n) c_{t-1}[n] - d b_n u) / (1 - (1 - ahead) d a_n),  d = 1 / t */
#include "tensor/loops/legendre_scan.h"
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <omp.h>
#include <string.h>

enum { LANES = LEGENDRE_LANES };
enum { X, DIAGONAL, INPUT, INITIAL };

struct legendre_scan {
    int64_t batch, steps, states, channels, before;
    double ahead;
    bool has_initial;
};

/* One block of channels: its first one, counted in x and in c at the first token. */
struct block {
    int64_t count, x, c, edge;
};

static int64_t blocks_of(const struct legendre_scan *l)
{
    return (l->channels + LANES - 1) / LANES;
}

static struct block block_of(const struct legendre_scan *l, int64_t task)
{
    int64_t batch = task / blocks_of(l), first = task % blocks_of(l) * LANES, state = l->states * l->channels;
    return (struct block){.count = l->channels - first < LANES ? l->channels - first : LANES,
                          .x = batch * l->steps * l->channels + first,
                          .c = batch * l->steps * state + first,
                          .edge = batch * state + first};
}

static double work_of(const struct legendre_scan *l)
{
    return 7.0 * (double)(l->batch * l->steps * l->states * l->channels);
}

/* Each token's numbers [steps, states]. */
static struct legendre_state *states_take(const tensor *y)
{
    const struct legendre_scan *l = y->attributes;
    const real *a = y->inputs[DIAGONAL]->data, *b = y->inputs[INPUT]->data;
    struct legendre_state *s = (struct legendre_state *)(void *)scratch_take(
        y->graph, (size_t)(l->steps * l->states) * (sizeof *s / sizeof(real)));
    for (int64_t t = 0; t < l->steps; t++)
        for (int64_t n = 0; n < l->states; n++) {
            double d = 1 / (double)(l->before + t + 1), left = 1 - (1 - l->ahead) * d * (double)a[n];
            s[t * l->states + n] = (struct legendre_state){
                (real)((1 + l->ahead * d * (double)a[n]) / left), (real)(d * (double)b[n] / left),
                (real)(l->ahead * (double)b[n]), (real)((1 - l->ahead) * (double)b[n])};
        }
    return s;
}

static void legendre_scan_forward(tensor *y)
{
    const struct legendre_scan *l = y->attributes;
    int64_t state = l->states * l->channels;
    real *final = node_output(y, 1)->data;
    struct legendre_state *s = states_take(y);
    if (l->has_initial)
        memcpy(final, y->inputs[INITIAL]->data, (size_t)(l->batch * state) * sizeof *final);
    else
        memset(final, 0, (size_t)(l->batch * state) * sizeof *final);
#pragma omp parallel for num_threads(threads_for(work_of(l))) schedule(static)
    for (int64_t task = 0; task < l->batch * blocks_of(l); task++) {
        struct block b = block_of(l, task);
        const real *last = final + b.edge;
        for (int64_t t = 0; t < l->steps; t++) {
            real *now = y->data + b.c + t * state;
            legendre_scan_loops()->forward(b.count, l->states, s + t * l->states,
                                           y->inputs[X]->data + b.x + t * l->channels, last, l->channels,
                                           now);
            last = now;
        }
        for (int64_t n = 0; n < l->states; n++)
            memcpy(final + b.edge + n * l->channels, last + n * l->channels, (size_t)b.count * sizeof *final);
    }
    scratch_give(y->graph, (real *)s);
}

/* g [states, LANES] += a block of dy, rows `channels` apart. */
static void add_rows(const struct legendre_scan *l, int64_t count, const real *dy, real *g)
{
    for (int64_t n = 0; dy && n < l->states; n++)
        row_loops()->add(count, dy + n * l->channels, g + n * LANES);
}

static void legendre_scan_backward(tensor *y)
{
    const struct legendre_scan *l = y->attributes;
    const real *dy = output_gradient(y), *dfinal = output_gradient(node_output(y, 1));
    real *dx = input_gradient(y, X), *dinitial = l->has_initial ? input_gradient(y, INITIAL) : NULL;
    int64_t state = l->states * l->channels, tasks = l->batch * blocks_of(l), size = l->states * LANES;
    struct legendre_state *s = states_take(y);
    real *scratch = scratch_take(y->graph, (size_t)(tasks * size));
    memset(scratch, 0, (size_t)(tasks * size) * sizeof *scratch);
#pragma omp parallel for num_threads(threads_for(work_of(l))) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        struct block b = block_of(l, task);
        real *g = scratch + task * size;
        add_rows(l, b.count, dfinal ? dfinal + b.edge : NULL, g);
        for (int64_t t = l->steps - 1; t >= 0; t--) {
            add_rows(l, b.count, dy ? dy + b.c + t * state : NULL, g);
            legendre_scan_loops()->backward(b.count, l->states, s + t * l->states, g,
                                            dx ? dx + b.x + t * l->channels : NULL);
        }
        for (int64_t n = 0; dinitial && n < l->states; n++)
            row_loops()->add(b.count, g + n * LANES, dinitial + b.edge + n * l->channels);
    }
    scratch_give(y->graph, scratch);
    scratch_give(y->graph, (real *)s);
}

static const struct operation legendre_scan_operation = {"legendre_scan", legendre_scan_forward,
                                                         legendre_scan_backward,
                                                         SAVES_INPUT(DIAGONAL) | SAVES_INPUT(INPUT), false};

tensor *tensor_legendre_scan(tensor *x, tensor *a, tensor *b, double ahead, int64_t before, tensor *initial,
                             tensor **final)
{
    const char *name = legendre_scan_operation.name;
    require(x->rank == 3 && x->shape[1] > 0, x, name, "inputs [B, T, C] with T > 0");
    require(a->rank == 1 && !a->needs_gradient, a, name, "a diagonal [N] without gradient");
    require(b->rank == 1 && b->shape[0] == a->shape[0] && !b->needs_gradient, b, name,
            "input weights [N] without gradient, as many as the diagonal has");
    struct legendre_scan l = {x->shape[0], x->shape[1], a->shape[0],    x->shape[2],
                              before,      ahead,       initial != NULL};
    tensor *inputs[] = {tensor_contiguous(x), tensor_contiguous(a), tensor_contiguous(b), NULL};
    const int64_t edge[] = {l.batch, 1, l.states, l.channels};
    if (initial) {
        require(initial->rank == 4 && memcmp(initial->shape, edge, sizeof edge) == 0, initial, name,
                "an initial state [B, 1, N, C]");
        inputs[INITIAL] = tensor_contiguous(initial);
    }
    tensor *y =
        node_create(x->graph, &legendre_scan_operation, 4, SHAPE(l.batch, l.steps, l.states, l.channels),
                    initial ? 4 : 3, inputs, &l, sizeof l);
    tensor *last = node_add_output(y, 4, edge);
    node_count(y, work_of(&l), -1);
    if (final)
        *final = last;
    return y;
}
