/* Word order in complex embeddings (complex-order; iclr-complex-order/complex-order
 * transformer/Models.py, without an initial phase): every channel of a word is a wave along the positions,
 * with an amplitude e and a frequency w of that word.
 *
 *     z_t = e exp(i w pos_t),    pos_t = 1, 2, ..
 *
 * A token's row of x holds its amplitudes and then its frequencies, [B, T, 2 D]: a table of embeddings of
 * twice the complex channels trains both. With `words` there are tables word_emb and position_enc [words, D]
 * here, which the input "ids" [B, T] reads; "pos" [B, T] are positions of one's own. */
#include "../complex-parts.h"

/* [B or 1, T, 1] */
static tensor *positions(struct scope *s, int64_t length)
{
    tensor *given = further_input(s, "pos");
    if (given)
        return tensor_reshape(given, 3, SHAPE(given->shape[0], given->shape[1], 1));
    return tensor_reshape(tensor_range(s->graph, s->position + 1, length, 1), 3, SHAPE(1, length, 1));
}

static tensor *words(struct scope *s, const char *name, tensor *ids)
{
    return tensor_rows(parameter(s, name, init_normal(1), 2, SHAPE(option(s, "words"), s->width / 2)), ids);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t channels = s->width / 2;
    tensor *amplitude = tensor_slice(x, 2, 0, channels), *frequency = tensor_slice(x, 2, channels, channels);
    if (option(s, "words")) {
        tensor *ids = further_input(s, "ids");
        if (!ids)
            kernel_fail(s, "tables of words are read by an input \"ids\"");
        amplitude = words(s, "word_emb.weight", ids);
        frequency = words(s, "position_enc.weight", ids);
    }
    tensor *phase = tensor_multiply(frequency, positions(s, x->shape[1]));
    tensor *parts[] = {tensor_multiply(amplitude, tensor_cos(phase)),
                       tensor_multiply(amplitude, tensor_sin(phase))};
    for (int i = 0; i < 2; i++)
        parts[i] = tensor_reshape(parts[i], 4, SHAPE(1, x->shape[0], x->shape[1], channels));
    return complex_channels(s, tensor_concat(2, parts, 0));
}

KERNEL(complex_word_order) = {
    .name = "complex-word-order",
    .slot = SLOT_EMBEDDING,
    .variant = "complex-order",
    .summary = "channels are complex waves along the positions, of each word's amplitude and frequency",
    .options =
        OPTIONS(INTEGER_OPTION("words", 0, 0, 1 << 24,
                               "rows of tables of its own; 0: the input has amplitudes and frequencies"),
                HALVES_OPTION),
    .characters = CHARACTERS({"position", "absolute"}, {"numbers", "complex"}),
    .validate = validate_complex_width,
    .forward = forward,
    .step = forward,
};
