/* alone.h: a kernel alone on random weights and tokens, for tests that compare it with a naive form. */
#ifndef CLADE_TESTS_KERNELS_ALONE_H
#define CLADE_TESTS_KERNELS_ALONE_H

#include "block/block.h"

struct alone {
    struct block *block;
    int64_t batch, length, width, size; /* size: numbers in y */
    real *x, *y;
};

/* The mixer {"kernel": .., options} over x [batch, length, width]; fails the test if that raises. Release it. */
struct alone run_alone(const char *mixer, int64_t batch, int64_t length, int64_t width);
/* The same with other weights: change what alone_weight() gives, then run again. */
void run_again(struct alone *alone);
void alone_release(struct alone *alone);
/* A parameter's numbers; fails the test if there is none of that name. */
real *alone_weight(const struct alone *alone, const char *name);

#endif
