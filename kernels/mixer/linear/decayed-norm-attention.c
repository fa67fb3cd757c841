/* TransNormerLLM's linear attention with exponential decay (transnormer-llm, section 3.1; nanoTransNormer's
 * NormLinearAttention).
 *
 *     [q, k, v, u] = x W,  q and k through silu,  S_t = exp(-lambda_h) S_{t-1} + k_t v_t^T,  o_t = S_t^T q_t,
 *         y = (u * SRMSNorm(o)) Wo
 *
 * lambda_h is ALiBi's slope of head h, smaller in later layers: times 1 - layer / (layers - 1) + 1e-5. The
 * norm has no weight and spans all heads. With linearised relative positions (lrpe) q and k become
 * [q cos(t theta), q sin(t theta)] with trained angles theta, so that channel c of a product at distance n
 * counts cos(n theta_c). */
#include "block/kernel.h"
#include <math.h>

static void angles(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    int64_t size = shape[0] * shape[1] * shape[2];
    for (int64_t i = 0; i < size; i++)
        values[i] = (real)pow(10000, -2 * (double)i / (double)size);
}

/* cos and sin of t theta, [T, H, d] each. */
static void turns(struct scope *s, int64_t length, int64_t heads, int64_t d, tensor **cosine, tensor **sine)
{
    tensor *theta = parameter(s, "lrpe.theta", init_function(angles), 3, SHAPE(heads, 1, d));
    tensor *t = tensor_reshape(tensor_range(s->graph, s->position, length, 1), 3, SHAPE(length, 1, 1));
    tensor *turn = tensor_multiply(t, tensor_reshape(theta, 2, SHAPE(heads, d)));
    *cosine = tensor_cos(turn);
    *sine = tensor_sin(turn);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), D = s->width;
    bool bias = option(s, "bias");
    tensor *qkvu = linear(s, "qkvu_proj", x, 4 * D, bias), *parts[4];
    for (int i = 0; i < 4; i++)
        parts[i] = tensor_slice(qkvu, 2, i * D, D);
    for (int i = 0; i < 2; i++)
        parts[i] = split_heads(tensor_silu(parts[i]), heads);
    if (option(s, "lrpe")) {
        tensor *cosine, *sine;
        turns(s, x->shape[1], heads, D / heads, &cosine, &sine);
        for (int i = 0; i < 2; i++)
            parts[i] = tensor_concat(
                2, (tensor *[]){tensor_multiply(parts[i], cosine), tensor_multiply(parts[i], sine)}, 3);
    }
    tensor *rates = buffer(s, "slope_rate", init_function(fill_falling_slopes), 3, SHAPE(heads, 1, 1));
    struct matrix_scan_options scan = {.log_decay = tensor_negate(tensor_reshape(rates, 1, SHAPE(heads)))};
    tensor *o = merge_heads(kept_matrix_scan(s, "S", parts[0], parts[1], split_heads(parts[2], heads), scan));
    o = tensor_rms_norm(o, NULL, option_real(s, "epsilon"));
    return linear(s, "out_proj", tensor_multiply(o, parts[3]), D, bias);
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'p' && option(s, "lrpe") ? "relative" : NULL;
}

KERNEL(decayed_norm_attention) = {
    .name = "decayed-norm-attention",
    .slot = SLOT_MIXER,
    .variant = "transnormer-llm",
    .summary = "linear attention with a fixed decay per head, a weightless norm over all heads and a gate",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       FLAG_OPTION("lrpe", 0,
                                   "queries and keys are weighed by trained angles of their position"),
                       FLAG_OPTION("bias", 0, "projections have biases"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "of the norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "head"}, {"feature-map", "silu"},
                             {"output-gate", "yes"}, {"position", "none"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
