/* The structured state-space layer S4 (s4, sections 3.2 to 3.4, theorem 3; state-spaces/s4 S4Block with mode
 * dplr).
 *
 *     M = diag(L) - P P^*  in a basis of conjugate pairs,
 *         of which one half is stored: L = -exp(A_real) - i A_imag
 *     A' = (1 - dt/2 M)^-1 (1 + dt/2 M),  B' = (1 - dt/2 M)^-1 dt B
 *         bilinear rule, dt = exp(inv_dt)
 *     K[l] = C A'^l B',  u = gelu(K * x + D x),  y = GLU(u Wo + bo)
 *
 * The spectrum of the L taps is C~ (1 - A' w)^-1 B' at the roots of unity w, C~ = C (1 - A'^L): Cauchy sums
 * of C~ B, C~ P, P^* B and P^* P over the poles dt L, joined by a Sherman-Morrison correction for each column
 * of P. L is `length`, or as many taps as tokens. With `truncated` the parameter C is C~, as the published
 * code has it after its first use; then without `length` outputs depend on the number of tokens, and a step
 * replays. A step runs the recurrence in real numbers, or with `length` convolves the newest inputs. */
#include "block/filters.h"
#include "structured-system.h"
#include <string.h>

static struct system stepping_system(struct scope *s)
{
    int64_t width = s->width, n = option(s, "state"), channels = option(s, "channels");
    struct structured m = structured_system(s);
    struct system system;
    if (system_recall(s, width, n, channels, &system))
        return system;
    system = structured_discretised(s, &m);
    system_keep(s, &system);
    return system;
}

/* K [H, channels, length] */
static tensor *convolution_kernel(struct scope *s, int64_t length)
{
    struct structured m = structured_system(s);
    if (!option(s, "truncated")) {
        struct system system = structured_discretised(s, &m);
        m.c = structured_truncation(&system, length);
    }
    tensor *b = pair_joined(m.b);
    tensor *spectrum = tensor_structured_spectrum(m.log_dt, pair_joined(m.a),
                                                  tensor_reshape(b, 3, SHAPE(b->shape[0], b->shape[2], 2)),
                                                  pair_joined(m.p), pair_joined(m.c), length);
    return tensor_inverse_fourier(spectrum, 2, length);
}

/* The first `taps` of the kernel [channels, H, taps]; a bounded one is made at the first token and kept. */
static tensor *taps_of(struct scope *s, int64_t taps, int64_t used)
{
    bool kept = s->state && option(s, "length");
    const int64_t *shape = SHAPE(option(s, "channels"), s->width, taps);
    tensor *k = kept ? state(s, "kernel", 0, 3, shape) : NULL;
    if (!k || s->position == 0) {
        k = tensor_contiguous(tensor_transpose(convolution_kernel(s, taps), 0, 1));
        if (kept)
            state_set(s, "kernel", k);
    }
    return tensor_contiguous(tensor_slice(k, 2, 0, used));
}

static tensor *convolve(struct scope *s, tensor *x)
{
    int64_t seen = s->state ? s->position + x->shape[1] : x->shape[1], most = option(s, "length"),
            channels = option(s, "channels");
    tensor *k = taps_of(s, most ? most : seen, most && most < seen ? most : seen);
    further_output(s, "kernel", k);
    k = tensor_reshape(k, 2, SHAPE(channels * s->width, k->shape[2]));
    return kept_long_convolution(s, "x", tensor_repeat(x, 2, channels), k, most);
}

/* The recurrence's outputs come channel by channel, the convolution's kernel by kernel. */
static tensor *recur(struct scope *s, tensor *x)
{
    struct system system = stepping_system(s);
    int64_t channels = option(s, "channels"), batch = x->shape[0], length = x->shape[1];
    tensor *y = tensor_reshape(system_step(s, &system, x), 4, SHAPE(batch, length, s->width, channels));
    return tensor_reshape(tensor_transpose(y, 2, 3), 3, SHAPE(batch, length, channels * s->width));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, channels = option(s, "channels");
    tensor *D = tensor_reshape(parameter(s, "layer.D", init_normal(1), 2, SHAPE(channels, width)), 1,
                               SHAPE(channels * width));
    tensor *y = s->state && !option(s, "length") ? recur(s, x) : convolve(s, x);
    y = tensor_add(y, tensor_multiply(tensor_repeat(x, 2, channels), D));
    y = tensor_activation(y, option_choice(s, "activation"));
    y = linear(s, "output_linear.0", y, 2 * width, true);
    return tensor_multiply(tensor_slice(y, 2, 0, width), tensor_sigmoid(tensor_slice(y, 2, width, width)));
}

static bool length_decides(const struct scope *s)
{
    return option(s, "truncated") && !option(s, "length");
}

static tensor *step(struct scope *s, tensor *x)
{
    return length_decides(s) ? replay_step(s, x) : forward(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "state") == 0)
        return option(s, "length") ? "window-cache" : NULL;
    if (!length_decides(s))
        return NULL;
    return strcmp(name, "decode-cost") == 0 ? "replay"
           : strcmp(name, "causality") == 0 ? "approximate"
                                            : NULL;
}

static const char *validate(const struct scope *s)
{
    if (option(s, "state") % 2)
        return "state counts conjugate pairs twice and must be even";
    if (s->width % option_or(s, "systems", s->width))
        return "the width is not divisible by systems";
    return option_is(s, "init", "legt") && option(s, "rank") < 2 ? "legt needs a rank of 2" : NULL;
}

KERNEL(structured_state_space) = {
    .name = "structured-state-space",
    .slot = SLOT_MIXER,
    .variant = "s4",
    .summary = "a state space of diagonal plus low rank a channel, its long kernel made of Cauchy sums and a "
               "transform",
    .options = OPTIONS(
        INTEGER_OPTION("state", 64, 2, STRUCTURED_MOST_STATES, "states of a channel, conjugates counted"),
        CHOICE_OPTION("init", "legs|fout|legt|hippo", "HiPPO matrix at first; hippo: legs and fout"),
        INTEGER_OPTION("rank", 1, 1, 8, "columns of P"),
        INTEGER_OPTION("channels", 1, 1, 64, "kernels a channel"),
        INTEGER_OPTION("systems", 0, 0, 1 << 20, "sets of A, B and P; 0: one a channel"),
        INTEGER_OPTION("length", 0, 0, 1 << 24, "taps of the kernel; 0: as many as tokens"),
        FLAG_OPTION("truncated", 0, "C is stored multiplied by what `length` taps leave out"),
        CHOICE_OPTION("activation", "gelu|relu|silu|tanh|identity", "before the output map")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "no"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = step,
};
