/* HiPPO, the online projection of each channel's past onto N polynomials (hippo, section 2.3, theorems 1 and
 * 2, appendix C; form of the published HiPPO_LegS and HiPPO_LegT).
 *
 *     c_t = E_t c_{t-1} + G_t f_t        for the system c' = A c + B f with the step d
 *     bilinear: E = (1 - d/2 A)^-1 (1 + d/2 A), G = (1 - d/2 A)^-1 d B;   forward: E = 1 + d A, G = d B
 *     backward: E = (1 - d A)^-1, G = (1 - d A)^-1 d B;   zoh: E = exp(d A), G = A^-1 (E - 1) B
 *     legs: d = 1 / t (zoh: ln((t + 1) / t)), so that all of the past counts alike
 *     legt: a fixed d, a window of 1 / d tokens
 *
 * The coefficients of all channels [B, T, D N] are the output, or with `readout` a learned sum of a channel's
 * own. With `cell` they are the memory of a recurrent unit (appendix F.1, eq. 31), one memory N of one
 * feature f of its state h [D], which is the output:
 *
 *     h_t = (1 - g) h_{t-1} + g tanh(W [h_{t-1}, c_{t-1}, x_t] + b),  g = sigmoid(Wg [..] + bg),
 *         f_t = wf . h_t              maps: W, Wg
 *
 * legs has other matrices at each token, which the channels share. Below the diagonal its A is -B B^T, so
 * that for all but zoh a step is a sum that runs over the states and needs no matrix (proposition 3). */
#include "polynomial-step.h"
#include "tensor/recurrent_cell.h"
#include <string.h>

enum { PIECE = 64, SCANNED = 8 }; /* tokens at once: of matrices, and of what needs none */

/* What all tokens share, and the state before the next one: of the unit h [B, 1, D] and c [B, 1, N], else the
 * coefficients [B, 1, N, D], or [B D, 1, N] where they are a recurrence. */
struct memory {
    tensor *A, *B, *h, *c;
};

static bool in_linear_time(const struct scope *s)
{
    return !option(s, "cell") && measure_of(s) == HIPPO_LEGS && !option_is(s, "discretization", "zoh");
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

/* Each channel's coefficients read out, or all of them. */
static tensor *projection(struct scope *s, struct memory *m, tensor *x, int64_t before)
{
    int64_t n = m->A->shape[0], batch = x->shape[0], length = x->shape[1];
    tensor *c = project(s, m, x, before);
    if (!option(s, "readout"))
        return tensor_reshape(tensor_transpose(c, 2, 3), 3, SHAPE(batch, length, s->width * n));
    tensor *C = parameter(s, "readout", init_normal(1 / sqrt((double)n)), 2, SHAPE(s->width, n));
    return tensor_reshape(tensor_sum(tensor_multiply(c, tensor_transpose(C, 0, 1)), 2), 3,
                          SHAPE(batch, length, s->width));
}

/* The unit's h for tokens of which `mapped` are the maps' parts. */
static tensor *unit(struct scope *s, struct memory *m, tensor *mapped, int64_t before)
{
    tensor *both = discretise(s, m->A, m->B, before, mapped->shape[1]);
    int64_t n = option(s, "state"), width = s->width;
    tensor *of_h = parameter(s, "maps.h", init_linear(), 2, SHAPE(2 * width, width));
    tensor *of_c = parameter(s, "maps.c", init_linear(), 2, SHAPE(2 * width, n));
    tensor *feature = parameter(s, "feature", init_linear(), 2, SHAPE(1, width));
    struct recurrent_cell *cell = recurrent_cell(s->graph, mapped->shape[0], mapped->shape[1]);
    int old = cell_state(cell, width, m->h), memory = cell_state(cell, n, m->c);
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
    m->h = cell_final(cell, old);
    m->c = cell_final(cell, memory);
    return y;
}

/* What tokens start .. start + count - 1 of x give, a few at a time, so that their matrices or coefficients
 * stay in the cache. */
static tensor *outputs(struct scope *s, struct memory *m, tensor *x, int64_t start, int64_t count)
{
    bool cell = option(s, "cell");
    int64_t most = in_linear_time(s) ? SCANNED : PIECE;
    if (count > most) {
        int64_t half = (count / 2 + most - 1) / most * most;
        tensor *first = outputs(s, m, x, start, half);
        return tensor_concat(2, (tensor *[]){first, outputs(s, m, x, start + half, count - half)}, 1);
    }
    return (cell ? unit : projection)(s, m, tensor_slice(x, 1, start, count), s->position + start);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], n = option(s, "state"), width = s->width;
    bool cell = option(s, "cell");
    struct memory m = {.A = buffer(s, "A", init_function(fill_projection), 2, SHAPE(n, n)),
                       .B = buffer(s, "B", init_function(fill_projection), 1, SHAPE(n))};
    if (s->state) {
        m.h = cell ? state(s, "h", 0, 3, SHAPE(batch, 1, width)) : NULL;
        m.c = in_linear_time(s) ? state(s, "c", 0, 4, SHAPE(batch, 1, n, width))
                                : state(s, "c", 0, 3, SHAPE(cell ? batch : batch * width, 1, n));
    }
    tensor *y = outputs(s, &m, cell ? linear(s, "maps.x", x, 2 * width, true) : x, 0, x->shape[1]);
    if (s->state && cell)
        state_set(s, "h", m.h);
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
    .options = OPTIONS(INTEGER_OPTION("state", 64, 1, POLYNOMIAL_MOST_STATES, "coefficients of a channel"),
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
