/* record.h: a run and its results as they are kept: in the database (store.h) and in files (lines.h). */
#ifndef CLADE_BENCH_RECORD_H
#define CLADE_BENCH_RECORD_H

#include "base/memory.h"
#include <cjson/cJSON.h>
#include <stdint.h>

struct record_result {
    const char *variant, *scope, *mode;
    const char *settings; /* a JSON object */
    int64_t length, width, batch, rounds, parameters, state_bytes, peak_bytes;
    double median_s, spread_s;
    double flops, bytes, roofline_fraction; /* NaN where unknown */
};

/* A test of a stack trained on a task. */
struct record_test {
    const char *task, *variant;
    const char *settings; /* a JSON object */
    int64_t seed, step, parameters;
    double accuracy, loss, seconds;
};

struct record {
    const char *uuid;                      /* names the run on every machine */
    const char *started_at;                /* UTC, YYYY-MM-DDTHH:MM:SSZ */
    const char *machine, *build, *options; /* JSON objects */
    const char *precision;                 /* "single" or "double" */
    int64_t threads;
    double gflops, gbytes_per_s; /* NaN where unknown */
    struct record_result *results;
    size_t count;
    struct record_test *tests;
    size_t test_count;
};

/* An object as records hold it: the same members in the same order give the same text. */
const char *record_object(const cJSON *object, struct arena *arena);

#endif
