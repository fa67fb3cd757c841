/* Properties of values: shapes, finite outputs, causality, steps, threads and batch rows. */
#include "base/memory.h"
#include "block/check_properties.h"
#include "tensor/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* LIMITS: differences relative to the root mean square of the outputs. That of a batch is for sums in another order; what a kernel
 * declares as its batch_coupling comes on top. */
#ifdef CLADE_DOUBLE
static const double still_limit = 1e-10, step_limit = 1e-8, batch_limit = 1e-12;
#else
static const double still_limit = 1e-5, step_limit = 1e-4, batch_limit = 5e-6;
#endif
/* Sums in another order may lie so many times further apart than results do when inputs move by rounding. */
static const double amplification = 30;
static const double moved_limit = 1e-3; /* a bidirectional output moves at least by this */

enum { LONG = 2048, LONG_QUADRATIC = 512, INPUT_SEED = 1, OTHER_SEED = 2, SEED_SEED = 3 };

static double root_mean_square(const real *values, int64_t count)
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

/* The largest difference over rows [first, last) of axis 1; a NaN on either side is infinite. */
static double largest_difference(const struct evaluation *a, const real *b, int64_t first, int64_t last)
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

/* Whether there is one output for each token; without, nothing can be said of single positions. */
static bool has_positions(const struct evaluation *e)
{
    return e->rank == 3 && e->shape[1] == e->length;
}

/* ---- shapes ---- */

static bool try_shape(struct subject *subject, struct check_property *property, int64_t batch, int64_t length)
{
    real *x = subject_input(subject, INPUT_SEED, batch, length);
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
    real *x = subject_input(subject, INPUT_SEED, 1, length);
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
    *leak = largest_difference(&e, whole->y, 0, cut) / root_mean_square(whole->y, evaluation_size(whole));
    free(e.y);
    return true;
}

/* The largest gradient of outputs before `cut` with respect to inputs from `cut` on, over the largest of all. */
static bool leak_of_gradients(struct subject *subject, const real *x, int64_t cut, double *leak)
{
    int64_t row = subject->width, length = subject->length;
    struct evaluation e = {
        .batch = SUBJECT_BATCH, .length = length, .x = x, .seed = SEED_SEED, .seed_rows = cut};
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
    real *x = subject_input(subject, INPUT_SEED, SUBJECT_BATCH, subject->length);
    struct evaluation whole = {.batch = SUBJECT_BATCH, .length = subject->length, .x = x};
    struct leak leak = {0, 0, 0};
    if (!subject_evaluate(subject, &whole))
        property_fail(property, "%s", subject->error.message);
    else if (!has_positions(&whole))
        property_skip(property, "its outputs do not stand for tokens");
    else if (!measure_leaks(subject, x, &whole, &leak))
        property_fail(property, "%s", subject->error.message);
    else
        judge_leaks(subject_causality(subject), &leak, property);
    free(whole.y);
    free(x);
}

/* ---- step ---- */

/* How far outputs move when inputs do by rounding, relative to their size; 0 if that does not run. */
static double rounding_response(struct subject *subject, const real *x, const struct evaluation *whole)
{
    enum { DRAWS = 3 };
    int64_t size = subject->length * subject->width;
    double response = 0;
    for (uint64_t draw = 1; draw <= DRAWS; draw++) {
        real *moved = memory_copy(x, (size_t)size * sizeof(real));
        struct evaluation e = {.batch = 1, .length = subject->length, .x = moved};
        move_by_rounding(moved, size, draw);
        if (subject_evaluate(subject, &e))
            response = fmax(response, largest_difference(&e, whole->y, 0, e.shape[1]));
        free(e.y);
        free(moved);
    }
    return response / root_mean_square(whole->y, size);
}

/* Takes all tokens in steps of 1, or of 3, 1, 5, 2, and compares. */
static bool try_steps(struct subject *subject, const real *x, const struct evaluation *whole, bool several,
                      double allowed, struct check_property *property)
{
    static const int64_t sizes[] = {3, 1, 5, 2};
    int64_t length = subject->length, row = subject->width;
    double scale = root_mean_square(whole->y, length * row);
    struct stepper stepper;
    stepper_start(&stepper, subject, 1);
    for (int64_t start = 0, i = 0; start < length && property->outcome == CHECK_PASSED; i++) {
        int64_t rows = several ? sizes[i % 4] : 1;
        rows = rows < length - start ? rows : length - start;
        real *y = memory_allocate((size_t)(rows * row) * sizeof(real));
        double largest = INFINITY;
        bool ok = stepper_take(&stepper, x + start * row, rows, y, NULL);
        if (ok) {
            largest = 0;
            for (int64_t j = 0; j < rows * row; j++) {
                double difference = fabs((double)y[j] - (double)whole->y[start * row + j]) / scale;
                largest = difference <= largest ? largest : difference;
            }
        }
        free(y);
        if (!ok)
            property_fail(property, "token %lld: %s", (long long)start, subject->error.message);
        else if (!(largest <= allowed))
            property_fail(property, "the step of tokens %lld to %lld differs from the parallel form by %.2g",
                          (long long)start, (long long)(start + rows - 1), largest);
        start += rows;
    }
    stepper_end(&stepper);
    return property->outcome == CHECK_PASSED;
}

