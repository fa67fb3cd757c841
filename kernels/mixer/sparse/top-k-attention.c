/* Attention to the keys that score best (explicit-sparse; top-k-attention).
 *
 *     S = q k^T / sqrt(d), later keys hidden;  each row keeps its K largest entries;
 *         y = concat_h(softmax(kept S) v) Wo
 *
 * K counts over the whole row, so a row with fewer visible keys keeps all. The published forms differ at
 * equal scores: one keeps exactly K (ag1988/top_k_attention), the other all that reach the K-th (`ties`;
 * lancopku/Explicit-Sparse-Transformer), which needs the scores with their gradients. Without ties queries
 * come in chunks whose scores are let go once the keys are chosen; softmax, values and gradients then cost K
 * a query. */
#include "selection.h"
#include <string.h>

/* K of a row of `length` entries; 0: all. */
static int64_t kept(const struct scope *s, int64_t length)
{
    int64_t keep = option(s, "keep"), least = option(s, "least");
    if (keep < 0) {
        keep = (length - keep - 1) / -keep;
        keep = keep < least ? least : keep;
    }
    return keep < length ? keep : 0;
}

static tensor *attend_with_ties(tensor *q, tensor *k, tensor *v, int64_t keep, bool causal)
{
    tensor *scores = plain_scores(q, k, 1 / sqrt((double)q->shape[3]), causal, k->shape[1] - q->shape[1]);
    tensor *best = tensor_top_k(tensor_stop_gradient(scores), keep, NULL);
    tensor *below = tensor_greater(tensor_slice(best, 3, keep - 1, 1), scores);
    tensor *weights = tensor_softmax(tensor_where(below, tensor_scalar(q->graph, -INFINITY), scores), 3);
    return tensor_transpose(tensor_matmul(weights, tensor_transpose(v, 1, 2)), 1, 2);
}

static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t keep = kept(s, k->shape[1]);
    bool causal = option(s, "causal");
    struct attention_options all = {.causal = causal, .offset = k->shape[1] - q->shape[1]};
    if (!keep)
        return tensor_attention(q, k, v, &all);
    if (option(s, "ties"))
        return attend_with_ties(q, k, v, keep, causal);
    return attend_to_best(q, k, v, q, k, keep, causal, option(s, "chunk"));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    bool bias = option(s, "bias");
    tensor *q = split_heads(linear(s, "q_proj", x, s->width, bias), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, s->width, bias), heads);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, bias), heads);
    rotate_query_and_key(s, &q, &k);
    k = cache_append(s, "key", k, 0);
    v = cache_append(s, "value", v, 0);
    return linear(s, "out_proj", merge_heads(attend(s, q, k, v)), s->width, bias);
}

/* A share of the row depends on how many tokens there are. */
static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "causality") == 0 && option(s, "causal") && option(s, "keep") < 0)
        return "approximate";
    return causality_by_option(s, name);
}

KERNEL(top_k_attention) = {
    .name = "top-k-attention",
    .slot = SLOT_MIXER,
    .variant = "explicit-sparse",
    .summary = "softmax attention over the keys that score best for each query",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("keep", 64, -(1 << 24), 1 << 24,
                                      "scores kept of a row; -n: one in n; 0: all"),
                       INTEGER_OPTION("least", 0, 0, 1 << 24, "kept at least where keep is a share"),
                       FLAG_OPTION("ties", 0, "scores equal to the last one kept are kept too"),
                       INTEGER_OPTION("chunk", 128, 1, 1 << 24, "queries whose scores are computed at once"),
                       FLAG_OPTION("bias", 0, "projections have biases"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
