/* distance-vectors.h: products of queries and keys with trained vectors of the signed distance between them.
 * Queries are the last of the keys' tokens. */
#ifndef CLADE_KERNELS_DISTANCE_VECTORS_H
#define CLADE_KERNELS_DISTANCE_VECTORS_H

#include "block/kernel.h"

/* Rows of a table of 2 most + 1 distances -most .. most, by query t and key s: clip(t - s) + most, or with
 * `ahead` clip(s - t) + most. [1, 1, rows, columns]. */
static inline tensor *clipped_distances(struct graph *graph, int64_t rows, int64_t columns, int64_t most,
                                        bool ahead)
{
    tensor *places = tensor_constant(graph, NULL, 4, SHAPE(1, 1, rows, columns));
    for (int64_t t = 0; t < rows; t++)
        for (int64_t s = 0; s < columns; s++) {
            int64_t distance = columns - rows + t - s;
            distance = ahead ? -distance : distance;
            places->data[t * columns + s] = (real)(most + (distance < -most  ? -most
                                                           : distance > most ? most
                                                                             : distance));
        }
    return places;
}

/* q_t . a[place(t, s)] for q [B, H, T, d], vectors a [.., N, d] and places [1, 1, T, S]: [B, H, T, S]. */
static inline tensor *query_products(tensor *q, tensor *vectors, tensor *places)
{
    return tensor_gather(tensor_matmul_nt(q, vectors), 3, places);
}

/* k_s . a[place(t, s)] for k [B, H, S, d]: [B, H, T, S]. With one query each key meets one vector only. */
static inline tensor *key_products(tensor *k, tensor *vectors, tensor *places)
{
    if (places->shape[2] == 1) {
        int64_t heads = vectors->rank == 4 ? vectors->shape[1] : 1;
        vectors = tensor_reshape(vectors, 4, SHAPE(1, heads, tensor_length(vectors, -2), k->shape[3]));
        tensor *own = tensor_gather(vectors, 2, tensor_reshape(places, 4, SHAPE(1, 1, k->shape[2], 1)));
        return tensor_transpose(tensor_sum(tensor_multiply(k, own), 3), 2, 3);
    }
    places = tensor_contiguous(tensor_transpose(places, 2, 3));
    return tensor_transpose(tensor_gather(tensor_matmul_nt(k, vectors), 3, places), 2, 3);
}

#endif
