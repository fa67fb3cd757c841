/* Properties of growth: operations of the parallel form and of a step, and the state's bytes, all counted,
 * not timed. */
#include "base/memory.h"
#include "block/check_properties.h"
#include <math.h>
#include <stdlib.h>

enum {
    INPUT_SEED = 1,
    LONGEST = 2048,
    SHORTEST = 512,
    STEP_POSITIONS = 3,
    FIRST_POSITION = 64,
    SUCCESSIVE = 8
};

/* ---- time ---- */

const char *const growth_order[] = {"linear", "log-linear", "subquadratic", "quadratic", "cubic", NULL};

static bool operations(struct subject *subject, int64_t length, double *flops)
{
    struct evaluation e = {.batch = 1, .length = length};
    if (!subject_evaluate(subject, &e))
        return false;
    *flops = e.cost.flops;
    return true;
}

enum { LENGTHS = 4 };

/* What the longest length costs beyond twice the half, as a share; and how that excess grows, by the smaller
 * of its two doublings: 0 for T, 1 for T log T, 2 for T^2. A change of method between two lengths shows in
 * one doubling only. */
static double excess(const double flops[LENGTHS], double *exponent)
{
    double over[LENGTHS - 1];
    *exponent = INFINITY;
    for (int i = 0; i < LENGTHS - 1; i++) {
        over[i] = flops[i + 1] - 2 * flops[i];
        if (i > 0)
            *exponent = fmin(*exponent, over[i - 1] > 0 && over[i] > 0 ? log2(over[i] / over[i - 1]) : 0);
    }
    /* What only moves values has no operations. */
    return flops[LENGTHS - 1] > 0 ? over[LENGTHS - 2] / flops[LENGTHS - 1] : 0;
}

/* The order of growth, as a place in growth_order. A small excess that grows slowly fits both T and T log
 * T. */
static int growth(const double flops[LENGTHS], int declared)
{
    double exponent, share = excess(flops, &exponent);
    if (share <= 0.03 && exponent < 1.25 && declared <= GROWTH_LOG_LINEAR)
        return declared;
    if (share <= 0.005)
        return GROWTH_LINEAR;
    return exponent < 1.25   ? GROWTH_LOG_LINEAR
           : exponent < 1.85 ? GROWTH_SUBQUADRATIC
           : exponent < 2.5  ? GROWTH_QUADRATIC
                             : GROWTH_CUBIC;
}

void check_time(struct subject *subject, struct check_property *property)
{
    const char *unknown;
    double flops[LENGTHS] = {0};
    int declared = subject_character(subject, "time", growth_order, &unknown), known = 0;
    if (declared < 0) {
        property_fail(property, "'%s' is not an order of growth", unknown);
        return;
    }
    /* What is cubic shows that at once, and takes minutes and gigabytes at the usual length. */
    int64_t longest = declared == GROWTH_CUBIC ? LONGEST / 2 : LONGEST;
    for (; longest >= SHORTEST && known < LENGTHS; longest /= 2)
        for (known = 0; known < LENGTHS; known++)
            if (!operations(subject, longest >> (LENGTHS - 1 - known), &flops[known]))
                break;
    if (known < LENGTHS) {
        property_skip(property, "it takes no %d tokens: %.150s", SHORTEST, subject->error.message);
        return;
    }
    longest *= 2;
    int measured = growth(flops, declared);
    if (measured != declared)
        property_fail(
            property,
            "declared %s, but operations grow as %s (%.3g, %.3g, %.3g, %.3g for %lld to %lld tokens)",
            growth_order[declared], growth_order[measured], flops[0], flops[1], flops[2], flops[3],
            (long long)longest >> (LENGTHS - 1), (long long)longest);
    else
        property_tell(property, "%s up to %lld tokens", growth_order[measured], (long long)longest);
}

/* ---- decode-cost, state ---- */

