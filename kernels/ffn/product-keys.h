/* product-keys.h: the search of a large table by keys that are pairs of half keys (product-key-memory,
 * section 3.1). */
#ifndef CLADE_KERNELS_PRODUCT_KEYS_H
#define CLADE_KERNELS_PRODUCT_KEYS_H

#include "block/kernel.h"

/* Scores of the chosen entries and their places in the table, [B, T, H, count]. */
struct found_keys {
    tensor *scores, *places;
};

/* Of the n^2 entries whose key is (keys[h, i, 0], keys[h, j, 1]) and whose place is i n + j, for every head
 * the `count` whose score, the sum of both halves' products with the query's, is largest. Only the
 * `candidates` best of each half are paired, among which those are if count <= candidates. queries
 * [B, T, 2 H d] are the first halves of all heads and then the second ones; with a norm each half query goes
 * through layer norm NORM first. keys [H, n, 2, d]. */
static inline struct found_keys find_product_keys(struct scope *s, tensor *queries, tensor *keys,
                                                  int64_t candidates, int64_t count, const char *norm)
{
    int64_t heads = keys->shape[0], n = keys->shape[1], half = heads * keys->shape[3];
    int64_t batch = queries->shape[0], length = queries->shape[1];
    tensor *scores[2], *places[2];
    for (int i = 0; i < 2; i++) {
        tensor *q = split_heads(tensor_slice(queries, 2, i * half, half), heads);
        if (norm)
            q = layer_norm(s, norm, q, 1e-5);
        tensor *of_half = tensor_reshape(tensor_slice(keys, 2, i, 1), 3, SHAPE(heads, n, keys->shape[3]));
        scores[i] = tensor_top_k(per_head_product(q, of_half, true), candidates, &places[i]);
    }
    const int64_t *rows = SHAPE(batch, length, heads, candidates, 1);
    const int64_t *columns = SHAPE(batch, length, heads, 1, candidates);
    const int64_t *pairs = SHAPE(batch, length, heads, candidates * candidates);
    tensor *sums = tensor_add(tensor_reshape(scores[0], 5, rows), tensor_reshape(scores[1], 5, columns));
    tensor *all = tensor_add(tensor_scale(tensor_reshape(places[0], 5, rows), (double)n),
                             tensor_reshape(places[1], 5, columns));
    struct found_keys found;
    tensor *chosen;
    found.scores = tensor_top_k(tensor_reshape(sums, 4, pairs), count, &chosen);
    found.places = tensor_gather(tensor_reshape(all, 4, pairs), 3, chosen);
    return found;
}

#endif
