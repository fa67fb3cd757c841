/* case.h: a kernel alone with random weights and input, to be held against a naive form that a test writes
 * from the definition. */
#ifndef CLADE_TESTS_KERNELS_CASE_H
#define CLADE_TESTS_KERNELS_CASE_H

#include "block/block.h"

/* A further input of the parallel form, row-major. */
struct case_input {
    const char *name;
    int rank;
    int64_t shape[4];
    const double *values;
};

struct kernel_case {
    struct block *block;
    int64_t batch, length, width;
    double *x; /* [batch, length, width] */
    double *y;
    int64_t rows, columns;           /* y [batch, rows, columns] */
    const char *input;               /* a further input of the kernel, or NULL */
    const double *values;            /* its values, [batch, length]: the test's own */
    const struct case_input *inputs; /* others; of the test */
    int input_count;
};

/* Runs the kernel of one slot: {"mixer": {"kernel": .., options}}. Trained weights are normal numbers of
 * deviation 0.5. Fails the test if it cannot be built. */
void case_open(struct kernel_case *c, const char *composition, int64_t batch, int64_t length, int64_t width);
/* The same for a whole composition: its layers with residuals, parameters named by layer and slot. */
void case_open_stack(struct kernel_case *c, const char *composition, int64_t batch, int64_t length,
                     int64_t width);
/* The same with a further input. */
void case_open_with_input(struct kernel_case *c, const char *composition, int64_t batch, int64_t length,
                          int64_t width, const char *input, const double *values);
/* The same with several, of any shapes; for the parallel form alone. */
void case_open_with_inputs(struct kernel_case *c, const char *composition, int64_t batch, int64_t length,
                           int64_t width, const struct case_input *inputs, int count);
/* Fails unless the composition is refused with this message. */
void case_expect_refused(const char *composition, int64_t width, const char *message);
void case_close(struct kernel_case *c);

/* A parameter or buffer, in its own layout; fails the test if there is none. */
const real *case_values(const struct kernel_case *c, const char *name);
/* y = W x + b of NAME.weight and, if there is one, NAME.bias. */
void case_linear(const struct kernel_case *c, const char *name, const double *x, int64_t inputs, double *y,
                 int64_t outputs);
/* Fails unless y is `want` [batch, rows, columns] to within rounding of its root mean square. */
void case_expect(const struct kernel_case *c, const double *want);
/* The same for what steps of one token each give in place of y. */
void case_expect_steps(const struct kernel_case *c, const double *want);
/* Fails unless its gradients, steps and the other properties of `clade check` hold. */
void case_expect_properties(const char *composition);
void case_expect_stack_properties(const char *composition); /* of the whole composition */

#endif
