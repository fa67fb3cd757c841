/* GateLoop (gateloop, section 3; lucidrains/gateloop-transformer GateLoopedAttention). [q, k, v] = x W, z_t =
 * x_t Wa + b a complex number per head,
 *
 *     a_t = sigmoid(|z_t|) z_t / |z_t|,  S_t = a_t S_{t-1} + k_t v_t^T,  o_t = Re(S_t)^T q_t,
 *         y = (norm(o) * silu(x Wg)) Wo
 *
 * norm and gate being options; without gate and with an inner width of D there is no Wo. With P_t the product
 * of the phases z / |z| up to t, Re(P_t / P_j) = Re P_t Re P_j + Im P_t Im P_j, so a real scan over keys
 * [k Re P, k Im P] with the decays |a| computes it; heads of one channel are a complex scan.
 * `transition_gradient` scales the gradient that reaches Wa.
 *
 * `form` simple is the same code base's SimpleGateLoopLayer: [q, v, a] = norm(x) W, h_t = sigmoid(a_t)
 * h_{t-1} + v_t, y = q * h. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

static int64_t inner_of(const struct scope *s)
{
    return option_or(s, "inner", s->width);
}

static const char *validate(const struct scope *s)
{
    return option(s, "heads") && inner_of(s) % option(s, "heads")
               ? "the inner width is not divisible by the number of heads"
               : NULL;
}

/* |z| and the parts of z / |z|, each [B, T, H, 1]. The 1e-15 gives z = 0 the phase 1, as its angle is 0. */
static tensor *polar(struct scope *s, tensor *z, tensor **phase)
{
    tensor *re = tensor_affine(tensor_slice(z, 3, 0, 1), 1, 1e-15), *im = tensor_slice(z, 3, 1, 1);
    if (!option(s, "complex"))
        im = tensor_scale(im, 0);
    tensor *magnitude = tensor_sqrt(tensor_add(tensor_square(re), tensor_square(im)));
    phase[0] = tensor_divide(re, magnitude);
    phase[1] = tensor_divide(im, magnitude);
    return magnitude;
}

/* The product of phases up to each token, [B, T, H, 2]. */
static tensor *turned(struct scope *s, tensor *const *parts)
{
    tensor *phase = tensor_concat(2, parts, 3);
    const int64_t *shape = SHAPE(phase->shape[0], 1, phase->shape[2], 1);
    tensor *one = tensor_full(s->graph, 1, 4, shape), *none = tensor_full(s->graph, 0, 4, shape), *last;
    tensor *first = tensor_concat(2, (tensor *[]){one, none}, 3);
    if (s->state) /* kept as its difference from 1: states start at one value */
        first = tensor_add(first, state(s, "turn", 0, 4, first->shape));
    tensor *product = tensor_scan_complex(phase, tensor_scale(phase, 0), first, &last);
    if (s->state)
        state_set(s, "turn", tensor_subtract(last, tensor_concat(2, (tensor *[]){one, none}, 3)));
    return product;
}

static tensor *by_channels(struct scope *s, tensor *q, tensor *k, tensor *v, tensor *gate,
                           tensor *const *phase)
{
    tensor *parts[] = {tensor_multiply(gate, phase[0]), tensor_multiply(gate, phase[1])};
    tensor *a = tensor_concat(2, parts, 3);
    tensor *kv = tensor_pad(tensor_multiply(k, v), 3, 0, 1, 0);
    return tensor_multiply(q, tensor_slice(kept_scan_complex(s, "S", a, kv), 3, 0, 1));
}

static tensor *by_heads(struct scope *s, tensor *q, tensor *k, tensor *v, tensor *decay, tensor *const *phase)
{
    tensor *turn = turned(s, phase), *sides[2][2];
    for (int i = 0; i < 2; i++) {
        tensor *part = tensor_slice(turn, 3, i, 1);
        sides[0][i] = tensor_multiply(q, part);
        sides[1][i] = tensor_multiply(k, part);
    }
    const int64_t *shape = SHAPE(decay->shape[0], decay->shape[1], decay->shape[2]);
    struct matrix_scan_options scan = {.log_decay = tensor_reshape(decay, 3, shape)};
    return kept_matrix_scan(s, "S", tensor_concat(2, sides[0], 3), tensor_concat(2, sides[1], 3), v, scan);
}

static tensor *transition(struct scope *s, tensor *x, int64_t heads)
{
    tensor *z = linear(s, "to_a.0", x, 2 * heads, true);
    double passed = option_real(s, "transition_gradient");
    if (passed != 1)
        z = tensor_add(tensor_scale(z, passed), tensor_scale(tensor_stop_gradient(z), 1 - passed));
    return tensor_reshape(z, 4, SHAPE(x->shape[0], x->shape[1], heads, 2));
}

