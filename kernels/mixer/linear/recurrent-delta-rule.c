/* Recurrent fast weight programmers (rfwp; IDSIA/recurrent-fwp's FastRNNlayer and RecUpdateTanhFastFFlayer).
 *
 *     delta-rnn: the delta rule with phi = elu + 1 divided by its sum gives z_t; fast weights R,
 *         written likewise, make it recurrent:
 *         R_t = R_{t-1} + sigmoid(b) (v - R_{t-1} softmax(k)) softmax(k)^T,  o_t = R_t softmax(o_{t-1}) + z_t
 *     recurrent-delta-net: the last output enters the slow projections, h = tanh(o_{t-1}),
 *         q = softmax(q_t + h Rq), k = softmax(k_t + h Rk), v = v_t + h Rv, b = sigmoid(b_t + h rb)
 *         W_t = W_{t-1} + b (v - W_{t-1} k) k^T,  o_t = W_t q
 *
 * and y = o Wo. Both go token by token (tensor_self_delta), but for z. The published layers contain the norm
 * and residual of the block. */
#include "block/kernel.h"
#include "positive-shares.h"
#include <math.h>
#include <string.h>

static const char *validate(const struct scope *s)
{
    return head_dim(s) < 1 ? "there are more heads than channels" : NULL;
}

/* tensor_self_delta with its weights and last output kept. */
static tensor *programmed(struct scope *s, tensor *program, tensor *mix, tensor *added)
{
    struct self_delta_options options = {.mix = mix, .added = added};
    if (!s->state)
        return tensor_self_delta(program, &options);
    int64_t B = program->shape[0], heads = program->shape[2], d = head_dim(s);
    tensor *weights;
    options.initial_weights = state(s, "fast", 0, 4, SHAPE(B, heads, d, d));
    options.initial_output = state(s, "output", 0, 4, SHAPE(B, 1, heads, d));
    options.final_weights = &weights;
    tensor *o = tensor_self_delta(program, &options);
    state_set(s, "fast", weights);
    state_set(s, "output", tensor_slice(o, 1, -1, 1));
    return o;
}

static tensor *delta_rnn(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *all = split_heads(linear(s, "slow_net", x, heads * (5 * d + 2), false), heads);
    tensor *q = positive_shares(tensor_slice(all, 3, 0, d)), *k = positive_shares(tensor_slice(all, 3, d, d));
    tensor *beta = tensor_sigmoid(tensor_slice(all, 3, 5 * d, 1));
    struct matrix_scan_options scan = {.beta = tensor_reshape(beta, 3, all->shape)};
    tensor *z = kept_matrix_scan(s, "S", q, k, tensor_slice(all, 3, 2 * d, d), scan);
    tensor *parts[] = {tensor_slice(all, 3, 3 * d, 2 * d), tensor_slice(all, 3, 5 * d + 1, 1)};
    return programmed(s, tensor_pad(tensor_concat(2, parts, 3), 3, d, 0, 0), NULL, z);
}

static tensor *recurrent_delta_net(struct scope *s, tensor *x)
{
    static const char *const names[] = {"R_q", "R_k", "R_v"};
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *all = split_heads(linear(s, "slow_net", x, heads * (3 * d + 1), false), heads), *mix[4];
    struct init init = init_normal(1 / sqrt((double)d));
    for (int i = 0; i < 3; i++)
        mix[i] =
            tensor_reshape(parameter(s, names[i], init, 4, SHAPE(1, heads, d, d)), 3, SHAPE(heads, d, d));
    mix[3] = tensor_reshape(parameter(s, "r_b", init, 4, SHAPE(1, heads, 1, d)), 3, SHAPE(heads, d, 1));
    return programmed(s, all, tensor_concat(4, mix, 2), NULL);
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *o = (option_is(s, "form", "delta-rnn") ? delta_rnn : recurrent_delta_net)(s, x);
    return linear(s, "out_linear", merge_heads(o), s->width, false);
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "feature-map") == 0 && option_is(s, "form", "delta-rnn") ? "elu" : NULL;
}

KERNEL(recurrent_delta_rule) = {
    .name = "recurrent-delta-rule",
    .slot = SLOT_MIXER,
    .variant = "rfwp",
    .summary = "delta-rule fast weights that are recurrent, or whose last output enters the next write",
    .options = OPTIONS(CHOICE_OPTION("form", "recurrent-delta-net|delta-rnn", "where the last output enters"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "delta"},
                             {"decay", "none"}, {"feature-map", "softmax"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
