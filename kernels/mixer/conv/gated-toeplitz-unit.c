/* The gated Toeplitz unit (tnn, sections 3.2 and 3.3; Doraemonzzz/tnn-pytorch Gtu, Tno and Rpe). Coefficients
 * of relative positions come from a network of the distance t:
 *
 *     a(t) = act(W_out relu(norm(.. relu(norm(w t + b)) ..))) gamma^|t|)        norm: unit root mean square
 *     u = silu(x Wu + b),  v = silu(x Wv + b),  o_t = sum_s a(t - s) v_s,   y = (u * o) Wo + b
 *
 * gamma is a fixed buffer, or lambda + (1 - lambda) sigmoid(.) of a trained one. The network reads t, or its
 * share of the longest distance t / (T - 1) or exp of that: then coefficients change with the number of
 * tokens, and a step replays. `normalize` divides by the sum of the coefficients; without `causal` the
 * network also gives a(t) for t < 0. */
#include "block/filters.h"
#include <math.h>
#include <string.h>

static int64_t inner_width(const struct scope *s)
{
    int64_t heads = option(s, "heads");
    return (int64_t)(option_real(s, "expand") * (double)s->width) / heads * heads;
}

/* z / (|z| / sqrt(n) + 1e-8) over the last axis; the root's gradient stays finite at 0. */
static tensor *simple_rms_norm(tensor *z)
{
    int last = z->rank - 1;
    tensor *size = tensor_sqrt(tensor_affine(tensor_mean(tensor_square(z), last), 1, 1e-30));
    return tensor_divide(z, tensor_affine(size, 1, 1e-8));
}

/* The normalised and activated input of map `name`, and that map. */
static tensor *map(struct scope *s, const char *name, tensor *p, int64_t outputs)
{
    p = tensor_activation(simple_rms_norm(p), option_choice(s, "filter_activation"));
    return linear(s, part_name(s, "%s.2", name), p, outputs, option(s, "bias"));
}

static bool shares(const struct scope *s)
{
    return !option_is(s, "distance", "count");
}

/* a(sign t) for t = first .. first + count - 1 among `length` tokens: [count, C]. */
static tensor *coefficients(struct scope *s, int64_t first, int64_t count, int64_t length, double sign)
{
    int64_t width = inner_width(s), heads = option(s, "heads");
    tensor *t = tensor_reshape(tensor_range(s->graph, first, count, 1), 2, SHAPE(count, 1));
    tensor *p = tensor_scale(t, shares(s) && length > 1 ? sign / (double)(length - 1) : sign);
    if (option_is(s, "distance", "exponential"))
        p = tensor_exp(p);
    /* Not zero at first: distance 0 would have no coefficient, and no sum to divide by. */
    if (option(s, "bias"))
        parameter(s, "toep.rpe.pos_proj.bias", init_uniform(-1, 1), 1, SHAPE(option(s, "features")));
    p = linear(s, "toep.rpe.pos_proj", p, option(s, "features"), option(s, "bias"));
    for (int64_t i = 0; i < option(s, "depth"); i++) {
        tensor *next = map(s, part_name(s, "toep.rpe.layers.%lld", (long long)i), p, option(s, "features"));
        p = option(s, "residual") ? tensor_add(next, p) : next;
    }
    tensor *a = map(s, "toep.rpe.out", p, width);
    if (!option_is(s, "decay", "none")) {
        double lambda = option_real(s, "gamma");
        const int64_t *shape = SHAPE(heads, 1, width / heads);
        tensor *gamma =
            option_is(s, "decay", "fixed")
                ? buffer(s, "toep.gamma", init_constant(lambda), 3, shape)
                : tensor_affine(tensor_sigmoid(parameter(s, "toep.gamma", init_normal(1), 3, shape)),
                                1 - lambda, lambda);
        gamma = tensor_reshape(tensor_log(gamma), 1, SHAPE(width));
        a = tensor_multiply(a, tensor_exp(tensor_multiply(t, gamma)));
    }
    return tensor_activation(a, option_choice(s, "coefficient_activation"));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = inner_width(s), length = x->shape[1];
    bool bias = option(s, "bias");
    tensor *u = tensor_activation(linear(s, "u_proj", x, width, bias), option_choice(s, "activation"));
    tensor *v = tensor_activation(linear(s, "v_proj", x, width, bias), option_choice(s, "activation"));
    tensor *past = kept_taps(s, "taps", coefficients(s, s->position, length, length, 1)), *sum = NULL, *o;
    if (option(s, "causal")) {
        o = kept_long_convolution(s, "v", v, past, 0);
        if (option(s, "normalize"))
            sum =
                tensor_slice(tensor_transpose(tensor_cumulative_sum(past, 1), 0, 1), 0, s->position, length);
    } else {
        tensor *future = tensor_transpose(coefficients(s, 1, length, length, -1), 0, 1);
        o = two_sided_convolution(v, past, future);
        if (option(s, "normalize"))
            sum = two_sided_convolution(tensor_full(s->graph, 1, 3, SHAPE(1, length, width)), past, future);
    }
    if (sum)
        o = tensor_divide(o, sum);
    o = tensor_multiply(u, o);
    if (option(s, "norm"))
        o = simple_rms_norm(o);
    return linear(s, "o", o, s->width, bias);
}

