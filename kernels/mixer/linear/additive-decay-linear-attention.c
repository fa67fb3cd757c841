/* LightNet's linear attention with additive decay (lightnet, section 4; flash-linear-attention's
 * LightNetAttention). Per key channel, with z_t = sum_{j<=t} e^{k_j} and q = silu(conv(x Wq)), k = conv(x
 * Wk), v = conv(x Wv),
 *
 *     S_t = diag(z_{t-1} / z_t) S_{t-1} + (e^{k_t} / z_t) v_t^T,  o_t = S_t^T q_t / sqrt(d_k),
 *         y = (RMSNorm(o) * silu(x G0 G1)) Wo
 *
 * so that S_t is a mean of the values so far with weights e^k. The sums are kept as logarithms. The norm
 * spans all heads. */
#include "block/kernel.h"
#include <math.h>

static int64_t heads_of(const struct scope *s)
{
    int64_t state = option(s, "state");
    return option_or(s, "heads", state ? s->width / state : 1);
}

static int64_t keys_of(const struct scope *s)
{
    return option_or(s, "state", s->width / heads_of(s));
}

static const char *validate(const struct scope *s)
{
    return heads_of(s) < 1 || s->width % heads_of(s)
               ? "the width is not divisible by the number of heads (heads, or width / state)"
               : NULL;
}

static tensor *project(struct scope *s, const char *which, tensor *x, int64_t outputs)
{
    tensor *y = linear(s, part_name(s, "%s_proj", which), x, outputs, false);
    int64_t taps = option(s, "conv");
    return taps ? short_convolution(s, part_name(s, "%s_conv1d", which), y, taps, false) : y;
}

/* log z_{t-1} and log z_t for every t; log 0 is -1e30. */
static tensor *running_log_sums(struct scope *s, tensor *k, tensor **before)
{
    int64_t length = k->shape[1];
    const int64_t *shape = SHAPE(k->shape[0], 1, k->shape[2]);
    tensor *first = s->state ? state(s, "log_sum", -1e30, 3, shape) : tensor_full(s->graph, -1e30, 3, shape);
    tensor *all = tensor_log_cumulative_sum_exp(tensor_concat(2, (tensor *[]){first, k}, 1), 1);
    if (s->state)
        state_set(s, "log_sum", tensor_slice(all, 1, length, 1));
    *before = tensor_slice(all, 1, 0, length);
    return tensor_slice(all, 1, 1, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = heads_of(s), keys = keys_of(s);
    tensor *q = tensor_silu(project(s, "q", x, heads * keys)), *k = project(s, "k", x, heads * keys);
    tensor *v = project(s, "v", x, s->width), *before;
    tensor *sum = running_log_sums(s, k, &before);
    /* A decay of e^-80 is none: the bound keeps the first token's, which is of an empty state, in range. */
    tensor *log_decay = tensor_clamp(tensor_subtract(before, sum), -80, 0);
    struct matrix_scan_options scan = {.scale = 1 / sqrt((double)keys),
                                       .log_decay = split_heads(log_decay, heads)};
    tensor *weight = tensor_exp(tensor_subtract(k, sum));
    tensor *o = kept_matrix_scan(s, "S", split_heads(q, heads), split_heads(weight, heads),
                                 split_heads(v, heads), scan);
    o = rms_norm(s, "g_norm", merge_heads(o), option_real(s, "epsilon"));
    tensor *gate =
        linear(s, "g_proj.1", linear(s, "g_proj.0", x, option(s, "gate_rank"), false), s->width, false);
    return linear(s, "o_proj", tensor_multiply(o, tensor_silu(gate)), s->width, false);
}

KERNEL(additive_decay_linear_attention) = {
    .name = "additive-decay-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "lightnet",
    .summary =
        "linear attention whose state is a running mean of values with exponential weights per key channel",
    .options = OPTIONS(INTEGER_OPTION("heads", 0, 0, 1024, "heads; 0: width / state, or 1"),
                       INTEGER_OPTION("state", 0, 0, 4096, "key channels of a head; 0: width / heads"),
                       INTEGER_OPTION("gate_rank", 128, 1, 4096, "rank of the output gate's projection"),
                       INTEGER_OPTION("conv", 0, 0, 64, "taps of the short convolutions; 0: none"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "of the output's norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"},
                             {"feature-map", "exponential"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
