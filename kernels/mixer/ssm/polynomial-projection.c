/* HiPPO, the online projection of each channel's past onto N polynomials (hippo, section 2.3, theorems 1 and 2, appendix C; form of
 * the published HiPPO_LegS and HiPPO_LegT).
 *
 *     c_t = E_t c_{t-1} + G_t f_t        for the system c' = A c + B f with the step d
 *     bilinear: E = (1 - d/2 A)^-1 (1 + d/2 A), G = (1 - d/2 A)^-1 d B;   forward: E = 1 + d A, G = d B
 *     backward: E = (1 - d A)^-1, G = (1 - d A)^-1 d B;                   zoh: E = exp(d A), G = A^-1 (E - 1) B
 *     legs: d = 1 / t (zoh: ln((t + 1) / t)), so that all of the past counts alike;  legt: a fixed d, a window of 1 / d tokens
 *
 * The coefficients of all channels [B, T, D N] are the output, or with `readout` a learned sum of a channel's own. With `cell` they are
 * the memory of a recurrent unit (appendix F.1, eq. 31), one memory N of one feature f of its state h [D], which is the output:
 *
 *     h_t = (1 - g) h_{t-1} + g tanh(W [h_{t-1}, c_{t-1}, x_t] + b),  g = sigmoid(Wg [..] + bg),  f_t = wf . h_t              maps: W, Wg
 *
 * legs has other matrices at each token, which the channels share. Below the diagonal its A is -B B^T, so that for all but zoh a step is
 * a sum that runs over the states and needs no matrix (proposition 3). */
#include "block/hippo.h"
#include "block/system.h"
#include "tensor/recurrent_cell.h"
#include <math.h>
#include <string.h>

enum { MOST_STATES = 256, PIECE = 64, SCANNED = 8 }; /* tokens at once: of matrices, and of what needs none */

static enum hippo_measure measure_of(const struct scope *s)
{
    return option_is(s, "measure", "legs") ? HIPPO_LEGS : HIPPO_LMU;
}

static void fill(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    double A[MOST_STATES * MOST_STATES], B[MOST_STATES];
    hippo_matrices(measure_of(s), shape[0], A, B);
    for (int64_t i = 0; i < (rank == 1 ? shape[0] : shape[0] * shape[0]); i++)
        values[i] = (real)(rank == 1 ? B : A)[i];
}

/* E and G side by side, [count, N, N + 1], for `count` tokens after `before`; a fixed step has one. */
static tensor *held(struct scope *s, int64_t n, int64_t before, int64_t count)
{
    double E[MOST_STATES * MOST_STATES], G[MOST_STATES];
    tensor *both = tensor_constant(s->graph, NULL, 3, SHAPE(count, n, n + 1));
    for (int64_t t = 0; t < count; t++) {
        double next = (double)(before + t + 1);
        bool fixed = measure_of(s) == HIPPO_LMU;
        hippo_hold(measure_of(s), n, fixed ? option_real(s, "dt") : log((next + 1) / next), E, G);
        for (int64_t i = 0; i < n * n; i++)
            both->data[t * n * (n + 1) + i / n * (n + 1) + i % n] = (real)E[i];
        for (int64_t i = 0; i < n; i++)
            both->data[(t * n + i) * (n + 1) + n] = (real)G[i];
    }
    return both;
}

/* The share of a step that is taken before the system is solved for the rest; not for zoh. */
static double ahead_of(const struct scope *s)
{
    return option_is(s, "discretization", "bilinear") ? 0.5 : option_is(s, "discretization", "forward");
}

static tensor *discretise(struct scope *s, tensor *A, tensor *B, int64_t before, int64_t length)
{
    int64_t n = A->shape[0], count = measure_of(s) == HIPPO_LEGS ? length : 1;
    if (option_is(s, "discretization", "zoh"))
        return held(s, n, before, count);
    tensor *step = tensor_full(s->graph, option_real(s, "dt"), 3, SHAPE(1, 1, 1));
    if (measure_of(s) == HIPPO_LEGS)
        step = tensor_reciprocal(
            tensor_reshape(tensor_range(s->graph, before + 1, count, 1), 3, SHAPE(count, 1, 1)));
    double ahead = ahead_of(s);
    tensor *one = identity_matrix(s->graph, n), *change = tensor_multiply(step, A);
    tensor *input = tensor_multiply(step, tensor_reshape(B, 2, SHAPE(n, 1)));
    tensor *right = tensor_concat(2, (tensor *[]){tensor_add(one, tensor_scale(change, ahead)), input}, 2);
    return ahead == 1 ? right : tensor_solve(tensor_subtract(one, tensor_scale(change, 1 - ahead)), right);
}

