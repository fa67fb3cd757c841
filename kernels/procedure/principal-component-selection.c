/* Loki: attention to the keys that rank first in a few principal components (loki, section 4, algorithm 1;
 * hpcgroup/loki mask_attn_pca_topk).
 *
 * Keys of each key-value head, rotated, are held in an orthogonal basis P (columns by falling variance, found
 * beforehand on other text): q' = q P, k' = k P. For each query
 *
 *     rank keys by the first r components of q' . k', keep the K best of the row
 *     y = concat_h( softmax( q' k'^T / sqrt(d), over those ) v ) Wo
 *
 * K is a number, or a share of the tokens if it is at most one. A row with fewer visible keys keeps all. */
#include "../mixer/sparse/selection.h"
#include <string.h>

static void fill_identity(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    int64_t d = shape[3];
    for (int64_t i = 0; i < shape[1] * d * d; i++)
        values[i] = i / d % d == i % d ? 1 : 0;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = head_dim(s);
    tensor *q = split_heads(linear(s, "q_proj", x, heads * d, false), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, groups * d, false), groups);
    tensor *v = split_heads(linear(s, "v_proj", x, groups * d, false), groups);
    rotate_query_and_key(s, &q, &k);
    tensor *basis = buffer(s, "pca_components", init_function(fill_identity), 4, SHAPE(1, groups, d, d));
    basis = tensor_reshape(basis, 3, SHAPE(groups, d, d));
    q = per_head_product(q, tensor_repeat_interleave(basis, 0, heads / groups), false);
    k = cache_append(s, "key", per_head_product(k, basis, false), 0);
    v = cache_append(s, "value", v, 0);
    int64_t length = k->shape[1], r = option(s, "components") < d ? option(s, "components") : d;
    double keep = option_real(s, "keep");
    int64_t kept = (int64_t)(keep <= 1 ? keep * (double)length : keep);
    kept = kept < 1 ? 1 : kept < length ? kept : length;
    tensor *y = attend_to_best(q, k, v, tensor_slice(q, 3, 0, r), tensor_slice(k, 3, 0, r), kept, true,
                               option(s, "chunk"));
    return linear(s, "o_proj", merge_heads(y), s->width, false);
}

static const char *character(const struct scope *s, const char *name)
{
    if (heads_by_option(s, name))
        return heads_by_option(s, name);
    return strcmp(name, "causality") == 0 && option_real(s, "keep") <= 1 ? "approximate" : NULL;
}

KERNEL(principal_component_selection) = {
    .name = "principal-component-selection",
    .slot = SLOT_PROCEDURE,
    .variant = "loki",
    .summary = "attention to the keys whose first principal components score best",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("components", 16, 1, 4096, "components that rank the keys"),
                       REAL_OPTION("keep", 64, 1e-9, 1 << 24, "keys kept; up to 1: a share of all tokens"),
                       INTEGER_OPTION("chunk", 128, 1, 1 << 24,
                                      "queries whose rankings are computed at once")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
