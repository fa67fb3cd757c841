/* Induction heads (h3, section 3.1 and table 1; mamba, section 4.1.2; after Olsson et al. 2022):
 *
 *     b d c |mark a c b .. b d |mark               asked at the last mark: a, the token behind the first one
 *
 * Tokens: the last is the mark, all others are random. The first mark stands anywhere. Mamba trains on 256
 * tokens and tests up to a million. */
#include "block/kernel.h"

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){.vocabulary = option(s, "vocabulary"), .questions = 1};
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t mark = option(s, "vocabulary") - 1, last = sequence->length - 1,
            first = draw_below(sequence, last - 1);
    for (int64_t t = 0; t < last; t++)
        sequence->ids[t] = (real)(t == first ? mark : draw_below(sequence, mark));
    sequence->ids[last] = (real)mark;
    sequence->targets[last] = sequence->ids[first + 1];
}

KERNEL(induction_heads) = {
    .name = "induction-heads",
    .slot = SLOT_TASK,
    .variant = "h3",
    .summary = "a mark among random tokens comes back at the end: what followed it the first time?",
    .options = OPTIONS(INTEGER_OPTION("length", 64, 3, 1 << 20, "tokens of a sequence"),
                       INTEGER_OPTION("vocabulary", 16, 3, 1 << 20, "tokens, the mark included")),
    .sizes = sizes,
    .generate = generate,
};
