/* Retrieval of a value by a long key (Liu et al. 2023, "Lost in the middle"; infinite-bench, appendix B,
 * Retrieve.KV):
 *
 *     a3:7f,0c:d2,91:4e,|question 0 c : d          asked from the last colon on: d 2
 *
 * As many pairs as go into the length, all keys different; a comma stands in the places left over in front.
 * Tokens: the signs that keys and values are made of, then colon, comma, question. The published keys and
 * values are of 32 hexadecimal signs, in a text of JSON. */
#include "block/kernel.h"
#include <math.h>

static int64_t pair_length(const struct scope *s)
{
    return option(s, "key_signs") + option(s, "value_signs") + 2;
}

/* Of question, key, colon, and the value but for its last sign. */
static int64_t tail_length(const struct scope *s)
{
    return option(s, "key_signs") + option(s, "value_signs") + 1;
}

static int64_t pair_count(const struct scope *s)
{
    return (option(s, "length") - tail_length(s)) / pair_length(s);
}

static const char *validate(const struct scope *s)
{
    double keys = pow((double)option(s, "signs"), (double)option(s, "key_signs"));
    if (option(s, "length") < tail_length(s) + pair_length(s))
        return "length must be at least 3 and twice the signs of a key and a value";
    return (double)pair_count(s) > keys || keys > 0x1p62
               ? "key_signs must make more keys than pairs go into the length, and at most 2^62"
               : NULL;
}

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){.vocabulary = option(s, "signs") + 3, .questions = option(s, "value_signs")};
}

/* Writes a number as `count` signs; returns the place behind them. */
static int64_t write_signs(struct task_sequence *sequence, int64_t place, int64_t number, int64_t count,
                           int64_t signs)
{
    for (int64_t i = place + count - 1; i >= place; i--) {
        sequence->ids[i] = (real)(number % signs);
        number /= signs;
    }
    return place + count;
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t signs = option(s, "signs"), key_signs = option(s, "key_signs"),
            value_signs = option(s, "value_signs");
    int64_t pairs = pair_count(s), all_keys = 1, question = sequence->length - tail_length(s), place = 0;
    real colon = (real)signs, comma = (real)(signs + 1);
    for (int64_t i = 0; i < key_signs; i++)
        all_keys *= signs;
    const int64_t *keys = draw_distinct(sequence, pairs, all_keys);
    int64_t asked = draw_below(sequence, pairs);
    while (place < question - pairs * pair_length(s))
        sequence->ids[place++] = comma;
    int64_t first = place;
    for (int64_t i = 0; i < pairs; i++) {
        place = write_signs(sequence, place, keys[i], key_signs, signs);
        sequence->ids[place++] = colon;
        for (int64_t j = 0; j < value_signs; j++)
            sequence->ids[place++] = (real)draw_below(sequence, signs);
        sequence->ids[place++] = comma;
    }
    const real *value = sequence->ids + first + asked * pair_length(s) + key_signs + 1;
    sequence->ids[question] = (real)(signs + 2);
    place = write_signs(sequence, question + 1, keys[asked], key_signs, signs);
    sequence->ids[place] = colon;
    for (int64_t j = 0; j < value_signs; j++) {
        sequence->targets[place + j] = value[j];
        if (j + 1 < value_signs)
            sequence->ids[place + j + 1] = value[j];
    }
}

KERNEL(key_value_retrieval) = {
    .name = "key-value-retrieval",
    .slot = SLOT_TASK,
    .summary = "a list of pairs of a key and a value of several signs each; one key's value is asked",
    .options = OPTIONS(INTEGER_OPTION("length", 64, 5, 1 << 20, "tokens of a sequence"),
                       INTEGER_OPTION("signs", 16, 2, 1 << 16, "that keys and values are made of"),
                       INTEGER_OPTION("key_signs", 2, 1, 62, "of a key"),
                       INTEGER_OPTION("value_signs", 2, 1, 1024, "of a value")),
    .validate = validate,
    .sizes = sizes,
    .generate = generate,
};
