/* Attention within clusters (routing-transformer, section 4; lucidrains/routing-transformer SelfAttention):
 * each of C centroids takes the w queries and the w keys that lie nearest to it, by the cosine, and those
 * attend among themselves.
 *
 *     Q_c = top w of q_t . m_c / |q_t|,   K_c = top w of k_s . m_c / |k_s|,   C = length / w
 *     o_t = sum over the clusters with t in Q_c of softmax(q_t . k_s / sqrt(d) over K_c) v_s,
 *         / (number of those clusters + 1e-5)
 *
 * Learned keys and values of each cluster stand before its own, at least one where else a query might see
 * nothing. With shared_qk queries serve as keys, of unit length, and see themselves only where there is
 * nothing else. The first local_heads heads attend to their own and the preceding window instead, with rotary
 * positions.
 *
 * Causal masks hide later tokens, but these still compete for a place in a cluster, as published. The
 * centroids are a buffer: their running k-means is part of training. */
#include "block/kernel.h"
#include <math.h>

/* The w tokens nearest to each centroid: [B, H, C, w]. */
static tensor *nearest(struct scope *s, tensor *x, tensor *means)
{
    int64_t T = x->shape[2], w = option(s, "window");
    tensor *cosines = tensor_matmul_nt(means, tensor_l2_norm_max(tensor_stop_gradient(x), 1e-12)), *chosen;
    tensor_top_k(cosines, w < T ? w : T, &chosen);
    return chosen;
}

/* Rows of x [B, H, T, d] for chosen [B, H, C, w]: [B, H, C, w, d]. */
static tensor *rows_of(tensor *x, tensor *chosen)
{
    int64_t B = x->shape[0], H = x->shape[1], C = chosen->shape[2], w = chosen->shape[3];
    tensor *rows = tensor_gather(x, 2, tensor_reshape(chosen, 4, SHAPE(B, H, C * w, 1)));
    return tensor_reshape(rows, 5, SHAPE(B, H, C, w, x->shape[3]));
}

/* Learned rows [H, C, n, d] of each cluster before its own. */
static tensor *with_memory(struct scope *s, const char *name, tensor *rows, int64_t n)
{
    int64_t B = rows->shape[0], H = rows->shape[1], C = rows->shape[2], d = rows->shape[4];
    if (n == 0)
        return rows;
    tensor *memory = parameter(s, name, init_normal(1), 4, SHAPE(H, C, n, d));
    memory = tensor_broadcast(memory, 5, SHAPE(B, H, C, n, d));
    return tensor_concat(2, (tensor *[]){memory, rows}, 3);
}

static int64_t memory_keys(const struct scope *s)
{
    int64_t needed = option(s, "causal") && !option(s, "shared_qk");
    return option(s, "memory_keys") > needed ? option(s, "memory_keys") : needed;
}

/* Scores [B, H, C, w, n + w] of queries and keys at the places `to` and `from`, the first n keys being
 * learned. */
static tensor *masked(struct scope *s, tensor *scores, tensor *to, tensor *from)
{
    int64_t B = scores->shape[0], H = scores->shape[1], C = scores->shape[2], w = scores->shape[3];
    int64_t n = scores->shape[4] - w;
    to = tensor_reshape(to, 5, SHAPE(B, H, C, w, 1));
    from = tensor_pad(tensor_reshape(from, 5, SHAPE(B, H, C, 1, w)), 4, n, 0, -1);
    if (option(s, "causal"))
        scores = tensor_where(tensor_greater(from, to), tensor_scalar(s->graph, -INFINITY), scores);
    if (option(s, "shared_qk"))
        scores = tensor_where(tensor_equal(from, to), tensor_scalar(s->graph, -5e4), scores);
    return scores;
}

