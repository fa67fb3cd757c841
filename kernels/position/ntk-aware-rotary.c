/* NTK-aware rotary positions (ntk-rope; jquesnelle/yarn LlamaNTKScaledRotaryEmbedding and
 * LlamaDynamicNTKScalingRotaryEmbedding). The base of the frequencies grows instead of the positions
 * shrinking:
 *
 *     w_i = (theta a^(r / (r - 2)))^(-2i / r)                        r channels turn, a = factor
 *     dynamic: a = factor T / L - (factor - 1) for T > L tokens, else 1
 *
 * so that the lowest frequency is divided by a and the highest kept. In the dynamic form all positions turn
 * by the frequencies of the present T. Then a cache holds keys that have not turned, and a step gives what a
 * call with the tokens so far gives; what an earlier token got changes with T (yarn, section 3.3). */
#include "rotary.h"
#include <string.h>

static double growth(const struct rotation *r)
{
    double factor = option_real(r->s, "factor"), ratio = (double)r->tokens / (double)option(r->s, "length");
    if (option_is(r->s, "form", "static"))
        return factor;
    return ratio > 1 ? factor * ratio - (factor - 1) : 1;
}

static double frequency(const struct rotation *r, int64_t i)
{
    double channels = (double)r->channels;
    double base = option_real(r->s, "theta") * pow(growth(r), channels / (channels - 2));
    return pow(base, -2.0 * (double)i / channels);
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    (void)is_key;
    return turn_by_frequency(s, x, start, frequency);
}

static bool is_dynamic(const struct scope *s)
{
    return option_is(s, "form", "dynamic");
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "causality") == 0 && is_dynamic(s) ? "approximate" : NULL;
}

KERNEL(ntk_aware_rotary) = {
    .name = "ntk-aware-rotary",
    .slot = SLOT_POSITION,
    .variant = "ntk-rope",
    .summary = "rotary frequencies of a larger base, which slows the low ones and keeps the high ones",
    .options = OPTIONS(
        ROTARY_OPTIONS(0),
        CHOICE_OPTION("form", "static|dynamic", "one base, or one that follows the number of tokens"),
        REAL_OPTION("factor", 4, 1, 1e6, "the lowest frequency is divided by it"),
        INTEGER_OPTION("length", 2048, 1, 1 << 24, "L, up to which the dynamic form changes nothing")),
    .characters = CHARACTERS({"position", "rotary"}, {"causality", "causal"}),
    .character = character,
    .rotate = rotate,
    .rotates_anew = is_dynamic,
};