static void compare_steps(struct subject *subject, struct check_property *property)
{
    real *x = subject_input(subject, INPUT_SEED, 1, subject->length);
    struct evaluation whole = {.batch = 1, .length = subject->length, .x = x};
    if (!subject_evaluate(subject, &whole))
        property_fail(property, "%s", subject->error.message);
    else if (!has_positions(&whole))
        property_skip(property, "its outputs do not stand for tokens");
    else {
        double allowed = fmax(step_limit, amplification * rounding_response(subject, x, &whole));
        if (try_steps(subject, x, &whole, false, allowed, property) &&
            try_steps(subject, x, &whole, true, allowed, property))
            property_tell(property,
                          allowed > step_limit ? "%s, where rounding may move outputs by %.2g" : "%s",
                          block_has_step(subject->block) ? "recurrent" : "replayed", allowed);
    }
    free(whole.y);
    free(x);
}

void check_step(struct subject *subject, struct check_property *property)
{
    if (subject_causality(subject) != CAUSAL)
        property_skip(property, "it is not causal: a step cannot see later tokens");
    else
        compare_steps(subject, property);
}

/* ---- threads ---- */

static const char *compare_bits(const struct subject *subject, const struct evaluation *a,
                                const struct evaluation *b)
{
    int64_t input = a->batch * a->length * subject->width, at = input;
    if (memcmp(a->y, b->y, (size_t)evaluation_size(a) * sizeof(real)) != 0)
        return "y";
    if (memcmp(a->gradients, b->gradients, (size_t)input * sizeof(real)) != 0)
        return "dx";
    for (size_t i = 0; i < subject->trained_count; i++) {
        int64_t size = parameter_size(subject->trained[i]);
        if (memcmp(a->gradients + at, b->gradients + at, (size_t)size * sizeof(real)) != 0)
            return subject->trained[i]->name;
        at += size;
    }
    return NULL;
}

/* The whole evaluation on so many threads. */
static bool evaluate_on(struct subject *subject, int threads, int64_t length, struct evaluation *e)
{
    real *x = subject_input(subject, INPUT_SEED, SUBJECT_BATCH, length);
    *e = (struct evaluation){.batch = SUBJECT_BATCH, .length = length, .x = x, .seed = SEED_SEED};
    tensor_set_threads(threads);
    bool ok = subject_evaluate(subject, e);
    free(x);
    return ok;
}

static void release_evaluation(struct evaluation *e)
{
    free(e->y);
    free(e->gradients);
}

/* Primitives take more than one thread from some 20,000 numbers on: eight times the usual length, where it is accepted; less where
 * that takes minutes. */
void check_threads(struct subject *subject, struct check_property *property)
{
    static const int counts[] = {2, 3, 7};
    int before = tensor_threads();
    const char *unknown;
    bool cubic = subject_character(subject, "time", growth_order, &unknown) == GROWTH_CUBIC;
    int64_t length = (cubic ? 3 : 8) * subject->length;
    struct evaluation one, many;
    bool ok = evaluate_on(subject, 1, length, &one);
    if (!ok)
        ok = evaluate_on(subject, 1, length = subject->length, &one);
    for (size_t i = 0; ok && i < sizeof counts / sizeof *counts && property->outcome == CHECK_PASSED; i++) {
        if (!(ok = evaluate_on(subject, counts[i], length, &many)))
            break;
        const char *other = compare_bits(subject, &one, &many);
        if (other)
            property_fail(property, "'%s' has other bits with %d threads than with one", other, counts[i]);
        release_evaluation(&many);
    }
    if (!ok)
        property_fail(property, "%s", subject->error.message);
    else if (property->outcome == CHECK_PASSED)
        property_tell(property, "the same bits on 1, 2, 3 and 7, %lld tokens", (long long)length);
    tensor_set_threads(before);
    release_evaluation(&one);
}

/* ---- batch ---- */

void check_batch(struct subject *subject, struct check_property *property)
{
    int64_t size = subject->length * subject->width;
    real *x = subject_input(subject, INPUT_SEED, SUBJECT_BATCH, subject->length);
    struct evaluation whole = {.batch = SUBJECT_BATCH, .length = subject->length, .x = x};
    bool ok = subject_evaluate(subject, &whole);
    double allowed = batch_limit + subject_batch_coupling(subject);
    double scale = ok ? root_mean_square(whole.y, evaluation_size(&whole)) : 0, largest = 0;
    for (int64_t b = 0; ok && b < SUBJECT_BATCH && property->outcome == CHECK_PASSED; b++) {
        struct evaluation one = {.batch = 1, .length = subject->length, .x = x + b * size, .first_row = b};
        if (!(ok = subject_evaluate(subject, &one)))
            break;
        double difference =
            largest_difference(&one, whole.y + b * evaluation_size(&one), 0, one.shape[1]) / scale;
        if (!(difference <= allowed))
            property_fail(property, "entry %lld of a batch differs by %.2g from what it gets alone",
                          (long long)b, difference);
        largest = fmax(largest, difference);
        free(one.y);
    }
    if (!ok)
        property_fail(property, "%s", subject->error.message);
    else if (property->outcome == CHECK_PASSED)
        property_tell(property, "an entry differs by %.2g from what it gets alone", largest);
    free(whole.y);
    free(x);
}
