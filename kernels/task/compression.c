/* Compression (Poli et al. 2024, "Mechanistic design and scaling of hybrid architectures"; published code:
 * mad-lab/mad/data/instances.py and mad/model/auto_encoder.py):
 *
 *     a b b c a d |end                             asked: all tokens, from the output for the end alone
 *
 * Random tokens, then the last token of the vocabulary. The answers are decoded from the sum of the model's
 * output for that one and a code of the place asked for, so all the model knows must go through one vector.
 * (The published code asks for the end token too.) */
#include "block/kernel.h"

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){
        .vocabulary = option(s, "vocabulary"), .questions = option(s, "length") - 1, .summary = true};
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t end = option(s, "vocabulary") - 1, last = sequence->length - 1;
    for (int64_t t = 0; t < last; t++)
        sequence->targets[t] = sequence->ids[t] = (real)draw_below(sequence, end);
    sequence->ids[last] = (real)end;
}

KERNEL(compression) = {
    .name = "compression",
    .slot = SLOT_TASK,
    .summary = "all tokens are asked, from the output for the last alone",
    .options = OPTIONS(INTEGER_OPTION("length", 32, 2, 1 << 20, "tokens of a sequence"),
                       INTEGER_OPTION("vocabulary", 16, 3, 1 << 20, "tokens, the end included")),
    .sizes = sizes,
    .generate = generate,
};
