#include "bench/lines.h"
#include "base/fields.h"
#include "base/json.h"
#include "bench/mode.h"
#include <limits.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1 };
static const char kind[] = "run";

/* ---- Forms: what the database and those who read it rely on ---- */

struct form {
    const char *pattern, *wanted;
};
static const struct form uuid_form = {"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "a UUID in lower case"};
static const struct form time_form = {"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z$",
                                      "a time YYYY-MM-DDTHH:MM:SSZ"};
static const struct form variant_form = {"^[a-z0-9]+(-[a-z0-9]+)*$", "the key of a variant"};

static bool has_form(const struct form *form, const char *text)
{
    enum { LONGEST = 200 };
    regex_t expression;
    if (strnlen(text, LONGEST + 1) > LONGEST)
        return false;
    if (regcomp(&expression, form->pattern, REG_EXTENDED | REG_NOSUB))
        BUG("'%s' is no expression", form->pattern);
    bool has = regexec(&expression, text, 0, NULL, 0) == 0;
    regfree(&expression);
    return has;
}

/* ---- Fields of a result, in the order in which they are written ---- */

enum field_type {
    FIELD_COUNT, /* a whole number from `minimum` */
    FIELD_TIME,  /* seconds */
    FIELD_SIZE,  /* a number that may be unknown */
};

static const struct field {
    const char *name;
    enum field_type type;
    int64_t minimum;
    size_t offset;
} fields[] = {
    {"length", FIELD_COUNT, 1, offsetof(struct record_result, length)},
    {"width", FIELD_COUNT, 1, offsetof(struct record_result, width)},
    {"batch", FIELD_COUNT, 1, offsetof(struct record_result, batch)},
    {"rounds", FIELD_COUNT, 1, offsetof(struct record_result, rounds)},
    {"median_s", FIELD_TIME, 0, offsetof(struct record_result, median_s)},
    {"spread_s", FIELD_TIME, 0, offsetof(struct record_result, spread_s)},
    {"flops", FIELD_SIZE, 0, offsetof(struct record_result, flops)},
    {"bytes", FIELD_SIZE, 0, offsetof(struct record_result, bytes)},
    {"parameters", FIELD_COUNT, 0, offsetof(struct record_result, parameters)},
    {"state_bytes", FIELD_COUNT, 0, offsetof(struct record_result, state_bytes)},
    {"peak_bytes", FIELD_COUNT, 0, offsetof(struct record_result, peak_bytes)},
    {"roofline_fraction", FIELD_SIZE, 0, offsetof(struct record_result, roofline_fraction)},
};
enum { FIELDS = sizeof fields / sizeof *fields };

/* ---- Writing ---- */

static void write_line(cJSON *document, struct text *text)
{
    struct error error = ERROR_INIT;
    if (!json_print_line(document, text, &error))
        text_append(text, "\n");
    cJSON_Delete(document);
}

static cJSON *run_document(const struct record *record)
{
    cJSON *run = cJSON_CreateObject();
    json_set_text(run, "clade", kind);
    json_set_number(run, "format", FORMAT);
    json_set_text(run, "run", record->uuid);
    json_set_text(run, "started_at", record->started_at);
    cJSON_AddItemToObject(run, "machine", cJSON_Parse(record->machine));
    cJSON_AddItemToObject(run, "build", cJSON_Parse(record->build));
    json_set_number(run, "threads", (double)record->threads);
    json_set_text(run, "precision", record->precision);
    cJSON *roofline = cJSON_AddObjectToObject(run, "roofline");
    json_set_number(roofline, "gflops", record->gflops);
    json_set_number(roofline, "gbytes_per_s", record->gbytes_per_s);
    cJSON_AddItemToObject(run, "options", cJSON_Parse(record->options));
    json_set_number(run, "results", (double)record->count);
    return run;
}

static cJSON *result_document(const struct record_result *result)
{
    cJSON *document = cJSON_CreateObject();
    json_set_text(document, "variant", result->variant);
    json_set_text(document, "mode", result->mode);
    json_set_text(document, "scope", result->scope);
    for (int i = 0; i < FIELDS; i++) {
        const void *value = (const char *)result + fields[i].offset;
        json_set_number(document, fields[i].name,
                        fields[i].type == FIELD_COUNT ? (double)*(const int64_t *)value
                                                      : *(const double *)value);
    }
    cJSON_AddItemToObject(document, "settings", cJSON_Parse(result->settings));
    return document;
}

void lines_write(const struct record *record, struct text *text)
{
    write_line(run_document(record), text);
    for (size_t i = 0; i < record->count; i++)
        write_line(result_document(&record->results[i]), text);
}

/* ---- Reading ---- */

struct reader {
    const char *name; /* of the file */
    const char *data, *end;
    size_t line; /* the number of the next one */
    struct arena *arena;
    struct error *error;
};

static enum status refuse(const struct reader *reader, size_t line, const char *what)
{
    return error_set(reader->error, STATUS_OUTSIDE, "%.200s:%zu: %s", reader->name, line, what);
}

/* The next line as a document, to be deleted. */
static enum status next_line(struct reader *reader, cJSON **document)
{
    const char *start = reader->data, *end = memchr(start, '\n', (size_t)(reader->end - start));
    if (!end)
        return refuse(reader, reader->line, "the line is cut short");
    reader->data = end + 1;
    return json_parse_line(reader->name, reader->line++, start, (size_t)(end - start), document,
                           reader->error);
}

static enum status read_text(const struct json_at *object, const char *name, const struct form *form,
                             struct arena *arena, const char **text, struct error *error)
{
    struct json_at at = json_member(object, name);
    const char *value;
    enum status status = json_string(&at, &value, error);
    if (status)
        return status;
    if (form && !has_form(form, value))
        return json_error(&at, error, "expected %s, not '%.60s'", form->wanted, value);
    *text = arena_copy_string(arena, value);
    return STATUS_OK;
}

static enum status read_choice(const struct json_at *object, const char *name, const char *const *choices,
                               int count, const char **choice, struct error *error)
{
    struct json_at at = json_member(object, name);
    const char *value;
    enum status status = json_string(&at, &value, error);
    for (int i = 0; i < count && !status; i++)
        if (strcmp(choices[i], value) == 0) {
            *choice = choices[i];
            return STATUS_OK;
        }
    return status ? status : json_error(&at, error, "unknown %s '%.60s'", name, value);
}

static enum status read_object(const struct json_at *object, const char *name, struct arena *arena,
                               const char **text, struct error *error)
{
    struct json_at at = json_member(object, name);
    enum status status = json_object(&at, error);
    if (!status)
        *text = record_object(at.value, arena);
    return status;
}

static enum status read_count(const struct json_at *object, const char *name, int64_t minimum, int64_t *value,
                              struct error *error)
{
    struct json_at at = json_member(object, name);
    return json_integer(&at, minimum, (int64_t)1 << 53, value, error);
}

/* A number that is not negative; null is NaN where it may be unknown. */
static enum status read_amount(const struct json_at *object, const char *name, bool known, double *value,
                               struct error *error)
{
    struct json_at at = json_member(object, name);
    *value = NAN;
    if (!known && json_absent(&at))
        return STATUS_OK;
    enum status status = json_real(&at, value, error);
    return status || *value >= 0 ? status : json_error(&at, error, "expected a number from 0 on");
}

static enum status read_result(const struct json_at *root, struct arena *arena, struct record_result *result,
                               struct error *error)
{
    enum { TEXTS = 4 };
    static const char *names[TEXTS + FIELDS] = {"variant", "mode", "scope", "settings"};
    for (int i = 0; i < FIELDS; i++)
        names[TEXTS + i] = fields[i].name;
    enum status status = json_object(root, error);
    if (!status)
        status = json_only(root, names, TEXTS + FIELDS, error);
    if (!status)
        status = read_text(root, "variant", &variant_form, arena, &result->variant, error);
    if (!status)
        status = read_choice(root, "mode", bench_mode_names, MODE_COUNT, &result->mode, error);
    if (!status)
        status = read_choice(root, "scope", bench_scope_names, SCOPE_COUNT, &result->scope, error);
    if (!status)
        status = read_object(root, "settings", arena, &result->settings, error);
    for (int i = 0; i < FIELDS && !status; i++) {
        void *value = (char *)result + fields[i].offset;
        status = fields[i].type == FIELD_COUNT
                     ? read_count(root, fields[i].name, fields[i].minimum, value, error)
                     : read_amount(root, fields[i].name, fields[i].type == FIELD_TIME, value, error);
    }
    return status;
}

/* Whether the line opens a run, and in a format that is known here. */
static enum status check_opening(const struct reader *reader, size_t line, const struct json_at *root)
{
    struct json_at mark = json_member(root, "clade"), at = json_member(root, "format");
    int64_t format;
    if (!cJSON_IsString(mark.value) || strcmp(mark.value->valuestring, kind) != 0)
        return refuse(reader, line, "expected the first line of a run, as 'clade bench --shard' writes it");
    enum status status = json_integer(&at, 1, INT_MAX, &format, reader->error);
    if (!status && format > FORMAT)
        status = json_error(&at, reader->error, "%lld is of a newer clade; this one reads %d",
                            (long long)format, FORMAT);
    return status;
}

static enum status read_run(const struct json_at *root, struct arena *arena, struct record *record,
                            int64_t *results, struct error *error)
{
    static const char *const names[] = {"clade",   "format",    "run",      "started_at", "machine", "build",
                                        "threads", "precision", "roofline", "options",    "results"};
    static const char *const precisions[] = {"single", "double"};
    enum status status = json_only(root, names, sizeof names / sizeof *names, error);
    if (!status)
        status = read_text(root, "run", &uuid_form, arena, &record->uuid, error);
    if (!status)
        status = read_text(root, "started_at", &time_form, arena, &record->started_at, error);
    if (!status)
        status = read_object(root, "machine", arena, &record->machine, error);
    if (!status)
        status = read_object(root, "build", arena, &record->build, error);
    if (!status)
        status = read_object(root, "options", arena, &record->options, error);
    if (!status)
        status = read_choice(root, "precision", precisions, 2, &record->precision, error);
    if (!status)
        status = read_count(root, "threads", 1, &record->threads, error);
    struct json_at roofline = json_member(root, "roofline");
    if (!status)
        status = json_object(&roofline, error);
    if (!status)
        status = read_amount(&roofline, "gflops", false, &record->gflops, error);
    if (!status)
        status = read_amount(&roofline, "gbytes_per_s", false, &record->gbytes_per_s, error);
    return status ? status : read_count(root, "results", 0, results, error);
}

/* The line that opens a run: *results lines follow. */
static enum status read_opening(struct reader *reader, struct record *record, int64_t *results)
{
    static const char start[] = "{\"clade\"";
    size_t line = reader->line, left = (size_t)(reader->end - reader->data);
    if (memcmp(reader->data, start, left < sizeof start - 1 ? left : sizeof start - 1) != 0)
        return refuse(reader, line, "expected the first line of a run, as 'clade bench --shard' writes it");
    cJSON *document;
    enum status status = next_line(reader, &document);
    if (status)
        return status;
    struct json_at root = json_root(document, arena_format(reader->arena, "%.200s:%zu", reader->name, line));
    status = check_opening(reader, line, &root);
    if (!status)
        status = read_run(&root, reader->arena, record, results, reader->error);
    cJSON_Delete(document);
    return status;
}

static enum status read_results(struct reader *reader, struct record *record, int64_t results)
{
    enum status status = STATUS_OK;
    while ((int64_t)record->count < results && !status) {
        cJSON *document;
        if (reader->data == reader->end)
            return error_set(reader->error, STATUS_OUTSIDE,
                             "%.200s:%zu: the file is cut short: its last run has %zu of %lld results",
                             reader->name, reader->line - 1, record->count, (long long)results);
        struct json_at root = {.file = arena_format(reader->arena, "%.200s:%zu", reader->name, reader->line)};
        status = next_line(reader, &document);
        if (status)
            return status;
        root.value = document;
        record->results =
            arena_extend(reader->arena, record->results, record->count, sizeof *record->results);
        status = read_result(&root, reader->arena, &record->results[record->count++], reader->error);
        cJSON_Delete(document);
    }
    return status;
}

enum status lines_read(const char *name, const char *data, size_t length, struct arena *arena,
                       struct record **records, size_t *count, struct error *error)
{
    struct reader reader = {name, data, data + length, 1, arena, error};
    *records = NULL;
    *count = 0;
    if (length == 0)
        return error_set(error, STATUS_OUTSIDE, "%.200s: the file is empty", name);
    while (reader.data < reader.end) {
        struct record record = {NULL};
        int64_t results = 0;
        enum status status = read_opening(&reader, &record, &results);
        if (!status)
            status = read_results(&reader, &record, results);
        if (status)
            return status;
        *records = arena_extend(arena, *records, *count, sizeof **records);
        (*records)[(*count)++] = record;
    }
    return STATUS_OK;
}
