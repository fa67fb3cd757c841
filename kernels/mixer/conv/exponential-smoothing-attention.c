/* ETSformer's growth (etsformer; salesforce/ETSformer GrowthLayer): an exponential smoothing of how projected
 * tokens change,
 *
 *     z = x Win + b,  d_t = z_t - z_{t-1},  z_0 trained,
 *         h_t = a h_{t-1} + (1 - a) d_t,  h_0 trained,  y = h Wout + b
 *
 * with a = sigmoid(weight) a head. The published matrix of the powers of a, applied by a Fourier transform,
 * is this recurrence. */
#include "block/kernel.h"

/* The state, before the first token the trained `initial` [1, 1, ..] for each entry of the batch. */
static tensor *started(struct scope *s, const char *name, tensor *initial, int64_t batch)
{
    int64_t shape[TENSOR_MAX_RANK] = {batch};
    for (int i = 1; i < initial->rank; i++)
        shape[i] = initial->shape[i];
    tensor *kept = s->state ? state(s, name, 0, initial->rank, shape) : NULL;
    return kept && s->position ? kept : tensor_broadcast(initial, initial->rank, shape);
}

/* The token before each of z [B, T, C], z0 before the first. */
static tensor *before(struct scope *s, tensor *z, tensor *z0)
{
    tensor *first = started(s, "last", z0, z->shape[0]);
    if (s->state)
        state_set(s, "last", tensor_slice(z, 1, -1, 1));
    if (z->shape[1] == 1)
        return first;
    return tensor_concat(2, (tensor *[]){first, tensor_slice(z, 1, 0, z->shape[1] - 1)}, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = s->width / heads;
    tensor *z0 = parameter(s, "z0", init_normal(1), 2, SHAPE(heads, d));
    tensor *v0 = parameter(s, "es.v0", init_normal(1), 2, SHAPE(heads, d));
    tensor *weight = parameter(s, "es._smoothing_weight", init_normal(1), 2, SHAPE(heads, 1));
    tensor *keep = tensor_reshape(tensor_sigmoid(weight), 4, SHAPE(1, 1, heads, 1));
    tensor *share = tensor_reshape(tensor_sigmoid(tensor_negate(weight)), 4, SHAPE(1, 1, heads, 1));
    tensor *z = linear(s, "in_proj", x, s->width, true);
    tensor *change = tensor_subtract(z, before(s, z, tensor_reshape(z0, 3, SHAPE(1, 1, s->width))));
    tensor *start = started(s, "h", tensor_reshape(v0, 4, SHAPE(1, 1, heads, d)), x->shape[0]), *last;
    tensor *h = tensor_scan(keep, tensor_multiply(split_heads(change, heads), share), start, &last);
    if (s->state)
        state_set(s, "h", last);
    return linear(s, "out_proj", merge_heads(h), s->width, true);
}

KERNEL(exponential_smoothing_attention) = {
    .name = "exponential-smoothing-attention",
    .slot = SLOT_MIXER,
    .variant = "etsformer",
    .summary = "an exponential smoothing of the change from token to token",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads, each with a rate")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "learned"}, {"decay-grain", "head"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
