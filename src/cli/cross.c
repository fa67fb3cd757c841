/* cross.c: `clade cross`: from which length on one variant is faster than another. */
#include "base/fields.h"
#include "bench/clock.h"
#include "cli/bench_report.h"
#include "cli/cross_report.h"
#include "cli/quantity.h"
#include "cli/timed.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ANSWERS = MODE_COUNT * SCOPE_COUNT,
    MEASUREMENTS = 2 * ANSWERS * CROSSING_POINTS,
    COMPARISONS = 16, /* that the budget is made for */
};

struct crossing_run {
    const struct timed *timed;
    int64_t shortest, longest, width, batch;
    double budget_s;         /* of one answer */
    struct session *session; /* collects the measurements of all comparisons */
    struct cross_answer answers[ANSWERS];
    size_t count;
    const struct cross_answer *current;
};

/* ---- One comparison ---- */

static void show_comparison(const struct crossing_run *run, int64_t length)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s %s at length %lld", bench_mode_names[run->current->mode],
                bench_scope_names[run->current->scope], (long long)length);
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

static enum status open_pair(const struct crossing_run *run, struct measurement *pair, int64_t length,
                             struct pool *pool, struct error *error)
{
    for (int i = 0; i < 2; i++) {
        pair[i] = (struct measurement){.variant = run->timed->keys[i],
                                       .settings = run->timed->settings,
                                       .mode = run->current->mode,
                                       .scope = run->current->scope,
                                       .length = length,
                                       .width = run->width,
                                       .batch = run->batch};
        enum status status =
            measurement_open(&pair[i], &run->timed->compositions[i], pool, run->session->seed, error);
        if (status) {
            error_prefix(error, "'%s' at length %lld", pair[i].variant, (long long)length);
            for (; i >= 0; i--)
                measurement_close(&pair[i]);
            return status;
        }
    }
    return STATUS_OK;
}

/* Both variants at one length, in interleaved rounds. */
static enum status compare(void *argument, int64_t length, struct crossing_point *point, struct error *error)
{
    struct crossing_run *run = argument;
    double start = clock_seconds();
    struct measurement *pair = &run->session->measurements[run->session->count];
    struct pool *pool = pool_create();
    show_comparison(run, length);
    enum status status = open_pair(run, pair, length, pool, error);
    if (!status) {
        struct session session = *run->session;
        session.measurements = pair;
        session.count = 2;
        session.budget_s = run->budget_s / COMPARISONS;
        session.roofline_given = true;
        session_run(&session);
        run->session->started = session.started;
        run->session->count += 2;
        point->ratio = measurement_median(&pair[0]) / measurement_median(&pair[1]);
        for (int i = 0; i < 2; i++) {
            point->spread += measurement_notch(&pair[i]) / measurement_median(&pair[i]);
            point->bytes += measurement_bytes(&pair[i]) + pair[i].peak_bytes;
            measurement_release(&pair[i]);
        }
        point->cost_s = clock_seconds() - start;
    }
    pool_free(pool);
    return status;
}

/* ---- All answers ---- */

static size_t half_of_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages / 2 * (size_t)size : SIZE_MAX;
}

/* A mode or scope that one of the two has not is no answer; if none is, it is an error. */
static enum status find_all(struct command_line *line, struct crossing_run *run, struct error *error)
{
    size_t found = 0;
    for (size_t i = 0; i < run->count; i++) {
        struct cross_answer *answer = &run->answers[i];
        struct crossing_search search = {.first = run->shortest,
                                         .last = run->longest,
                                         .budget_s = run->budget_s,
                                         .memory = half_of_memory(),
                                         .compare = compare,
                                         .argument = run};
        struct error failure = ERROR_INIT;
        run->current = answer;
        enum status status = crossing_find(&search, &answer->crossing, &failure);
        if (status && status != STATUS_USAGE) {
            *error = failure;
            return status;
        }
        if (status)
            answer->refusal = arena_copy_string(&line->arena, failure.message);
        found += !status;
    }
    return found ? STATUS_OK : error_set(error, STATUS_USAGE, "%s", run->answers[0].refusal);
}

static int by_curve(const void *a, const void *b)
{
    const struct measurement *x = a, *y = b;
    if (x->mode != y->mode)
        return x->mode < y->mode ? -1 : 1;
    if (x->scope != y->scope)
        return x->scope < y->scope ? -1 : 1;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return 0;
}

/* Orders pairs and not single measurements, so that the first variant stays before the second. */
static void sort_pairs(struct session *session)
{
    qsort(session->measurements, session->count / 2, 2 * sizeof *session->measurements, by_curve);
}

static enum status print_report(struct command_line *line, const struct crossing_run *run,
                                struct error *error)
{
    const struct cross_report report = {run->timed->keys[0], run->timed->keys[1], run->answers, run->count,
                                        run->session};
    const char *plot = command_text(line, "plot");
    enum status status = plot ? bench_report_plot(run->session, plot, error) : STATUS_OK;
    if (status)
        return status;
    if (line->json)
        return cross_report_json(&report, error);
    cross_report_text(&report);
    return STATUS_OK;
}

static cJSON *options_document(struct command_line *line, const struct crossing_run *run)
{
    cJSON *options = cJSON_CreateObject();
    json_set_text(options, "command", "cross");
    json_set_number(options, "budget_s", command_real(line, "budget", 60));
    json_set_number(options, "seed", (double)run->session->seed);
    return options;
}

