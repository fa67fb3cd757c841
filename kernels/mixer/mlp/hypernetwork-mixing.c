/* HyperMixer's token mixing (hypermixer, section 2.3; idiap/hypermixing HyperMixing): an MLP over the tokens,
 * whose matrices are made from the tokens.
 *
 *     u_t = x_t sqrt(D) + p_t,   W_1[t] = F2 gelu(F1 u_t),   W_2[t] likewise from networks of its own
 *         per head
 *     y[t, c] = sum_k W_2[t, k] gelu(sum_s W_1[s, k] x[s, c])
 *
 * p_t[i] is sin, for odd i cos, of (t + 1) / 10000^(2 i / D), as the released code has it: twice the usual
 * exponent, so neighbouring channels differ in frequency. A layer norm may follow. Time is linear in the
 * number of tokens. */
#include "block/kernel.h"
#include <math.h>

static tensor *with_positions(struct scope *s, tensor *x)
{
    int64_t rows = x->shape[1], width = s->width;
    tensor *places = tensor_constant(s->graph, NULL, 2, SHAPE(rows, width));
    for (int64_t t = 0; t < rows; t++)
        for (int64_t i = 0; i < width; i++) {
            double angle = (double)(t + 1) * pow(10000, -2.0 * (double)i / (double)width);
            places->data[t * width + i] = (real)(i % 2 ? cos(angle) : sin(angle));
        }
    return tensor_add(tensor_scale(x, sqrt((double)width)), places);
}

/* u [B, T, H, d] through one layer of the network of every head. */
static tensor *per_head_linear(struct scope *s, const char *name, int layer, tensor *u, int64_t outputs)
{
    int64_t heads = u->shape[2], inputs = u->shape[3];
    double bound = 1 / sqrt((double)inputs);
    tensor *y = per_head_product(u,
                                 parameter(s, part_name(s, "hyper.%s.fc%d_weights", name, layer),
                                           init_uniform(-bound, bound), 3, SHAPE(heads, outputs, inputs)),
                                 true);
    if (!option(s, "hyper_bias"))
        return y;
    return tensor_add(y, parameter(s, part_name(s, "hyper.%s.fc%d_biases", name, layer),
                                   init_uniform(-bound, bound), 2, SHAPE(heads, outputs)));
}

/* The matrix over tokens that a hypernetwork makes: [B, H, T, hidden / H]. */
static tensor *made_matrix(struct scope *s, const char *name, tensor *u)
{
    int64_t hidden = option_or(s, "hidden", 4 * s->width) / option(s, "heads");
    tensor *h = tensor_gelu(per_head_linear(s, name, 1, u, u->shape[3]));
    return tensor_transpose(per_head_linear(s, name, 2, h, hidden), 1, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *u = split_heads(with_positions(s, x), heads);
    tensor *values = tensor_transpose(split_heads(x, heads), 1, 2);
    tensor *mixed = tensor_gelu(tensor_matmul_tn(made_matrix(s, "w1_gen", u), values));
    tensor *y = merge_heads(tensor_transpose(tensor_matmul(made_matrix(s, "w2_gen", u), mixed), 1, 2));
    return option(s, "output_norm") ? layer_norm(s, "layer_norm", y, 1e-5) : y;
}

static const char *validate(const struct scope *s)
{
    if (option_or(s, "hidden", 4 * s->width) % option(s, "heads"))
        return "hidden is not divisible by heads";
    return validate_heads(s);
}

KERNEL(hypernetwork_mixing) = {
    .name = "hypernetwork-mixing",
    .slot = SLOT_MIXER,
    .variant = "hypermixer",
    .summary = "an MLP over tokens whose matrices small networks make from the tokens",
    .options = OPTIONS(INTEGER_OPTION("heads", 1, 1, 1024, "heads, each with networks of its own"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20, "of the MLP, all heads; 0: 4 * width"),
                       FLAG_OPTION("output_norm", 1, "a layer norm follows"),
                       FLAG_OPTION("hyper_bias", 0, "the networks have biases")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"feature-map", "learned"}, {"position", "absolute"},
                             {"output-gate", "no"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
