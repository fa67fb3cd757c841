/* Selective copying (mamba, section 4.1.1; in the layout of Poli et al. 2024, mad-lab/mad/data/instances.py):
 *
 *     . . a . b . . . c . |copy . . .              asked at the blanks behind the mark: a b c
 *
 * Tokens: the last is the mark, the one before it the blank, the others are to be copied, in their order.
 * Their places among the blanks are any set of places with the same chance (the published code inserts blanks
 * one by one, which prefers long runs). */
#include "block/kernel.h"

static const char *validate(const struct scope *s)
{
    return 2 * option(s, "tokens") + 1 > option(s, "length")
               ? "length must be over twice the tokens to copy: the mark comes between the two times they "
                 "stand there"
               : NULL;
}

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){.vocabulary = option(s, "vocabulary"), .questions = option(s, "tokens")};
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t tokens = option(s, "tokens"), mark = option(s, "vocabulary") - 1, blank = mark - 1;
    int64_t places = sequence->length - tokens - 1, *chosen = sequence_numbers(sequence, places),
            next = places + 1;
    const int64_t *order = draw_distinct(sequence, tokens, places);
    for (int64_t i = 0; i < tokens; i++)
        chosen[order[i]] = 1;
    for (int64_t t = 0; t < sequence->length; t++)
        sequence->ids[t] = (real)(t == places ? mark : blank);
    for (int64_t t = 0; t < places; t++)
        if (chosen[t]) {
            sequence->ids[t] = (real)draw_below(sequence, blank);
            sequence->targets[next++] = sequence->ids[t];
        }
}

KERNEL(selective_copying) = {
    .name = "selective-copying",
    .slot = SLOT_TASK,
    .variant = "mamba",
    .summary = "tokens strewn among blanks, to be said again in order behind a mark",
    .options = OPTIONS(INTEGER_OPTION("length", 64, 3, 1 << 20, "tokens of a sequence"),
                       INTEGER_OPTION("vocabulary", 16, 3, 1 << 20, "tokens, blank and mark included"),
                       INTEGER_OPTION("tokens", 8, 1, 1 << 18, "to copy")),
    .validate = validate,
    .sizes = sizes,
    .generate = generate,
};
