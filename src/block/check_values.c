/* Properties of outputs: their shapes, that they are finite, what they depend on. */
#include "block/check_properties.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Differences relative to the root mean square of the outputs. */
#ifdef CLADE_DOUBLE
static const double still_limit = 1e-10;
#else
static const double still_limit = 1e-5;
#endif
static const double moved_limit = 1e-3; /* a bidirectional output moves at least by this */

enum { LONG = 2048, LONG_QUADRATIC = 512, OTHER_SEED = 2 };

double root_mean_square(const real *values, int64_t count)
{
    double squares = 0;
    for (int64_t i = 0; i < count; i++)
        squares += (double)values[i] * (double)values[i];
    return count ? sqrt(squares / (double)count) : 0;
}

static int64_t count_not_finite(const real *values, int64_t count)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++)
        found += !isfinite((double)values[i]);
    return found;
}

double evaluation_difference(const struct evaluation *a, const real *b, int64_t first, int64_t last)
{
    double largest = 0;
    int64_t length = a->shape[1], row = evaluation_size(a) / (a->shape[0] * length);
    for (int64_t i = 0; i < a->shape[0]; i++)
        for (int64_t j = (i * length + first) * row; j < (i * length + last) * row; j++) {
            double difference = fabs((double)a->y[j] - (double)b[j]);
            largest = difference <= largest ? largest : difference >= 0 ? difference : INFINITY;
        }
    return largest;
}

bool evaluation_has_positions(const struct evaluation *e)
{
    return e->rank == 3 && e->shape[1] == e->length;
}

/* ---- shapes ---- */

static bool try_shape(struct subject *subject, struct check_property *property, int64_t batch, int64_t length)
{
    real *x = subject_input(subject, CHECK_INPUT_SEED, batch, length);
    struct evaluation e = {.batch = batch, .length = length, .x = x};
    bool ok = subject_evaluate(subject, &e);
    free(x);
    if (!ok) {
        property_fail(property, "%lld tokens: %s", (long long)length, subject->error.message);
        return false;
    }
    bool whole = e.rank == 3 && e.shape[0] == batch && e.shape[2] == subject->width;
    bool pooled = whole && e.shape[1] != length && subject_causality(subject) == BIDIRECTIONAL;
    int64_t bad = count_not_finite(e.y, evaluation_size(&e));
    free(e.y);
    if (!whole || (e.shape[1] != length && !pooled))
        property_fail(property, "x [%lld, %lld, %lld] gives y of %d axes [%lld, %lld, ..]", (long long)batch,
                      (long long)length, (long long)subject->width, e.rank, (long long)e.shape[0],
                      (long long)e.shape[1]);
    else if (bad)
        property_fail(property, "%lld outputs are not finite for %lld tokens", (long long)bad,
                      (long long)length);
    return property->outcome == CHECK_PASSED;
}

void check_shapes(struct subject *subject, struct check_property *property)
{
    if (!try_shape(subject, property, SUBJECT_BATCH, subject->length))
        return;
    if (subject->length == 37 && !try_shape(subject, property, 1, 1))
        return;
    property_tell(property, "x [%d, %lld, %lld]%s%s", SUBJECT_BATCH, (long long)subject->length,
                  (long long)subject->width, subject->input ? ", with " : "",
                  subject->input ? subject->input : "");
}

/* ---- finite ---- */

/* Evaluates over `length` tokens of the given scale; says what is wrong. */
static bool try_finite(struct subject *subject, struct check_property *property, int64_t length, double scale)
{
    real *x = subject_input(subject, CHECK_INPUT_SEED, 1, length);
    for (int64_t i = 0; i < length * subject->width; i++)
        x[i] *= (real)scale;
    struct evaluation e = {.batch = 1, .length = length, .x = x};
    bool ok = subject_evaluate(subject, &e);
    free(x);
    if (!ok)
        return false;
    int64_t bad = count_not_finite(e.y, evaluation_size(&e));
    if (bad)
        property_fail(property, "%lld of %lld outputs are not finite for %lld tokens of scale %g",
                      (long long)bad, (long long)evaluation_size(&e), (long long)length, scale);
    free(e.y);
    return true;
}

void check_finite(struct subject *subject, struct check_property *property)
{
    const char *unknown;
    if (!try_finite(subject, property, subject->length, 1000)) {
        property_fail(property, "%s", subject->error.message);
        return;
    }
    int64_t length =
        subject_character(subject, "time", growth_order, &unknown) < GROWTH_QUADRATIC ? LONG : LONG_QUADRATIC;
    while (property->outcome == CHECK_PASSED && length > subject->length &&
           !try_finite(subject, property, length, 1))
        length /= 2; /* some have weights for so many positions only */
    if (property->outcome == CHECK_PASSED)
        property_tell(property, "scale 1000, and %lld tokens", (long long)length);
}