/* Walks to 64, 128 and 256 tokens and looks at the next steps there, of which the costliest and the largest
 * state count: both may go up and down with the place in a segment. */
static bool decode(struct subject *subject)
{
    struct decoding *decoding = &subject->decoding;
    if (decoding->measured)
        return true;
    int64_t last = FIRST_POSITION << (STEP_POSITIONS - 1);
    real *x = subject_input(subject, INPUT_SEED, 1, last + SUCCESSIVE);
    struct stepper stepper;
    bool ok = true;
    stepper_start(&stepper, subject, 1);
    for (int i = 0; ok && i < STEP_POSITIONS; i++) {
        int64_t position = FIRST_POSITION << i;
        while (ok && stepper.position < position)
            ok = stepper_take(&stepper, x + stepper.position * subject->width, 1, NULL, NULL);
        for (int n = 0; ok && n < SUCCESSIVE; n++) {
            struct cost cost = {0};
            size_t bytes = state_bytes(stepper.state);
            decoding->bytes[i] = bytes > decoding->bytes[i] ? bytes : decoding->bytes[i];
            ok = stepper_take(&stepper, x + stepper.position * subject->width, 1, NULL, &cost);
            decoding->flops[i] = fmax(decoding->flops[i], cost.flops);
        }
    }
    stepper_end(&stepper);
    free(x);
    decoding->measured = ok && operations(subject, last + 1, &decoding->whole);
    return decoding->measured;
}

/* Whether a step was measured; else says why not. */
static bool decodes(struct subject *subject, struct check_property *property)
{
    if (subject_causality(subject) == BIDIRECTIONAL)
        property_skip(property, "it is not causal: a step cannot see later tokens");
    else if (!decode(subject))
        property_skip(property, "it takes no %d tokens: %.150s", FIRST_POSITION << (STEP_POSITIONS - 1),
                      subject->error.message);
    return property->outcome == CHECK_PASSED;
}

static const char *const decode_order[] = {"constant", "logarithmic", "linear", "replay", NULL};

static int decode_growth(const struct decoding *decoding)
{
    const double *flops = decoding->flops;
    double first = flops[1] - flops[0], second = flops[2] - flops[1];
    if (flops[2] > 0.1 * decoding->whole)
        return 3;
    if (second <= 0.002 * flops[2])
        return 0;
    return second < 1.5 * first ? 1 : 2;
}

void check_decode_cost(struct subject *subject, struct check_property *property)
{
    const char *unknown;
    int declared = subject_character(subject, "decode-cost", decode_order, &unknown);
    if (declared < 0)
        property_fail(property, "'%s' is not an order of growth", unknown);
    else if (decodes(subject, property)) {
        int measured = decode_growth(&subject->decoding);
        bool on_average =
            declared == 1 && measured == 0; /* costs that come at some positions only may be missed */
        if (measured != declared && !on_average)
            property_fail(property,
                          "declared %s, but a step is %s (%.3g, %.3g, %.3g operations at 64, 128, 256)",
                          decode_order[declared], decode_order[measured], subject->decoding.flops[0],
                          subject->decoding.flops[1], subject->decoding.flops[2]);
        else
            property_tell(property, "%s, %.3g operations at token %d", decode_order[measured],
                          subject->decoding.flops[2], FIRST_POSITION << (STEP_POSITIONS - 1));
    }
}

void check_state(struct subject *subject, struct check_property *property)
{
    const char *unknown;
    bool constant = subject_character(subject, "decode-cost", decode_order, &unknown) == 0;
    if (!decodes(subject, property))
        return;
    const size_t *bytes = subject->decoding.bytes;
    if (constant && bytes[2] > bytes[1])
        property_fail(property,
                      "a step is declared constant, but the state grows: %zu, %zu, %zu bytes at 64, 128, 256",
                      bytes[0], bytes[1], bytes[2]);
    else
        property_tell(property, "%zu bytes at token %d", bytes[2], FIRST_POSITION << (STEP_POSITIONS - 1));
}
