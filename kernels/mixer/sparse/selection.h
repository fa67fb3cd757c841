/* selection.h: for each query the keys that score best. */
#ifndef CLADE_KERNELS_SELECTION_H
#define CLADE_KERNELS_SELECTION_H

#include "block/kernel.h"
#include <math.h>

/* Scores [B, H, T, S] of q [B, T, H, e] with k [B, S, G, e], query head h with key head h / (H / G),
 * -infinity after the query's place t + offset where `causal`. */
static inline tensor *plain_scores(tensor *q, tensor *k, double scale, bool causal, int64_t offset)
{
    int64_t B = q->shape[0], T = q->shape[1], H = q->shape[2], e = q->shape[3], S = k->shape[1],
            G = k->shape[2];
    tensor *rows = tensor_reshape(tensor_transpose(q, 1, 2), 5, SHAPE(B, G, H / G, T, e));
    tensor *columns = tensor_reshape(tensor_transpose(k, 1, 2), 5, SHAPE(B, G, 1, S, e));
    tensor *scores =
        tensor_scale(tensor_reshape(tensor_matmul_nt(rows, columns), 4, SHAPE(B, H, T, S)), scale);
    if (!causal)
        return scores;
    return tensor_where(lower_triangle(q->graph, T, S, offset), scores, tensor_scalar(q->graph, -INFINITY));
}

/* Numbers of the `keep` keys that score best, in no order and without gradients, as lists of single keys
 * [B, H, T, keep] for tensor_sparse_attention(). Queries are taken `chunk` at a time, so that their scores
 * are never all there. */
static inline tensor *best_keys(tensor *q, tensor *k, int64_t keep, bool causal, int64_t offset,
                                int64_t chunk)
{
    int64_t T = q->shape[1], S = k->shape[1];
    struct pieces lists = {0};
    q = tensor_stop_gradient(q);
    k = tensor_stop_gradient(k);
    for (int64_t start = 0; start < T; start += chunk) {
        int64_t rows = T - start < chunk ? T - start : chunk, seen = S;
        if (causal && start + rows + offset < S)
            seen = start + rows + offset;
        int64_t count = keep < seen ? keep : seen;
        tensor *scores = plain_scores(tensor_slice(q, 1, start, rows), tensor_slice(k, 1, 0, seen), 1, causal,
                                      start + offset);
        tensor *places;
        tensor_top_k(scores, count, &places);
        add_piece(&lists, tensor_pad(places, 3, 0, keep - count, -1));
    }
    return join_pieces(&lists, 2);
}

/* Attention of each query to the `keep` keys that the rankings place first for it. */
static inline tensor *attend_to_best(tensor *q, tensor *k, tensor *v, tensor *ranking_q, tensor *ranking_k,
                                     int64_t keep, bool causal, int64_t chunk)
{
    int64_t offset = k->shape[1] - q->shape[1];
    tensor *lists = best_keys(ranking_q, ranking_k, keep, causal, offset, chunk);
    struct sparse_attention_options options = {
        .query_block = 1, .key_block = 1, .causal = causal, .offset = offset};
    return tensor_sparse_attention(q, k, v, lists, &options);
}

#endif
