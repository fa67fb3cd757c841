/* Momentum linear attention (momentum-transformer; RecurrentMomentumAttention of the published code). phi(u)
 * = elu(u) + 1,
 *
 *     P_t = mu P_{t-1} - beta phi(k_t) v_t^T,  S_t = S_{t-1} - P_t,  z_t = z_{t-1} + phi(k_t)
 *     o_t = S_t^T phi(q_t) / (phi(q_t) . z_t + epsilon)
 *
 * so key j weighs beta (1 - mu^(t-j+1)) / (1 - mu): the difference of an undecayed and a decayed sum, which
 * loses digits as mu nears 1 (in single precision 4e-5 at 0.999). The published training code weighs it by
 * its distance from the end of the sequence instead; that is the further output y_parallel. */
#include "block/kernel.h"
#include <math.h>

/* beta (1 - mu^(T-j+1)) / (1 - mu) for j = 1 .. T: [1, T, 1, 1]. */
static tensor *distance_from_end(struct scope *s, int64_t length)
{
    double mu = option_real(s, "mu"), beta = option_real(s, "step_size");
    tensor *weights = tensor_constant(s->graph, NULL, 4, SHAPE(1, length, 1, 1));
    for (int64_t j = 0; j < length; j++)
        weights->data[j] = (real)(beta * (1 - pow(mu, (double)(length - j))) / (1 - mu));
    return weights;
}

static tensor *finish(struct scope *s, tensor *values, tensor *denominator)
{
    return linear(s, "out_projection", merge_heads(tensor_divide(values, denominator)), s->width, true);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    double mu = option_real(s, "mu"), beta = option_real(s, "step_size");
    tensor *q =
        tensor_activation(split_heads(linear(s, "query_projection", x, s->width, true), heads), "elu+1");
    tensor *k =
        tensor_activation(split_heads(linear(s, "key_projection", x, s->width, true), heads), "elu+1");
    tensor *v = split_heads(linear(s, "value_projection", x, s->width, true), heads);
    struct linear_sums sums = kept_linear_sums(s, "S", q, k, v, NULL);
    tensor *values = sums.values;
    if (mu > 0) {
        tensor *decay = tensor_full(s->graph, log(mu), 1, SHAPE(heads));
        struct matrix_scan_options scan = {.log_decay = decay, .scale = mu};
        values = tensor_subtract(values, kept_matrix_scan(s, "P", q, k, v, scan));
    }
    values = tensor_scale(values, beta / (1 - mu));
    tensor *denominator = tensor_affine(sums.weights, 1, option_real(s, "epsilon"));
    if (s->inputs && !s->state) {
        tensor *weighted = tensor_multiply(v, distance_from_end(s, x->shape[1]));
        tensor *parallel = tensor_matrix_scan(q, k, weighted, &(struct matrix_scan_options){0});
        further_output(s, "y_parallel", finish(s, parallel, denominator));
    }
    return finish(s, values, denominator);
}

KERNEL(momentum_linear_attention) = {
    .name = "momentum-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "momentum-transformer",
    .summary = "linear attention whose state is written with heavy-ball momentum",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       REAL_OPTION("mu", 0.9, 0, 0.999999, "momentum"),
                       REAL_OPTION("step_size", 0.9, 0, 1e3, "beta"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "added to the denominator")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "gradient"},
                             {"decay", "none"}, {"feature-map", "elu"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
