/* LASP's linear attention with a fixed decay (lasp, section 2.2; OpenNLPLab/LASP LaspNaive). Per head,
 *
 *     S_t = exp(-lambda_h) S_{t-1} + k_t v_t^T,   o_t = S_t^T q_t,
 *         lambda_h a buffer, at first ALiBi's slopes
 *
 * without a scale, a denominator or activations. The paper cuts the sequence over devices: each computes its
 * part and passes S on to the next. The scan here does the same with chunks, so the number of devices does
 * not change the function. The published operation has no projections; those of query, key, value and output
 * have no biases. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *q = split_heads(linear(s, "q_proj", x, s->width, false), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, s->width, false), heads);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, false), heads);
    tensor *rates = buffer(s, "s", init_function(fill_alibi_slopes), 3, SHAPE(heads, 1, 1));
    struct matrix_scan_options scan = {.log_decay = tensor_negate(tensor_reshape(rates, 1, SHAPE(heads)))};
    return linear(s, "o_proj", merge_heads(kept_matrix_scan(s, "KV", q, k, v, scan)), s->width, false);
}

KERNEL(sequence_parallel_linear_attention) = {
    .name = "sequence-parallel-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "lasp",
    .summary =
        "linear attention with a fixed decay per head, whose state is all that parts of a sequence pass on",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "head"}, {"feature-map", "none"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