static tensor *step(struct scope *s, tensor *x)
{
    return shares(s) ? replay_step(s, x) : forward(s, x);
}

static const char *validate(const struct scope *s)
{
    return inner_width(s) == 0 ? "expand leaves no channel for each head" : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "decay") == 0)
        return option_is(s, "decay", "none") ? "none" : option_is(s, "decay", "fixed") ? NULL : "learned";
    if (strcmp(name, "normalizer") == 0)
        return option(s, "normalize") ? "sum" : option(s, "norm") ? "norm" : NULL;
    if (strcmp(name, "decode-cost") == 0 && shares(s))
        return "replay";
    if (strcmp(name, "causality") == 0)
        return !option(s, "causal") ? "bidirectional" : shares(s) ? "approximate" : NULL;
    return NULL;
}

KERNEL(gated_toeplitz_unit) = {
    .name = "gated-toeplitz-unit",
    .slot = SLOT_MIXER,
    .variant = "tnn",
    .summary = "a gated convolution whose coefficients a network makes of the distance, with decay",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 1, 1, 1024, "heads; only their rounding of the width matters"),
        REAL_OPTION("expand", 3, 0.01, 64, "inner channels over width"),
        INTEGER_OPTION("features", 64, 1, 4096, "channels of the network of distances"),
        INTEGER_OPTION("depth", 3, 0, 64, "its inner maps"),
        FLAG_OPTION("residual", 0, "its inner maps are added to their inputs"),
        CHOICE_OPTION("filter_activation", "relu|silu|gelu|elu|elu+1|elu+2|sigmoid|exp|leaky_relu|identity",
                      "inside it"),
        CHOICE_OPTION("coefficient_activation",
                      "identity|relu|silu|gelu|elu|elu+1|elu+2|sigmoid|exp|leaky_relu", "of coefficients"),
        CHOICE_OPTION("distance", "count|share|exponential", "what the network reads"),
        CHOICE_OPTION("decay", "fixed|learned|none", "of coefficients with the distance"),
        REAL_OPTION("gamma", 0.99, 1e-6, 1, "decay by one position, or the least of a learned one"),
        CHOICE_OPTION("activation", "silu|gelu|relu|elu|elu+1|elu+2|sigmoid|exp|leaky_relu|identity",
                      "of u and v"),
        FLAG_OPTION("normalize", 0, "divided by the sum of coefficients"),
        FLAG_OPTION("bias", 1, "the linear maps have one"), FLAG_OPTION("norm", 0, "a norm after the gate"),
        FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "cache"}, {"decay", "fixed"},
                             {"decay-grain", "channel"}, {"output-gate", "yes"}, {"position", "relative"},
                             {"time", "log-linear"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = step,
};
