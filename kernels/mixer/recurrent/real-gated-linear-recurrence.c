/* Griffin's recurrent block with the real-gated linear recurrent unit (griffin, sections 2.3 and 2.4, eq. 1
 * to 4; recurrentgemma's RecurrentBlock and RGLRU).
 *
 *     g = gelu(x Wy + b),  u = conv(x Wx + b)
 *         no activation after the convolution
 *     r = sigmoid(u Wa + b), i = sigmoid(u Wi + b)
 *         block-diagonal, a block a head
 *     a = exp(-8 r softplus(a_param)),  h_t = a_t h_{t-1} + sqrt(1 - a_t^2) i_t u_t,  y = (h * g) Wo + b
 *
 * A document starts at position 0 and wherever the further input "segment_pos" [B, T] is 0: there a = 0, the
 * factor of the input is 1, and the convolution sees nothing before. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    return option_or(s, "lru_width", s->width) % option(s, "heads")
               ? "the recurrence's width is not divisible by heads"
               : NULL;
}

/* a_param such that a with r = 1 starts between 0.9 and 0.999. */
static void decay_parameters(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0]; i++) {
        double a = 0.9 + 0.099 * ((double)i + 0.5) / (double)shape[0];
        values[i] = (real)log(expm1(-log(a) / 8));
    }
}

/* 1 where a document starts: [B or 1, T, 1]. */
static tensor *starts(struct scope *s, tensor *positions, int64_t length)
{
    if (positions)
        return tensor_equal(positions, tensor_scalar(s->graph, 0));
    tensor *first = tensor_constant(s->graph, NULL, 3, SHAPE(1, length, 1));
    first->data[0] = s->position == 0;
    return first;
}

/* Taps w [K, W]; with documents, tap j before the present one counts only where the position is at least
 * j. */
static tensor *convolution(struct scope *s, tensor *u, tensor *positions)
{
    int64_t taps = option(s, "conv"), channels = u->shape[2];
    tensor *w = parameter(s, "conv_1d.w", init_normal(1 / sqrt((double)taps)), 2, SHAPE(taps, channels));
    tensor *b = parameter(s, "conv_1d.b", init_constant(0), 1, SHAPE(channels));
    if (!positions)
        return kept_convolution(s, "conv_1d", u, tensor_contiguous(tensor_transpose(w, 0, 1)), b);
    tensor *sum = b;
    for (int64_t j = 0; j < taps; j++) {
        tensor *seen = tensor_greater(positions, tensor_scalar(s->graph, (double)j - 0.5));
        tensor *term = tensor_multiply(tensor_shift(u, 1, j), tensor_slice(w, 0, taps - 1 - j, 1));
        sum = tensor_add(tensor_multiply(term, seen), sum);
    }
    return sum;
}

static tensor *gate(struct scope *s, const char *name, tensor *u)
{
    int64_t heads = option(s, "heads"), d = u->shape[2] / heads;
    tensor *w = parameter(s, part_name(s, "rg_lru.%s.w", name), init_normal(1 / sqrt((double)d)), 3,
                          SHAPE(heads, d, d));
    tensor *b = parameter(s, part_name(s, "rg_lru.%s.b", name), init_constant(0), 2, SHAPE(heads, d));
    return merge_heads(tensor_sigmoid(tensor_add(per_head_product(split_heads(u, heads), w, false), b)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t inner = option_or(s, "lru_width", s->width), length = x->shape[1];
    tensor *positions = further_input(s, "segment_pos");
    if (positions)
        positions = tensor_reshape(positions, 3, SHAPE(x->shape[0], length, 1));
    tensor *g = tensor_gelu_tanh(linear(s, "linear_y", x, inner, true));
    tensor *u = convolution(s, linear(s, "linear_x", x, inner, true), positions);
    tensor *i = gate(s, "input_gate", u), *r = gate(s, "a_gate", u);
    tensor *a_param = parameter(s, "rg_lru.a_param", init_function(decay_parameters), 1, SHAPE(inner));
    tensor *log_a = tensor_scale(tensor_multiply(r, tensor_softplus(a_param)), -8);
    tensor *start = starts(s, positions, length), *within = tensor_affine(start, -1, 1);
    /* sqrt(1 - a^2); at a start the root is of 1, so that no gradient divides by zero there */
    tensor *square = tensor_negate(tensor_expm1(tensor_scale(log_a, 2)));
    tensor *factor = tensor_sqrt(tensor_add(tensor_multiply(square, within), start));
    tensor *a = tensor_multiply(tensor_exp(log_a), within);
    tensor *h = kept_scan(s, "h", a, tensor_multiply(tensor_multiply(u, i), factor));
    return linear(s, "linear_out", tensor_multiply(h, g), s->width, true);
}

KERNEL(real_gated_linear_recurrence) = {
    .name = "real-gated-linear-recurrence",
    .slot = SLOT_MIXER,
    .variant = "griffin",
    .summary =
        "a diagonal recurrence whose decay and input are gated by the input, after a short convolution",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "blocks of the gates' matrices"),
                       INTEGER_OPTION("lru_width", 0, 0, 1 << 20, "channels of the recurrence; 0: width"),
                       INTEGER_OPTION("conv", 4, 1, 64, "taps of the convolution")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"short-convolution", "yes"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
