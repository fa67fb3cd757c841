/* State tracking: the word problem of a group (Liu et al. 2023, "Transformers learn shortcuts to automata";
 * Merrill, Petty & Sabharwal 2024, "The illusion of state in state-space models").
 *
 *     g1 g2 g3 ..                                  asked at t: g1 g2 .. gt, the state after t moves
 *
 * Tokens and answers are the elements of the group. Parity: 0 and 1, added modulo 2 (flips of a coin; asked
 * at the last place only, the parity task of length-generalization, section 2.1). Modular: addition modulo n.
 * Permutations: those of n things, n! tokens in lexicographic order, the newest applied last; for n = 5 no
 * circuits of constant depth follow them. */
#include "block/kernel.h"

enum { MOST_THINGS = 7 };

static bool permutes(const struct scope *s)
{
    return option_is(s, "group", "permutations");
}

static const char *validate(const struct scope *s)
{
    return permutes(s) && option(s, "elements") > MOST_THINGS
               ? "elements of group permutations must be at most 7: there are 5040 of them"
               : NULL;
}

static int64_t order_of(const struct scope *s)
{
    int64_t elements = option_is(s, "group", "parity") ? 2 : option(s, "elements"), order = 1;
    for (int64_t i = 2; i <= elements && permutes(s); i++)
        order *= i;
    return permutes(s) ? order : elements;
}

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){.vocabulary = order_of(s),
                               .questions = option_is(s, "asked", "every") ? option(s, "length") : 1};
}

/* The permutation with a number, and its number: digits of the factorial base count what is smaller and not
 * used yet. */
static void unrank(int64_t number, int64_t n, int64_t *images)
{
    for (int64_t i = n - 1; i >= 0; i--) {
        images[i] = number % (n - i);
        number /= n - i;
        for (int64_t j = i + 1; j < n; j++)
            images[j] += images[j] >= images[i];
    }
}

static int64_t rank(int64_t n, const int64_t *images)
{
    int64_t number = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t smaller = 0;
        for (int64_t j = i + 1; j < n; j++)
            smaller += images[j] < images[i];
        number = number * (n - i) + smaller;
    }
    return number;
}

static int64_t apply(const struct scope *s, int64_t state, int64_t move)
{
    if (!permutes(s))
        return (state + move) % order_of(s);
    int64_t n = option(s, "elements"), before[MOST_THINGS], newest[MOST_THINGS], after[MOST_THINGS];
    unrank(state, n, before);
    unrank(move, n, newest);
    for (int64_t i = 0; i < n; i++)
        after[i] = newest[before[i]];
    return rank(n, after);
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t state = 0, order = order_of(s); /* 0 is the identity of each group */
    bool every = option_is(s, "asked", "every");
    for (int64_t t = 0; t < sequence->length; t++) {
        int64_t move = draw_below(sequence, order);
        state = apply(s, state, move);
        sequence->ids[t] = (real)move;
        if (every || t == sequence->length - 1)
            sequence->targets[t] = (real)state;
    }
}

KERNEL(state_tracking) = {
    .name = "state-tracking",
    .slot = SLOT_TASK,
    .summary = "moves of a group, as flips of a coin or permutations of five things: the state they lead to "
               "is asked",
    .options = OPTIONS(INTEGER_OPTION("length", 32, 1, 1 << 20, "tokens of a sequence"),
                       CHOICE_OPTION("group", "parity|modular|permutations", "whose elements are the moves"),
                       INTEGER_OPTION("elements", 5, 2, 4096, "n, of modular and permutations"),
                       CHOICE_OPTION("asked", "every|last", "at every place or at the last only")),
    .validate = validate,
    .sizes = sizes,
    .generate = generate,
};
