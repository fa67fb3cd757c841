/* Resonance RoPE (resonance-rope, section 4; sheryc/resonance_rope LlamaResonanceRotaryEmbedding and
 * LlamaResonanceYaRNScaledRotaryEmbedding): every wavelength becomes a whole number of tokens,
 *
 *     lambda_i = round(2 pi / w_i),    w'_i = 2 pi / lambda_i
 *
 * so that a pair which has turned once within the trained length meets no new angle beyond it. w is
 * roformer's or, with `scaling` yarn, what yarn makes of it with its published betas; queries and keys then
 * carry yarn's factor too. */
#include "yarn-rotary.h"

static double frequency(const struct rotation *r, int64_t i)
{
    double w = plain_frequency(r, i);
    if (option_is(r->s, "scaling", "yarn")) {
        double kept = kept_share(r, i, 32, 1, (double)option(r->s, "length"));
        w *= kept + (1 - kept) / option_real(r->s, "factor");
    }
    return 2 * M_PI / nearbyint(2 * M_PI / w); /* to even */
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    (void)is_key;
    tensor *turned = turn_by_frequency(s, x, start, frequency);
    if (option_is(s, "scaling", "none"))
        return turned;
    return tensor_scale(turned, attention_temperature(option_real(s, "factor")));
}

static const char *validate(const struct scope *s)
{
    return option_real(s, "theta") == 1 && option_is(s, "scaling", "yarn")
               ? "all pairs turn equally fast where theta is 1"
               : NULL;
}

KERNEL(resonance_rotary) = {
    .name = "resonance-rotary",
    .slot = SLOT_POSITION,
    .variant = "resonance-rope",
    .summary = "rotary wavelengths rounded to whole numbers of tokens",
    .options = OPTIONS(ROTARY_OPTIONS(0),
                       CHOICE_OPTION("scaling", "none|yarn", "of the frequencies before rounding"),
                       REAL_OPTION("factor", 4, 1, 1e6, "of yarn: new length over the trained one"),
                       INTEGER_OPTION("length", 2048, 1, 1 << 24, "of yarn: the trained length")),
    .characters = CHARACTERS({"position", "rotary"}),
    .validate = validate,
    .rotate = rotate,
};
