/* Attention with bounded memory control (abc, section 3; flash-linear-attention's ABCAttention). M slots per
 * head, written with weights e_t = exp(clamp(x_t Ws, -32, 32)), hold running averages of keys and values,
 *
 *     K_t[m] = sum_{i<=t} e_i[m] k_i / z_t[m],  V_t[m] likewise,  z_t[m] = sum_{i<=t} e_i[m]
 *     p_t = softmax over m of q_t . K_t[m] / sqrt(d_k),  o_t = sum_m p_t[m] V_t[m],
 *         y = (RMSNorm_head(o) (* silu(x Wg))) Wo
 *
 * Both reads are matrix scans: q_t . K_t[m] reads the state sum k_i e_i^T, o_t the state sum e_i v_i^T with
 * the query p_t / z_t. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    int64_t heads = option(s, "heads"), dk = option_width(s, "expand_k"), dv = option_width(s, "expand_v");
    return !dk || !dv || dk % heads || dv % heads
               ? "expand_k * width and expand_v * width must be divisible by heads"
               : NULL;
}

static tensor *project(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    tensor *y = linear(s, part_name(s, "%s_proj", name), x, outputs, false);
    if (option(s, "conv"))
        y = tensor_silu(short_convolution(s, part_name(s, "%s_conv1d", name), y, option(s, "conv"), false));
    return split_heads(option(s, "input_gate") ? tensor_silu(y) : y, option(s, "heads"));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), dk = option_width(s, "expand_k"), dv = option_width(s, "expand_v"),
            length = x->shape[1];
    tensor *q = project(s, "q", x, dk), *k = project(s, "k", x, dk), *v = project(s, "v", x, dv);
    if (option(s, "rotary")) {
        int64_t pairs = dk / heads / 2;
        tensor *frequencies =
            buffer(s, "rotary.inv_freq", init_function(fill_rotary_frequencies), 1, SHAPE(pairs));
        tensor *t = tensor_reshape(tensor_range(s->graph, s->position, length, 1), 2, SHAPE(length, 1));
        tensor *angles = tensor_multiply(t, tensor_reshape(frequencies, 2, SHAPE(1, pairs)));
        q = tensor_rotary(q, angles, false);
        k = tensor_rotary(k, angles, false);
    }
    tensor *slots = linear(s, "s_proj", x, heads * option(s, "slots"), false);
    tensor *e = tensor_exp(tensor_clamp(split_heads(slots, heads), -32, 32));
    tensor *z = kept_scan(s, "z", tensor_scalar(s->graph, 1), e);
    struct matrix_scan_options scan = {.scale = 1 / sqrt((double)(dk / heads))};
    tensor *scores = tensor_divide(kept_matrix_scan(s, "K", q, k, e, scan), z);
    tensor *p = tensor_divide(tensor_softmax(scores, 3), z);
    tensor *o = kept_matrix_scan(s, "V", p, e, v, (struct matrix_scan_options){0});
    o = merge_heads(rms_norm(s, "g_norm", o, option_real(s, "epsilon")));
    if (option(s, "output_gate"))
        o = tensor_multiply(o, tensor_silu(linear(s, "g_proj", x, dv, false)));
    return linear(s, "o_proj", o, s->width, false);
}

KERNEL(bounded_memory_attention) = {
    .name = "bounded-memory-attention",
    .slot = SLOT_MIXER,
    .variant = "abc",
    .summary =
        "softmax attention over a fixed number of slots, into which tokens are written with learned weights",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       INTEGER_OPTION("slots", 64, 1, 4096, "slots of a head"),
                       REAL_OPTION("expand_k", 0.5, 0.01, 16, "key channels over width"),
                       REAL_OPTION("expand_v", 1, 0.01, 16, "value channels over width"),
                       INTEGER_OPTION("conv", 0, 0, 64, "taps of the short convolutions; 0: none"),
                       FLAG_OPTION("rotary", 1, "queries and keys are rotated"),
                       FLAG_OPTION("input_gate", 0, "silu on queries, keys and values"),
                       FLAG_OPTION("output_gate", 1, "the output is gated"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the output norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "exponential"}, {"position", "rotary"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
