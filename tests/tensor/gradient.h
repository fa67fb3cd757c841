/* gradient.h: what the tests of primitives share: a function built from leaves is held against central
 * differences, and against itself on other layouts of its inputs and other numbers of threads. */
#ifndef CLADE_TESTS_GRADIENT_H
#define CLADE_TESTS_GRADIENT_H

#include "tensor/tensor.h"

/* An input of the function under test. */
struct gradient_leaf {
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    double low, high;   /* values are drawn between these; both 0: -1 to 1 */
    const real *values; /* row-major, instead of drawn ones; may be NULL */
    bool fixed;         /* has no gradient: indices, masks */
};
#define LEAF(leaf_rank, ...)                          \
    {                                                 \
        .rank = (leaf_rank), .shape = { __VA_ARGS__ } \
    }

/* Records the function under test and returns its result; several are joined with gradient_join(). */
typedef tensor *(*gradient_build)(struct graph *graph, tensor *const *leaves, const void *argument);
tensor *gradient_join(int count, tensor *const *results);

/* Checks that the gradients of sum(r y), r random, agree with central differences (all entries of a small
 * leaf, some of a large one) within 1e-6 of their size in double precision, 2e-3 in single. Then that outputs
 * and gradients are the same bits when run again, without recording gradients (outputs), and with 2, 3 and 7
 * threads instead of 1; and that they agree when every leaf is a slice of a larger array filled with NaN, and
 * when its axes lie in reverse order.
 *
 * Functions with kinks need values at least 2 steps from them: the step is 1e-3 in double precision, 3e-2 in
 * single, both times (high - low) / 2 where that is less than 1. */
#define check_gradients(build, argument, leaves) \
    check_gradients_at(__FILE__, __LINE__, build, argument, leaves, (int)(sizeof(leaves) / sizeof *(leaves)))
void check_gradients_at(const char *file, int line, gradient_build build, const void *argument,
                        const struct gradient_leaf *leaves, int count);

/* The values that the leaf gets at this place in the list, and the function's result on them, both row-major;
 * free() them. */
real *leaf_values(const struct gradient_leaf *leaves, int place);
real *evaluate(gradient_build build, const void *argument, const struct gradient_leaf *leaves, int count,
               int64_t *size);

/* Fails unless |got - want| <= tolerance * max(|want|, root mean square of want) for every entry. Infinities
 * and NaN must be the same. */
#define expect_near(got, want, count, tolerance) \
    expect_near_at(__FILE__, __LINE__, got, want, count, tolerance)
void expect_near_at(const char *file, int line, const real *got, const double *want, int64_t count,
                    double tolerance);

/* The message that the function raises when it is recorded or run, in a static buffer; fails if it raises
 * none. */
#define raised_message(build, argument, leaves) \
    raised_message_at(__FILE__, __LINE__, build, argument, leaves, (int)(sizeof(leaves) / sizeof *(leaves)))
const char *raised_message_at(const char *file, int line, gradient_build build, const void *argument,
                              const struct gradient_leaf *leaves, int count);

/* For each leaf in turn: the function refuses one that is longer along `axis` (negative: from the end), in
 * words that have told[leaf] in them. */
#define expect_refused_shapes(build, argument, leaves, axis, told)        \
    expect_refused_shapes_at(__FILE__, __LINE__, build, argument, leaves, \
                             (int)(sizeof(leaves) / sizeof *(leaves)), axis, told)
void expect_refused_shapes_at(const char *file, int line, gradient_build build, const void *argument,
                              const struct gradient_leaf *leaves, int count, int axis,
                              const char *const *told);

#endif
