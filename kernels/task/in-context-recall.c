/* In-context recall and its noisy form (Poli et al. 2024, "Mechanistic design and scaling of hybrid
 * architectures"; published code: mad-lab/mad/data/instances.py, with several queries):
 *
 *     k1 v3 k2 v1 k1 v3 k2 v1 ..                   asked at each key that was there before: its value
 *
 * Tokens: keys, then as many values, then those of noise if there is any. In a sequence a key has one value
 * throughout. With `noise` that share of the pairs is two noise tokens. The last key is one that was there
 * before. The published code trains on the loss of all tokens and tests on these; here they alone count for
 * both. */
#include "block/kernel.h"

static int64_t noise_tokens(const struct scope *s)
{
    return option_real(s, "noise") > 0 ? option(s, "noise_vocabulary") : 0;
}

static const char *validate(const struct scope *s)
{
    return option(s, "vocabulary") - noise_tokens(s) < 2
               ? "vocabulary must leave a key and a value beside noise_vocabulary"
               : NULL;
}

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){.vocabulary = option(s, "vocabulary"), .questions = option(s, "length") / 2};
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t noise = noise_tokens(s), first_noise = option(s, "vocabulary") - noise, keys = first_noise / 2;
    int64_t *value = sequence_numbers(sequence, keys); /* of each key, 0 while it has none */
    int64_t *seen = sequence_numbers(sequence, keys), seen_count = 0;
    int64_t last = (sequence->length - 1) / 2 * 2; /* of the last key */
    for (int64_t t = 0; t < sequence->length; t += 2) {
        bool ends = t == last, noisy = seen_count && !ends && draw_share(sequence) < option_real(s, "noise");
        int64_t key =
            ends && seen_count ? seen[draw_below(sequence, seen_count)] : draw_below(sequence, keys);
        if (value[key] && !noisy)
            sequence->targets[t] = (real)value[key];
        if (!value[key] && !noisy) {
            value[key] = keys + draw_below(sequence, first_noise - keys);
            seen[seen_count++] = key;
        }
        sequence->ids[t] = (real)(noisy ? first_noise + draw_below(sequence, noise) : key);
        if (t + 1 < sequence->length)
            sequence->ids[t + 1] = (real)(noisy ? first_noise + draw_below(sequence, noise) : value[key]);
    }
}

KERNEL(in_context_recall) = {
    .name = "in-context-recall",
    .slot = SLOT_TASK,
    .summary =
        "pairs of a key and a value that come again and again: the value of each key seen before is asked",
    .options = OPTIONS(INTEGER_OPTION("length", 64, 3, 1 << 20, "tokens of a sequence"),
                       INTEGER_OPTION("vocabulary", 16, 2, 1 << 20, "tokens: keys, values, noise"),
                       REAL_OPTION("noise", 0, 0, 0.99, "share of pairs that are noise"),
                       INTEGER_OPTION("noise_vocabulary", 8, 1, 1 << 20,
                                      "tokens of the vocabulary that are noise")),
    .validate = validate,
    .sizes = sizes,
    .generate = generate,
};