static tensor *looped(struct scope *s, tensor *x)
{
    int64_t inner = inner_of(s), heads = option_or(s, "heads", inner);
    tensor *qkv = linear(s, "to_qkv", x, 3 * inner, false), *parts[3], *phase[2], *o;
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(qkv, 2, i * inner, inner), heads);
    tensor *z = transition(s, x, heads), *magnitude = polar(s, z, phase);
    if (!option(s, "decay"))
        o = kept_matrix_scan(s, "S", parts[0], parts[1], parts[2], (struct matrix_scan_options){0});
    else if (heads == inner)
        o = by_channels(s, parts[0], parts[1], parts[2], tensor_sigmoid(magnitude), phase);
    else
        o = by_heads(s, parts[0], parts[1], parts[2], tensor_log_sigmoid(magnitude), phase);
    o = merge_heads(o);
    if (option(s, "norm"))
        o = layer_norm(s, "maybe_sub_ln", o, option_real(s, "epsilon"));
    if (option(s, "gate"))
        o = tensor_multiply(o, tensor_silu(linear(s, "to_gates.0", x, inner, false)));
    bool plain = !option(s, "gate") && inner == s->width;
    return plain ? o : linear(s, "to_out", o, s->width, false);
}

static tensor *simple(struct scope *s, tensor *x)
{
    int64_t D = s->width;
    if (option(s, "prenorm")) {
        tensor *gamma = parameter(s, "norm.gamma", init_constant(1), 1, SHAPE(D));
        x = tensor_multiply(tensor_scale(tensor_l2_norm_max(x, 1e-12), sqrt((double)D)), gamma);
    }
    tensor *qva = linear(s, "to_qkva.0", x, 3 * D, false);
    tensor *a = tensor_sigmoid(tensor_slice(qva, 2, 2 * D, D));
    tensor *y = tensor_multiply(tensor_slice(qva, 2, 0, D), kept_scan(s, "h", a, tensor_slice(qva, 2, D, D)));
    return option(s, "norm") ? layer_norm(s, "maybe_post_ln", y, option_real(s, "epsilon")) : y;
}

static tensor *forward(struct scope *s, tensor *x)
{
    return (option_is(s, "form", "simple") ? simple : looped)(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    bool plain = option_is(s, "form", "simple"), vector = plain || !option(s, "heads");
    if (strcmp(name, "numbers") == 0)
        return plain || !option(s, "complex") || !option(s, "decay") ? "real" : NULL;
    if (strcmp(name, "output-gate") == 0)
        return !plain && !option(s, "gate") ? "no" : NULL;
    if (strcmp(name, "normalizer") == 0)
        return option(s, "norm") ? "norm" : NULL;
    if (!plain && !option(s, "decay") && strncmp(name, "decay", 5) == 0)
        return strcmp(name, "decay") == 0 ? "none" : NULL;
    if (vector)
        return NULL;
    static const char *const multiple[][2] = {
        {"mixing", "matrix-state"}, {"state", "matrix"}, {"heads", "multiple"}, {"decay-grain", "head"}};
    for (size_t i = 0; i < sizeof multiple / sizeof *multiple; i++)
        if (strcmp(name, multiple[i][0]) == 0)
            return multiple[i][1];
    return NULL;
}

KERNEL(data_controlled_recurrence) = {
    .name = "data-controlled-recurrence",
    .slot = SLOT_MIXER,
    .variant = "gateloop",
    .summary = "a linear recurrence over key-value products whose complex transition depends on the token",
    .options =
        OPTIONS(CHOICE_OPTION("form", "looped|simple", "the method, or a real gated recurrence without keys"),
                INTEGER_OPTION("heads", 0, 0, 1 << 20, "heads, each with a transition; 0: one a channel"),
                INTEGER_OPTION("inner", 0, 0, 1 << 24, "channels of queries, keys and values; 0: width"),
                FLAG_OPTION("gate", 1, "the output is gated by silu of a projection"),
                FLAG_OPTION("norm", 0, "a layer norm of the output"),
                FLAG_OPTION("complex", 1, "transitions turn; else they are real"),
                FLAG_OPTION("decay", 1, "there are transitions; else all are 1"),
                REAL_OPTION("transition_gradient", 1, 0, 1, "share of the gradient that the transitions get"),
                FLAG_OPTION("prenorm", 1, "simple: an RMS norm stands in front"),
                REAL_OPTION("epsilon", 1e-5, 0, 1, "of the layer norm")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "complex"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
