/* Megalodon's gated attention (megalodon, sections 3.1 and 3.3; XuezheMax/megalodon
 * MovingAverageGatedAttention). With x the timestep-normalised input,
 *
 *     EMA: q_n = (1 - alpha_n delta_n) e^{i theta_n},  theta_n = 2 pi n sigmoid(theta) / N,
 *         n = 1 .. N, alpha, delta sigmoids
 *     c_t = Re sum_n alpha_n gamma_n / sqrt(N) sum_l q_n^l x_{t-l} + omega x_t,   m = RMSNorm(c)
 *     z = heads of m Wz + b, each of unit mean square;  q, k = z (gamma_i + 1) / sqrt(d) + beta_i
 *     o = softmax(rotated q k^T) v inside chunks,  v = silu(x Wv + bv)
 *     y = m Wh1 + b + (o * silu(m Wr + br)) Wh2
 *
 * Rotations count from the chunk's start as published; only differences inside a chunk matter, so here they
 * count from the sequence's. The block's position kernel turns them. */
#include "moving-average.h"

static struct modes complex_averages(struct scope *s, int64_t n)
{
    int64_t width = s->width;
    const int64_t *shape = SHAPE(width, n, 1);
    tensor *alpha = tensor_sigmoid(parameter(s, "cema.alpha", init_normal(0.2), 3, shape));
    tensor *delta = tensor_sigmoid(parameter(s, "cema.delta", init_normal(0.2), 3, shape));
    tensor *theta = tensor_sigmoid(parameter(s, "cema.theta", init_normal(0.2), 3, SHAPE(width, 1, 1)));
    struct pair gamma = pair_of(parameter(s, "cema.gamma", init_normal(1), 3, SHAPE(width, n, 2)));
    tensor *turn = tensor_scale(tensor_range(s->graph, 1, n, 1), 2 * M_PI / (double)n);
    alpha = tensor_reshape(alpha, 2, SHAPE(width, n));
    delta = tensor_reshape(delta, 2, SHAPE(width, n));
    struct pair rate = {tensor_log1p(tensor_negate(tensor_multiply(alpha, delta))),
                        tensor_multiply(tensor_reshape(theta, 2, SHAPE(width, 1)), turn)};
    return (struct modes){rate, pair_scaled(gamma, tensor_scale(alpha, 1 / sqrt((double)n)))};
}

/* RMS norm whose weight is stored less one. */
static tensor *offset_rms_norm(struct scope *s, tensor *x)
{
    if (!option(s, "affine"))
        return tensor_rms_norm(x, NULL, option_real(s, "epsilon"));
    tensor *weight = parameter(s, "rmsnorm.weight", init_constant(0), 1, SHAPE(s->width));
    return tensor_rms_norm(x, tensor_affine(weight, 1, 1), option_real(s, "epsilon"));
}

/* Attention inside chunks of all heads, of queries and keys made of m. */
static tensor *attend(struct scope *s, tensor *m, tensor *v)
{
    int64_t heads = option(s, "heads"), width = option(s, "key_dim"), chunk = option(s, "chunk");
    tensor *z = split_heads(linear(s, "wz", m, width, true), heads), *copies[2];
    z = merge_heads(tensor_rms_norm(z, NULL, option_real(s, "epsilon")));
    query_and_key(s, tensor_scale(z, 1 / sqrt((double)(width / heads))), 0, copies);
    tensor *q = split_heads(copies[0], heads), *k = split_heads(copies[1], heads);
    rotate_query_and_key(s, &q, &k);
    v = split_heads(v, heads);
    if (chunk > 1) {
        k = cache_append(s, "key", k, chunk - 1);
        v = cache_append(s, "value", v, chunk - 1);
    }
    int64_t offset = k->shape[1] - q->shape[1];
    struct attention_options options = {
        .scale = 1, .causal = true, .offset = offset, .block = chunk, .start = s->position - offset};
    return merge_heads(tensor_attention(q, k, v, &options));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, e = option_or(s, "hidden", 2 * width);
    struct modes modes = complex_averages(s, option(s, "state"));
    tensor *omega = parameter(s, "cema.omega", init_normal(1), 2, SHAPE(width, 1));
    tensor *c = kept_modes(s, "cema", &modes, x, 0);
    c = tensor_add(c, tensor_multiply(x, tensor_reshape(omega, 1, SHAPE(width))));
    tensor *m = offset_rms_norm(s, c);
    tensor *o = attend(s, m, tensor_silu(linear(s, "wv", x, e, true)));
    o = tensor_multiply(o, tensor_silu(linear(s, "wr", m, e, true)));
    return tensor_add(linear(s, "wh1", m, width, true), linear(s, "wh2", o, width, false));
}

static const char *validate(const struct scope *s)
{
    int64_t heads = option(s, "heads");
    return option(s, "key_dim") % heads || option_or(s, "hidden", 2 * s->width) % heads
               ? "key_dim and hidden must be divisible by heads"
               : NULL;
}

KERNEL(complex_moving_average_gated_attention) = {
    .name = "complex-moving-average-gated-attention",
    .slot = SLOT_MIXER,
    .variant = "megalodon",
    .summary =
        "gated attention inside chunks whose normalised queries and keys come from a complex moving average",
    .options = OPTIONS(INTEGER_OPTION("heads", 1, 1, 1024, "heads"),
                       INTEGER_OPTION("key_dim", 64, 1, 1 << 20, "channels of queries and keys of all heads"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20,
                                      "channels of values and the gate; 0: 2 * width"),
                       INTEGER_OPTION("state", 16, 1, 1024, "moving averages of a channel"),
                       INTEGER_OPTION("chunk", 2048, 1, 1 << 24, "tokens of a chunk"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the norms inside"),
                       FLAG_OPTION("affine", 1, "the norm of the average has a weight")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"state", "window-cache"}, {"decay", "learned"},
                             {"decay-grain", "state"}, {"numbers", "complex"}, {"output-gate", "yes"},
                             {"time", "log-linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
