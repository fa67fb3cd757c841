/* mode.h: what of a block is timed, and how. */
#ifndef CLADE_BENCH_MODE_H
#define CLADE_BENCH_MODE_H

#include "base/error.h"

enum bench_mode {
    MODE_PREFILL, /* the parallel form over `length` tokens */
    MODE_DECODE,  /* one token after `length` others, in the recurrent form */
    MODE_TRAIN,   /* the parallel form and its gradients */
    MODE_COUNT
};
extern const char *const bench_mode_names[MODE_COUNT];
enum status bench_mode_parse(const char *name, enum bench_mode *mode, struct error *error);

enum bench_scope {
    SCOPE_BLOCK,     /* everything */
    SCOPE_OPERATION, /* the mixer without its products with weight matrices */
    SCOPE_COUNT
};
extern const char *const bench_scope_names[SCOPE_COUNT];

#endif
