/* measurement.h: one variant in one setting, ready to be timed. */
#ifndef CLADE_BENCH_MEASUREMENT_H
#define CLADE_BENCH_MEASUREMENT_H

#include "bench/mode.h"
#include "block/block.h"

struct measurement {
    const char *variant;  /* the caller's */
    const char *settings; /* options that were set, as a JSON object; the caller's */
    enum bench_mode mode;
    enum bench_scope scope;
    int64_t length, width, batch;
    /* Known once opened. */
    double flops, bytes; /* of one run, as the primitives count them */
    /* Parameters, input, output and state, once each; no more than `bytes` (a table of embeddings is not read
     * whole). */
    double compulsory_bytes;
    int64_t parameters;
    size_t state_bytes; /* after `length` tokens; 0 unless decoding */
    size_t peak_bytes;  /* most that one run had in use beside parameters */
    /* Times of runs, in seconds. */
    double *seconds;
    size_t rounds, capacity;

    struct block *block;
    struct pool *pool; /* shared with the other measurements of a session */
    struct graph *graph;
    tensor *output; /* of the parallel forms */
    struct state *state;
    real *input, *seed;
    int repeats; /* runs that one sample is the mean of */
};

/* Builds the block (option `length`, where a kernel has it, is raised to fit), makes the input and, for
 * decode, fills the state with `length` tokens, after which one more is taken again and again. The fields
 * above "Known once opened" are set by the caller. STATUS_USAGE if the composition does not take the
 * setting. */
enum status measurement_open(struct measurement *measurement, const struct composition *composition,
                             struct pool *pool, uint64_t seed, struct error *error);
/* Gives the block, the graph and the arrays back; what is known and the times stay. */
void measurement_release(struct measurement *measurement);
void measurement_close(struct measurement *measurement); /* releases it, and the times too */
/* What an open one holds, beside what it took from its pool. */
size_t measurement_bytes(const struct measurement *measurement);
/* Runs and adds one sample. */
void measurement_sample(struct measurement *measurement);
double measurement_median(const struct measurement *measurement);
double measurement_spread(const struct measurement *measurement);
/* Between what it is: see statistics_median_range(). */
void measurement_median_range(const struct measurement *measurement, double *low, double *high);

#endif