/* What all tokens share, and the coefficients before the next one: [B, 1, N, D], or [B D, 1, N] where they are a recurrence. */
struct memory {
    tensor *A, *B, *c;
};

static bool in_linear_time(const struct scope *s)
{
    return measure_of(s) == HIPPO_LEGS && !option_is(s, "discretization", "zoh");
}

/* The coefficients [B, T, N, D] of x [B, T, D], which comes after `before` tokens. */
static tensor *project(struct scope *s, struct memory *m, tensor *x, int64_t before)
{
    int64_t n = m->A->shape[0], batch = x->shape[0], length = x->shape[1], rows = batch * s->width;
    if (in_linear_time(s)) {
        tensor *diagonal = tensor_slice_step(tensor_reshape(m->A, 1, SHAPE(n * n)), 0, 0, n, n + 1);
        return tensor_legendre_scan(x, diagonal, m->B, ahead_of(s), before, m->c, &m->c);
    }
    tensor *both = discretise(s, m->A, m->B, before, length), *E = tensor_slice(both, 2, 0, n);
    int64_t count = both->shape[0];
    if (count == 1 && length > 1)
        E = tensor_reshape(E, 2, SHAPE(n, n));
    tensor *f = tensor_multiply(tensor_reshape(tensor_transpose(x, 1, 2), 3, SHAPE(rows, length, 1)),
                                tensor_reshape(tensor_slice(both, 2, n, 1), 2, SHAPE(count, n)));
    tensor *c = tensor_recurrence(E, f, 0, m->c, &m->c);
    return tensor_permute(tensor_reshape(c, 4, SHAPE(batch, s->width, length, n)), (const int[]){0, 2, 3, 1});
}

/* What tokens start .. start + count - 1 of x give, a few at a time, so that their coefficients stay in the cache. */
static tensor *outputs(struct scope *s, struct memory *m, tensor *x, int64_t start, int64_t count)
{
    int64_t n = m->A->shape[0], batch = x->shape[0], most = in_linear_time(s) ? SCANNED : PIECE;
    if (count > most) {
        int64_t half = (count / 2 + most - 1) / most * most;
        tensor *first = outputs(s, m, x, start, half);
        return tensor_concat(2, (tensor *[]){first, outputs(s, m, x, start + half, count - half)}, 1);
    }
    tensor *c = project(s, m, tensor_slice(x, 1, start, count), s->position + start);
    if (!option(s, "readout"))
        return tensor_reshape(tensor_transpose(c, 2, 3), 3, SHAPE(batch, count, s->width * n));
    tensor *C = parameter(s, "readout", init_normal(1 / sqrt((double)n)), 2, SHAPE(s->width, n));
    return tensor_reshape(tensor_sum(tensor_multiply(c, tensor_transpose(C, 0, 1)), 2), 3,
                          SHAPE(batch, count, s->width));
}

