/* Properties of outputs that are computed in two ways: at once and step by step, on other numbers of threads,
 * in a batch and alone. */
#include "base/memory.h"
#include "block/check_properties.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* LIMITS: differences relative to the root mean square of the outputs. That of a batch is for sums in another
 * order; what a kernel declares as its batch_coupling comes on top. */
#ifdef CLADE_DOUBLE
static const double step_limit = 1e-8, batch_limit = 1e-12;
#else
static const double step_limit = 1e-4, batch_limit = 5e-6;
#endif
/* Sums in another order may lie so many times further apart than results do when inputs move by rounding. */
static const double amplification = 30;

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
            response = fmax(response, evaluation_difference(&e, whole->y, 0, e.shape[1]));
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
    real *x = subject_input(subject, CHECK_INPUT_SEED, 1, subject->length);
    struct evaluation whole = {.batch = 1, .length = subject->length, .x = x};
    if (!subject_evaluate(subject, &whole))
        property_fail(property, "%s", subject->error.message);
    else if (!evaluation_has_positions(&whole))
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
    real *x = subject_input(subject, CHECK_INPUT_SEED, SUBJECT_BATCH, length);
    *e = (struct evaluation){.batch = SUBJECT_BATCH, .length = length, .x = x, .seed = CHECK_GRADIENT_SEED};
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

/* Primitives take more than one thread from some 20,000 numbers on: eight times the usual length, where it is
 * accepted; less where that takes minutes. */
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
    real *x = subject_input(subject, CHECK_INPUT_SEED, SUBJECT_BATCH, subject->length);
    struct evaluation whole = {.batch = SUBJECT_BATCH, .length = subject->length, .x = x};
    bool ok = subject_evaluate(subject, &whole);
    double allowed = batch_limit + subject_batch_coupling(subject);
    double scale = ok ? root_mean_square(whole.y, evaluation_size(&whole)) : 0, largest = 0;
    for (int64_t b = 0; ok && b < SUBJECT_BATCH && property->outcome == CHECK_PASSED; b++) {
        struct evaluation one = {.batch = 1, .length = subject->length, .x = x + b * size, .first_row = b};
        if (!(ok = subject_evaluate(subject, &one)))
            break;
        double difference =
            evaluation_difference(&one, whole.y + b * evaluation_size(&one), 0, one.shape[1]) / scale;
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
