/* subject.h: what the property checks measure: a composition built at odd sizes with random weights. Private
 * to the check files. */
#ifndef CLADE_BLOCK_SUBJECT_H
#define CLADE_BLOCK_SUBJECT_H

#include "block/block.h"

enum causality { CAUSAL, APPROXIMATE, BIDIRECTIONAL };

/* A step at 64, 128 and 256 tokens; see check_growth.c. */
struct decoding {
    bool measured;
    double flops[3], whole; /* of a step at each position; of the parallel form over all of them */
    size_t bytes[3];        /* of the state */
};

struct subject {
    struct composition composition;
    bool alone;
    struct block *block;
    struct pool *pool;
    int64_t width, length; /* sizes that the kernels accept; 37 tokens if they do */
    const char *input;     /* a further input that they cannot do without, or NULL */
    struct parameter_entry **trained;
    size_t trained_count;
    struct decoding decoding;
    struct error error; /* of the latest failure */
};
enum { SUBJECT_BATCH = 2 };

/* Finds sizes, brings options that count tokens down so that a short input passes them, and perturbs the
 * initial weights. False with the reason in subject->error if the kernels accept none of the sizes. Release
 * it in either case. */
bool subject_create(struct subject *subject, const struct composition *composition, bool alone);
void subject_release(struct subject *subject);

/* The character that the composition declares as a whole, as a place in `order` (from harmless to worst,
 * ended by NULL): the worst of its kernels', or what the kernel that wraps the stack says. 0 if none says
 * anything; -1 with `unknown` set for a state that is not in the list. */
int subject_character(const struct subject *subject, const char *name, const char *const *order,
                      const char **unknown);
enum causality subject_causality(const struct subject *subject);
double subject_batch_coupling(const struct subject *subject); /* the largest of its kernels */

/* Normal numbers [batch, length, width]; the first entries of the batch are the same for any size of it.
 * free() them. */
real *subject_input(const struct subject *subject, uint64_t seed, int64_t batch, int64_t length);

/* As many numbers as y has, drawn likewise; with rows > 0 zeros from that row of axis 1 on. free() them. */
real *subject_seed(uint64_t seed, const tensor *y, int64_t rows);

/* Adds the further input, if there is one, for `batch` entries from `first_row` on. */
void subject_further_input(const struct subject *subject, struct graph *graph, int64_t first_row,
                           int64_t batch, struct inputs *inputs);

/* One building of the block and what came of it. */
struct evaluation {
    int64_t batch, length;
    const real *x;     /* NULL: only recorded, for the cost */
    int64_t first_row; /* of the batch, for further inputs */
    uint64_t seed;     /* of the numbers whose products with y are summed for gradients; 0: no gradients */
    int64_t seed_rows; /* > 0: only the first rows of y on axis 1 are summed */
    real *y;           /* out: free() it */
    int rank;          /* out: of y */
    int64_t shape[TENSOR_MAX_RANK];
    real *gradients;  /* out, with seed: of x, then of each trained parameter; free() it */
    struct cost cost; /* out */
};
/* False with the reason in subject->error; then there is nothing to free. */
bool subject_evaluate(struct subject *subject, struct evaluation *evaluation);
int64_t evaluation_size(const struct evaluation *evaluation); /* elements of y */

/* A sequence taken step by step. */
struct stepper {
    struct subject *subject;
    struct state *state;
    int64_t batch, position;
};
void stepper_start(struct stepper *stepper, struct subject *subject, int64_t batch);
/* The next `rows` tokens x [batch, rows, width]; y, shaped alike, may be NULL. With x NULL the step is only
 * recorded: the state does not move. *cost may be NULL. */
bool stepper_take(struct stepper *stepper, const real *x, int64_t rows, real *y, struct cost *cost);
void stepper_end(struct stepper *stepper);

#endif
