/* bench_plan.h: what `clade bench` is to measure, as its options and those of `clade sweep` say. */
#ifndef CLADE_CLI_BENCH_PLAN_H
#define CLADE_CLI_BENCH_PLAN_H

#include "cli/quantity.h"
#include "cli/timed.h"

/* Options that make a plan. */
#define PLAN_OPTIONS                                                                        \
    {.name = "mode",                                                                        \
     .type = VALUE_TEXT,                                                                    \
     .value = "LIST",                                                                       \
     .help = "of prefill, decode, train; prefill if not given"},                            \
        {.name = "length",                                                                  \
         .type = VALUE_TEXT,                                                                \
         .value = "LIST",                                                                   \
         .help = "tokens, as 256,1k,4k; 256,1k if not given"},                              \
        {.name = "width", .type = VALUE_TEXT, .value = "LIST", .help = "channels; 256"},    \
        {.name = "suite",                                                                   \
         .type = VALUE_TEXT,                                                                \
         .value = "NAME",                                                                   \
         .help = "the variants of a suite, or those a study compares"},                     \
        {.name = "operation", .help = "time the mixer's core without its projections too"}, \
        {.name = "budget",                                                                  \
         .type = VALUE_REAL,                                                                \
         .value = "SECONDS",                                                                \
         .minimum = 0,                                                                      \
         .maximum = 1e6,                                                                    \
         .help = "time for all rounds beyond the fifth; 10"},                               \
        TIMED_OPTIONS

/* Every variant in every mode, width and length, and in one scope or both. What has a mode, a width, a length
 * and a variant is a case; cases are numbered in this order, the variant running fastest, so that neighbours
 * compare. */
struct plan {
    const char **keys;
    size_t key_count;
    enum bench_mode modes[MODE_COUNT];
    size_t mode_count;
    enum bench_scope scopes[SCOPE_COUNT];
    size_t scope_count;
    struct quantities widths, lengths;
    int64_t batch;
    double budget_s;
    uint64_t seed;
    size_t first_case, end_case; /* the part that is measured here */
};

/* All cases. STATUS_USAGE for a list or number that is none, or without variants. */
enum status plan_read(struct command_line *line, struct plan *plan, struct error *error);
size_t plan_cases(const struct plan *plan);
/* The number of different modes, widths and lengths: cases that compare with each other. */
size_t plan_settings(const struct plan *plan);

/* STATUS_USAGE if there are more parts than cases. */
enum status plan_check_parts(const struct plan *plan, int64_t parts, struct error *error);
/* Keeps part i of n, "i/n": as many cases as the others, give or take one. */
enum status plan_take_part(struct plan *plan, const char *part, struct error *error);
bool plan_has(const struct plan *plan, size_t mode, size_t width, size_t length, size_t key);
/* Whether a part has cases of this variant. */
bool plan_has_key(const struct plan *plan, size_t key);

#endif
