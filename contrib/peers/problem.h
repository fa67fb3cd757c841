/* problem.h: one operation with the tensors that every peer computes it on. */
#ifndef CLADE_PEERS_PROBLEM_H
#define CLADE_PEERS_PROBLEM_H

#include <stdbool.h>
#include <stdint.h>

/* In the notation of tensor.h, y [T, H, e] of one sequence:
 *   CAUSAL_ATTENTION            softmax(scale q k^T, masked) v
 *   LINEAR_ATTENTION            S_t = S_{t-1} + k_t v_t^T,                                    y_t = scale S_t^T q_t
 *   GATED_LINEAR_ATTENTION      S_t = diag(exp(log_decay_t)) S_{t-1} + k_t v_t^T,             a gate for each key channel
 *   DELTA_RULE                  S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}^T k_t)^T
 *   GATED_DELTA_RULE            the same on exp(log_decay_t) S_{t-1}, one gate a head
 *   STATE_SPACE_DUAL            s = softplus(delta_t), S_t = exp(s rate) S_{t-1} + k_t (s v_t)^T, y_t = S_t^T q_t:
 *                               Mamba-2's scan, with v its x, k its B, q its C and rate its A */
enum peer_operation {
    CAUSAL_ATTENTION,
    LINEAR_ATTENTION,
    GATED_LINEAR_ATTENTION,
    DELTA_RULE,
    GATED_DELTA_RULE,
    STATE_SPACE_DUAL,
    OPERATIONS
};

struct problem {
    enum peer_operation operation;
    int64_t length, heads, key_heads; /* T, H, G: queries and keys have H heads or one */
    int64_t width, value_width;       /* d, e */
    double scale;
    /* NULL where the operation has none. */
    float *query, *key; /* [T, G, d] */
    float *value;       /* [T, H, e] */
    float *log_decay;   /* [T, H, d], or [T, H] of the gated delta rule */
    float *beta;        /* [T, H] */
    float *delta;       /* [T, H] */
    float *rate;        /* [H] */
};

const char *operation_name(enum peer_operation operation); /* "causal-attention" */
/* OPERATIONS for an unknown name. */
enum peer_operation operation_from_name(const char *name);

/* Eight heads of 64 channels (state-space dual: 128 states, shared by the heads), random values of the scale
 * that a trained layer has: unit queries and keys for the delta rules, gates of exp(-0.03) and so on. */
struct problem *problem_create(enum peer_operation operation, int64_t length);
void problem_free(struct problem *problem);

int64_t problem_query_size(const struct problem *problem);  /* elements of query and of key */
int64_t problem_result_size(const struct problem *problem); /* of value and of y */
int64_t problem_decay_size(const struct problem *problem);  /* of log_decay; 0 without */

#endif
