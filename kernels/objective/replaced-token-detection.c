/* Replaced token detection (electra; google-research/electra run_pretraining.py): a small generator fills
 * masked places with tokens that it samples, and the model tells of every token whether it was replaced.
 *
 *     s_p ~ softmax(generator(x with masks)_p . words / temperature) for p in positions,    x'_p = words[s_p]
 *     y = W2 act(W1 layers(x') + b1) + b2, one logit for each token
 *
 * The generator is an encoder of its own width with BERT's layers (norms behind the residual sums); it shares
 * words, positions and what else embeds the stack's input, and no gradient passes through its samples. A
 * training step has the tokens as the input "ids" [B, T], which words [vocabulary, D] embed in place of x,
 * and draws "positions" [B, N] and Gumbel "noise" [B, N, vocabulary], without which the likeliest token is
 * taken. y is [B, T, 1]; further outputs are "generator_logits" and "sampled" [B, N, 1], for the generator's
 * loss and for which tokens differ. Without ids y is what the layers give for x, as the trained model is
 * used. */
#include "encoder.h"
#include "masked-rows.h"

static int64_t generator_width(const struct scope *s)
{
    return option_or(s, "generator_width", s->width / 4);
}

/* One for 64 channels, as published. */
static int64_t generator_heads(const struct scope *s)
{
    int64_t heads = generator_width(s) / 64;
    return option_or(s, "generator_heads", heads ? heads : 1);
}

/* Logits of the words at the masked places, [B, N, vocabulary]. */
static tensor *generator(struct scope *s, tensor *x, tensor *positions, tensor *words)
{
    int64_t width = generator_width(s);
    if (width != s->width)
        x = linear(s, "generator.embeddings_project", x, width, true);
    x = encoder_layers(s, "generator.encoder", x, option(s, "generator_layers"), generator_heads(s),
                       option_choice(s, "activation"), option_real(s, "epsilon"));
    tensor *features = token_features(s, "generator_predictions", rows_at(x, positions), s->width);
    tensor *bias =
        parameter(s, "generator_predictions.output_bias", init_constant(0), 1, SHAPE(words->shape[0]));
    return tensor_linear(features, words, bias);
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *ids = further_input(s, "ids"), *positions = further_input(s, "positions"),
           *noise = further_input(s, "noise");
    if (!ids || !positions)
        return stack_forward(s, stack_embed(s, x));
    check_positions(s, positions);
    int64_t batch = x->shape[0], count = positions->shape[1];
    tensor *words = parameter(s, "word_embeddings.weight", init_normal(0.02), 2,
                              SHAPE(option(s, "vocabulary"), s->width));
    tensor *mask = parameter(s, "mask_embedding", init_normal(0.02), 1, SHAPE(s->width));
    tensor *tokens = tensor_rows(words, ids);
    tensor *masked =
        with_rows_at(tokens, positions, tensor_broadcast(mask, 3, SHAPE(batch, count, s->width)));
    tensor *logits = generator(s, stack_embed(s, masked), positions, words);
    tensor *scores = tensor_scale(tensor_stop_gradient(logits), 1 / option_real(s, "temperature"));
    tensor *sampled = tensor_argmax(noise ? tensor_add(scores, noise) : scores, 2);
    further_output(s, "generator_logits", logits);
    further_output(s, "sampled", sampled);
    tensor *fake = tensor_rows(words, tensor_reshape(sampled, 2, SHAPE(batch, count)));
    tensor *y = stack_forward(s, stack_embed(s, with_rows_at(tokens, positions, fake)));
    y = linear(s, "discriminator_predictions.dense", y, s->width, true);
    return linear(s, "discriminator_predictions.dense_1",
                  tensor_activation(y, option_choice(s, "activation")), 1, true);
}

static const char *validate(const struct scope *s)
{
    if (generator_width(s) < 1)
        return "a quarter of the width is nothing: set generator_width";
    return generator_width(s) % generator_heads(s)
               ? "the generator's width is not divisible by generator_heads"
               : NULL;
}

KERNEL(replaced_token_detection) = {
    .name = "replaced-token-detection",
    .slot = SLOT_OBJECTIVE,
    .variant = "electra",
    .summary = "tells which tokens a small generator has put in place of masked ones",
    .options = OPTIONS(INTEGER_OPTION("vocabulary", 30522, 2, 1 << 24, "words"),
                       INTEGER_OPTION("generator_layers", 12, 1, 1000, "layers of the generator"),
                       INTEGER_OPTION("generator_width", 0, 0, 1 << 20,
                                      "its width; 0: a quarter of the model's"),
                       INTEGER_OPTION("generator_heads", 0, 0, 1024, "its heads; 0: one for 64 channels"),
                       REAL_OPTION("temperature", 1, 1e-6, 1e6, "of its samples"), TOKEN_FEATURE_OPTIONS),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
