/* kNN-LM (knn-lm; urvashik/knnlm fairseq/knnlm.py, sequence_scorer.py): the next-token distribution is mixed
 * with that of the `neighbours` nearest entries of a datastore of context vectors and the tokens that
 * followed them,
 *
 *     w = softmax(-|q - key_i|^2) over the nearest,   p_kNN(v) = sum of w_i over entries with the value v
 *     y = log((1 - lambda) softmax(logits) + lambda p_kNN),
 *         log p_kNN = -10000 where no neighbour has the value v
 *
 * The search is exact; gradients flow through q and the logits, not into the datastore, buffers `keys` [N, C]
 * and `vals` [N, 1]. Alone x is the context vector and the further input `logits` [B, T, V] the model's; over
 * a stack the last layer's output is both. */
#include "block/kernel.h"
#include <math.h>

/* Until a datastore is loaded: places on a line, values in turn. */
static void fill_keys(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        values[i] = (real)sin((double)(7 * i + 1));
}

static void fill_values(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)(i % s->width);
}

/* p_kNN [B, T, V]. */
static tensor *neighbour_shares(struct scope *s, tensor *q, int64_t vocabulary)
{
    int64_t B = q->shape[0], T = q->shape[1], C = q->shape[2], N = option(s, "entries"),
            k = option(s, "neighbours");
    tensor *keys = buffer(s, "keys", init_function(fill_keys), 2, SHAPE(N, C)), *places;
    tensor *values =
        tensor_reshape(buffer(s, "vals", init_function(fill_values), 2, SHAPE(N, 1)), 1, SHAPE(N));
    tensor *sizes = tensor_reshape(tensor_sum(tensor_square(keys), 1), 1, SHAPE(N));
    tensor *closeness =
        tensor_subtract(tensor_scale(tensor_matmul_nt(tensor_stop_gradient(q), keys), 2), sizes);
    tensor_top_k(closeness, k < N ? k : N, &places);
    tensor *apart = tensor_subtract(tensor_reshape(q, 4, SHAPE(B, T, 1, C)), tensor_rows(keys, places));
    tensor *distances = tensor_reshape(tensor_sum(tensor_square(apart), 3), 3, places->shape);
    tensor *weights = tensor_softmax(tensor_negate(distances), 2);
    return tensor_scatter_add(weights, 2, tensor_rows(values, places), vocabulary);
}

static tensor *forward(struct scope *s, tensor *x)
{
    double share = option_real(s, "lambda");
    tensor *q = stands_alone(s) ? x : stack_forward(s, x),
           *logits = stands_alone(s) ? further_input(s, "logits") : q;
    logits = logits ? logits : q;
    tensor *p = neighbour_shares(s, q, logits->shape[2]);
    tensor *found = tensor_greater(p, tensor_scalar(s->graph, 1e-37));
    tensor *log_found = tensor_where(found, tensor_log(tensor_where(found, p, tensor_scalar(s->graph, 1))),
                                     tensor_scalar(s->graph, -10000));
    tensor *a = tensor_affine(tensor_log_softmax(logits, 2), 1, log1p(-share));
    tensor *b = tensor_affine(log_found, 1, log(share));
    tensor *closer = tensor_exp(tensor_negate(tensor_absolute(tensor_subtract(a, b))));
    return tensor_add(tensor_maximum(a, b), tensor_log1p(closer));
}

KERNEL(nearest_neighbour_interpolation) = {
    .name = "nearest-neighbour-interpolation",
    .slot = SLOT_PROCEDURE,
    .variant = "knn-lm",
    .summary = "mixes the next-token distribution with that of the nearest stored contexts",
    .options = OPTIONS(INTEGER_OPTION("entries", 64, 1, 1 << 30, "of the datastore"),
                       INTEGER_OPTION("neighbours", 8, 1, 1 << 20, "nearest entries that count"),
                       REAL_OPTION("lambda", 0.25, 1e-9, 0.999999999, "their share")),
    .characters = CHARACTERS({"memory", "retrieval"}),
    .forward = forward,
    .step = forward,
};
