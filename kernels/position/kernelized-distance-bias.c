/* KERPLE (kerple, sections 3.2 and 4; chijames/KERPLE ParallelKerpleLog and ParallelKerplePower):
 * conditionally positive definite kernels of the distance n = t - s, with trained numbers per head, are added
 * to the scores a = q_t . k_s / sqrt(d):
 *
 *     logarithmic     a - p ln(1 + c n)                     p = bias_p, c = bias_a, at least epsilon
 *     power           a - c n^p                             epsilon <= p <= 2
 *     power-scaled    a exp(-c' n^p') - c n^p               p' = wei_p, c' = wei_a, bounded like p and c
 *
 * A number outside its range is put back to the end of it at every call, and its gradient is that at the end.
 * The last form has to form the scores. */
#include "distance-bias.h"

/* c n^p for n = 0 .. length - 1: [H, length]. */
static tensor *power(struct scope *s, const char *p_name, const char *c_name, int64_t heads, int64_t length)
{
    double epsilon = option_real(s, "epsilon");
    tensor *p = bounded_parameter(s, p_name, heads, 2, epsilon, 2);
    tensor *c = bounded_parameter(s, c_name, heads, 1, epsilon, 1e30);
    tensor *n = tensor_range(s->graph, 0, length, 1);
    tensor *log_n = tensor_log(tensor_maximum(n, tensor_scalar(s->graph, 1)));
    tensor *positive = tensor_greater(n, tensor_scalar(s->graph, 0)); /* 0^p is 0 */
    return tensor_multiply(tensor_multiply(c, positive), tensor_exp(tensor_multiply(p, log_n)));
}

/* The change of the scaled scores by exp(-c' n^p'): [B, H, T, S]. */
static tensor *scaling(struct scope *s, tensor *q, tensor *k)
{
    tensor *factor = tensor_expm1(tensor_negate(power(s, "wei_p", "wei_a", q->shape[2], k->shape[1])));
    return tensor_multiply(scaled_scores(q, k), spread_distances(factor, q->shape[1]));
}

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    int64_t heads = q->shape[2], length = k->shape[1];
    if (option_is(s, "form", "logarithmic"))
        return (struct score_bias){.distance = logarithmic_bias(s, heads, length, option_real(s, "epsilon"))};
    struct score_bias both = {.distance = tensor_negate(power(s, "bias_p", "bias_a", heads, length))};
    if (option_is(s, "form", "power-scaled"))
        both.full = scaling(s, q, k);
    return both;
}

KERNEL(kernelized_distance_bias) = {
    .name = "kernelized-distance-bias",
    .slot = SLOT_POSITION,
    .variant = "kerple",
    .summary = "scores fall with a trained logarithm or power of the distance",
    .options = OPTIONS(CHOICE_OPTION("form", "logarithmic|power|power-scaled", "the kernel"),
                       REAL_OPTION("epsilon", 0.01, 0, 1, "least value of the trained numbers")),
    .characters = CHARACTERS({"position", "relative"}),
    .bias = bias,
};
