/* Passkey retrieval (landmark-attention; infinite-bench, appendix B, Retrieve.PassKey and Retrieve.Number;
 * published code: InfiniteBench data/construct_synthetic_dataset.py):
 *
 *     the grass is .. |key 7 1 3 |remember 7 1 3 |end the sky .. |question 7 1    asked from the question on: 7 1 3
 *
 * The key, said twice, stands anywhere in a text of the same few words over and over; it is asked at the end,
 * where each digit is given once it was to be said. Tokens: ten digits, four marks (key, remember, end,
 * question), words. With `repeated` that many digits are put in that repeat the one behind them, as in the
 * numbers of Retrieve.Number. The published tasks are texts; here a word or a mark is a token, and the key
 * stands between any two words. */
#include "block/kernel.h"

enum { KEY = 10, REMEMBER, END, QUESTION, WORDS, MARKS_OF_KEY = 3 };

static int64_t key_length(const struct scope *s)
{
    return option(s, "digits") + option(s, "repeated");
}

static const char *validate(const struct scope *s)
{
    return 3 * key_length(s) + MARKS_OF_KEY > option(s, "length")
               ? "length must be at least 3 times the digits and repeated, and 3 marks"
               : NULL;
}

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){.vocabulary = WORDS + option(s, "words"), .questions = key_length(s)};
}

static const int64_t *draw_key(const struct scope *s, struct task_sequence *sequence)
{
    int64_t digits = option(s, "digits"), length = key_length(s), *key = sequence_numbers(sequence, length);
    for (int64_t i = 0; i < digits; i++)
        key[i] = draw_below(sequence, 10);
    for (int64_t count = digits; count < length; count++) {
        int64_t place = draw_below(sequence, count);
        for (int64_t i = count; i > place; i--)
            key[i] = key[i - 1];
    }
    return key;
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t n = key_length(s), question = sequence->length - n, words = option(s, "words");
    int64_t start = draw_below(sequence, question - 2 * n - MARKS_OF_KEY + 1);
    int64_t second = start + 1 + n, end = second + 1 + n;
    const int64_t *key = draw_key(s, sequence);
    for (int64_t t = 0, word = 0; t < question; t++)
        if (t < start || t > end)
            sequence->ids[t] = (real)(WORDS + word++ % words);
    sequence->ids[start] = KEY;
    sequence->ids[second] = REMEMBER;
    sequence->ids[end] = END;
    sequence->ids[question] = QUESTION;
    for (int64_t i = 0; i < n; i++) {
        sequence->ids[start + 1 + i] = sequence->ids[second + 1 + i] = (real)key[i];
        sequence->targets[question + i] = (real)key[i];
        if (i + 1 < n)
            sequence->ids[question + 1 + i] = (real)key[i];
    }
}

KERNEL(passkey_retrieval) = {
    .name = "passkey-retrieval",
    .slot = SLOT_TASK,
    .variant = "landmark-attention",
    .summary = "a number hidden in a long text of the same few words, asked at its end",
    .options = OPTIONS(INTEGER_OPTION("length", 64, 6, 1 << 20, "tokens of a sequence"),
                       INTEGER_OPTION("digits", 5, 1, 1024, "of the number"),
                       INTEGER_OPTION("repeated", 0, 0, 1024, "digits put in that repeat another"),
                       INTEGER_OPTION("words", 16, 1, 1 << 20, "of the text, which then begins again")),
    .validate = validate,
    .sizes = sizes,
    .generate = generate,
};
