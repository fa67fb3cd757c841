/* Rectified linear attention (rela, section 4; lucidrains/rela-transformer ReLA). With the gated
 * root-mean-square norm
 *
 *     gnorm(z) = z / max(|z| / sqrt(dim), 1e-8) * g * sigmoid(z w)
 *
 * weights are relu(q_i . k_j / sqrt(d)) (squared if asked), without any normaliser; the norm of each head's
 * output takes its place. The block norms its input too. `memories` learned rows stand before the keys and
 * values, seen by every query. */
#include "block/kernel.h"
#include <math.h>

static tensor *gated_norm(struct scope *s, const char *name, tensor *z)
{
    int64_t n = tensor_length(z, -1);
    tensor *g = parameter(s, part_name(s, "%s.g", name), init_constant(1), 1, SHAPE(n));
    tensor *w = parameter(s, part_name(s, "%s.w", name), init_constant(1), 1, SHAPE(n));
    double root = sqrt((double)n);
    tensor *normed = tensor_scale(tensor_l2_norm_max(z, 1e-8 * root), root);
    return tensor_multiply(tensor_multiply(normed, g), tensor_sigmoid(tensor_multiply(z, w)));
}

/* Learned rows before x's, for every sequence of the batch. */
static tensor *with_memories(struct scope *s, const char *name, tensor *x)
{
    int64_t count = option(s, "memories"), width = x->shape[2];
    tensor *rows = tensor_reshape(parameter(s, name, init_normal(0.02), 2, SHAPE(count, width)), 3,
                                  SHAPE(1, count, width));
    return tensor_concat(2, (tensor *[]){tensor_broadcast(rows, 3, SHAPE(x->shape[0], count, width)), x}, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), inner = heads * d;
    tensor *qkv = linear(s, "to_qkv", gated_norm(s, "norm", x), 3 * inner, false);
    tensor *k = cache_append(s, "key", tensor_slice(qkv, 2, inner, inner), 0);
    tensor *v = cache_append(s, "value", tensor_slice(qkv, 2, 2 * inner, inner), 0);
    if (option(s, "memories")) {
        k = with_memories(s, "mem_k", k);
        v = with_memories(s, "mem_v", v);
    }
    tensor *q = tensor_transpose(split_heads(tensor_slice(qkv, 2, 0, inner), heads), 1, 2);
    k = tensor_transpose(split_heads(k, heads), 1, 2);
    v = tensor_transpose(split_heads(v, heads), 1, 2);
    tensor *weights = tensor_relu(tensor_scale(tensor_matmul_nt(q, k), 1 / sqrt((double)d)));
    if (option(s, "squared"))
        weights = tensor_square(weights);
    if (option(s, "causal"))
        weights = tensor_multiply(
            weights, lower_triangle(s->graph, q->shape[2], k->shape[2], k->shape[2] - q->shape[2]));
    tensor *o = tensor_transpose(tensor_matmul(weights, v), 1, 2);
    return linear(s, "to_out.0", merge_heads(gated_norm(s, "norm_values", o)), s->width, true);
}

KERNEL(rectified_linear_attention) = {
    .name = "rectified-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "rela",
    .summary = "attention with rectified scores and a gated norm in place of the softmax",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("memories", 0, 0, 4096, "learned keys and values seen by every query"),
                       FLAG_OPTION("squared", 0, "weights are squared"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"feature-map", "relu"},
                             {"output-gate", "no"}, {"time", "quadratic"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