/* q, k, v [B, H, T, d] -> [B, H, T, d]; k is q with shared_qk. */
static tensor *route(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t B = q->shape[0], H = q->shape[1], T = q->shape[2], d = q->shape[3], n = memory_keys(s);
    int64_t C = option(s, "length") / option(s, "window");
    tensor *means =
        buffer(s, "global_attn.kmeans.means", init_normal(1 / sqrt((double)d)), 3, SHAPE(H, C, d));
    tensor *to = nearest(s, q, means), *from = q == k ? to : nearest(s, k, means);
    if (q == k)
        k = tensor_l2_norm_max(k, 1e-12);
    k = with_memory(s, "global_attn.mem_key", rows_of(k, from), n);
    v = with_memory(s, "global_attn.mem_value", rows_of(v, from), n);
    tensor *scores = tensor_scale(tensor_matmul_nt(rows_of(q, to), k), 1 / sqrt((double)d));
    tensor *o = tensor_matmul(tensor_softmax(masked(s, scores, to, from), 4), v);
    tensor *ones =
        tensor_full(s->graph, 1, 5, SHAPE(B, H, C, to->shape[3], 1)); /* beside o: how many clusters */
    o = tensor_reshape(tensor_concat(2, (tensor *[]){o, ones}, 4), 4, SHAPE(B, H, -1, d + 1));
    o = tensor_scatter_add(o, 2, tensor_reshape(to, 4, SHAPE(B, H, -1, 1)), T);
    tensor *count = tensor_affine(tensor_slice(o, 3, d, 1), 1, 1e-5);
    return tensor_divide(tensor_slice(o, 3, 0, d), count);
}

static tensor *route_heads(struct scope *s, tensor *x, int64_t heads, int64_t d)
{
    const char *const names[] = {"to_q", "to_v", "to_k"};
    tensor *parts[3];
    for (int i = 0; i < (option(s, "shared_qk") ? 2 : 3); i++)
        parts[i] = tensor_transpose(split_heads(linear(s, names[i], x, heads * d, false), heads), 1, 2);
    return tensor_transpose(route(s, parts[0], option(s, "shared_qk") ? parts[0] : parts[2], parts[1]), 1, 2);
}

static int64_t local_window(const struct scope *s)
{
    return option_or(s, "local_window", option(s, "window") > 1 ? option(s, "window") / 2 : 1);
}

static tensor *local_heads(struct scope *s, tensor *x, int64_t heads, int64_t d)
{
    tensor *qkv = linear(s, "local_to_qkv", x, 3 * heads * d, true), *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(qkv, 2, i * heads * d, heads * d), heads);
    tensor *angles = rotary_angles(s, 0, x->shape[1], d / 2, 10000);
    struct attention_options options = {.causal = option(s, "causal"),
                                        .block = local_window(s),
                                        .look_backward = 1,
                                        .look_forward = !option(s, "causal")};
    return tensor_attention(tensor_rotary(parts[0], angles, false), tensor_rotary(parts[1], angles, false),
                            parts[2], &options);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), local = option(s, "local_heads");
    tensor *outputs[2];
    int count = 0;
    if (local > 0)
        outputs[count++] = local_heads(s, x, local, d);
    if (local < heads)
        outputs[count++] = route_heads(s, x, heads - local, d);
    return linear(s, "to_out", merge_heads(tensor_concat(count, outputs, 2)), s->width, false);
}

static const char *character(const struct scope *s, const char *name)
{
    return option(s, "causal") ? NULL : causality_by_option(s, name);
}

static const char *validate(const struct scope *s)
{
    if (option(s, "local_heads") > option(s, "heads"))
        return "there are more local_heads than heads";
    if (option(s, "length") < option(s, "window"))
        return "length is less than a window: there would be no centroids";
    if (validate_heads(s))
        return validate_heads(s);
    return option(s, "local_heads") && head_dim(s) % 2
               ? "a local head needs an even number of channels to turn"
               : NULL;
}

KERNEL(cluster_routing_attention) = {
    .name = "cluster-routing-attention",
    .slot = SLOT_MIXER,
    .variant = "routing-transformer",
    .summary = "each centroid takes the nearest queries and keys, which attend among themselves",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        INTEGER_OPTION("local_heads", 0, 0, 1024, "of them attend to a window instead"),
        INTEGER_OPTION("window", 128, 1, 1 << 20, "tokens that a centroid takes"),
        INTEGER_OPTION("length", 1024, 1, 1 << 26, "tokens for which there are centroids, length / window"),
        INTEGER_OPTION("local_window", 0, 0, 1 << 20, "tokens of a local window; 0: half of window"),
        INTEGER_OPTION("memory_keys", 0, 0, 65536, "learned keys of each cluster"),
        FLAG_OPTION("shared_qk", 0, "queries serve as keys"),
        FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "linear"},
                             {"decode-cost", "replay"}, {"causality", "approximate"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
