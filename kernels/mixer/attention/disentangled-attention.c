/* DeBERTa's disentangled attention (deberta; microsoft/DeBERTa DisentangledSelfAttention): content and
 * relative position are separate vectors, and scores sum up to three products, n of them:
 *
 *     (q_i . k_j + q_i . PK_delta(i, j) + k_j . PQ_delta(i, j)) / sqrt(n d),
 *         delta = clamp(i - j + span, 0, 2 span - 1)
 *
 * PK and PQ are projections of one table of distances, E = rel_embeddings.weight [2 span, D], for all layers:
 * by pos_key_proj and pos_query_proj or, with shared_projections, those of the content. span = max_distance;
 * with `buckets` b > 0 span = b, distances beyond b / 2 share buckets that grow geometrically and end at
 * max_distance - 1. The last product has the index of i - j as in the published code; the paper has that of j
 * - i. The absolute positions that the paper adds before the output layer are no part of it. */
#include "../../position/distance-vectors.h"
#include <math.h>
#include <stdlib.h>

static int64_t span_of(const struct scope *s)
{
    return option_or(s, "buckets", option(s, "max_distance"));
}

/* The logarithm in single precision, as published: buckets end where it says. */
static int64_t bucket_of(const struct scope *s, int64_t distance)
{
    int64_t most = option(s, "max_distance") - 1, middle = option(s, "buckets") / 2;
    int64_t size = llabs(distance) < most ? llabs(distance) : most;
    if (middle && size > middle) {
        float ratio = logf((float)size / (float)middle) / logf((float)most / (float)middle);
        size = middle + (int64_t)ceilf(ratio * (float)(middle - 1));
    } else if (!middle) {
        size = llabs(distance);
    }
    return distance < 0 ? -size : size;
}

/* delta for queries that are the last `rows` of `columns` tokens: [1, 1, rows, columns]. */
static tensor *places(struct scope *s, int64_t rows, int64_t columns)
{
    int64_t span = span_of(s);
    tensor *delta = tensor_constant(s->graph, NULL, 4, SHAPE(1, 1, rows, columns));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            int64_t place = bucket_of(s, columns - rows + i - j) + span;
            delta->data[i * columns + j] = (real)(place < 0 ? 0 : place < 2 * span ? place : 2 * span - 1);
        }
    return delta;
}

/* The table [2 span, D], projected: [1, H, 2 span, d]. */
static tensor *projected_distances(struct scope *s, tensor *table, const char *own, const char *shared)
{
    const char *name = option(s, "shared_projections") ? shared : own;
    tensor *p = linear(s, name, tensor_reshape(table, 3, SHAPE(1, -1, s->width)), s->width, true);
    return tensor_transpose(split_heads(p, option(s, "heads")), 1, 2);
}

/* What the positions add to q_i . k_j: [B, H, T, S], or NULL. */
static tensor *position_products(struct scope *s, tensor *q, tensor *k)
{
    tensor *table =
        shared_parameter(s, "rel_embeddings.weight", init_normal(0.02), 2, SHAPE(2 * span_of(s), s->width));
    tensor *delta = places(s, q->shape[1], k->shape[1]), *by_query = NULL, *by_key = NULL;
    if (option(s, "content_to_position"))
        by_query = query_products(tensor_transpose(q, 1, 2),
                                  projected_distances(s, table, "pos_key_proj", "key_proj"), delta);
    if (option(s, "position_to_content"))
        by_key = key_products(tensor_transpose(k, 1, 2),
                              projected_distances(s, table, "pos_query_proj", "query_proj"), delta);
    return by_query && by_key ? tensor_add(by_query, by_key) : by_query ? by_query : by_key;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    int64_t products = 1 + option(s, "content_to_position") + option(s, "position_to_content");
    tensor *q = split_heads(linear(s, "query_proj", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "key_proj", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "value_proj", x, s->width, true), heads);
    k = cache_append(s, "key", k, 0);
    v = cache_append(s, "value", v, 0);
    struct attention_options options = {.scale = 1 / sqrt((double)(products * d)),
                                        .causal = option(s, "causal"),
                                        .offset = k->shape[1] - q->shape[1]};
    tensor *added = position_products(s, q, k);
    options.bias = added ? tensor_scale(added, options.scale) : NULL;
    tensor *y = merge_heads(tensor_attention(q, k, v, &options));
    return option(s, "output") ? linear(s, "dense", y, s->width, true) : y;
}

static const char *validate(const struct scope *s)
{
    if (option(s, "buckets") == 1)
        return "half of the buckets have to be whole: 0 or at least 2";
    return validate_heads(s);
}

KERNEL(disentangled_attention) = {
    .name = "disentangled-attention",
    .slot = SLOT_MIXER,
    .variant = "deberta",
    .summary = "scores sum products of contents and of contents with relative positions",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("max_distance", 512, 1, 1 << 24,
                                      "from which distances count as the largest"),
                       INTEGER_OPTION("buckets", 0, 0, 1 << 24, "of distances on either side; 0: one each"),
                       FLAG_OPTION("content_to_position", 1, "queries meet positions"),
                       FLAG_OPTION("position_to_content", 1, "keys meet positions"),
                       FLAG_OPTION("shared_projections", 0, "positions are projected as contents are"),
                       FLAG_OPTION("causal", 0, "later tokens are not seen"),
                       FLAG_OPTION("output", 1, "a projection to the output follows")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"position", "relative"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
