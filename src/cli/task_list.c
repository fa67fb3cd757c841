/* task_list.c: what tasks there are, and what each asks. */
#include "base/fields.h"
#include "block/registry.h"
#include "cli/output.h"
#include "cli/task_report.h"
#include <stdio.h>
#include <stdlib.h>

enum { INDENT = 2, OPTION_COLUMN = 24, SEQUENCE_SHOWN = 128 };

/* ---- All tasks ---- */

static cJSON *options_document(const struct kernel *kernel)
{
    cJSON *options = cJSON_CreateArray();
    struct settings settings;
    char value[512];
    settings_init(&settings, kernel);
    for (const struct option *option = kernel->options; option && option->name; option++) {
        cJSON *each = cJSON_CreateObject();
        json_set_text(each, "name", option->name);
        json_set_text(each, "default", settings_text(&settings, option->name, value, sizeof value));
        json_set_text(each, "help", option->help);
        cJSON_AddItemToArray(options, each);
    }
    settings_release(&settings);
    return options;
}

static enum status list_json(const struct variant_row *rows, size_t count, struct error *error)
{
    cJSON *document = cJSON_CreateArray();
    for (size_t i = 0; i < registry_count; i++) {
        const struct kernel *kernel = registry_kernels[i];
        if (kernel->slot != SLOT_TASK)
            continue;
        cJSON *task = cJSON_CreateObject();
        json_set_text(task, "name", kernel->name);
        json_set_text(task, "summary", kernel->summary);
        json_set_text(task, "origin", kernel->variant);
        cJSON_AddItemToObject(task, "options", options_document(kernel));
        cJSON_AddItemToArray(document, task);
    }
    for (size_t i = 0; i < count; i++) {
        cJSON *task = cJSON_CreateObject();
        json_set_text(task, "name", rows[i].key);
        json_set_text(task, "summary", rows[i].summary);
        json_set_text(task, "origin", rows[i].key);
        cJSON_AddItemToObject(task, "options", cJSON_CreateArray());
        cJSON_AddItemToArray(document, task);
    }
    return print_json(document, error);
}

static void list_text(const struct variant_row *rows, size_t count)
{
    for (size_t i = 0; i < registry_count; i++)
        if (registry_kernels[i]->slot == SLOT_TASK)
            print_entry(0, OPTION_COLUMN, registry_kernels[i]->name, STYLE_KEY, registry_kernels[i]->summary);
    putchar('\n');
    if (count)
        print_heading("of the catalogue, with the options of their papers");
    for (size_t i = 0; i < count; i++)
        print_entry(0, OPTION_COLUMN, rows[i].key, STYLE_KEY, rows[i].summary);
    printf("\n'clade task NAME' shows a sequence and the options, 'clade help NAME' the rules, "
           "'clade task NAME KEY...' trains.\n");
}

enum status task_list(struct command_line *line, struct error *error)
{
    struct catalog *catalog;
    struct variant_row *rows;
    size_t count, kept = 0;
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = catalog_list(catalog, &(struct catalog_filter){.kind = "task"}, &line->arena, &rows, &count,
                              error);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++)
        if (rows[i].runnable)
            rows[kept++] = rows[i];
    if (line->json)
        return list_json(rows, kept, error);
    list_text(rows, kept);
    return STATUS_OK;
}

/* ---- One task ---- */

static void print_options(const struct settings *task)
{
    char value[512];
    print_heading("options");
    for (const struct option *option = task->kernel->options; option && option->name; option++) {
        printf("%*s%s=%s", INDENT, "", option->name, settings_text(task, option->name, value, sizeof value));
        printf("  %s", option->help);
        if (option->type == OPTION_CHOICE)
            printf(" (%s)", option->choices);
        putchar('\n');
    }
}

/* Tokens and answers below each other, in lines that fit. */
static void print_sequence(const struct settings *task, uint64_t seed)
{
    int64_t length = task_length(task), shown = length < SEQUENCE_SHOWN ? length : SEQUENCE_SHOWN;
    int cell = snprintf(NULL, 0, "%lld", (long long)task_sizes(task).vocabulary - 1) + 1;
    int64_t columns = ((int64_t)output_width() - 11) / cell;
    real *ids = memory_allocate((size_t)(2 * length) * sizeof *ids), *targets = ids + length;
    task_fill(task, seed, 0, 1, ids, targets);
    columns = columns < 1 ? 1 : columns;
    print_heading("a sequence");
    for (int64_t from = 0; from < shown; from += columns) {
        int64_t to = from + columns < shown ? from + columns : shown;
        printf("  reads");
        for (int64_t t = from; t < to; t++)
            printf("%*lld", cell, (long long)ids[t]);
        printf("%s\n  asked", to == shown && shown < length ? " ..." : "");
        for (int64_t t = from; t < to; t++)
            if (targets[t] >= 0)
                printf("%*lld", cell, (long long)targets[t]);
            else
                printf("%*s", cell, ".");
        putchar('\n');
    }
    free(ids);
}

void task_explain(const struct composition *task, uint64_t seed)
{
    for (int i = 0; i < task->count; i++) {
        const struct settings *settings = &task->layers[i].slots[SLOT_TASK];
        print_styled(stdout, STYLE_HEADING,
                     task->layers[i].name ? task->layers[i].name : settings->kernel->name);
        printf(": %s\n\n", settings->kernel->summary);
        print_options(settings);
        putchar('\n');
        print_sequence(settings, seed);
        if (i + 1 < task->count)
            putchar('\n');
    }
}
