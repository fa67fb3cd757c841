/* FIRE (fire, section 3; the listing of its appendix): the bias of query t and key s is a small network's
 * answer to their distance over the query's position, both through a logarithm, so that it never sees a
 * number above 1:
 *
 *     b(t, s) = mlp(u)_h,    u = ln(|c (t - s)| + 1) / (ln(|c max(t, |m L|)| + 1) + epsilon),
 *         mlp = W2 relu(W0 u + b0) + b2
 *
 * c, and m = L_multiplier, are trained; L = threshold. All pairs have a hidden layer of their own: T S hidden
 * numbers. */
#include "distance-bias.h"

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    return (struct score_bias){.full = interpolated_bias(s, q->shape[2], q->shape[1], k->shape[1], "relu")};
}

KERNEL(functional_interpolation) = {
    .name = "functional-interpolation",
    .slot = SLOT_POSITION,
    .variant = "fire",
    .summary = "a network reads the distance relative to the query's position and gives the bias",
    .options = OPTIONS(INTEGER_OPTION("hidden", 32, 1, 1 << 16, "of the network"),
                       REAL_OPTION("threshold", 512, 0, 1e9, "L, below which positions are taken as it"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "added to the divisor")),
    .characters = CHARACTERS({"position", "relative"}),
    .bias = bias,
};