static enum status measure(struct command_line *line, struct crossing_run *run, struct error *error)
{
    struct session session = {.measurements = memory_allocate_zero(MEASUREMENTS, sizeof(struct measurement)),
                              .precision = 0.02,
                              .seed = (uint64_t)command_integer(line, "seed", 1)};
    run->session = &session;
    timed_prepare(line);
    roofline_measure(&session.roofline);
    enum status status = find_all(line, run, error);
    end_progress();
    if (!status) {
        roofline_measure(&session.roofline);
        sort_pairs(&session);
        status = print_report(line, run, error);
    }
    if (!status && !command_given(line, "no-store"))
        timed_store(line, &session, options_document(line, run));
    for (size_t i = 0; i < session.count; i++)
        measurement_close(&session.measurements[i]);
    free(session.measurements);
    return status;
}

/* ---- Options ---- */

static enum status read_length(struct command_line *line, const char *option, int64_t otherwise,
                               int64_t *length, struct error *error)
{
    const char *text = command_text(line, option);
    *length = otherwise;
    return text ? parse_quantity(text, "length", LONGEST_INPUT, length, error) : STATUS_OK;
}

static enum status read_options(struct command_line *line, struct crossing_run *run, struct error *error)
{
    enum bench_mode modes[MODE_COUNT];
    size_t mode_count;
    run->width = command_integer(line, "width", 256);
    run->batch = command_integer(line, "batch", 1);
    enum status status = read_length(line, "min-length", 16, &run->shortest, error);
    if (!status)
        status = read_length(line, "max-length", 16384, &run->longest, error);
    if (!status && run->shortest > run->longest)
        status = error_set(error, STATUS_USAGE, "the shortest length, %lld, is above the longest, %lld",
                           (long long)run->shortest, (long long)run->longest);
    if (!status)
        status = timed_modes(line, modes, &mode_count, error);
    if (status)
        return status;
    for (size_t i = 0; i < mode_count * SCOPE_COUNT; i++)
        run->answers[run->count++] = (struct cross_answer){.mode = modes[i / SCOPE_COUNT],
                                                           .scope = (enum bench_scope)(i % SCOPE_COUNT)};
    run->budget_s = command_real(line, "budget", 60) / (double)run->count;
    return STATUS_OK;
}

static enum status run(struct command_line *line, struct error *error)
{
    struct crossing_run *run = arena_allocate(&line->arena, sizeof *run);
    struct timed timed = {NULL};
    enum status status = read_options(line, run, error);
    if (!status && strcmp(line->operands[0], line->operands[1]) == 0)
        status = error_set(error, STATUS_USAGE, "'%.100s' does not cross itself", line->operands[0]);
    if (!status)
        status = timed_read(line, line->operands, 2, &timed, error);
    if (!status)
        status = timed_verify(line, &timed, 2, error);
    run->timed = &timed;
    if (!status)
        status = measure(line, run, error);
    timed_release(&timed);
    return status;
}

const struct command command_cross = {
    .name = "cross",
    .operands = "A B",
    .minimum = 2,
    .maximum = 2,
    .completion = COMPLETE_VARIANT,
    .summary = "from which length on one variant is faster than another",
    .about =
        "Times two variants side by side at doubling lengths, for the whole block and for its operation "
        "alone "
        "(the mixer's core without its projections), and looks for the length from which on one beats the "
        "other on this machine: where the faster one changes last, the lengths between are halved until the "
        "two tie. They tie ('=') where the ratio of their medians is within its spread of 1: what the "
        "medians "
        "may be off, by their quartiles and the number of rounds, so that a larger budget makes it smaller. "
        "They cross where the ratio passes 1; the range behind that is where they may as well, as the "
        "spreads "
        "have it.\n\n"
        "In decode what is compared is the cost of one more token after that many others. Variants are "
        "checked first, as 'clade check' does. All measurements are kept in the database.",
    .json =
        "{machine, build, first, second, width, batch, threads, settings, crossings: [{mode, scope, "
        "faster, length, low, high, changes, end, points: [{length, first_s, second_s, ratio, spread, "
        "faster}]}]}: faster is a key, null for a tie; that of a crossing holds at the longest lengths at "
        "which there is none. length is from where on, between low and high; null if the same one is the "
        "faster everywhere. changes counts how often they change places. ratio is the time of the first "
        "over that of the second; spread a part of it: they tie if |log ratio| <= spread. end says why no "
        "longer length was measured: length, budget, memory, refused",
    .options =
        OPTION_TABLE({.name = "mode",
                      .type = VALUE_TEXT,
                      .value = "LIST",
                      .help = "of prefill, decode, train; prefill if not given"},
                     {.name = "min-length", .type = VALUE_TEXT, .value = "T", .help = "the first length; 16"},
                     {.name = "max-length", .type = VALUE_TEXT, .value = "T", .help = "the last length; 16k"},
                     {.name = "width",
                      .type = VALUE_INTEGER,
                      .value = "D",
                      .minimum = 1,
                      .maximum = WIDEST_INPUT,
                      .help = "channels; 256"},
                     TIMED_OPTIONS,
                     {.name = "budget",
                      .type = VALUE_REAL,
                      .value = "SECONDS",
                      .minimum = 0,
                      .maximum = 1e6,
                      .help = "for all of it; longer lengths than fit are not measured; 60"},
                     {.name = "plot",
                      .type = VALUE_TEXT,
                      .value = "FILE",
                      .completion = COMPLETE_FILE,
                      .help = "time against length as SVG"},
                     {.name = "no-store", .help = "do not keep the results in the database"}),
    .examples = EXAMPLES({"clade cross gla gpt", "when linear attention pays"},
                         {"clade cross mamba2 gpt --mode decode --max-length 64k --threads 1",
                          "from which position on the next token is cheaper"},
                         {"clade cross gla gpt --set heads=8 --width 512 --plot crossing.svg",
                          "with other options, and a picture"}),
    .run = run,
};
