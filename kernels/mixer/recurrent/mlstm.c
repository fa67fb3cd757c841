/* The mLSTM layer (xlstm, eq. 19 to 27; NX-AI/xlstm mLSTMLayer): a matrix memory with exponential input
 * gates.
 *
 *     (u, z) = x Wup,  c = silu(conv(u)),  q = c Wq, k = c Wk, v = u Wv (block-diagonal),
 *         i, f = [q k v] W + b        per head
 *     C_t = f_t C_{t-1} + e^{i_t} k_t v_t^T,  n_t = f_t n_{t-1} + e^{i_t} k_t,   log f = logsigmoid(f)
 *     h_t = C_t^T q_t / (max(|n_t . q_t|, 1) + 1e-6),  y = ((norm_head(h) (1 + w) + skip c) * silu(z)) Wdown,
 *         k scaled by 1 / sqrt(d)
 *
 * All is relative to exp(m_t), m_t = max(log f_t + m_{t-1}, i_t), so the 1 becomes exp(-m_t) (and 1e-6 stays
 * relative, as published). */
#include "block/kernel.h"
#include <math.h>

static int64_t inner_width(const struct scope *s)
{
    return option_or(s, "inner", (int64_t)(option_real(s, "expand") * (double)s->width));
}

static const char *validate(const struct scope *s)
{
    int64_t inner = inner_width(s);
    if (inner % option(s, "heads") || inner % option(s, "block"))
        return "the inner width must be divisible by heads and by block";
    return NULL;
}

static void forget_biases(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t h = 0; h < shape[0]; h++)
        values[h] = (real)(3 + 3 * (double)h / (double)(shape[0] > 1 ? shape[0] - 1 : 1));
}

static tensor *block_diagonal(struct scope *s, const char *name, tensor *x)
{
    int64_t size = option(s, "block"), blocks = x->shape[2] / size;
    tensor *w = parameter(s, name, init_normal(sqrt(0.4 / (double)size)), 3, SHAPE(blocks, size, size));
    return merge_heads(per_head_product(split_heads(x, blocks), w, true));
}

/* A linear map of q, k and v side by side. */
static tensor *gate(struct scope *s, const char *name, tensor *const *qkv, tensor *bias)
{
    int64_t inner = qkv[0]->shape[2];
    tensor *w = parameter(s, part_name(s, "mlstm_cell.%s.weight", name), init_constant(0), 2,
                          SHAPE(option(s, "heads"), 3 * inner));
    tensor *y = tensor_linear(qkv[0], tensor_slice(w, 1, 0, inner), bias);
    for (int i = 1; i < 3; i++)
        y = tensor_add(y, tensor_linear(qkv[i], tensor_slice(w, 1, i * inner, inner), NULL));
    return y;
}

/* max(|weights|, exp(-m)) + 1e-6, all relative to exp(m). The input gate's bias moves m but cancels
 * everywhere else, so it stands here alone: its gradient is not a difference of large numbers. */
static tensor *denominator(tensor *weights, struct running_maximum m, tensor *bias)
{
    const int64_t *shape = SHAPE(weights->shape[0], weights->shape[1], weights->shape[2], 1);
    tensor *floor = tensor_exp(tensor_clamp(tensor_negate(tensor_add(m.maximum, bias)), -80, 80));
    /* 1e-6 has a gradient, because it stays while all else is relative to exp(m). */
    tensor *epsilon = tensor_scale(tensor_exp(tensor_subtract(m.live, m.maximum)), 1e-6);
    tensor *most = tensor_maximum(tensor_absolute(weights), tensor_reshape(floor, 4, shape));
    return tensor_add(most, tensor_reshape(epsilon, 4, shape));
}

/* The layer norm of values / n over a head's channels, as (values - mean) / sqrt(variance + epsilon n^2): n
 * enters through epsilon alone, as the norm undoes it otherwise. */
static tensor *norm_of_quotient(tensor *values, tensor *n)
{
    tensor *centred = tensor_subtract(values, tensor_mean(values, 3));
    tensor *variance =
        tensor_add(tensor_mean(tensor_square(centred), 3), tensor_scale(tensor_square(n), 1e-5));
    return tensor_multiply(centred, tensor_reciprocal_sqrt(variance));
}

static tensor *cell(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t heads = option(s, "heads"), batch = q->shape[0], length = q->shape[1], d = q->shape[2] / heads;
    tensor *qkv[] = {q, k, v};
    tensor *input_bias = parameter(s, "mlstm_cell.igate.bias", init_normal(0.1), 1, SHAPE(heads));
    tensor *forget_bias =
        parameter(s, "mlstm_cell.fgate.bias", init_function(forget_biases), 1, SHAPE(heads));
    tensor *i = gate(s, "igate", qkv, NULL), *log_f = tensor_log_sigmoid(gate(s, "fgate", qkv, forget_bias));
    struct running_maximum m = kept_running_maximum(s, i, log_f);
    tensor *decay = tensor_subtract(tensor_add(m.before, log_f), m.maximum);
    /* At most 0 but for rounding, which must not stop the gradient. */
    decay = tensor_straight_through(tensor_minimum(decay, tensor_scalar(s->graph, 0)), decay);
    tensor *weight = tensor_scale(tensor_exp(tensor_subtract(i, m.maximum)), 1 / sqrt((double)d));
    k = tensor_multiply(split_heads(k, heads), tensor_reshape(weight, 4, SHAPE(batch, length, heads, 1)));
    struct linear_sums sums =
        kept_linear_sums(s, "C", split_heads(q, heads), k, split_heads(v, heads), decay);
    tensor *h = norm_of_quotient(sums.values, denominator(sums.weights, m, input_bias));
    tensor *w = parameter(s, "mlstm_cell.outnorm.weight", init_constant(0), 1, SHAPE(heads * d));
    return tensor_multiply(merge_heads(h), tensor_affine(w, 1, 1));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t inner = inner_width(s);
    tensor *up = linear(s, "proj_up", x, 2 * inner, false), *u = tensor_slice(up, 2, 0, inner);
    tensor *c = tensor_silu(short_convolution(s, "conv1d.conv", u, option(s, "conv"), true));
    tensor *q = block_diagonal(s, "q_proj.weight", c), *k = block_diagonal(s, "k_proj.weight", c);
    tensor *h = cell(s, q, k, block_diagonal(s, "v_proj.weight", u));
    tensor *skip = parameter(s, "learnable_skip", init_constant(1), 1, SHAPE(inner));
    h = tensor_add(h, tensor_multiply(skip, c));
    return linear(s, "proj_down", tensor_multiply(h, tensor_silu(tensor_slice(up, 2, inner, inner))),
                  s->width, false);
}

KERNEL(mlstm) = {
    .name = "mlstm",
    .slot = SLOT_MIXER,
    .variant = "xlstm",
    .summary = "a matrix memory written with exponential input gates and scalar forget gates",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       REAL_OPTION("expand", 2, 0.1, 16, "inner channels over width"),
                       INTEGER_OPTION("inner", 0, 0, 1 << 20, "inner channels; 0: expand * width"),
                       INTEGER_OPTION("block", 4, 1, 4096,
                                      "size of the blocks of the projections to q, k and v"),
                       INTEGER_OPTION("conv", 4, 1, 64, "taps of the short convolution")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "max"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "head"}, {"feature-map", "none"},
                             {"short-convolution", "yes"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
