/* Clustered attention (clustered-attention, section 3.2; idiap/fast-transformers ClusteredAttention): queries
 * that hash alike share one row of attention.
 *
 *     b_ti = 1 where q_t . P_i > P_i0      `bits` bits of a query from hyperplanes that all heads share
 *     C = K groups of the b_t by k-means under the Hamming distance, centroids being bitwise majorities
 *     y_t = softmax(c k^T / sqrt(d)) v with c the mean of the queries of t's group
 *
 * K-means starts from the hashes at the positions `init_idx` (a further input; without it K even spaces). A
 * group without members keeps its centroid; the published code draws another. No gradient passes through the
 * grouping. Bidirectional. */
#include "block/kernel.h"

/* The bits of q [B, H, T, d]: [B, H, T, bits]. */
static tensor *hashes(struct scope *s, tensor *q)
{
    int64_t bits = option(s, "bits"), d = q->shape[3];
    tensor *planes = buffer(s, "planes", init_normal(1), 2, SHAPE(bits, d + 1));
    tensor *threshold = tensor_reshape(tensor_slice(planes, 1, d, 1), 1, SHAPE(bits));
    if (!option(s, "hash_bias"))
        threshold = tensor_full(s->graph, 0, 1, SHAPE(1));
    tensor *projected = tensor_linear(tensor_stop_gradient(q), tensor_slice(planes, 1, 0, d), NULL);
    return tensor_greater(projected, threshold);
}

/* The first centroids [B, H, K, bits]. */
static tensor *first_centroids(struct scope *s, tensor *bits)
{
    int64_t K = option(s, "clusters"), T = bits->shape[2];
    tensor *places = further_input(s, "init_idx");
    if (!places) {
        places = tensor_constant(s->graph, NULL, 1, SHAPE(K));
        for (int64_t i = 0; i < K; i++)
            places->data[i] = (real)(i * T / K);
    }
    return tensor_gather(bits, 2, tensor_reshape(places, 4, SHAPE(1, 1, K, 1)));
}

/* Which centroid is nearest to each hash, as ones in [B, H, T, K]. */
static tensor *members(tensor *bits, tensor *centroids)
{
    tensor *common = tensor_matmul_nt(bits, centroids);
    tensor *size = tensor_transpose(tensor_sum(centroids, 3), 2, 3); /* of a centroid: [B, H, 1, K] */
    tensor *nearness = tensor_subtract(tensor_scale(common, 2), size);
    tensor *nearest = tensor_argmax(nearness, 3);
    return tensor_one_hot(tensor_reshape(nearest, 3, nearest->shape), centroids->shape[2]);
}

/* Bitwise majorities of the members of each group. */
static tensor *majorities(tensor *bits, tensor *group, tensor *size, tensor *before)
{
    tensor *ones = tensor_scale(tensor_matmul_tn(group, bits), 2);
    return tensor_where(size, tensor_greater(ones, size), before);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), K = option(s, "clusters");
    tensor *q = split_heads(linear(s, "query_projection", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "key_projection", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "value_projection", x, s->width, true), heads);
    q = tensor_contiguous(tensor_transpose(q, 1, 2));
    tensor *bits = hashes(s, q), *centroids = first_centroids(s, bits), *group = NULL, *size = NULL;
    for (int64_t i = 0; i < option(s, "iterations"); i++) {
        if (i > 0)
            centroids = majorities(bits, group, size, centroids);
        group = members(bits, centroids);
        size = tensor_reshape(tensor_sum(group, 2), 4, SHAPE(x->shape[0], heads, K, 1));
    }
    tensor *centre = tensor_divide(tensor_matmul_tn(group, q), tensor_clamp(size, 1, 1e30));
    tensor *y = tensor_attention(tensor_transpose(centre, 1, 2), k, v, &(struct attention_options){0});
    y = tensor_matmul(group, tensor_transpose(y, 1, 2)); /* each token gets its group's row */
    return linear(s, "out_projection", merge_heads(tensor_transpose(y, 1, 2)), s->width, true);
}

KERNEL(clustered_query_attention) = {
    .name = "clustered-query-attention",
    .slot = SLOT_MIXER,
    .variant = "clustered-attention",
    .summary = "queries that fall into one cluster of hashes share one row of attention, that of their mean",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("clusters", 100, 1, 65536, "groups of queries"),
                       INTEGER_OPTION("iterations", 10, 1, 1000, "rounds of k-means"),
                       INTEGER_OPTION("bits", 63, 1, 4096, "bits of a hash"),
                       FLAG_OPTION("hash_bias", 1, "hyperplanes need not pass through zero")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .validate = validate_heads,
    .forward = forward,
};
