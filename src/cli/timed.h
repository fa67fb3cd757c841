/* timed.h: variants that are to be timed, for the commands that measure. */
#ifndef CLADE_CLI_TIMED_H
#define CLADE_CLI_TIMED_H

#include "bench/record.h"
#include "bench/session.h"
#include "cli/cli.h"
#include <cjson/cJSON.h>

/* Options of all these commands. */
#define TIMED_OPTIONS                                                            \
    {.name = "batch",                                                            \
     .type = VALUE_INTEGER,                                                      \
     .value = "B",                                                               \
     .minimum = 1,                                                               \
     .maximum = 4096,                                                            \
     .help = "sequences at once; 1"},                                            \
        {.name = "threads",                                                      \
         .type = VALUE_INTEGER,                                                  \
         .value = "N",                                                           \
         .minimum = 1,                                                           \
         .maximum = 1024,                                                        \
         .help = "all cores if not given"},                                      \
        {.name = "set",                                                          \
         .type = VALUE_TEXT,                                                     \
         .value = "NAME=VALUE",                                                  \
         .repeated = true,                                                       \
         .help = "an option of the kernels, as heads=8 or mixer.window=64"},     \
        {.name = "seed",                                                         \
         .type = VALUE_INTEGER,                                                  \
         .value = "N",                                                           \
         .minimum = 0,                                                           \
         .maximum = 1e15,                                                        \
         .help = "of weights, inputs, order; 1"},                                \
    {                                                                            \
        .name = "unchecked", .help = "time variants without checking them first" \
    }

struct timed {
    const char **keys;
    struct composition *compositions; /* one a key */
    bool *dropped;                    /* those that are not timed after all */
    size_t count;
    const char *settings; /* what --set gave, as a JSON object */
    int *unused;          /* how many of the compositions have no use for each --set */
};

/* The variants that the operands from `first` on and --suite name, each once, in the line's arena. */
enum status timed_keys(struct command_line *line, size_t first, const char ***keys, size_t *count,
                       struct error *error);
/* The two halves of timed_read(): a setting may also be one of `others` further compositions, which count in
 * `unused` too. */
enum status timed_compose(struct command_line *line, const char *const *keys, size_t count,
                          struct timed *timed, struct error *error);
enum status timed_refuse_unused(struct command_line *line, const struct timed *timed, int others,
                                struct error *error);
/* Composes the variants with --set. STATUS_USAGE for an unknown key, or for a setting that fits none of them.
 * Release it whatever comes back. */
enum status timed_read(struct command_line *line, const char *const *keys, size_t count, struct timed *timed,
                       struct error *error);
/* Unless --unchecked is given, drops those whose checks fail too, with a line each: a block that does not do
 * what it says has no time. STATUS_NO if fewer than `least` are left. */
enum status timed_verify(struct command_line *line, struct timed *timed, size_t least, struct error *error);
void timed_release(struct timed *timed);

/* Which of --mode's list, in the order given; prefill if it is not. */
enum status timed_modes(struct command_line *line, enum bench_mode modes[MODE_COUNT], size_t *count,
                        struct error *error);
/* --threads, and a note if the machine has other things to do. Before anything is measured. */
void timed_prepare(const struct command_line *line);
/* A percentage on standard error, if that is a terminal; for session.progress. */
void timed_progress(void *argument, double fraction);

/* Keeps a record in the database. One that refuses costs a note, not the results. */
void timed_store_record(struct command_line *line, const struct record *record);
/* The same for the session's results, with `options`, which say what was asked for and are deleted. */
void timed_store(struct command_line *line, const struct session *session, cJSON *options);

#endif
