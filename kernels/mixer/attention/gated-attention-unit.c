/* The gated attention unit (flash, section 2, figure 2; lucidrains/FLASH-pytorch GAU). One head serves gated
 * values, and queries and keys are two affine copies of one small projection.
 *
 *     (v, g) = halves of silu(x Wh),  z = silu(x Wz),  q = z gamma_0 + beta_0,  k = z gamma_1 + beta_1
 *     A = f((q k^T + B) / n),  0 where hidden,    y = ((A v) * g) Wo
 *
 * f is relu^2 or laplace, B T5's bucketed bias times sqrt(D), n the length of the call as published (so
 * outputs depend on it), or `length`. `normalizer` softmax_plus is GAU-alpha's (gau-alpha): softmax over the
 * visible m keys of log_512(m) q k^T / sqrt(s), without B, with the block's rotary positions. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

static bool is_softmax(const struct scope *s)
{
    return option_is(s, "normalizer", "softmax_plus");
}

static tensor *squared_scores(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t rows = q->shape[1], columns = k->shape[1];
    double n = (double)option_or(s, "length", columns);
    tensor *table = parameter(s, "rel_pos_bias.relative_attention_bias.weight", init_normal(0.02), 2,
                              SHAPE(option(s, "buckets"), 1));
    tensor *bias = bucketed_bias(table, option(s, "max_distance"), option(s, "causal"), rows, columns);
    tensor *scores = tensor_add(tensor_matmul_nt(q, k), tensor_scale(bias, sqrt((double)s->width)));
    scores = tensor_scale(scores, 1 / n);
    tensor *weights = option_is(s, "normalizer", "laplace") ? laplace_activation(scores)
                                                            : tensor_square(tensor_relu(scores));
    if (option(s, "causal"))
        weights = tensor_multiply(weights, lower_triangle(s->graph, rows, columns, columns - rows));
    return tensor_matmul(weights, v);
}

/* The scale log_512(m) depends on the query alone, so it multiplies q. */
static tensor *softmax_scores(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t rows = q->shape[1], columns = k->shape[1];
    tensor *scale = tensor_constant(s->graph, NULL, 2, SHAPE(rows, 1));
    for (int64_t i = 0; i < rows; i++) {
        double seen = (double)(option(s, "causal") ? columns - rows + i + 1 : columns);
        scale->data[i] = (real)(log(seen < 2 ? 2 : seen) / log(512));
    }
    struct attention_options options = {.causal = option(s, "causal"),
                                        .offset = option(s, "causal") ? columns - rows : 0};
    q = tensor_multiply(q, scale);
    return merge_heads(tensor_attention(split_heads(q, 1), split_heads(k, 1), split_heads(v, 1), &options));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t e = (int64_t)(option_real(s, "expand") * (double)s->width);
    bool bias = option(s, "bias");
    tensor *hidden = tensor_silu(linear(s, "to_hidden.0", x, 2 * e, bias)), *copies[2];
    scaled_copies(s, "offsetscale", tensor_silu(linear(s, "to_qk.0", x, option(s, "key_dim"), bias)), 2,
                  copies);
    if (is_softmax(s)) {
        tensor *q = split_heads(copies[0], 1), *k = split_heads(copies[1], 1);
        rotate_query_and_key(s, &q, &k);
        copies[0] = merge_heads(q);
        copies[1] = merge_heads(k);
    }
    tensor *k = cache_append(s, "key", copies[1], 0),
           *v = cache_append(s, "value", tensor_slice(hidden, 2, 0, e), 0);
    tensor *o = (is_softmax(s) ? softmax_scores : squared_scores)(s, copies[0], k, v);
    return linear(s, "to_out.0", tensor_multiply(o, tensor_slice(hidden, 2, e, e)), s->width, bias);
}

static tensor *step(struct scope *s, tensor *x)
{
    return is_softmax(s) || option(s, "length") ? forward(s, x) : replay_step(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    bool steps = is_softmax(s) || option(s, "length");
    if (strcmp(name, "normalizer") == 0 && is_softmax(s))
        return "softmax";
    if (strcmp(name, "decode-cost") == 0 && !steps)
        return "replay";
    return causality_by_option(s, name);
}

KERNEL(gated_attention_unit) = {
    .name = "gated-attention-unit",
    .slot = SLOT_MIXER,
    .variant = "flash",
    .summary =
        "one weak attention head inside a gated linear unit, in place of attention and feed-forward network",
    .options = OPTIONS(INTEGER_OPTION("key_dim", 128, 1, 4096, "channels of queries and keys"),
                       REAL_OPTION("expand", 2, 0.1, 16, "gated channels over width"),
                       CHOICE_OPTION("normalizer", "relu2|laplace|softmax_plus", "f"),
                       INTEGER_OPTION("length", 0, 0, 1 << 24,
                                      "what scores are divided by; 0: the length of the call"),
                       INTEGER_OPTION("buckets", 32, 2, 1024, "of the position bias"),
                       INTEGER_OPTION("max_distance", 128, 2, 1 << 20, "from which the last bucket serves"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       FLAG_OPTION("bias", 1, "projections have biases")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "cache"}, {"output-gate", "yes"},
                             {"position", "relative"}, {"time", "quadratic"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .character = character,
    .forward = forward,
    .step = step,
};
