/* Remixer (remixer; lucidrains/remixer-pytorch RemixerBlock), which stands where a feed-forward network does:
 *
 *     (a, g) = halves of x W1,  u = gelu(g) * a,  m_t = sum_s M[t, s] u_s,
 *         M = softmax over rows of a trained [length, length]
 *     y = (alpha u * m + (1 - alpha) (u - m)) W2,   alpha = sigmoid of one number
 *
 * Causal: entries s > t are masked before the softmax, and shorter sequences use the first rows and columns.
 * Otherwise the sequence has exactly `length` tokens. */
#include "block/kernel.h"

static tensor *mixing_rows(struct scope *s, int64_t rows, int64_t columns)
{
    int64_t length = option(s, "length");
    bool causal = option(s, "causal");
    if (causal ? columns > length : columns != length)
        kernel_fail(s, "it has weights for %s%lld tokens, not %lld (option length)", causal ? "at most " : "",
                    (long long)length, (long long)columns);
    tensor *mixer = parameter(s, "mixer", init_normal(1), 2, SHAPE(length, length));
    mixer = tensor_slice(tensor_slice(mixer, 0, columns - rows, rows), 1, 0, columns);
    if (causal) {
        tensor *seen = lower_triangle(s->graph, rows, columns, columns - rows);
        mixer = tensor_where(seen, mixer, tensor_full(s->graph, -1e30, 1, SHAPE(1)));
    }
    return tensor_softmax(mixer, -1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *halves = linear(s, "proj_in", x, 2 * s->width, option(s, "bias"));
    tensor *u = tensor_multiply(tensor_gelu(tensor_slice(halves, 2, s->width, s->width)),
                                tensor_slice(halves, 2, 0, s->width));
    tensor *seen = option(s, "causal") ? cache_append(s, "gated", u, 0) : u;
    tensor *m = tensor_matmul(mixing_rows(s, u->shape[1], seen->shape[1]), seen);
    tensor *alpha = tensor_sigmoid(parameter(s, "alpha", init_constant(0), 1, SHAPE(1)));
    tensor *product = tensor_multiply(u, m), *difference = tensor_subtract(u, m);
    tensor *y = tensor_add(difference, tensor_multiply(alpha, tensor_subtract(product, difference)));
    return linear(s, "proj_out", y, s->width, option(s, "bias"));
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "causal") ? forward(s, x) : replay_step(s, x);
}

KERNEL(remixer) = {
    .name = "remixer",
    .slot = SLOT_FFN,
    .variant = "remixer",
    .summary = "gated channels meet their mixture over positions in a product and a difference",
    .options = OPTIONS(INTEGER_OPTION("length", 1024, 1, 1 << 16, "positions that have weights"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       FLAG_OPTION("bias", 0, "linear maps have biases")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "multiplicative"}, {"causality", "causal"},
                             {"state", "cache"}, {"time", "quadratic"}, {"decode-cost", "linear"}),
    .character = causality_by_option,
    .forward = forward,
    .step = step,
};
