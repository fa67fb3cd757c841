/* Optimus' variational autoencoder of sentences (optimus; ChunyuanLI/Optimus modules/vae.py, modeling_gpt2.py
 * GPT2ForLatentConnector): an encoder like BERT makes a sentence a normal distribution, and the stack decodes
 * a sample z of it, which every layer sees as a key and value of its own and which is added to all
 * embeddings.
 *
 *     (m, l) = W tanh(W1 encoder(x)_0 + b1),   z = m + e * exp(l / 2)
 *     y = layers(x + D z),   layer i attends to [(M z)_i ; rows so far]
 *     kl = sum of those (m^2 + exp(l) - l - 1) / 2 that are above free_bits
 *
 * A training step draws e, the input "noise" [B, P]; without it z = m. The encoder reads the input "text" [B,
 * S, D], or x; it adds positions of its own and has a layer norm. The loss is the cross-entropy of y's
 * predictions and beta times the further output "kl" [B, 1, 1]. With the input "latent" [B, P] that is z, as
 * the trained model generates. The code counts the decoder's positions from 1, here they begin at 0; a
 * sentence is one segment, so that there are no segments' vectors. */
#include "encoder.h"

static tensor *encode(struct scope *s, tensor *text)
{
    int64_t length = text->shape[1], most = option(s, "encoder_length");
    if (length > most)
        kernel_fail(s, "the encoder has %lld positions, not %lld (option encoder_length)", (long long)most,
                    (long long)length);
    double epsilon = option_real(s, "epsilon");
    tensor *places = parameter(s, "encoder.embeddings.position_embeddings.weight", init_normal(0.02), 2,
                               SHAPE(most, s->width));
    tensor *x = tensor_add(text, tensor_slice(places, 0, 0, length));
    x = layer_norm(s, "encoder.embeddings.LayerNorm", x, epsilon);
    x = encoder_layers(s, "encoder.encoder", x, option(s, "encoder_layers"), option(s, "encoder_heads"),
                       "gelu", epsilon);
    x = tensor_tanh(linear(s, "encoder.pooler.dense", tensor_slice(x, 1, 0, 1), s->width, true));
    return linear(s, "encoder.linear", x, 2 * option(s, "latent"), false);
}

/* z [B, 1, P] of the encoder's (m, l). */
static tensor *sample(struct scope *s, tensor *statistics)
{
    int64_t P = option(s, "latent");
    tensor *mean = tensor_slice(statistics, 2, 0, P), *log_variance = tensor_slice(statistics, 2, P, P);
    tensor *noise = further_input(s, "noise");
    tensor *excess = tensor_subtract(tensor_exp(log_variance), tensor_affine(log_variance, 1, 1));
    tensor *kl = tensor_scale(tensor_add(tensor_square(mean), excess), 0.5);
    tensor *counts = tensor_greater(kl, tensor_scalar(s->graph, option_real(s, "free_bits")));
    further_output(s, "kl", tensor_sum(tensor_multiply(kl, counts), 2));
    if (!noise)
        return mean;
    noise = tensor_reshape(noise, 3, mean->shape);
    return tensor_add(mean, tensor_multiply(noise, tensor_exp(tensor_scale(log_variance, 0.5))));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    tensor *z = further_input(s, "latent");
    if (z) {
        z = tensor_reshape(z, 3, SHAPE(x->shape[0], 1, option(s, "latent")));
    } else {
        tensor *text = further_input(s, "text");
        z = sample(s, encode(s, text ? text : x));
    }
    tensor *rows = linear(s, "decoder.transformer.linear", z, s->layers * width, false);
    struct scope at = *s;
    for (at.layer = 0; at.layer < s->layers; at.layer++)
        layer_leave(&at, "prefix", tensor_slice(rows, 2, at.layer * width, width));
    tensor *added = linear(s, "decoder.transformer.linear_emb", z, width, false);
    return stack_forward(s, tensor_add(stack_embed(s, x), added));
}

static const char *validate(const struct scope *s)
{
    return s->width % option(s, "encoder_heads") ? "the width is not divisible by the encoder's heads" : NULL;
}

KERNEL(variational_autoencoder) = {
    .name = "variational-autoencoder",
    .slot = SLOT_OBJECTIVE,
    .variant = "optimus",
    .summary = "the stack decodes a vector that an encoder draws for the whole sentence",
    .options = OPTIONS(INTEGER_OPTION("latent", 32, 1, 1 << 20, "channels of the vector"),
                       INTEGER_OPTION("encoder_layers", 12, 1, 1000, "layers of the encoder"),
                       INTEGER_OPTION("encoder_heads", 8, 1, 1024, "heads of the encoder"),
                       INTEGER_OPTION("encoder_length", 512, 1, 1 << 24, "positions of the encoder"),
                       REAL_OPTION("free_bits", 0.5, 0, 1e6, "divergence of a channel that costs nothing"),
                       REAL_OPTION("epsilon", 1e-12, 0, 1, "of the encoder's layer norms")),
    .characters = CHARACTERS({"causality", "bidirectional"}, {"memory", "tokens"}, {"decode-cost", "replay"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
