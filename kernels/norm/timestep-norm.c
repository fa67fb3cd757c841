/* Timestep normalisation (megalodon, section 3.2; csrc/ops/timestep_norm.cc of XuezheMax/megalodon): each
 * group of channels is centred and scaled by its mean and variance over all tokens so far. With m_t and s_t
 * the mean and variance of a group within token t,
 *
 *     v_t = (1 - 1/t) v_{t-1} + s_t / t + (1 - 1/t) (m_t - u_{t-1})^2 / t,
 *         u_t = (1 - 1/t) u_{t-1} + m_t / t
 *     y_t = (x_t - u_t) / sqrt(v_t + epsilon) (1 + weight) + bias
 *
 * The ffn, whose input attention has mixed over time already, keeps a layer norm of that form unless `ffn`
 * says otherwise. */
#include "block/kernel.h"

/* y (1 + weight) + bias */
static tensor *with_weights(struct scope *s, tensor *y)
{
    if (!option(s, "affine"))
        return y;
    tensor *weight = parameter(s, "weight", init_constant(0), 1, SHAPE(s->width));
    return tensor_add(tensor_multiply(y, tensor_affine(weight, 1, 1)),
                      parameter(s, "bias", init_constant(0), 1, SHAPE(s->width)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    if (s->branch == 1 && option_is(s, "ffn", "layer"))
        return with_weights(s, tensor_layer_norm(x, NULL, NULL, option_real(s, "epsilon")));
    int64_t groups = option(s, "groups"), batch = x->shape[0], length = x->shape[1];
    tensor *grouped = split_heads(x, groups);
    tensor *mean = tensor_reshape(tensor_mean(grouped, 3), 3, SHAPE(batch, length, groups));
    tensor *variance = tensor_reshape(tensor_variance(grouped, 3), 3, SHAPE(batch, length, groups));
    tensor *t = tensor_range(s->graph, s->position + 1, length, 1);
    tensor *share = tensor_reshape(tensor_reciprocal(t), 3, SHAPE(1, length, 1));
    tensor *keep = tensor_affine(share, -1, 1);
    tensor *u = kept_scan(s, "mean", keep, tensor_multiply(share, mean));
    tensor *moved = tensor_square(tensor_subtract(mean, token_shift(s, "mean_before", u)));
    moved = tensor_multiply(share, tensor_add(variance, tensor_multiply(keep, moved)));
    tensor *v = kept_scan(s, "variance", keep, moved);
    tensor *scale = tensor_reciprocal_sqrt(tensor_affine(v, 1, option_real(s, "epsilon")));
    const int64_t *shape = SHAPE(batch, length, groups, 1);
    tensor *y = tensor_multiply(tensor_subtract(grouped, tensor_reshape(u, 4, shape)),
                                tensor_reshape(scale, 4, shape));
    return with_weights(s, merge_heads(y));
}

static const char *validate(const struct scope *s)
{
    return s->width % option(s, "groups") ? "the width is not divisible by groups" : NULL;
}

KERNEL(timestep_norm) = {
    .name = "timestep-norm",
    .slot = SLOT_NORM,
    .variant = "megalodon",
    .summary = "centres and scales groups of channels by their statistics over all tokens so far",
    .options = OPTIONS(INTEGER_OPTION("groups", 1, 1, 1 << 20, "groups of channels"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "added to the variance"),
                       CHOICE_OPTION("ffn", "layer|timestep", "the norm of the ffn"),
                       FLAG_OPTION("affine", 1, "has a weight and a bias")),
    .characters = CHARACTERS({"norm", "other"}, {"state", "vector"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
