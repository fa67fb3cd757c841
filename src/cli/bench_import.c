#include "cli/bench_import.h"
#include "base/fields.h"
#include "base/file.h"
#include "bench/lines.h"
#include "bench/store.h"
#include "cli/output.h"
#include <stdlib.h>
#include <string.h>

enum { LARGEST_FILE = 1 << 28 };

struct imported {
    struct record *records;
    size_t count, results;
};

static enum status read_file(struct command_line *line, const char *path, struct imported *imported,
                             struct error *error)
{
    char *data;
    size_t length, count;
    struct record *records;
    enum status status = file_read(path, LARGEST_FILE, &data, &length, error);
    if (status)
        return status;
    status = lines_read(path, data, length, &line->arena, &records, &count, error);
    free(data);
    for (size_t i = 0; i < count && !status; i++) {
        imported->records = arena_extend(&line->arena, imported->records, imported->count, sizeof *records);
        imported->records[imported->count++] = records[i];
        imported->results += records[i].count;
    }
    return status;
}

static enum status refuse_other_options(const struct command_line *line, struct error *error)
{
    const struct command_option *option = line->command->options;
    for (; option->name; option++)
        if (strcmp(option->name, "import") != 0 && command_given(line, option->name))
            return error_set(error, STATUS_USAGE, "option '--%s' does not go with '--import'", option->name);
    return STATUS_OK;
}

enum status bench_import(struct command_line *line, struct error *error)
{
    struct imported imported = {NULL};
    struct catalog *catalog;
    size_t file_count, known;
    const char *const *files = command_texts(line, "import", &file_count);
    enum status status = refuse_other_options(line, error);
    for (size_t i = 0; i < file_count && !status; i++)
        status = read_file(line, files[i], &imported, error);
    for (size_t i = 0; i < line->operand_count && !status; i++)
        status = read_file(line, line->operands[i], &imported, error);
    if (!status)
        status = command_catalog(line, &catalog, error);
    if (!status)
        status = store_records(catalog_database(catalog), imported.records, imported.count, &known, error);
    if (status)
        return status;
    if (line->json) {
        cJSON *document = cJSON_CreateObject();
        json_set_number(document, "runs", (double)imported.count);
        json_set_number(document, "results", (double)imported.results);
        json_set_number(document, "known", (double)known);
        return print_json(document, error);
    }
    printf("runs: %zu, results: %zu, runs that were there already: %zu\n", imported.count, imported.results,
           known);
    return STATUS_OK;
}
