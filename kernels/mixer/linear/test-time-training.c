/* Test-time training (ttt, section 2; test-time-training/ttt-lm-pytorch TTTLinear and TTTMLP). The state is
 * an inner model of each head, trained by gradient descent on the keys while the sequence is read, in
 * mini-batches of K tokens:
 *
 *     linear: f(u) = u W1 + b1;   mlp: f(u) = gelu(u W1 + b1) W2 + b2, four times as wide inside
 *     loss_j = |LN(f(k_j)) - (v_j - k_j)|^2 / 2,  gradients at W, with which the mini-batch starts
 *     W_i = W - sum_{j<=i} eta_ij gradient_j,  eta_ij = max(0, 1 / (i + 1) + c_i) lr sigmoid(x_j w + b) / d
 *     o_i = q_i + LN(f_i(q_i)),  y = (LayerNorm(o) (* gelu(x Wg))) Wo
 *
 * A layer's gradient is an outer product, so f_i needs no W_i: a layer reads u W + b - sum_{j<=i} eta_ij (u .
 * u_j + 1) g_j. q and k are turned by rotary angles that start anew in every mini-batch; with `share_qk` they
 * are short convolutions of one projection.
 *
 * The loop over mini-batches is recorded in the graph, some twenty nodes for K tokens. */
#include "inner-model.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return head_dim(s) % 2 ? "a head needs an even number of channels to turn" : NULL;
}

/* ---- State: the weights' change since the start, and what the unfinished mini-batch holds ---- */

static void restore(struct scope *s, struct inner *m, int64_t batch)
{
    int64_t heads = option(s, "heads"), size = m->token_rate->shape[0];
    m->held = s->position % size;
    for (int i = 0; i < m->layers; i++) {
        int64_t n = m->weight[i]->shape[1], e = m->weight[i]->shape[2];
        tensor *weight = state(s, part_name(s, "weight%d", i), 0, 4, SHAPE(batch, heads, n, e));
        tensor *bias = state(s, part_name(s, "bias%d", i), 0, 4, SHAPE(batch, heads, 1, e));
        tensor *inputs = state(s, part_name(s, "inputs%d", i), 0, 4, SHAPE(batch, heads, size, n));
        tensor *gradients = state(s, part_name(s, "gradients%d", i), 0, 4, SHAPE(batch, heads, size, e));
        m->weight[i] = tensor_add(m->weight[i], weight);
        m->bias[i] = tensor_add(m->bias[i], bias);
        if (m->held) {
            m->inputs[i] = tensor_slice(inputs, 2, 0, m->held);
            m->gradients[i] = tensor_slice(gradients, 2, 0, m->held);
        }
    }
}

static void save(struct scope *s, const struct inner *m, const struct inner *first)
{
    int64_t size = m->token_rate->shape[0];
    for (int i = 0; i < m->layers; i++) {
        state_set(s, part_name(s, "weight%d", i), tensor_subtract(m->weight[i], first->weight[i]));
        state_set(s, part_name(s, "bias%d", i), tensor_subtract(m->bias[i], first->bias[i]));
        if (!m->held)
            continue;
        state_set(s, part_name(s, "inputs%d", i), tensor_pad(m->inputs[i], 2, 0, size - m->held, 0));
        state_set(s, part_name(s, "gradients%d", i), tensor_pad(m->gradients[i], 2, 0, size - m->held, 0));
    }
}

/* ---- The layer ---- */

static void frequencies(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)pow(option_real(s, "theta"), -(double)i / (double)shape[0]);
}

/* Angles of positions within their mini-batches, [T, d / 2]. */
static tensor *angles(struct scope *s, int64_t length)
{
    int64_t pairs = head_dim(s) / 2, size = option(s, "chunk");
    tensor *rates = buffer(s, "rotary_emb.inv_freq", init_function(frequencies), 1, SHAPE(pairs));
    tensor *place = tensor_constant(s->graph, NULL, 2, SHAPE(length, 1));
    for (int64_t t = 0; t < length; t++)
        place->data[t] = (real)((s->position + t) % size);
    return tensor_multiply(place, tensor_reshape(rates, 2, SHAPE(1, pairs)));
}

static void start_weights(struct scope *s, struct inner *m)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), wide = 4 * d;
    m->layers = option_is(s, "inner", "linear") ? 1 : 2;
    int64_t out = m->layers == 1 ? d : wide;
    m->weight[0] = parameter(s, "W1", init_normal(0.02), 3, SHAPE(heads, d, out));
    m->bias[0] = parameter(s, "b1", init_constant(0), 3, SHAPE(heads, 1, out));
    if (m->layers == 2) {
        m->weight[1] = parameter(s, "W2", init_normal(0.02), 3, SHAPE(heads, wide, d));
        m->bias[1] = parameter(s, "b2", init_constant(0), 3, SHAPE(heads, 1, d));
    }
    tensor *weight = parameter(s, "ttt_norm_weight", init_constant(1), 2, SHAPE(heads, d));
    tensor *bias = parameter(s, "ttt_norm_bias", init_constant(0), 2, SHAPE(heads, d));
    m->norm_weight = tensor_reshape(weight, 3, SHAPE(heads, 1, d));
    m->norm_bias = tensor_reshape(bias, 3, SHAPE(heads, 1, d));
}

