/* Masked language modelling (bert, section 3.1 and appendix A.1; google-research/bert run_pretraining.py): of
 * some tokens the model sees a mask in their place, and it predicts them from both sides.
 *
 *     x'_p = mask_embedding for p in positions,    y_p = LayerNorm(act(W layers(x')_p + b)),
 *         scores = y_p . words
 *
 * A training step draws the input "positions" [B, N], N different ones of each text, and may draw "shown"
 * [B, N]: 1 where in place of the mask a token stands, itself or its row of the input "tokens" [B, N, D] (a
 * tenth each, as published). y is [B, N, D]. The further output "next_sentence" [B, 1, 2] scores whether the
 * second sentence follows the first, from the first row. Without positions nothing is masked and y is what
 * the layers give, as the trained model is used. */
#include "masked-rows.h"

static tensor *masked(struct scope *s, tensor *x, tensor *positions)
{
    tensor *mask = parameter(s, "mask_embedding", init_normal(0.02), 1, SHAPE(s->width));
    tensor *rows = tensor_broadcast(mask, 3, SHAPE(positions->shape[0], positions->shape[1], s->width));
    tensor *shown = further_input(s, "shown"), *tokens = further_input(s, "tokens");
    if (shown) {
        shown = tensor_reshape(shown, 3, SHAPE(shown->shape[0], shown->shape[1], 1));
        rows = tensor_where(shown, tokens ? tokens : rows_at(x, positions), rows);
    }
    return with_rows_at(x, positions, rows);
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *positions = further_input(s, "positions");
    if (!positions)
        return stack_forward(s, stack_embed(s, x));
    check_positions(s, positions);
    tensor *y = stack_forward(s, stack_embed(s, masked(s, x, positions)));
    if (option(s, "next_sentence")) {
        tensor *pooled = tensor_tanh(linear(s, "pooler.dense", tensor_slice(y, 1, 0, 1), s->width, true));
        further_output(s, "next_sentence", linear(s, "seq_relationship", pooled, 2, true));
    }
    return token_features(s, "transform", rows_at(y, positions), s->width);
}

KERNEL(masked_language_modelling) = {
    .name = "masked-language-modelling",
    .slot = SLOT_OBJECTIVE,
    .variant = "bert",
    .summary = "tokens behind masks are predicted from both sides",
    .options = OPTIONS(FLAG_OPTION("next_sentence", 1,
                                   "whether sentences follow each other is predicted, too"),
                       TOKEN_FEATURE_OPTIONS),
    .forward = forward,
    .step = forward,
};
