/* adamw.h: Adam with decoupled weight decay (Loshchilov & Hutter, "Decoupled weight decay regularization",
 * ICLR 2019, algorithm 2):
 *
 *     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *     w -= rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + decay w)
 *
 * Vectors (biases, norms) do not decay. */
#ifndef CLADE_BLOCK_ADAMW_H
#define CLADE_BLOCK_ADAMW_H

#include "block/parameters.h"

struct adamw_options {
    double rate, beta1, beta2, epsilon, decay;
    double clip; /* gradients are scaled so that their norm over all parameters is at most this; 0: not */
};
/* 1e-3, 0.9, 0.999, 1e-8, 0.01, 1 */
struct adamw_options adamw_defaults(void);

struct adamw;
/* For the parameters as they are; they must outlive it and not grow. */
struct adamw *adamw_create(struct parameters *parameters, struct adamw_options options);
void adamw_free(struct adamw *adamw); /* NULL is fine */
void adamw_set_rate(struct adamw *adamw, double rate);

/* One step with the gradients of the graph that the parameters are bound to, after graph_backward(); a
 * parameter without one stays. STATUS_NO, and nothing changed, if a gradient is not finite: the message names
 * the parameter. */
enum status adamw_step(struct adamw *adamw, struct error *error);

#endif
