/* YaRN (yarn, sections 3.2 and 3.4; jquesnelle/yarn LlamaYaRNScaledRotaryEmbedding). A model trained on L
 * tokens is extended by `factor`:
 *
 *     w_i = theta_i (e kept_i + (1 - e kept_i) / factor),    theta_i = theta^(-2i / r),    e = extrapolation
 *     q, k -> m (q, k turned by t w_i),    m = attention (0.1 ln(factor) + 1)
 *
 * kept_i is 1 for pairs that turn more than beta_fast times within L tokens, 0 for those that turn less than
 * beta_slow times. m^2 is the inverse temperature of the softmax. As published in code, kept_i falls linearly
 * with i between the two, from a pair rounded down to one rounded up and at most r - 1; the paper has it
 * linear in the number of turns. */
#include "yarn-rotary.h"

static double frequency(const struct rotation *r, int64_t i)
{
    double kept = kept_share(r, i, option_real(r->s, "beta_fast"), option_real(r->s, "beta_slow"),
                             (double)option(r->s, "length"));
    kept *= option_real(r->s, "extrapolation");
    return plain_frequency(r, i) * (kept + (1 - kept) / option_real(r->s, "factor"));
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    (void)is_key;
    double magnitude = option_real(s, "attention") * attention_temperature(option_real(s, "factor"));
    return tensor_scale(turn_by_frequency(s, x, start, frequency), magnitude);
}

static const char *validate(const struct scope *s)
{
    return option_real(s, "theta") == 1 ? "all pairs turn equally fast where theta is 1" : NULL;
}

KERNEL(yarn_rotary) = {
    .name = "yarn-rotary",
    .slot = SLOT_POSITION,
    .variant = "yarn",
    .summary = "slow rotary frequencies interpolated, fast ones kept, queries and keys sharpened",
    .options = OPTIONS(ROTARY_OPTIONS(0),
                       REAL_OPTION("factor", 4, 1e-6, 1e6, "new length over the trained one"),
                       INTEGER_OPTION("length", 2048, 1, 1 << 24, "L, the trained length"),
                       REAL_OPTION("beta_fast", 32, 1e-6, 1e6, "turns in L from which a pair is kept"),
                       REAL_OPTION("beta_slow", 1, 1e-6, 1e6, "turns in L up to which it is interpolated"),
                       REAL_OPTION("extrapolation", 1, 0, 1,
                                   "share of the kept frequencies that is really kept"),
                       REAL_OPTION("attention", 1, 1e-6, 1e6, "a further factor of queries and keys")),
    .characters = CHARACTERS({"position", "rotary"}),
    .validate = validate,
    .rotate = rotate,
};
