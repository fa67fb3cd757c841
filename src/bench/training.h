/* training.h: a small stack of a variant's blocks, trained on a task with known answers and tested on the
 * way.
 *
 * Token embedding, blocks, a final norm and a head (model.h) learn by AdamW from the mean cross-entropy of
 * the answers alone. Every step has new sequences; the test is on others, the same ones each time. The
 * learning rate rises linearly over the first tenth of the steps, then falls to zero as a half cosine. All of
 * it follows from the seed, with any number of threads. */
#ifndef CLADE_BENCH_TRAINING_H
#define CLADE_BENCH_TRAINING_H

#include "block/composition.h"
#include "block/task.h"

/* What a test gave after some steps. */
struct training_point {
    int64_t step;
    double accuracy; /* share of the questions that the largest logit answers */
    double loss;     /* mean cross-entropy of them */
    double seconds;  /* spent on the steps, without tests */
};

struct training {
    /* Set by the caller, who keeps what is pointed to. */
    const char *variant, *name;         /* what is trained, and on which task */
    const char *part;                   /* of a task that has several; or NULL */
    const char *settings;               /* as they are stored: a JSON object */
    const struct settings *task, *test; /* valid ones, which may differ in length */
    int64_t width, batch, steps;
    int layers; /* blocks, of which a pattern of several takes as many as are not fewer */
    int64_t test_sequences;
    int64_t tests;        /* how many, evenly over the steps; the last one after them all */
    double learning_rate; /* the largest */
    uint64_t seed;
    /* Optional: called after each step; false ends the training after one more test. */
    bool (*progress)(void *argument, const struct training *training, int64_t steps_done, double loss);
    void *argument;

    /* Known once it ran. */
    int64_t parameters;
    bool causal; /* as its kernels declare; else it may have seen answers among the tokens to come */
    struct training_point *points;
    size_t point_count;
    char stopped[256]; /* why it ended before all steps were done; "" */
};

/* Trains and tests. STATUS_USAGE, and no points, if the kernels do not take these sizes. A training that does
 * not come to its end (numbers that are not finite, or the caller's wish) has the points up to there. */
enum status training_run(struct training *training, const struct composition *composition,
                         struct error *error);
void training_release(struct training *training); /* the points */

/* The learning rate of the step after `done` others. */
double training_rate(const struct training *training, int64_t done);

#endif
