/* Relative positions that interact with queries and keys (better-rpe, methods 1 to 4; method 4 as
 * transformers' relative_key_query): the score q_t . k_s / sqrt(d) becomes, with n = t - s clipped to less
 * than `length` on either side,
 *
 *     unsigned (1)   q_t . k_s a(|n|) / sqrt(d)              a scalar of the distance
 *     signed (2)     q_t . k_s a(n) / sqrt(d)                a scalar of the distance and its direction
 *     vector (3)     sum_c q_tc k_sc a_c(n) / sqrt(d)        a vector
 *     products (4)   (q_t . k_s + q_t . a(n) + k_s . a(n)) / sqrt(d)
 *
 * a = distance_embedding.weight [2 length - 1, 1 or d], row n + length - 1 ([length, 1] without a sign), the
 * same for all heads. Factors start at 1, which is plain attention. The added form is what changes the score;
 * B H T S numbers. */
#include "distance-bias.h"
#include "distance-vectors.h"

enum { ROWS = 16 }; /* queries whose products of channels are there at once */

/* sum_c q_tc k_sc a_c(n) for q [B, H, T, d] and k [B, H, S, d]. */
static tensor *vector_products(tensor *q, tensor *k, tensor *vectors, tensor *places)
{
    int64_t batch = q->shape[0], heads = q->shape[1], d = q->shape[3], columns = k->shape[2];
    struct pieces parts = {0};
    k = tensor_reshape(k, 5, SHAPE(batch, heads, 1, columns, d));
    for (int64_t start = 0; start < q->shape[2]; start += ROWS) {
        int64_t rows = q->shape[2] - start < ROWS ? q->shape[2] - start : ROWS;
        tensor *n = tensor_reshape(tensor_slice(places, 2, start, rows), 2, SHAPE(rows, columns));
        tensor *own = tensor_reshape(tensor_slice(q, 2, start, rows), 5, SHAPE(batch, heads, rows, 1, d));
        tensor *all = tensor_multiply(tensor_multiply(own, tensor_rows(vectors, n)), k);
        add_piece(&parts, tensor_reshape(tensor_sum(all, 4), 4, SHAPE(batch, heads, rows, columns)));
    }
    return join_pieces(&parts, 2);
}

/* The scores' factors, [rows, columns], of a table with a scalar for each distance. */
static tensor *scalar_factors(tensor *table, tensor *places, int64_t rows, int64_t columns)
{
    places = tensor_reshape(places, 1, SHAPE(rows * columns));
    return tensor_reshape(tensor_rows(table, places), 2, SHAPE(rows, columns));
}

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    int64_t d = q->shape[3], most = option(s, "length") - 1, rows = q->shape[1], columns = k->shape[1];
    bool products = option_is(s, "method", "products"), vector = option_is(s, "method", "vector");
    bool sizes = option_is(s, "method", "unsigned"); /* of distances, without their signs */
    tensor *table = parameter(s, "distance_embedding.weight", products ? init_normal(0.02) : init_constant(1),
                              2, SHAPE(sizes ? most + 1 : 2 * most + 1, products || vector ? d : 1));
    tensor *places = clipped_distances(s->graph, rows, columns, most, false);
    if (sizes)
        places = tensor_absolute(tensor_affine(places, 1, (double)-most));
    tensor *plain = products ? NULL : scaled_scores(q, k);
    q = tensor_transpose(tensor_scale(q, 1 / sqrt((double)d)), 1, 2);
    k = tensor_transpose(repeat_heads(k, q->shape[1] / k->shape[2]), 1, 2);
    tensor *full;
    if (products)
        full = tensor_add(query_products(q, table, places),
                          tensor_scale(key_products(k, table, places), 1 / sqrt((double)d)));
    else if (vector)
        full = tensor_subtract(vector_products(q, k, table, places), plain);
    else
        full = tensor_multiply(plain, tensor_affine(scalar_factors(table, places, rows, columns), 1, -1));
    return (struct score_bias){.full = full};
}

KERNEL(query_key_distance) = {
    .name = "query-key-distance",
    .slot = SLOT_POSITION,
    .variant = "better-rpe",
    .summary = "trained scalars or vectors of the signed distance interact with queries and keys",
    .options = OPTIONS(CHOICE_OPTION("method", "products|unsigned|signed|vector", "how they interact"),
                       INTEGER_OPTION("length", 512, 1, 1 << 24,
                                      "distances on either side that have an own row, 0 included")),
    .characters = CHARACTERS({"position", "relative"}),
    .bias = bias,
};
