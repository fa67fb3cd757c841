#include "cli/timed.h"
#include "bench/machine.h"
#include "bench/recorder.h"
#include "bench/store.h"
#include "block/check.h"
#include "cli/compose.h"
#include "cli/output.h"
#include "cli/quantity.h"
#include <stdio.h>
#include <string.h>

/* ---- Compositions ---- */

/* {"heads": "8"} of --set heads=8 */
static const char *settings_object(struct command_line *line)
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
    const char *text = record_object(object, &line->arena);
    cJSON_Delete(object);
    return text;
}

/* The keys of --suite too, each once. */
enum status timed_keys(struct command_line *line, size_t first, const char ***keys, size_t *count,
                       struct error *error)
{
    const char *suite = command_text(line, "suite"), **members = NULL;
    size_t operands = line->operand_count - first, member_count = 0;
    struct catalog *catalog;
    enum status status = command_catalog(line, &catalog, error);
    if (!status && suite)
        status = catalog_suite(catalog, suite, &line->arena, &members, &member_count, error);
    if (status)
        return status;
    *keys = arena_allocate(&line->arena, (operands + member_count + 1) * sizeof **keys);
    *count = 0;
    for (size_t i = 0; i < operands + member_count; i++) {
        const char *key = i < operands ? line->operands[first + i] : members[i - operands];
        bool known = false;
        for (size_t j = 0; j < *count; j++)
            known |= strcmp((*keys)[j], key) == 0;
        if (!known)
            (*keys)[(*count)++] = key;
    }
    return *count ? STATUS_OK : error_set(error, STATUS_USAGE, "name variants, or a suite with --suite");
}

enum status timed_read(struct command_line *line, const char *const *keys, size_t count, struct timed *timed,
                       struct error *error)
{
    enum status status = timed_compose(line, keys, count, timed, error);
    return status ? status : timed_refuse_unused(line, timed, 0, error);
}

enum status timed_compose(struct command_line *line, const char *const *keys, size_t count,
                          struct timed *timed, struct error *error)
{
    size_t setting_count;
    command_texts(line, "set", &setting_count);
    *timed = (struct timed){
        .keys = arena_allocate(&line->arena, (count + 1) * sizeof *timed->keys),
        .compositions = arena_allocate(&line->arena, (count + 1) * sizeof *timed->compositions),
        .dropped = arena_allocate(&line->arena, count + 1),
        .settings = settings_object(line),
        .unused = arena_allocate(&line->arena, (setting_count + 1) * sizeof *timed->unused),
    };
    for (size_t i = 0; i < count; i++) {
        timed->keys[i] = keys[i];
        enum status status = command_block(line, keys[i], &timed->compositions[i], error);
        if (!status) {
            timed->count++;
            status = command_settings(line, &timed->compositions[i], timed->unused, error);
        }
        if (status)
            return error->status == STATUS_USAGE ? status : error_prefix(error, "'%s' cannot run", keys[i]);
    }
    return STATUS_OK;
}

enum status timed_refuse_unused(struct command_line *line, const struct timed *timed, int others,
                                struct error *error)
{
    size_t count;
    const char *const *settings = command_texts(line, "set", &count);
    for (size_t i = 0; i < count; i++)
        if (timed->unused[i] == (int)timed->count + others)
            return error_set(error, STATUS_USAGE,
                             "no kernel of these variants has the option of '--set %.200s'", settings[i]);
    return STATUS_OK;
}

void timed_release(struct timed *timed)
{
    for (size_t i = 0; i < timed->count; i++)
        composition_release(&timed->compositions[i]);
    timed->count = 0;
}

/* ---- Checks ---- */

static const struct check_property *first_failure(const struct check_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        if (result->properties[i].outcome == CHECK_FAILED)
            return &result->properties[i];
    return NULL;
}

/* Whether the checks pass; says which one does not. */
static bool passes(const char *key, const struct composition *composition)
{
    struct check_result result;
    progress_show("checking %s", key);
    check_composition(composition, false, &result);
    progress_end();
    const struct check_property *failure = first_failure(&result);
    if (failure)
        fprintf(stderr, "clade: '%s' is not timed: its check of %s fails: %s\n", key, failure->name,
                failure->detail);
    return !failure;
}

enum status timed_verify(struct command_line *line, struct timed *timed, size_t least, struct error *error)
{
    size_t left = 0;
    if (command_given(line, "unchecked"))
        return STATUS_OK;
    for (size_t i = 0; i < timed->count; i++) {
        if (!timed->dropped[i])
            timed->dropped[i] = !passes(timed->keys[i], &timed->compositions[i]);
        left += !timed->dropped[i];
    }
    if (left >= least)
        return STATUS_OK;
    return error_set(error, STATUS_NO, "%s",
                     least > 1 ? "there is nothing to compare" : "no variant is left to time");
}

/* ---- Measuring ---- */

enum status timed_modes(struct command_line *line, enum bench_mode modes[MODE_COUNT], size_t *count,
                        struct error *error)
{
    const char *rest = command_text(line, "mode"), *part;
    rest = rest ? rest : bench_mode_names[MODE_PREFILL];
    *count = 0;
    while ((part = next_part(line, &rest)) != NULL) {
        enum bench_mode mode;
        enum status status = bench_mode_parse(part, &mode, error);
        if (status)
            return status;
        bool known = false;
        for (size_t i = 0; i < *count; i++)
            known |= modes[i] == mode;
        if (!known)
            modes[(*count)++] = mode;
    }
    return *count ? STATUS_OK : error_set(error, STATUS_USAGE, "option '--mode' needs a mode");
}

void timed_prepare(const struct command_line *line)
{
    tensor_set_threads((int)command_integer(line, "threads", 0));
    if (machine_load() > machine_cores())
        fprintf(stderr, "clade: note: the machine is busy (load %.1f on %d cores): times will be high\n",
                machine_load(), machine_cores());
}

void timed_progress(void *argument, double fraction)
{
    (void)argument;
    if (fraction >= 1)
        progress_end();
    else
        progress_show("measuring %3.0f %%", 100 * fraction);
}

void timed_store_record(struct command_line *line, const struct record *record)
{
    struct catalog *catalog;
    struct error refused = ERROR_INIT;
    size_t known;
    if (command_catalog(line, &catalog, &refused) ||
        store_records(catalog_database(catalog), record, 1, &known, &refused))
        fprintf(stderr, "clade: note: %s\n", refused.message);
}

void timed_store(struct command_line *line, const struct session *session, cJSON *options)
{
    struct record record;
    record_session(session, options, &line->arena, &record);
    timed_store_record(line, &record);
}
