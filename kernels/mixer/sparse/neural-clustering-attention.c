/* ClusterFormer's neural clustering attention (clusterformer, sections 3.1 and 3.2, appendix B): tokens are
 * grouped by centroids that move to them, sorted by group, and attend within equal blocks of that order.
 *
 *     U_ij = softmax_j(C_i . W x_j),   C'_i = sum_j U_ij W x_j,   I_j = argmax_i U_ij
 *         C: learned in the first layer, then the C' before
 *     z_j = softmax(q_j . k / sqrt(d)) v over j's block of ceil(T / K) sorted tokens and the one before it
 *
 * The first block's neighbour is the last, as the loss on centroids has it. No gradient passes through I, so
 * centroids learn from the losses alone, the further outputs clustering_loss = -mean_j x_j . C'_{I_j} and
 * sorting_loss = -mean_i C'_i . C'_{i-1}. The paper has no heads; there are H of them here, sorted alike.
 * With `causal` later tokens are hidden; the appendix sets their scores to 0 instead. They still move
 * centroids and blocks. */
#include "block/kernel.h"
#include <math.h>

/* The group of each token, [B, T]. */
static tensor *groups(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], T = x->shape[1], D = s->width, K = option(s, "clusters");
    tensor *centroids = s->layer > 0 ? layer_find(s, s->layer - 1, "centroids") : NULL;
    if (!centroids)
        centroids = parameter(s, "centroids", init_normal(1 / sqrt((double)D)), 2, SHAPE(K, D));
    tensor *mapped = linear(s, "cluster_proj", x, D, false);
    tensor *share = tensor_softmax(tensor_matmul_nt(centroids, mapped), 2); /* [B, K, T] */
    centroids = tensor_matmul(share, mapped);
    layer_leave(s, "centroids", centroids);
    tensor *group = tensor_reshape(tensor_argmax(share, 1), 2, SHAPE(B, T));
    tensor *own = tensor_matmul(tensor_one_hot(group, K), centroids);
    further_output(s, "clustering_loss",
                   tensor_scale(tensor_sum_all(tensor_multiply(x, own)), -1 / (double)(B * T)));
    tensor *pairs = tensor_multiply(centroids, tensor_roll(centroids, 1, 1));
    further_output(s, "sorting_loss", tensor_scale(tensor_sum_all(pairs), -1 / (double)(B * K)));
    return group;
}

/* x [B, n w, ..] as blocks [B n, w, ..], each with the rows of the block before in front if asked. */
static tensor *blocks(tensor *x, int64_t w, bool with_previous)
{
    int64_t B = x->shape[0], n = x->shape[1] / w, C = x->shape[2];
    x = tensor_reshape(x, 4, SHAPE(B, n, w, C));
    if (with_previous && n > 1)
        x = tensor_concat(2, (tensor *[]){tensor_roll(x, 1, 1), x}, 2);
    return tensor_reshape(x, 3, SHAPE(B * n, x->shape[2], C));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], T = x->shape[1], D = s->width, heads = option(s, "heads"),
            K = option(s, "clusters");
    int64_t w = (T + K - 1) / K, missing = (T + w - 1) / w * w - T;
    tensor *order, *place;
    tensor_sort(groups(s, x), false, &order);
    tensor_sort(order, false, &place);
    x = tensor_gather(x, 1, tensor_reshape(order, 3, SHAPE(B, T, 1)));
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    tensor *parts[3];
    for (int i = 0; i < 3; i++) {
        tensor *part = tensor_pad(linear(s, names[i], x, D, false), 1, 0, missing, 0);
        parts[i] = split_heads(blocks(part, w, i > 0), heads);
    }
    /* Rows that fill the last block stand after all tokens, and are hidden from them. */
    tensor *position = tensor_pad(tensor_reshape(order, 3, SHAPE(B, T, 1)), 1, 0, missing, (double)T);
    tensor *to = blocks(position, w, false), *from = tensor_transpose(blocks(position, w, true), 1, 2);
    tensor *last = option(s, "causal") ? to : tensor_maximum(to, tensor_scalar(s->graph, (double)(T - 1)));
    tensor *bias = tensor_where(tensor_greater(from, last), tensor_scalar(s->graph, -INFINITY),
                                tensor_scalar(s->graph, 0));
    bias = tensor_reshape(bias, 4, SHAPE(bias->shape[0], 1, w, bias->shape[2]));
    tensor *y = merge_heads(
        tensor_attention(parts[0], parts[1], parts[2], &(struct attention_options){.bias = bias}));
    y = tensor_gather(tensor_reshape(y, 3, SHAPE(B, -1, D)), 1, tensor_reshape(place, 3, SHAPE(B, T, 1)));
    return linear(s, "o_proj", y, D, false);
}

static const char *character(const struct scope *s, const char *name)
{
    return option(s, "causal") ? NULL : causality_by_option(s, name);
}

KERNEL(neural_clustering_attention) = {
    .name = "neural-clustering-attention",
    .slot = SLOT_MIXER,
    .variant = "clusterformer",
    .summary = "tokens sorted by the nearest of centroids that move to them attend within equal blocks",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("clusters", 16, 1, 65536, "centroids, and blocks at most"),
                       FLAG_OPTION("causal", 0, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "replay"}, {"causality", "approximate"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
};
