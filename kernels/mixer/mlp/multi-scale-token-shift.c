/* Token Shift GPT's block (token-shift; lucidrains/token-shift-gpt FeedForward): gMLP's gate with means of
 * past tokens in place of a matrix.
 *
 *     (r, g) = halves of gelu(x W1 + b1),  g = LayerNorm(g),  y = (r * (shift(g) W2 + b2)) W3 + b3
 *
 * g is cut into shifts + 1 groups of channels. Group j's value at token t is its sum over tokens max(0, t -
 * 2A + 1) .. t - A, A = 2^j, divided by max(t - A, 0) - max(t - 2A, 0) + 1e-5: as published, one less than
 * the number of tokens while t < 2A. The last group stays. With `discount` > 0 instead all channels are o_t =
 * g_{t-1} + discount o_{t-1}. */
#include "block/kernel.h"

/* The sums, by doubling: that over 2A tokens is that over A and the same A tokens earlier. Divided by counts
 * [rows, 1]. */
static tensor *mean_of_segment(tensor *g, int64_t reach, int64_t first)
{
    int64_t rows = g->shape[1];
    tensor *sum = g;
    for (int64_t n = 1; n < reach; n *= 2)
        sum = tensor_add(sum, tensor_shift(sum, 1, n));
    tensor *share = tensor_constant(g->graph, NULL, 2, SHAPE(rows, 1));
    for (int64_t i = 0; i < rows; i++) {
        int64_t t = first + i;
        int64_t count = (t > reach ? t - reach : 0) - (t > 2 * reach ? t - 2 * reach : 0);
        share->data[i] = (real)(1 / ((double)count + 1e-5));
    }
    return tensor_multiply(tensor_shift(sum, 1, reach), share);
}

static tensor *shifted_groups(struct scope *s, tensor *g)
{
    int64_t shifts = option(s, "shifts"), channels = g->shape[2], rows = g->shape[1];
    int64_t group = (channels + shifts) / (shifts + 1);
    tensor *seen = cache_append(s, "gate", g, ((int64_t)1 << shifts) - 1);
    int64_t first = s->position + rows - seen->shape[1];
    tensor *groups[65];
    int count = 0;
    for (int64_t start = 0; start < channels; start += group, count++) {
        bool last = start + group >= channels;
        tensor *part = tensor_slice(seen, 2, start, last ? channels - start : group);
        groups[count] = last ? part : mean_of_segment(part, (int64_t)1 << count, first);
    }
    return tensor_slice(tensor_concat(count, groups, 2), 1, seen->shape[1] - rows, rows);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t half = option(s, "expand") * s->width / 2;
    double discount = option_real(s, "discount");
    tensor *u = tensor_gelu(linear(s, "project_in.0", x, 2 * half, true));
    tensor *g = layer_norm(s, "gate_norm", tensor_slice(u, 2, half, half), 1e-5);
    if (discount > 0) /* a number for every token, for its gate [1, T, 1] */
        g = kept_scan(s, "gate", tensor_full(s->graph, discount, 3, SHAPE(1, 1, 1)),
                      token_shift(s, "shift", g));
    else
        g = shifted_groups(s, g);
    tensor *weight = parameter(s, "to_gate.weight", init_constant(1e-3), 2, SHAPE(half, half));
    tensor *bias = parameter(s, "to_gate.bias", init_constant(1), 1, SHAPE(half));
    tensor *gated = tensor_multiply(tensor_slice(u, 2, 0, half), tensor_linear(g, weight, bias));
    return linear(s, "project_out", gated, s->width, true);
}

static const char *character(const struct scope *s, const char *name)
{
    bool scan = option_real(s, "discount") > 0;
    return scan && name[0] == 's' ? "vector" : NULL;
}

static const char *validate(const struct scope *s)
{
    return option(s, "expand") * s->width % 2 ? "the hidden channels, expand * width, must be even" : NULL;
}

KERNEL(multi_scale_token_shift) = {
    .name = "multi-scale-token-shift",
    .slot = SLOT_MIXER,
    .variant = "token-shift",
    .summary =
        "half of the channels, replaced by means of past segments of doubling length, gates the other half",
    .options = OPTIONS(INTEGER_OPTION("shifts", 3, 1, 24, "groups of channels that are shifted"),
                       INTEGER_OPTION("expand", 4, 1, 64, "hidden channels over width"),
                       REAL_OPTION("discount", 0, 0, 1, "of a discounted sum instead; 0: shifts")),
    .characters = CHARACTERS({"mixing", "shift"}, {"normalizer", "norm"}, {"heads", "per-channel"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"output-gate", "yes"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
