/* Doubly stochastic attention (sinkformers; michaelsdr/sinkformers SinkhornDistance). The softmax over keys
 * is the first of several normalisations, of rows and of columns in turn, towards weights that sum to one
 * either way:
 *
 *     S = q k^T / sqrt(d),   u = v = 0,   i = 0, 2, ..:  u_t = -log T - log sum_s exp(S_ts + v_s),
 *                                         i = 1, 3, ..:  v_s = -log T - log sum_t exp(S_ts + u_t),
 *                                             weights T exp(S + u + v)
 *
 * One iteration is the softmax. As published, gradients pass through S and the last u, and not through any v.
 * Every key's factor depends on all queries, so it is not causal. */
#include "pair-scores.h"

static tensor *sinkhorn(tensor *scores, int64_t iterations)
{
    double share = log((double)scores->shape[3]);
    tensor *u = NULL, *v = NULL;
    for (int64_t i = 0; i < iterations; i++) {
        if (i % 2 == 0)
            u = tensor_affine(tensor_log_sum_exp(v ? tensor_add(scores, v) : scores, 3), -1, -share);
        else
            v = tensor_stop_gradient(tensor_affine(tensor_log_sum_exp(tensor_add(scores, u), 2), -1, -share));
    }
    tensor *logarithm = tensor_affine(tensor_add(scores, u), 1, share);
    return tensor_exp(v ? tensor_add(logarithm, v) : logarithm);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *q = heads_first(linear(s, "WQ", x, s->width, true), heads);
    tensor *k = heads_first(linear(s, "WK", x, s->width, true), heads);
    tensor *v = heads_first(linear(s, "WV", x, s->width, true), heads);
    tensor *scores = tensor_scale(tensor_matmul_nt(q, k), 1 / sqrt((double)head_dim(s)));
    tensor *weights = sinkhorn(scores, option(s, "iterations"));
    return linear(s, "linear", weighted_values(weights, v), s->width, true);
}

KERNEL(doubly_stochastic_attention) = {
    .name = "doubly-stochastic-attention",
    .slot = SLOT_MIXER,
    .variant = "sinkformers",
    .summary = "scores are normalised over keys and over queries in turn",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("iterations", 3, 1, 1000, "normalisations, of rows first")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "other"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"time", "quadratic"}, {"causality", "bidirectional"}),
    .validate = validate_heads,
    .forward = forward,
};
