/* Combiner with fixed segments (combiner; google-research's combiner sqrt_fixed_full): a query sees the
 * tokens of its own segment of L and each earlier segment through one summary, in one softmax.
 *
 *     K_u = pool_{s in u} act(k_s),   Q_u = pool_{s in u} act(q_s),
 *         V_u = sum_{s in u} softmax_s(Q_u . k_s) v_s
 *     y_t = softmax over {q_t . k_s : s in t's segment, s <= t} and {q_t . K_w : w earlier}, of v_s and V_w
 *
 * q is scaled by 1 / sqrt(d) from the start; pool goes by channels. Summaries are the first keys of the
 * attention primitive, its sinks. A last segment that is not full is seen by nobody. Weights are stored input
 * first. */
#include "block/kernel.h"
#include <math.h>

/* x W + b with W NAME_w [D, H, d], b NAME_b [H, d]: [B, T, H, d]. */
static tensor *project(struct scope *s, const char *name, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), D = s->width;
    tensor *w =
        parameter(s, part_name(s, "%s_w", name), init_normal(1 / sqrt((double)D)), 3, SHAPE(D, heads, d));
    tensor *b = parameter(s, part_name(s, "%s_b", name), init_constant(0), 2, SHAPE(heads, d));
    x = tensor_matmul(x, tensor_reshape(w, 2, SHAPE(D, heads * d)));
    return split_heads(tensor_add(x, tensor_reshape(b, 1, SHAPE(heads * d))), heads);
}

/* Of the summaries of queries or keys; declared also where no segment is full. NULL if there is none. */
static tensor *pool_weight(struct scope *s, const char *name)
{
    int64_t d = head_dim(s);
    if (!option_is(s, "summary", "deepset"))
        return NULL;
    return parameter(s, part_name(s, "pool_%s", name), init_normal(1 / sqrt((double)d)), 2, SHAPE(d, d));
}

/* What stands for each segment of x [B, n, L, H, d]: [B, n, H, d]. */
static tensor *pooled(struct scope *s, tensor *weight, tensor *x)
{
    int64_t d = x->shape[4];
    if (weight)
        x = tensor_matmul(x, weight);
    if (!option_is(s, "summary", "identity"))
        x = tensor_relu(x);
    x = option_is(s, "pool", "max")    ? tensor_max(x, 2)
        : option_is(s, "pool", "mean") ? tensor_mean(x, 2)
                                       : tensor_sum(x, 2);
    return tensor_reshape(x, 4, SHAPE(x->shape[0], x->shape[1], x->shape[3], d));
}

/* x [B, T, H, d], T whole segments, as segments [B, n, L, H, d]. */
static tensor *segments(struct scope *s, tensor *x)
{
    int64_t L = option(s, "segment");
    return tensor_reshape(x, 5, SHAPE(x->shape[0], x->shape[1] / L, L, x->shape[2], x->shape[3]));
}

/* V_u [B, n, H, d] from Q_u [B, n, H, d] and the segments' keys and values [B, n, L, H, d]. */
static tensor *summed_values(tensor *Q, tensor *k, tensor *v)
{
    tensor *scores =
        tensor_sum(tensor_multiply(
                       tensor_reshape(Q, 5, SHAPE(Q->shape[0], Q->shape[1], 1, Q->shape[2], Q->shape[3])), k),
                   4);
    tensor *sum = tensor_sum(tensor_multiply(tensor_softmax(scores, 2), v), 2);
    return tensor_reshape(sum, 4, Q->shape);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t L = option(s, "segment"), length = x->shape[1], inside = s->position % L;
    tensor *q = tensor_scale(project(s, "q", x), 1 / sqrt((double)head_dim(s)));
    tensor *rows[] = {q, project(s, "k", x), project(s, "v", x)};
    static const char *const names[] = {"query", "key", "value"};
    for (int i = 0; i < 3; i++)
        rows[i] = rows_of_block(s, names[i], rows[i], L);
    tensor *k = rows[1], *v = rows[2], *K, *V;
    tensor *of_query = pool_weight(s, "q"), *of_key = pool_weight(s, "k");
    int64_t full = (inside + length) / L * L;
    if (full > 0) {
        for (int i = 0; i < 3; i++)
            rows[i] = segments(s, tensor_slice(rows[i], 1, 0, full));
        V = cache_append(s, "summary_value", summed_values(pooled(s, of_query, rows[0]), rows[1], rows[2]),
                         0);
        K = cache_append(s, "summary_key", pooled(s, of_key, rows[1]), 0);
    } else {
        K = cache_rows(s, "summary_key");
        V = cache_rows(s, "summary_value");
    }
    int64_t count = K ? K->shape[1] : 0;
    struct attention_options options = {.scale = 1,
                                        .causal = true,
                                        .block = L,
                                        .sinks = count,
                                        .sink_span = L,
                                        .offset = count + inside,
                                        .start = s->position - inside - count};
    if (K) {
        k = tensor_concat(2, (tensor *[]){K, k}, 1);
        v = tensor_concat(2, (tensor *[]){V, v}, 1);
    }
    tensor *y = merge_heads(tensor_attention(q, k, v, &options));
    tensor *w = parameter(s, "o_w", init_normal(1 / sqrt((double)s->width)), 3,
                          SHAPE(option(s, "heads"), head_dim(s), s->width));
    y = tensor_matmul(y, tensor_reshape(w, 2, SHAPE(y->shape[2], s->width)));
    return tensor_add(y, parameter(s, "o_b", init_constant(0), 1, SHAPE(s->width)));
}

KERNEL(segment_summary_attention) = {
    .name = "segment-summary-attention",
    .slot = SLOT_MIXER,
    .variant = "combiner",
    .summary = "the own segment's tokens and one summary of each earlier segment share a softmax",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("segment", 64, 1, 1 << 20, "tokens of a segment"),
                       CHOICE_OPTION("summary", "relu|identity|deepset",
                                     "what keys and queries pass before they are pooled"),
                       CHOICE_OPTION("pool", "max|mean|sum", "over the tokens of a segment")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "compressed-cache"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
