/* Associative recall with several queries (MQAR; Arora et al. 2023, "Zoology"; published code:
 * zoology/data/multiquery_ar.py).
 *
 *     k1 v1 k2 v2 .. kP vP | .. k2 .. k1 ..        asked at each key of the second part: its value
 *
 * Tokens: 0 is a blank, keys are 1 .. V / 2 - 1, values the rest; keys and values are drawn without
 * repetition. The queries stand at even places behind the pairs, in random order: the one `gap` places of two
 * behind them is chosen with weight (gap + 1)^(power - 1), as bigrams come back in real text. All other
 * places are random tokens, or blanks. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    int64_t pairs = option(s, "pairs");
    if (4 * pairs > option(s, "length"))
        return "length must be at least 4 pairs: a pair takes two tokens, and its query two more";
    return pairs >= option(s, "vocabulary") / 2 ? "vocabulary must be over twice the pairs" : NULL;
}

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){.vocabulary = option(s, "vocabulary"), .questions = option(s, "pairs")};
}

/* One of `gaps` gaps that is not taken yet. */
static int64_t draw_gap(const struct scope *s, struct task_sequence *sequence, int64_t gaps, int64_t *taken)
{
    double power = option_real(s, "power"), sum = 0;
    int64_t last = 0;
    for (int64_t i = 0; i < gaps; i++)
        sum += taken[i] ? 0 : pow((double)(i + 1), power - 1);
    double left = sum * draw_share(sequence);
    for (int64_t i = 0; i < gaps && left >= 0; i++) {
        if (taken[i])
            continue;
        left -= pow((double)(i + 1), power - 1);
        last = i;
    }
    taken[last] = 1;
    return last;
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t pairs = option(s, "pairs"), vocabulary = option(s, "vocabulary"), half = vocabulary / 2;
    int64_t gaps = (sequence->length - 2 * pairs) / 2, *taken = sequence_numbers(sequence, gaps);
    const int64_t *keys = draw_distinct(sequence, pairs, half - 1);
    const int64_t *values = draw_distinct(sequence, pairs, vocabulary - half);
    bool blank = option_is(s, "filler", "blank");
    for (int64_t t = 2 * pairs; t < sequence->length; t++)
        sequence->ids[t] = blank ? 0 : (real)draw_below(sequence, vocabulary);
    for (int64_t i = 0; i < pairs; i++) {
        int64_t query = 2 * (pairs + draw_gap(s, sequence, gaps, taken));
        sequence->ids[query] = sequence->ids[2 * i] = (real)(1 + keys[i]);
        sequence->targets[query] = sequence->ids[2 * i + 1] = (real)(half + values[i]);
    }
}

KERNEL(associative_recall) = {
    .name = "associative-recall",
    .slot = SLOT_TASK,
    .summary = "pairs of a key and a value, then the keys again, whose values are asked",
    .options = OPTIONS(INTEGER_OPTION("length", 32, 4, 1 << 20, "tokens of a sequence"),
                       INTEGER_OPTION("vocabulary", 32, 4, 1 << 20, "tokens: half keys, half values"),
                       INTEGER_OPTION("pairs", 4, 1, 1 << 18, "of a key and a value"),
                       REAL_OPTION("power", 0.01, 0.001, 1, "of the distance to a query; 1: all as likely"),
                       CHOICE_OPTION("filler", "random|blank", "what stands where nothing is asked")),
    .validate = validate,
    .sizes = sizes,
    .generate = generate,
};
