/* bench.c: `clade bench`: variants timed side by side. */
#include "bench/machine.h"
#include "bench/session.h"
#include "bench/store.h"
#include "block/check.h"
#include "cli/bench_report.h"
#include "cli/cli.h"
#include "cli/compose.h"
#include "cli/output.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTHS_MAXIMUM = 32 };

/* What is to be measured: every variant in every mode, scope and length. */
struct plan {
    const char **keys;
    size_t key_count;
    struct composition *compositions; /* one a key */
    enum bench_mode modes[MODE_COUNT];
    size_t mode_count;
    enum bench_scope scopes[SCOPE_COUNT];
    size_t scope_count;
    int64_t lengths[LENGTHS_MAXIMUM];
    size_t length_count;
    int64_t width, batch;
    char *settings; /* what --set gave, as a JSON object */
};

/* The next part of a list "a,b,c"; NULL at its end. */
static const char *next_part(struct command_line *line, const char **rest)
{
    if (!**rest)
        return NULL;
    size_t length = strcspn(*rest, ",");
    const char *part = arena_format(&line->arena, "%.*s", (int)length, *rest);
    *rest += length + ((*rest)[length] == ',');
    return part;
}

/* "256", "4k", "1M" */
static enum status parse_length(const char *text, int64_t *length, struct error *error)
{
    char *end;
    double value = strtod(text, &end);
    if (*end == 'k' || *end == 'K')
        value *= 1024, end++;
    else if (*end == 'M')
        value *= 1024 * 1024, end++;
    if (end == text || *end || !(value >= 1 && value <= 1 << 24) || value != (double)(int64_t)value)
        return error_set(error, STATUS_USAGE,
                         "a length is a whole number up to 16M, as 256 or 4k, not '%.64s'", text);
    *length = (int64_t)value;
    return STATUS_OK;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static enum status read_lengths(struct command_line *line, struct plan *plan, struct error *error)
{
    const char *rest = command_text(line, "length"), *part;
    rest = rest ? rest : "256,1k";
    while ((part = next_part(line, &rest)) != NULL) {
        if (plan->length_count == LENGTHS_MAXIMUM)
            return error_set(error, STATUS_USAGE, "at most %d lengths at once", LENGTHS_MAXIMUM);
        enum status status = parse_length(part, &plan->lengths[plan->length_count++], error);
        if (status)
            return status;
    }
    qsort(plan->lengths, plan->length_count, sizeof *plan->lengths, ascending);
    size_t kept = 0;
    for (size_t i = 0; i < plan->length_count; i++)
        if (!kept || plan->lengths[kept - 1] != plan->lengths[i])
            plan->lengths[kept++] = plan->lengths[i];
    plan->length_count = kept;
    return kept ? STATUS_OK : error_set(error, STATUS_USAGE, "option '--length' needs a length");
}

static enum status read_modes(struct command_line *line, struct plan *plan, struct error *error)
{
    const char *rest = command_text(line, "mode"), *part;
    rest = rest ? rest : "prefill";
    while ((part = next_part(line, &rest)) != NULL) {
        enum bench_mode mode;
        enum status status = bench_mode_parse(part, &mode, error);
        if (status)
            return status;
        bool known = false;
        for (size_t i = 0; i < plan->mode_count; i++)
            known |= plan->modes[i] == mode;
        if (!known)
            plan->modes[plan->mode_count++] = mode;
    }
    plan->scopes[plan->scope_count++] = SCOPE_BLOCK;
    if (command_given(line, "operation"))
        plan->scopes[plan->scope_count++] = SCOPE_OPERATION;
    return plan->mode_count ? STATUS_OK : error_set(error, STATUS_USAGE, "option '--mode' needs a mode");
}

/* The operands, and the members of a suite or study. */
static enum status read_keys(struct command_line *line, struct plan *plan, struct error *error)
{
    const char *suite = command_text(line, "suite"), **members = NULL;
    size_t member_count = 0;
    struct catalog *catalog;
    enum status status = command_catalog(line, &catalog, error);
    if (!status && suite)
        status = catalog_suite(catalog, suite, &line->arena, &members, &member_count, error);
    if (status)
        return status;
    plan->keys = arena_allocate(&line->arena, (line->operand_count + member_count + 1) * sizeof *plan->keys);
    for (size_t i = 0; i < line->operand_count + member_count; i++) {
        const char *key = i < line->operand_count ? line->operands[i] : members[i - line->operand_count];
        bool known = false;
        for (size_t j = 0; j < plan->key_count; j++)
            known |= strcmp(plan->keys[j], key) == 0;
        if (!known)
            plan->keys[plan->key_count++] = key;
    }
    return plan->key_count ? STATUS_OK
                           : error_set(error, STATUS_USAGE, "name variants, or a suite with --suite");
}

static enum status read_compositions(struct command_line *line, struct plan *plan, struct error *error)
{
    size_t setting_count;
    const char *const *settings = command_texts(line, "set", &setting_count);
    int *unused = arena_allocate(&line->arena, (setting_count + 1) * sizeof *unused);
    plan->compositions = arena_allocate(&line->arena, plan->key_count * sizeof *plan->compositions);
    for (size_t i = 0; i < plan->key_count; i++) {
        enum status status = command_composition(line, plan->keys[i], &plan->compositions[i], error);
        if (!status)
            status = command_settings(line, &plan->compositions[i], unused, error);
        if (status)
            return error->status == STATUS_USAGE ? status
                                                 : error_prefix(error, "'%s' cannot run", plan->keys[i]);
    }
    for (size_t i = 0; i < setting_count; i++)
        if (unused[i] == (int)plan->key_count)
            return error_set(error, STATUS_USAGE,
                             "no kernel of these variants has the option of '--set %.200s'", settings[i]);
    return STATUS_OK;
}

/* ---- Checking: a block that does not do what it says has no time ---- */

static const struct check_property *first_failure(const struct check_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        if (result->properties[i].outcome == CHECK_FAILED)
            return &result->properties[i];
    return NULL;
}

/* Drops the variants whose checks fail, with a line each. */
static enum status verify(struct plan *plan, struct error *error)
{
    size_t kept = 0;
    for (size_t i = 0; i < plan->key_count; i++) {
        struct check_result result;
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r\033[Kchecking %s", plan->keys[i]);
        check_composition(&plan->compositions[i], false, &result);
        const struct check_property *failure = first_failure(&result);
        if (failure) {
            fprintf(stderr, "%sclade: '%s' is not timed: its check of %s fails: %s\n",
                    isatty(STDERR_FILENO) ? "\r\033[K" : "", plan->keys[i], failure->name, failure->detail);
            composition_release(&plan->compositions[i]);
            continue;
        }
        plan->keys[kept] = plan->keys[i];
        plan->compositions[kept++] = plan->compositions[i];
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    bool dropped = kept < plan->key_count;
    plan->key_count = kept;
    return dropped && kept == 0 ? error_set(error, STATUS_NO, "no variant is left to time") : STATUS_OK;
}

/* ---- Running ---- */

static void show_progress(void *argument, double fraction)
{
    (void)argument;
    fprintf(stderr, "\rmeasuring %3.0f %%%s", 100 * fraction, fraction >= 1 ? "\r              \r" : "");
    fflush(stderr);
}

/* Opens one after the other. A variant that does not take the setting is left out with a line, unless no other is there. */
static enum status open_measurements(const struct plan *plan, struct session *session, struct pool *pool,
                                     uint64_t seed, struct error *error)
{
    size_t count = plan->key_count * plan->mode_count * plan->scope_count * plan->length_count;
    session->measurements = memory_allocate_zero(count, sizeof *session->measurements);
    for (size_t i = 0; i < count; i++) {
        size_t length = i % plan->length_count, scope = i / plan->length_count % plan->scope_count;
        size_t key = i / plan->length_count / plan->scope_count % plan->key_count;
        size_t mode = i / plan->length_count / plan->scope_count / plan->key_count;
        struct measurement *m = &session->measurements[session->count];
        *m = (struct measurement){.variant = plan->keys[key],
                                  .settings = plan->settings,
                                  .mode = plan->modes[mode],
                                  .scope = plan->scopes[scope],
                                  .length = plan->lengths[length],
                                  .width = plan->width,
                                  .batch = plan->batch};
        struct error refusal = ERROR_INIT;
        if (!measurement_open(m, &plan->compositions[key], pool, seed, &refusal)) {
            session->count++;
            continue;
        }
        measurement_close(m);
        if (plan->key_count == 1) {
            *error = refusal;
            return error_prefix(error, "'%s' at length %lld", m->variant, (long long)m->length);
        }
        fprintf(stderr, "clade: '%s' is not timed at length %lld: %s\n", m->variant, (long long)m->length,
                refusal.message);
    }
    return session->count ? STATUS_OK : error_set(error, STATUS_USAGE, "no variant takes this setting");
}

static char *printed(cJSON *document)
{
    char *text = cJSON_PrintUnformatted(document);
    cJSON_Delete(document);
    return text;
}

/* What was asked for, to stand with the results. */
static cJSON *options_document(const struct plan *plan, const struct session *session)
{
    cJSON *options = cJSON_CreateObject();
    cJSON_AddNumberToObject(options, "budget_s", session->budget_s);
    cJSON_AddNumberToObject(options, "seed", (double)session->seed);
    cJSON_AddNumberToObject(options, "width", (double)plan->width);
    cJSON_AddNumberToObject(options, "batch", (double)plan->batch);
    return options;
}

/* {"heads": "8"} of --set heads=8 */
static char *settings_object(struct command_line *line)
{
    size_t count;
    const char *const *settings = command_texts(line, "set", &count);
    cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(settings[i], "=");
        const char *name = arena_format(&line->arena, "%.*s", (int)length, settings[i]);
        cJSON_DeleteItemFromObjectCaseSensitive(object, name);
        cJSON_AddStringToObject(object, name, settings[i] + length + (settings[i][length] == '='));
    }
    return printed(object);
}

static enum status store(struct command_line *line, const struct plan *plan, const struct session *session,
                         struct error *error)
{
    struct catalog *catalog;
    enum status status = command_catalog(line, &catalog, error);
    if (status)
        return status;
    char *machine = printed(machine_describe()), *build = printed(machine_build());
    char *options = printed(options_document(plan, session));
    status = store_session(catalog_database(catalog), session, machine, build, options, error);
    free(machine);
    free(build);
    free(options);
    return status;
}

static enum status report(struct command_line *line, const struct session *session, struct error *error)
{
    const char *plot = command_text(line, "plot");
    enum status status = plot ? bench_report_plot(session, plot, error) : STATUS_OK;
    if (status)
        return status;
    if (line->json)
        return bench_report_json(session, error);
    if (command_given(line, "csv"))
        return bench_report_csv(session, error);
    bench_report_table(session);
    return STATUS_OK;
}

static enum status measure(struct command_line *line, const struct plan *plan, struct error *error)
{
    struct session session = {.budget_s = command_real(line, "budget", 10),
                              .precision = 0.02,
                              .seed = (uint64_t)command_integer(line, "seed", 1)};
    struct pool *pool = pool_create();
    if (isatty(STDERR_FILENO))
        session.progress = show_progress;
    if (machine_load() > machine_cores())
        fprintf(stderr, "clade: note: the machine is busy (load %.1f on %d cores): times will be high\n",
                machine_load(), machine_cores());
    enum status status = open_measurements(plan, &session, pool, session.seed, error);
    if (!status)
        session_run(&session);
    if (!status)
        status = report(line, &session, error);
    if (!status && !command_given(line, "no-store")) {
        struct error refused = ERROR_INIT;
        if (store(line, plan, &session, &refused))
            fprintf(stderr, "clade: note: %s\n", refused.message);
    }
    for (size_t i = 0; i < session.count; i++)
        measurement_close(&session.measurements[i]);
    free(session.measurements);
    pool_free(pool);
    return status;
}

static enum status run(struct command_line *line, struct error *error)
{
    struct plan plan = {.width = command_integer(line, "width", 256),
                        .batch = command_integer(line, "batch", 1)};
    enum status status = read_lengths(line, &plan, error);
    if (!status)
        status = read_modes(line, &plan, error);
    if (!status)
        status = read_keys(line, &plan, error);
    if (!status)
        status = read_compositions(line, &plan, error);
    if (!status && !command_given(line, "unchecked"))
        status = verify(&plan, error);
    tensor_set_threads((int)command_integer(line, "threads", 0));
    plan.settings = settings_object(line);
    if (!status)
        status = measure(line, &plan, error);
    for (size_t i = 0; plan.compositions && i < plan.key_count; i++)
        composition_release(&plan.compositions[i]);
    free(plan.settings);
    return status;
}

const struct command command_bench = {
    .name = "bench",
    .operands = "[KEY...]",
    .maximum = UNLIMITED,
    .completion = COMPLETE_VARIANT,
    .summary = "time variants side by side",
    .about =
        "Times whole blocks of the named variants on the same inputs, in interleaved rounds and random "
        "order, until the "
        "medians are sure or the time budget is spent. Prints the median with its spread (the distance "
        "between the "
        "quartiles), microseconds a token, tokens per second, the arithmetic and the memory, and the share "
        "of what this "
        "machine can do at best "
        "(roofline: the larger of the time for the arithmetic at the speed of a large matrix product "
        "and the time for "
        "parameters, input, output and state at the speed of a large copy, both measured in the same "
        "run; over 100 % in decode when parameters stay in a cache). A difference "
        "within the spreads is a tie ('='). With three lengths or more, the exponent with which time "
        "grows is fitted.\n\n"
        "Modes: prefill is the parallel form over the whole length, decode one token after that many "
        "others, train the "
        "parallel form with its gradients. Results are kept in the database (view latest_run). Variants are "
        "checked first, as 'clade check' does; one that fails is not timed.",
    .json = "{machine, build, roofline: {gflops, gbytes_per_s}, results: [{variant, mode, scope, length, "
            "width, batch, threads, "
            "rounds, median_s, spread_s, tokens_per_s, flops, bytes, compulsory_bytes, parameters, "
            "state_bytes, peak_bytes, "
            "roofline_fraction, settings, tie}], growth: [{variant, mode, scope, exponent}]}: tie names the "
            "fastest "
            "variant of the same "
            "setting if the difference to it lies within the spreads",
    .options =
        OPTION_TABLE({.name = "mode",
                      .type = VALUE_TEXT,
                      .value = "LIST",
                      .help = "of prefill, decode, train; prefill if not given"},
                     {.name = "length",
                      .type = VALUE_TEXT,
                      .value = "LIST",
                      .help = "tokens, as 256,1k,4k; 256,1k if not given"},
                     {.name = "width",
                      .type = VALUE_INTEGER,
                      .value = "D",
                      .minimum = 1,
                      .maximum = 65536,
                      .help = "channels; 256"},
                     {.name = "batch",
                      .type = VALUE_INTEGER,
                      .value = "B",
                      .minimum = 1,
                      .maximum = 4096,
                      .help = "sequences at once; 1"},
                     {.name = "threads",
                      .type = VALUE_INTEGER,
                      .value = "N",
                      .minimum = 1,
                      .maximum = 1024,
                      .help = "all cores if not given"},
                     {.name = "set",
                      .type = VALUE_TEXT,
                      .value = "NAME=VALUE",
                      .repeated = true,
                      .help = "an option of the kernels, as heads=8 or mixer.window=64"},
                     {.name = "suite",
                      .type = VALUE_TEXT,
                      .value = "NAME",
                      .help = "the variants of a suite, or those a study compares"},
                     {.name = "operation", .help = "time the mixer's core without its projections too"},
                     {.name = "budget",
                      .type = VALUE_REAL,
                      .value = "SECONDS",
                      .minimum = 0,
                      .maximum = 1e6,
                      .help = "time for all rounds beyond the fifth; 10"},
                     {.name = "seed",
                      .type = VALUE_INTEGER,
                      .value = "N",
                      .minimum = 0,
                      .maximum = 1e15,
                      .help = "of weights, inputs, order; 1"},
                     {.name = "csv", .help = "comma-separated values instead of the table"},
                     {.name = "plot",
                      .type = VALUE_TEXT,
                      .value = "FILE",
                      .completion = COMPLETE_FILE,
                      .help = "time against length as SVG"},
                     {.name = "unchecked", .help = "time variants without checking them first"},
                     {.name = "no-store", .help = "do not keep the results in the database"}),
    .examples =
        EXAMPLES({"clade bench gpt gla mamba rwkv4", "four blocks at 256 and 1024 tokens"},
                 {"clade bench gpt mamba2 --length 1k,2k,4k,8k --plot growth.svg", "how time grows"},
                 {"clade bench gpt gla --mode decode --length 1k,16k --threads 1", "cost of one more token"},
                 {"clade bench gqa --set kv_heads=1 --set heads=16 --width 512", "other options"}),
    .run = run,
};