/* The unit over some tokens, of which `mapped` are the maps' parts; *h and *c are its state before and after. */
static tensor *unit(struct scope *s, tensor *both, tensor *mapped, tensor **h, tensor **c)
{
    int64_t n = option(s, "state"), width = s->width;
    tensor *of_h = parameter(s, "maps.h", init_linear(), 2, SHAPE(2 * width, width));
    tensor *of_c = parameter(s, "maps.c", init_linear(), 2, SHAPE(2 * width, n));
    tensor *feature = parameter(s, "feature", init_linear(), 2, SHAPE(1, width));
    struct recurrent_cell *cell = recurrent_cell(s->graph, mapped->shape[0], mapped->shape[1]);
    int old = cell_state(cell, width, *h), memory = cell_state(cell, n, *c);
    int sum = cell_binary(cell, BINARY_add, cell_product(cell, old, of_h), cell_product(cell, memory, of_c));
    sum = cell_binary(cell, BINARY_add, sum, cell_input(cell, mapped));
    int candidate = cell_unary(cell, UNARY_tanh, cell_part(cell, sum, 1, 0, 2));
    int gate = cell_unary(cell, UNARY_sigmoid, cell_part(cell, sum, 1, 1, 2));
    int change = cell_binary(cell, BINARY_multiply, gate, cell_binary(cell, BINARY_subtract, candidate, old));
    int now = cell_binary(cell, BINARY_add, old, change), f = cell_product(cell, now, feature);
    tensor *E = tensor_slice(both, 2, 0, n), *G = tensor_slice(both, 2, n, 1);
    bool fixed = measure_of(s) == HIPPO_LMU;
    int kept = fixed ? cell_product(cell, memory, tensor_reshape(E, 2, SHAPE(n, n)))
                     : cell_token_product(cell, memory, E);
    int added =
        fixed ? cell_product(cell, f, tensor_reshape(G, 2, SHAPE(n, 1))) : cell_token_product(cell, f, G);
    cell_update(cell, old, now);
    cell_update(cell, memory, cell_binary(cell, BINARY_add, kept, added));
    tensor *y = cell_run(cell, now);
    *h = cell_final(cell, old);
    *c = cell_final(cell, memory);
    return y;
}

static tensor *run_unit(struct scope *s, tensor *A, tensor *B, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], n = option(s, "state");
    tensor *mapped = linear(s, "maps.x", x, 2 * s->width, true), *y = NULL;
    tensor *h = s->state ? state(s, "h", 0, 3, SHAPE(batch, 1, s->width)) : NULL;
    tensor *c = s->state ? state(s, "c", 0, 3, SHAPE(batch, 1, n)) : NULL;
    for (int64_t start = 0; start < length; start += PIECE) {
        int64_t count = length - start < PIECE ? length - start : PIECE;
        tensor *both = discretise(s, A, B, s->position + start, count);
        tensor *part = unit(s, both, tensor_slice(mapped, 1, start, count), &h, &c);
        y = y ? tensor_concat(2, (tensor *[]){y, part}, 1) : part;
    }
    if (s->state) {
        state_set(s, "h", h);
        state_set(s, "c", c);
    }
    return y;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], n = option(s, "state");
    struct memory m = {buffer(s, "A", init_function(fill), 2, SHAPE(n, n)),
                       buffer(s, "B", init_function(fill), 1, SHAPE(n)), NULL};
    if (option(s, "cell"))
        return run_unit(s, m.A, m.B, x);
    if (s->state)
        m.c = in_linear_time(s) ? state(s, "c", 0, 4, SHAPE(batch, 1, n, s->width))
                                : state(s, "c", 0, 3, SHAPE(batch * s->width, 1, n));
    tensor *y = outputs(s, &m, x, 0, x->shape[1]);
    if (s->state)
        state_set(s, "c", m.c);
    return y;
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "heads") == 0)
        return option(s, "cell") ? "single" : NULL;
    if (strcmp(name, "mixing") == 0)
        return option(s, "cell") ? "vector-state" : NULL;
    return strcmp(name, "decay") == 0 && option_is(s, "measure", "legs") ? "none" : NULL;
}

KERNEL(polynomial_projection) = {
    .name = "polynomial-projection",
    .slot = SLOT_MIXER,
    .variant = "hippo",
    .summary = "the coefficients of the best polynomial approximation of each channel's past",
    .options = OPTIONS(INTEGER_OPTION("state", 64, 1, MOST_STATES, "coefficients of a channel"),
                       CHOICE_OPTION("measure", "legs|legt", "all of the past, or a sliding window"),
                       CHOICE_OPTION("discretization", "bilinear|forward|backward|zoh",
                                     "how a step is taken"),
                       REAL_OPTION("dt", 0.01, 1e-9, 1, "step of legt: one over the window"),
                       FLAG_OPTION("cell", 0, "the memory of a gated recurrent unit"),
                       FLAG_OPTION("readout", 1, "a learned sum of each channel's coefficients")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "state"}, {"numbers", "real"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .forward = forward,
    .step = forward,
};
