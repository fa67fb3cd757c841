/* cosFormer (cosformer, section 2.4; OpenNLPLab/cosFormer CosformerAttention). The weight of key j for query
 * i <= M is
 *
 *     (act(q_i) . act(k_j)) cos(pi / 2 (i - j) / M)
 *
 * which is a product of features, [q sin, q cos] . [k sin, k cos] at angles pi / 2 n / M, n from 1. o_i is
 * the weighted sum divided by max(sum of weights, epsilon). M is `length`, or with length 0 the length of the
 * call, as published; then the function of a prefix changes with what follows it only through that length,
 * and a step gives what a call with the tokens so far gives. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), length = x->shape[1];
    double horizon = (double)option_or(s, "length", length);
    const char *act = option_choice(s, "activation");
    tensor *q = tensor_activation(split_heads(linear(s, "q_proj", x, s->width, true), heads), act);
    tensor *k = tensor_activation(split_heads(linear(s, "k_proj", x, s->width, true), heads), act);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, true), heads);
    tensor *n = tensor_reshape(tensor_range(s->graph, s->position + 1, length, 1), 4, SHAPE(1, length, 1, 1));
    tensor *angle = tensor_scale(n, M_PI / 2 / horizon), *sine = tensor_sin(angle),
           *cosine = tensor_cos(angle);
    q = tensor_concat(2, (tensor *[]){tensor_multiply(q, sine), tensor_multiply(q, cosine)}, 3);
    k = tensor_concat(2, (tensor *[]){tensor_multiply(k, sine), tensor_multiply(k, cosine)}, 3);
    struct linear_sums sums =
        option(s, "causal") ? kept_linear_sums(s, "S", q, k, v, NULL) : whole_linear_sums(q, k, v);
    tensor *weights = tensor_maximum(sums.weights, tensor_scalar(s->graph, option_real(s, "epsilon")));
    return linear(s, "out_proj", merge_heads(tensor_divide(sums.values, weights)), s->width, true);
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "length") ? forward(s, x) : replay_step(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "decode-cost") == 0)
        return option(s, "length") ? NULL : "replay";
    if (strcmp(name, "causality") == 0 && option(s, "causal") && !option(s, "length"))
        return "approximate"; /* weights depend on the call's length */
    return causality_by_option(s, name);
}

KERNEL(cosine_reweighted_attention) = {
    .name = "cosine-reweighted-attention",
    .slot = SLOT_MIXER,
    .variant = "cosformer",
    .summary = "linear attention with relu features whose weights fall as a cosine of the distance",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       CHOICE_OPTION("activation", "relu|elu+1|sigmoid|identity", "of queries and keys"),
                       INTEGER_OPTION("length", 2048, 0, 1 << 24,
                                      "M, at which weights reach zero; 0: the call's length"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       REAL_OPTION("epsilon", 1e-6, 1e-30, 1, "least sum of weights")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "cosine"}, {"position", "relative"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = step,
};
