/* CLEX (clex, sections 3.1 to 3.3; DAMO-NLP-SG/CLEX CLEXScalingRotaryEmbedding, its path for evaluation): the
 * logarithms z of the rotary frequencies follow a differential equation in the ratio t of the length to the
 * trained one,
 *
 *     dz/dt = act((z + ln n(t)) U) V + d ln n/dt,    z(1) = ln theta^(-2i / r)
 *     ln n_i(t) = -2i / r (ln theta + r / (r - 2) ln alpha),    alpha = 2 t - 1
 *
 * n being NTK's frequencies (ntk-rope) for the factor alpha, U = ode_up_proj [r / 2, expand r], V =
 * ode_down_proj, shared by all layers. T tokens turn by exp(z(t)) at their own positions, t = min(ceil(T /
 * L), max_factor); up to L tokens the network is not used. With log_scale queries are multiplied by ln T / ln
 * L. As NTK's dynamic form, all depends on the present T.
 *
 * The equation is solved by the published steps: Runge-Kutta of order 4 by the 3/8 rule from 1 to max_factor,
 * linear between. */
#include "rotary.h"

struct equation {
    struct scope *s;
    int64_t channels;
    tensor *up, *down;
};

static tensor *slope(const struct equation *e, double t, tensor *z)
{
    struct scope *s = e->s;
    int64_t pairs = e->channels / 2;
    double r = (double)e->channels, alpha = 2 * t - 1;
    double log_base = log(option_real(s, "theta")) + r / (r - 2) * log(alpha);
    tensor *log_n = tensor_constant(s->graph, NULL, 2, SHAPE(1, pairs));
    tensor *change = tensor_constant(s->graph, NULL, 2, SHAPE(1, pairs));
    for (int64_t i = 0; i < pairs; i++) {
        log_n->data[i] = (real)(-2 * (double)i / r * log_base);
        change->data[i] = (real)(-4 * (double)i / (r - 2) / alpha);
    }
    tensor *hidden = tensor_matmul(tensor_add(z, log_n), e->up);
    hidden = tensor_activation(hidden, option_choice(s, "activation"));
    return tensor_add(tensor_matmul(hidden, e->down), change);
}

static tensor *plus(tensor *z, double h, tensor *k)
{
    return tensor_add(z, tensor_scale(k, h));
}

static tensor *runge_kutta(const struct equation *e, double t, double h, tensor *z)
{
    tensor *k1 = slope(e, t, z);
    tensor *k2 = slope(e, t + h / 3, plus(z, h / 3, k1));
    tensor *k3 = slope(e, t + h * 2 / 3, plus(z, h, plus(k2, -1.0 / 3, k1)));
    tensor *k4 = slope(e, t + h, plus(z, h, tensor_add(tensor_subtract(k1, k2), k3)));
    return plus(z, h / 8, tensor_add(tensor_add(k1, plus(k4, 3, k2)), tensor_scale(k3, 3)));
}

/* z(end), 1 < end <= max_factor. */
static tensor *solve(const struct equation *e, double end)
{
    struct scope *s = e->s;
    double size = option_real(s, "step"), last = (double)option(s, "max_factor");
    int64_t pairs = e->channels / 2, count = (int64_t)ceil((last - 1) / size + 1) - 1;
    tensor *z = tensor_constant(s->graph, NULL, 2, SHAPE(1, pairs));
    for (int64_t i = 0; i < pairs; i++)
        z->data[i] = (real)(-2 * (double)i / (double)e->channels * log(option_real(s, "theta")));
    for (int64_t i = 0;; i++) {
        double t = 1 + (double)i * size, next = i + 1 == count ? last : 1 + (double)(i + 1) * size;
        tensor *after = runge_kutta(e, t, next - t, z);
        if (next >= end)
            return plus(z, (end - t) / (next - t), tensor_subtract(after, z));
        z = after;
    }
}

/* The frequencies [1, r / 2] for a ratio above 1: solved once for queries, keys and all layers. */
static tensor *frequencies(const struct equation *e, int64_t ratio)
{
    struct scope *s = e->s;
    const char *name = part_name(s, "frequencies %lld", (long long)ratio);
    for (int layer = 0; layer <= s->layer; layer++)
        if (layer_find(s, layer, name))
            return layer_find(s, layer, name);
    tensor *w = tensor_exp(solve(e, (double)ratio));
    layer_leave(s, name, w);
    return w;
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    int64_t length = x->shape[1], channels = rotary_channels(s, x->shape[3]), tokens = start + length;
    int64_t trained = option(s, "length"), ratio = (tokens + trained - 1) / trained;
    int64_t pairs = channels / 2, hidden = option(s, "expand") * channels;
    if (channels < 4)
        kernel_fail(s, "at least 4 channels of a head have to turn");
    struct equation equation = {
        s, channels, shared_parameter(s, "ode_up_proj", init_linear(), 2, SHAPE(pairs, hidden)),
        shared_parameter(s, "ode_down_proj", init_constant(0), 2, SHAPE(hidden, pairs))};
    ratio = ratio < option(s, "max_factor") ? ratio : option(s, "max_factor");
    if (ratio > 1) {
        tensor *t = tensor_reshape(tensor_range(s->graph, start, length, 1), 2, SHAPE(length, 1));
        tensor *angles = tensor_multiply(t, frequencies(&equation, ratio));
        x = tensor_rotary(x, angles, option(s, "interleaved"));
    } else {
        x = turn_by_frequency(s, x, start, plain_frequency);
    }
    if (is_key || !option(s, "log_scale"))
        return x;
    return tensor_scale(x, log((double)tokens) / log((double)trained));
}

KERNEL(continuous_rotary_scaling) = {
    .name = "continuous-rotary-scaling",
    .slot = SLOT_POSITION,
    .variant = "clex",
    .summary = "rotary frequencies that a trained differential equation carries to the present length",
    .options = OPTIONS(ROTARY_OPTIONS(0), INTEGER_OPTION("length", 2048, 2, 1 << 24, "L, the trained length"),
                       INTEGER_OPTION("max_factor", 16, 1, 4096, "largest ratio to it"),
                       INTEGER_OPTION("expand", 1, 1, 64, "hidden width of the network over r"),
                       CHOICE_OPTION("activation", "silu|relu|gelu|tanh|sigmoid|identity", "of the network"),
                       REAL_OPTION("step", 0.05, 1e-3, 1, "of the ratio, by which the equation is solved"),
                       FLAG_OPTION("log_scale", 0, "queries grow with the logarithm of the length")),
    .characters = CHARACTERS({"position", "rotary"}, {"causality", "approximate"}),
    .rotate = rotate,
    .rotates_anew = rotates_at_every_step,
};
