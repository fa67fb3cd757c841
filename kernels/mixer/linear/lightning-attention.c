/* Lightning attention, the TransNormerLLM layer in tiles (lightning-attention-2, section 3.2;
 * OpenNLPLab/lightning-attention TnlAttention).
 *
 *     q, k, v = silu(x W),  S_t = exp(-lambda_h) S_{t-1} + k_t v_t^T,  o_t = S_t^T q_t
 *     y = (norm(o) * sigmoid((x G0) G1)) Wo,   norm over all heads together
 *
 * lambda_h is ALiBi's slope of head h, smaller in later layers: times 1 - layer / (layers - 1) + 1e-5. No
 * scale, no denominator. */
#include "block/kernel.h"

static tensor *project(struct scope *s, const char *name, tensor *x)
{
    return split_heads(tensor_silu(linear(s, name, x, s->width, option(s, "bias"))), option(s, "heads"));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    bool bias = option(s, "bias");
    tensor *q = project(s, "q_proj", x), *k = project(s, "k_proj", x), *v = project(s, "v_proj", x);
    tensor *rates = buffer(s, "slope_rate", init_function(fill_falling_slopes), 3, SHAPE(heads, 1, 1));
    struct matrix_scan_options scan = {.log_decay = tensor_negate(tensor_reshape(rates, 1, SHAPE(heads)))};
    tensor *o = merge_heads(kept_matrix_scan(s, "S", q, k, v, scan));
    o = option_is(s, "norm", "layernorm") ? layer_norm(s, "norm", o, option_real(s, "epsilon"))
        : option_is(s, "norm", "rmsnorm") ? rms_norm(s, "norm", o, option_real(s, "epsilon"))
                                          : tensor_rms_norm(o, NULL, option_real(s, "epsilon"));
    tensor *rank = linear(s, "output_gate.0", x, s->width / heads, bias);
    tensor *gate = tensor_sigmoid(linear(s, "output_gate.1", rank, s->width, bias));
    return linear(s, "o_proj", tensor_multiply(o, gate), s->width, bias);
}

KERNEL(lightning_attention) = {
    .name = "lightning-attention",
    .slot = SLOT_MIXER,
    .variant = "lightning-attention-2",
    .summary = "linear attention with a fixed decay per head, normalised over all heads and gated",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       FLAG_OPTION("bias", 0, "projections have biases"),
                       CHOICE_OPTION("norm", "layernorm|rmsnorm|simple-rmsnorm",
                                     "of the output; the last has no weight"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "head"}, {"feature-map", "silu"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