static void set_rates(struct scope *s, struct inner *m, tensor *x)
{
    int64_t size = option(s, "chunk"), heads = option(s, "heads");
    tensor *first = tensor_reciprocal(tensor_range(s->graph, 1, size, 1));
    tensor *change = parameter(s, "learnable_token_idx", init_constant(0), 1, SHAPE(size));
    m->token_rate = tensor_reshape(tensor_relu(tensor_add(first, change)), 2, SHAPE(size, 1));
    tensor *weight = parameter(s, "learnable_ttt_lr_weight", init_normal(0.02), 3, SHAPE(heads, 1, s->width));
    tensor *bias = parameter(s, "learnable_ttt_lr_bias", init_constant(0), 2, SHAPE(heads, 1));
    tensor *rate = tensor_sigmoid(tensor_linear(x, tensor_reshape(weight, 2, SHAPE(heads, s->width)),
                                                tensor_reshape(bias, 1, SHAPE(heads))));
    rate = tensor_scale(rate, option_real(s, "learning_rate") / (double)head_dim(s));
    m->rate = tensor_transpose(tensor_reshape(rate, 4, SHAPE(x->shape[0], x->shape[1], heads, 1)), 1, 2);
    tensor *place = tensor_range(s->graph, 0, size, 1);
    tensor *later = tensor_greater(place, tensor_reshape(place, 2, SHAPE(size, 1)));
    m->visible = tensor_multiply(tensor_affine(later, -1, 1), m->token_rate);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), D = s->width, size = option(s, "chunk"), length = x->shape[1];
    struct inner m = {.start = s->position};
    start_weights(s, &m);
    set_rates(s, &m, x);
    tensor *q = linear(s, "q_proj", x, D, false), *k;
    if (option(s, "share_qk")) {
        k = short_convolution(s, "conv_k", q, option(s, "conv"), true);
        q = short_convolution(s, "conv_q", q, option(s, "conv"), true);
    } else {
        k = linear(s, "k_proj", x, D, false);
    }
    tensor *v = split_heads(linear(s, "v_proj", x, D, false), heads), *turn = angles(s, length);
    q = tensor_rotary(split_heads(q, heads), turn, true);
    k = tensor_rotary(split_heads(k, heads), turn, true);
    m.q = tensor_contiguous(tensor_transpose(q, 1, 2));
    m.k = tensor_contiguous(tensor_transpose(k, 1, 2));
    m.target = tensor_subtract(tensor_transpose(tensor_subtract(v, k), 1, 2), m.norm_bias);
    struct inner first = m;
    if (s->state)
        restore(s, &m, x->shape[0]);
    tensor *z = read_all(&m, m.start / size, (m.start + length - 1) / size - m.start / size + 1);
    if (s->state)
        save(s, &m, &first);
    tensor *o = merge_heads(tensor_transpose(tensor_add(m.q, inner_norm(&m, z)), 1, 2));
    o = layer_norm(s, "post_norm", o, 1e-6);
    if (option(s, "gate"))
        o = tensor_multiply(o, tensor_gelu_tanh(linear(s, "g_proj", x, D, false)));
    return linear(s, "o_proj", o, D, false);
}

static const char *character(const struct scope *s, const char *name)
{
    if (name[0] == 'o')
        return option(s, "gate") ? "yes" : NULL;
    return name[0] == 's' && name[1] == 'h' && option(s, "share_qk") ? "yes" : NULL;
}

KERNEL(test_time_training) = {
    .name = "test-time-training",
    .slot = SLOT_MIXER,
    .variant = "ttt",
    .summary =
        "an inner model for each head, trained on keys and values by gradient descent and read by queries",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       CHOICE_OPTION("inner", "linear|mlp", "the inner model"),
                       INTEGER_OPTION("chunk", 16, 1, 4096, "tokens of a mini-batch"),
                       REAL_OPTION("learning_rate", 1, 0, 1e3,
                                   "largest learning rate, times a head's channels"),
                       FLAG_OPTION("share_qk", 0, "queries and keys are convolutions of one projection"),
                       INTEGER_OPTION("conv", 4, 1, 64, "taps of those"),
                       FLAG_OPTION("gate", 0, "the output is gated by gelu of a projection"),
                       REAL_OPTION("theta", 10000, 1, 1e9, "base of the rotary frequencies")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "parameters"}, {"update", "gradient"},
                             {"decay", "none"}, {"feature-map", "none"}, {"short-convolution", "no"},
                             {"output-gate", "no"}, {"position", "rotary"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