/* ---- causality ---- */

struct leak {
    double value, gradient; /* how much earlier outputs move; relative gradient */
    int64_t cut;            /* where it was largest */
};

/* x with other numbers from row `cut` on. */
static real *changed_input(const struct subject *subject, const real *x, int64_t cut)
{
    real *changed = subject_input(subject, OTHER_SEED, SUBJECT_BATCH, subject->length);
    for (int64_t b = 0; b < SUBJECT_BATCH; b++)
        memcpy(changed + b * subject->length * subject->width, x + b * subject->length * subject->width,
               (size_t)(cut * subject->width) * sizeof(real));
    return changed;
}

static bool leak_of_values(struct subject *subject, const real *x, const struct evaluation *whole,
                           int64_t cut, double *leak)
{
    real *changed = changed_input(subject, x, cut);
    struct evaluation e = {.batch = SUBJECT_BATCH, .length = subject->length, .x = changed};
    bool ok = subject_evaluate(subject, &e);
    free(changed);
    if (!ok)
        return false;
    *leak = evaluation_difference(&e, whole->y, 0, cut) / root_mean_square(whole->y, evaluation_size(whole));
    free(e.y);
    return true;
}

/* The largest gradient of outputs before `cut` with respect to inputs from `cut` on, over the largest of
 * all. */
static bool leak_of_gradients(struct subject *subject, const real *x, int64_t cut, double *leak)
{
    int64_t row = subject->width, length = subject->length;
    struct evaluation e = {
        .batch = SUBJECT_BATCH, .length = length, .x = x, .seed = CHECK_GRADIENT_SEED, .seed_rows = cut};
    if (!subject_evaluate(subject, &e))
        return false;
    double late = 0, largest = 0;
    for (int64_t i = 0; i < SUBJECT_BATCH * length * row; i++) {
        double gradient = fabs((double)e.gradients[i]);
        largest = fmax(largest, gradient);
        if (i / row % length >= cut)
            late = fmax(late, gradient);
    }
    *leak = largest > 0 ? late / largest : 0;
    free(e.y);
    free(e.gradients);
    return true;
}

static bool measure_leaks(struct subject *subject, const real *x, const struct evaluation *whole,
                          struct leak *leak)
{
    const int64_t cuts[] = {1, subject->length / 3, subject->length / 2 + 1, subject->length - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        double value, gradient;
        if (!leak_of_values(subject, x, whole, cuts[i], &value) ||
            !leak_of_gradients(subject, x, cuts[i], &gradient))
            return false;
        if (value > leak->value || gradient > leak->gradient)
            leak->cut = cuts[i];
        leak->value = fmax(leak->value, value);
        leak->gradient = fmax(leak->gradient, gradient);
    }
    return true;
}

static void judge_leaks(enum causality declared, const struct leak *leak, struct check_property *property)
{
    bool still = leak->value <= still_limit && leak->gradient <= still_limit;
    if (declared == CAUSAL && !still)
        property_fail(property,
                      "outputs before token %lld move by %.2g with later inputs, their gradients are %.2g",
                      (long long)leak->cut, leak->value, leak->gradient);
    else if (declared == CAUSAL)
        property_tell(property, "later inputs move earlier outputs by %.2g", leak->value);
    else if (declared == BIDIRECTIONAL && leak->value < moved_limit)
        property_fail(property, "declared bidirectional, but later inputs move earlier outputs by %.2g only",
                      leak->value);
    else
        property_tell(property, "%s: later inputs move earlier outputs by %.2g",
                      declared == BIDIRECTIONAL ? "bidirectional" : "approximate", leak->value);
}

void check_causality(struct subject *subject, struct check_property *property)
{
    real *x = subject_input(subject, CHECK_INPUT_SEED, SUBJECT_BATCH, subject->length);
    struct evaluation whole = {.batch = SUBJECT_BATCH, .length = subject->length, .x = x};
    struct leak leak = {0, 0, 0};
    if (!subject_evaluate(subject, &whole))
        property_fail(property, "%s", subject->error.message);
    else if (!evaluation_has_positions(&whole))
        property_skip(property, "its outputs do not stand for tokens");
    else if (!measure_leaks(subject, x, &whole, &leak))
        property_fail(property, "%s", subject->error.message);
    else
        judge_leaks(subject_causality(subject), &leak, property);
    free(whole.y);
    free(x);
}
