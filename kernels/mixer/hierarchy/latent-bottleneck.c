/* Perceiver (perceiver; lucidrains/perceiver-pytorch Perceiver): a few learned latents read the input again
 * and again and are processed among themselves. In every one of `rounds` rounds, with norms in front of all
 * parts,
 *
 *     z += cross(z, x'),   z += ffn(z),   then `self_layers` times   z += self(z),   z += ffn(z);
 *         ffn(u) = W2 (a gelu(g)) with (a, g) = W1 u
 *
 * x [B, T, C] -> y [B, latents, W]. x' has with `fourier` beside its channels sin(pi p s_k), cos(pi p s_k)
 * and p, for p even from -1 to 1 and s_k even from 1 to max_frequency / 2. With `tied` all rounds after the
 * first share their weights. Norms' epsilon is 1e-5. */
#include "inner-layers.h"
#include <math.h>

/* [T, 2 bands + 1], the same for every input. */
static tensor *fourier_positions(struct scope *s, int64_t T)
{
    int64_t bands = option(s, "bands"), width = 2 * bands + 1;
    double highest = option_real(s, "max_frequency") / 2;
    tensor *positions = tensor_constant(s->graph, NULL, 2, SHAPE(T, width));
    for (int64_t t = 0; t < T; t++) {
        real *row = positions->data + t * width;
        double p = T > 1 ? 2 * (double)t / (double)(T - 1) - 1 : -1;
        for (int64_t k = 0; k < bands; k++) {
            double scale = bands > 1 ? 1 + (highest - 1) * (double)k / (double)(bands - 1) : 1;
            row[k] = (real)sin(M_PI * p * scale);
            row[bands + k] = (real)cos(M_PI * p * scale);
        }
        row[2 * bands] = (real)p;
    }
    return positions;
}

static tensor *feed_forward(struct scope *s, const char *name, tensor *z)
{
    int64_t W = z->shape[2];
    tensor *n = layer_norm(s, part_name(s, "%s.norm", name), z, 1e-5);
    n = linear(s, part_name(s, "%s.fn.net.0", name), n, 8 * W, true);
    n = tensor_multiply(tensor_slice(n, 2, 0, 4 * W), tensor_gelu(tensor_slice(n, 2, 4 * W, 4 * W)));
    return tensor_add(z, linear(s, part_name(s, "%s.fn.net.2", name), n, W, true));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], T = x->shape[1], W = option_or(s, "latent_width", s->width),
            count = option(s, "latents");
    struct inner_heads cross = {.heads = option(s, "cross_heads"), .head_dim = option(s, "cross_head_dim")};
    struct inner_heads own = {.heads = option(s, "heads"), .head_dim = option(s, "head_dim")};
    if (option(s, "fourier")) {
        tensor *positions = fourier_positions(s, T);
        positions = tensor_broadcast(positions, 3, SHAPE(B, T, positions->shape[1]));
        x = tensor_concat(2, (tensor *[]){x, positions}, 2);
    }
    tensor *z = tensor_broadcast(parameter(s, "latents", init_normal(0.02), 2, SHAPE(count, W)), 3,
                                 SHAPE(B, count, W));
    for (int64_t round = 0; round < option(s, "rounds"); round++) {
        const char *name =
            part_name(s, "layers.%lld", (long long)(option(s, "tied") && round > 1 ? 1 : round));
        tensor *context = layer_norm(s, part_name(s, "%s.0.norm_context", name), x, 1e-5);
        z = inner_attention_layer(s, part_name(s, "%s.0", name), z, context, cross);
        z = feed_forward(s, part_name(s, "%s.1", name), z);
        for (int64_t i = 0; i < option(s, "self_layers"); i++) {
            z = inner_attention_layer(s, part_name(s, "%s.2.%lld.0", name, (long long)i), z, NULL, own);
            z = feed_forward(s, part_name(s, "%s.2.%lld.1", name, (long long)i), z);
        }
    }
    return z;
}

KERNEL(latent_bottleneck) = {
    .name = "latent-bottleneck",
    .slot = SLOT_MIXER,
    .variant = "perceiver",
    .summary = "a few learned latents read the whole input in rounds and are processed in between",
    .options = OPTIONS(INTEGER_OPTION("latents", 16, 1, 65536, "rows of the latent array, and of the output"),
                       INTEGER_OPTION("latent_width", 0, 0, 1 << 20, "their channels; 0: the width"),
                       INTEGER_OPTION("rounds", 2, 1, 1024, "how often the input is read"),
                       INTEGER_OPTION("self_layers", 1, 0, 1024,
                                      "layers among the latents after every reading"),
                       FLAG_OPTION("tied", 0, "rounds after the first share their weights"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads among the latents"),
                       INTEGER_OPTION("head_dim", 16, 1, 4096, "channels of such a head"),
                       INTEGER_OPTION("cross_heads", 1, 1, 1024, "heads that read the input"),
                       INTEGER_OPTION("cross_head_dim", 16, 1, 4096, "channels of such a head"),
                       FLAG_OPTION("fourier", 1, "positions stand beside the input's channels"),
                       INTEGER_OPTION("bands", 4, 1, 4096, "frequencies of the positions"),
                       REAL_OPTION("max_frequency", 10, 0, 1e9, "twice the highest of them")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "landmark"}, {"state", "none"}, {"position", "absolute"},
                             {"ffn", "mlp"}, {"ffn-gate", "multiplicative"}, {"norm", "layer"},
                             {"residual", "add"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .forward = forward,
};
