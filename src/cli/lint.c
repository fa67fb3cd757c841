/* lint.c: `clade lint`. */
#include "catalog/lint.h"
#include "base/fields.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/table.h"
#include <stdio.h>

enum { SEVERITIES = LINT_NOTE + 1 };
static const char *const severity_names[SEVERITIES] = {"error", "warning", "note"};

static enum status print_document(const struct lint_finding *findings, size_t count, const size_t *counts,
                                  struct error *error)
{
    static const char *const names[SEVERITIES] = {"errors", "warnings", "notes"};
    cJSON *document = cJSON_CreateObject();
    for (int i = 0; i < SEVERITIES; i++)
        json_set_number(document, names[i], (double)counts[i]);
    cJSON *array = cJSON_AddArrayToObject(document, "findings");
    for (size_t i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "severity", severity_names[findings[i].severity]);
        json_set_text(object, "rule", findings[i].rule);
        json_set_text(object, "variant", findings[i].variant);
        json_set_text(object, "message", findings[i].message);
        cJSON_AddItemToArray(array, object);
    }
    return print_json(document, error);
}

static void print_findings(const struct lint_finding *findings, size_t count, const size_t *counts, bool all)
{
    static const struct table_column columns[] = {
        {"SEVERITY", COLUMN_SPARE}, {"RULE", COLUMN_SPARE}, {"VARIANT", 0}, {"FINDING", COLUMN_WRAP}};
    static const enum style styles[SEVERITIES] = {STYLE_BAD, STYLE_WARNING, STYLE_DIM};
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    size_t shown = 0;
    for (size_t i = 0; i < count; i++) {
        if (findings[i].severity == LINT_NOTE && !all)
            continue;
        struct table_row *row = table_row(table, NULL);
        table_cell(row, 0, styles[findings[i].severity], severity_names[findings[i].severity]);
        table_cell(row, 1, STYLE_PLAIN, findings[i].rule);
        table_cell(row, 2, STYLE_KEY, findings[i].variant);
        table_cell(row, 3, STYLE_PLAIN, findings[i].message);
        shown++;
    }
    table_print(table);
    printf("%s%zu errors, %zu warnings, %zu notes%s\n", shown ? "\n" : "", counts[LINT_ERROR],
           counts[LINT_WARNING], counts[LINT_NOTE], shown < count ? " (--all shows the notes)" : "");
}

static enum status run(struct command_line *line, struct error *error)
{
    struct catalog *catalog;
    struct lint_finding *findings;
    size_t count, counts[SEVERITIES] = {0};
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = catalog_lint(catalog, &line->arena, &findings, &count, error);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++)
        counts[findings[i].severity]++;
    if (line->json)
        status = print_document(findings, count, counts, error);
    else
        print_findings(findings, count, counts, command_given(line, "all"));
    return !status && counts[LINT_ERROR] ? STATUS_NO : status;
}

const struct command command_lint = {
    .name = "lint",
    .summary = "look for errors and gaps in the catalogue",
    .about = "Reports what is wrong or wanting in a catalogue that loads. Errors cannot be right: a parent "
             "younger "
             "than its child without an exception, dates that contradict each other, one title twice. "
             "Warnings want a "
             "look: variants that stand alone or cannot be found, fields that are missing, kernels that no "
             "variant "
             "uses, planned kernels that are written. Notes are work that is left: variants that do not run, "
             "planned "
             "kernels, parents that are not cited. Ends with status 1 if there are errors.",
    .json =
        "{errors, warnings, notes, findings: [{severity, rule, variant, message}]}: the first three are "
        "numbers; "
        "severity is \"error\", \"warning\" or \"note\"; variant is null where the finding is about no entry",
    .options = OPTION_TABLE({.name = "all", .help = "the notes too"}),
    .examples =
        EXAMPLES({"clade lint", "errors and warnings"}, {"clade lint --all", "and what is left to do"}),
    .run = run,
};
