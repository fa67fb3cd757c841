#include "base/fields.h"
#include "cli/check.h"
#include "cli/output.h"
#include "tensor/real.h"
#include <stdio.h>
#include <string.h>

void check_report_add(struct check_report *report, struct check_row row)
{
    report->rows = arena_extend(report->arena, report->rows, report->count, sizeof row);
    report->rows[report->count++] = row;
    report->outcomes[row.outcome]++;
}

static cJSON *row_json(const struct check_row *row)
{
    cJSON *object = cJSON_CreateObject();
    json_set_text(object, "variant", row->variant);
    if (row->property) {
        json_set_text(object, "kernel", row->kernel);
        json_set_text(object, "property", row->property);
    } else {
        json_set_text(object, "case", row->name);
        json_set_text(object, "directory", row->directory);
    }
    json_set_flag(object, "passed", row->outcome != CHECK_FAILED);
    json_set_flag(object, "skipped", row->outcome == CHECK_SKIPPED);
    json_set_text(object, "detail", row->detail);
    cJSON *errors = cJSON_AddObjectToObject(object, "errors");
    for (size_t i = 0; i < row->error_count; i++)
        json_set_number(errors, row->errors[i].name, row->errors[i].error);
    return object;
}

enum status check_report_json(const struct check_report *report, struct error *error)
{
    cJSON *document = cJSON_CreateObject();
    json_set_number(document, "passed", (double)report->outcomes[CHECK_PASSED]);
    json_set_number(document, "failed", (double)report->outcomes[CHECK_FAILED]);
    json_set_number(document, "skipped", (double)report->outcomes[CHECK_SKIPPED]);
    json_set_text(document, "precision", REAL_NAME);
    cJSON *results = cJSON_AddArrayToObject(document, "results");
    for (size_t i = 0; i < report->count; i++)
        cJSON_AddItemToArray(results, row_json(&report->rows[i]));
    return print_json(document, error);
}

/* ---- Text ---- */

enum { INDENT = 2, NAME_COLUMN = 16, DETAIL_COLUMN = 25 };
static const char *const outcome_names[] = {"passed", "failed", "skipped"};
static const enum style outcome_styles[] = {STYLE_GOOD, STYLE_BAD, STYLE_DIM};

static bool same_subject(const struct check_row *a, const struct check_row *b)
{
    return a->property && b->property && strcmp(a->variant, b->variant) == 0 &&
           (a->kernel && b->kernel ? strcmp(a->kernel, b->kernel) == 0 : a->kernel == b->kernel);
}

static void print_subject(const struct check_row *row)
{
    if (row->variant) {
        print_styled(stdout, STYLE_KEY, row->variant);
        putchar(' ');
    }
    if (row->property)
        printf("%s\n", row->kernel ? row->kernel : "(the whole block)");
    else
        print_clean(stdout, row->name);
}

static void print_outcome(enum check_outcome outcome)
{
    print_styled(stdout, outcome_styles[outcome], outcome_names[outcome]);
}

static void print_property(const struct check_row *row)
{
    printf("%*s%-*s", INDENT, "", NAME_COLUMN - INDENT, row->property);
    print_outcome(row->outcome);
    printf("%*s", (int)(DETAIL_COLUMN - NAME_COLUMN - strlen(outcome_names[row->outcome])), "");
    print_clean(stdout, row->detail);
    putchar('\n');
}

static void print_case(const struct check_row *row)
{
    print_subject(row);
    putchar(' ');
    print_outcome(row->outcome);
    if (row->outcome != CHECK_PASSED) {
        fputs(": ", stdout);
        print_clean(stdout, row->detail);
    }
    putchar('\n');
    for (size_t i = 0; i < row->error_count; i++) {
        const struct reference_error *e = &row->errors[i];
        printf("%*s%-9.2g", INDENT, "", e->error);
        print_styled(stdout, e->error <= e->limit ? STYLE_PLAIN : STYLE_BAD, e->name);
        putchar('\n');
    }
}

void check_report_text(const struct check_report *report)
{
    const struct check_row *subject = NULL; /* printed last */
    for (size_t i = 0; i < report->count; i++) {
        const struct check_row *row = &report->rows[i];
        if (report->brief && row->outcome != CHECK_FAILED)
            continue;
        if (!row->property) {
            print_case(row);
            continue;
        }
        if (!subject || !same_subject(subject, row))
            print_subject(row);
        subject = row;
        print_property(row);
    }
    printf("%s%zu passed, %zu failed, %zu skipped in %s precision\n", report->count ? "\n" : "",
           report->outcomes[CHECK_PASSED], report->outcomes[CHECK_FAILED], report->outcomes[CHECK_SKIPPED],
           REAL_NAME);
    if (report->not_runnable)
        printf("%zu variants have kernels that are not written yet\n", report->not_runnable);
}
