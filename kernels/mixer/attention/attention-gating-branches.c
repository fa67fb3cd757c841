/* Branchformer's layer up to its residual (branchformer; espnet BranchformerEncoderLayer and
 * ConvolutionalGatingMLP): attention and a convolutional gating MLP side by side, each with a layer norm of
 * its own.
 *
 *     a = Attention(LN(x)),   with `relative` by distances of both signs (signed-distance-bias.h)
 *     (r | g) = gelu(W1 LN(x)),   b = W2 (r * act(conv(LN(g)))),
 *         conv depthwise, as far to both sides, zeros outside
 *     y = W [a; b]   or   W (w1 a + w2 b)
 *
 * w2 is fixed, or w1 and w2 are a softmax of one number from each branch's mean over time, which weighs
 * tokens by a softmax itself. */
#include "signed-distance-bias.h"
#include <string.h>

static const double epsilon = 1e-12; /* of layer norms, as published */

static tensor *attention_branch(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    x = layer_norm(s, "norm_mha", x, epsilon);
    tensor *q = split_heads(linear(s, "attn.linear_q", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "attn.linear_k", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "attn.linear_v", x, s->width, true), heads);
    struct attention_options options = {.causal = false};
    if (option(s, "relative")) {
        tensor *place;
        biased_queries(s, "attn", q, &q, &place);
        int64_t length = x->shape[1];
        tensor *places = signed_places(s, "attn", length - 1, 2 * length - 1, heads, s->width / heads);
        options.bias = signed_distance_bias(place, places);
    }
    return linear(s, "attn.linear_out", merge_heads(tensor_attention(q, k, v, &options)), s->width, true);
}

static tensor *centred_convolution(struct scope *s, const char *name, tensor *x)
{
    int64_t taps = option(s, "conv"), side = taps / 2, channels = x->shape[2];
    tensor *weight =
        parameter(s, part_name(s, "%s.weight", name), init_linear(), 3, SHAPE(channels, 1, taps));
    tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(channels));
    tensor *y = tensor_causal_convolution(tensor_pad(x, 1, 0, side, 0),
                                          tensor_reshape(weight, 2, SHAPE(channels, taps)), bias, NULL);
    return tensor_slice(y, 1, side, x->shape[1]);
}

static tensor *gating_branch(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", 4 * s->width), half = hidden / 2;
    x = layer_norm(s, "norm_mlp", x, epsilon);
    tensor *u = tensor_gelu(linear(s, "cgmlp.channel_proj1.0", x, hidden, true));
    tensor *gate = layer_norm(s, "cgmlp.csgu.norm", tensor_slice(u, 2, half, half), epsilon);
    gate = centred_convolution(s, "cgmlp.csgu.conv", gate);
    if (option(s, "gate_linear"))
        gate = linear(s, "cgmlp.csgu.linear", gate, half, true);
    gate = tensor_activation(gate, option_choice(s, "activation"));
    return linear(s, "cgmlp.channel_proj2", tensor_multiply(tensor_slice(u, 2, 0, half), gate), s->width,
                  true);
}

/* What a branch x [B, T, D] has to say for itself: [B, 1, 1]. */
static tensor *branch_weight(struct scope *s, int branch, tensor *x)
{
    tensor *scores = linear(s, part_name(s, "pooling_proj%d", branch), x, 1, true);
    tensor *shares = tensor_softmax(tensor_scale(scores, 1 / sqrt((double)s->width)), 1);
    return linear(s, part_name(s, "weight_proj%d", branch), tensor_sum(tensor_multiply(shares, x), 1), 1,
                  true);
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *branches[] = {attention_branch(s, x), gating_branch(s, x)}, *joined;
    if (option_is(s, "merge", "concat")) {
        joined = tensor_concat(2, branches, 2);
    } else if (option_is(s, "merge", "fixed_average")) {
        double share = option_real(s, "gating_share");
        joined = tensor_add(tensor_scale(branches[0], 1 - share), tensor_scale(branches[1], share));
    } else {
        tensor *weights[] = {branch_weight(s, 1, branches[0]), branch_weight(s, 2, branches[1])};
        tensor *shares = tensor_softmax(tensor_concat(2, weights, 2), 2);
        joined = tensor_add(tensor_multiply(branches[0], tensor_slice(shares, 2, 0, 1)),
                            tensor_multiply(branches[1], tensor_slice(shares, 2, 1, 1)));
    }
    return linear(s, "merge_proj", joined, s->width, true);
}

static const char *validate(const struct scope *s)
{
    if (option(s, "conv") % 2 == 0)
        return "conv must be odd";
    if (option_or(s, "hidden", 4 * s->width) % 2)
        return "hidden must be even";
    return validate_heads(s);
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "position") == 0 && !option(s, "relative") ? "none" : NULL;
}

KERNEL(attention_gating_branches) = {
    .name = "attention-gating-branches",
    .slot = SLOT_MIXER,
    .variant = "branchformer",
    .summary = "attention and a convolutional gating MLP side by side, joined",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20,
                                      "channels of the gating MLP, gated and gate together; 0: 4 * width"),
                       INTEGER_OPTION("conv", 31, 1, 1023, "taps of the gate's convolution, odd"),
                       FLAG_OPTION("gate_linear", 0, "a linear map follows the convolution"),
                       CHOICE_OPTION("activation", "identity|relu|silu|gelu|tanh|sigmoid", "of the gate"),
                       CHOICE_OPTION("merge", "concat|learned_average|fixed_average",
                                     "how the branches are joined"),
                       REAL_OPTION("gating_share", 0.5, 0, 1, "of the gating MLP in a fixed average"),
                       FLAG_OPTION("relative", 1, "scores know the distance")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"position", "relative"}, {"output-gate", "no"},
                             {"time", "quadratic"}, {"decode-cost", "replay"},
                             {"causality", "bidirectional"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
