#include "cli/cross_report.h"
#include "base/fields.h"
#include "bench/machine.h"
#include "cli/output.h"
#include "cli/table.h"
#include <math.h>
#include <stdio.h>

/* The pair that was compared at a length: the first variant's measurement and, behind it, the second's. */
static const struct measurement *pair_at(const struct cross_report *report, const struct cross_answer *answer,
                                         int64_t length)
{
    for (size_t i = 0; i < report->session->count; i += 2) {
        const struct measurement *m = &report->session->measurements[i];
        if (m->mode == answer->mode && m->scope == answer->scope && m->length == length)
            return m;
    }
    BUG("no measurement at length %lld", (long long)length);
}

static const char *faster(const struct cross_report *report, int sign)
{
    return sign == 0 ? NULL : sign < 0 ? report->first : report->second;
}

/* ---- Text ---- */

enum column { LENGTH, FIRST, SECOND, RATIO, RANGE, FASTER, COLUMNS };

static void seconds_cell(struct table_row *row, size_t column, double seconds)
{
    bool whole = seconds >= 1, milli = seconds >= 1e-3;
    table_cell_format(row, column, STYLE_PLAIN, "%.3g %s",
                      seconds * (whole   ? 1
                                 : milli ? 1e3
                                         : 1e6),
                      whole   ? "s"
                      : milli ? "ms"
                              : "us");
}

static void print_points(const struct cross_report *report, const struct cross_answer *answer)
{
    const struct table_column columns[COLUMNS] = {
        [LENGTH] = {"LENGTH", COLUMN_RIGHT},       [FIRST] = {report->first, COLUMN_RIGHT},
        [SECOND] = {report->second, COLUMN_RIGHT}, [RATIO] = {"RATIO", COLUMN_RIGHT},
        [RANGE] = {"RANGE", COLUMN_RIGHT},         [FASTER] = {"FASTER", 0}};
    struct table *table = table_create(columns, COLUMNS);
    for (size_t i = 0; i < answer->crossing.count; i++) {
        const struct crossing_point *point = &answer->crossing.points[i];
        const struct measurement *pair = pair_at(report, answer, point->length);
        const char *winner = faster(report, crossing_sign(point));
        struct table_row *row = table_row(table, NULL);
        table_cell_format(row, LENGTH, STYLE_PLAIN, "%lld", (long long)point->length);
        seconds_cell(row, FIRST, measurement_median(&pair[0]));
        seconds_cell(row, SECOND, measurement_median(&pair[1]));
        table_cell_format(row, RATIO, STYLE_PLAIN, "%.3g", point->ratio);
        table_cell_format(row, RANGE, STYLE_DIM, "%.3g - %.3g", point->low, point->high);
        table_cell(row, FASTER, winner ? STYLE_KEY : STYLE_DIM, winner ? winner : "=");
    }
    table_print(table);
}

/* The first of the longest lengths, all of which tie; 0 if the longest does not. */
static int64_t tie_from(const struct crossing *crossing)
{
    size_t i = crossing->count;
    while (i > 0 && crossing_sign(&crossing->points[i - 1]) == 0)
        i--;
    return i < crossing->count ? crossing->points[i].length : 0;
}

static void print_answer(const struct cross_report *report, const struct crossing *crossing)
{
    long long shortest = (long long)crossing->points[0].length,
              longest = (long long)crossing->points[crossing->count - 1].length;
    const char *winner = faster(report, crossing->winner), *loser = faster(report, -crossing->winner);
    size_t ties = 0;
    for (size_t i = 0; i < crossing->count; i++)
        ties += crossing_sign(&crossing->points[i]) == 0;
    if (!winner)
        printf("no sure difference from %lld to %lld tokens\n", shortest, longest);
    else if (crossing->changes)
        printf("%s beats %s from %.0f tokens on (between %.0f and %.0f)\n", winner, loser, crossing->length,
               floor(crossing->low), ceil(crossing->high));
    else if (ties == 0)
        printf("%s is faster at every length measured, from %lld to %lld tokens\n", winner, shortest,
               longest);
    else
        printf("%s is faster at %zu of the lengths from %lld to %lld tokens; at the others they tie\n",
               winner, crossing->count - ties, shortest, longest);
    if (winner && crossing->changes && tie_from(crossing))
        printf("from %lld tokens on they tie\n", (long long)tie_from(crossing));
    if (crossing->changes > 1)
        printf("they change places %d times; this is the last\n", crossing->changes);
    if (crossing->end == CROSSING_BUDGET)
        printf("no longer length fits the budget: see --budget\n");
    if (crossing->end == CROSSING_MEMORY)
        printf("no longer length fits the memory\n");
    if (crossing->end == CROSSING_REFUSED)
        print_paragraph(0, crossing->refusal.message);
}

void cross_report_text(const struct cross_report *report)
{
    static const char *const scopes[SCOPE_COUNT] = {
        [SCOPE_BLOCK] = "the whole block", [SCOPE_OPERATION] = "the operation alone"};
    for (size_t i = 0; i < report->count; i++) {
        const struct cross_answer *answer = &report->answers[i];
        if (i)
            putchar('\n');
        printf("%s, %s\n", bench_mode_names[answer->mode], scopes[answer->scope]);
        if (answer->refused) {
            print_paragraph(0, answer->crossing.refusal.message);
            continue;
        }
        print_points(report, answer);
        print_answer(report, &answer->crossing);
    }
}

/* ---- JSON ---- */

static cJSON *point_document(const struct cross_report *report, const struct cross_answer *answer,
                             const struct crossing_point *point)
{
    const struct measurement *pair = pair_at(report, answer, point->length);
    cJSON *document = cJSON_CreateObject();
    json_set_number(document, "length", (double)point->length);
    json_set_number(document, "first_s", measurement_median(&pair[0]));
    json_set_number(document, "second_s", measurement_median(&pair[1]));
    json_set_number(document, "ratio", point->ratio);
    json_set_number(document, "low", point->low);
    json_set_number(document, "high", point->high);
    json_set_text(document, "faster", faster(report, crossing_sign(point)));
    return document;
}

static cJSON *answer_document(const struct cross_report *report, const struct cross_answer *answer)
{
    const struct crossing *crossing = &answer->crossing;
    bool crossed = !answer->refused && crossing->changes > 0;
    cJSON *document = cJSON_CreateObject();
    json_set_text(document, "mode", bench_mode_names[answer->mode]);
    json_set_text(document, "scope", bench_scope_names[answer->scope]);
    json_set_text(document, "faster", answer->refused ? NULL : faster(report, crossing->winner));
    json_set_number(document, "length", crossed ? crossing->length : NAN);
    json_set_number(document, "low", crossed ? crossing->low : NAN);
    json_set_number(document, "high", crossed ? crossing->high : NAN);
    json_set_number(document, "changes", crossing->changes);
    json_set_text(document, "end", crossing_end_names[answer->refused ? CROSSING_REFUSED : crossing->end]);
    cJSON *points = cJSON_AddArrayToObject(document, "points");
    for (size_t i = 0; i < crossing->count; i++)
        cJSON_AddItemToArray(points, point_document(report, answer, &crossing->points[i]));
    return document;
}

enum status cross_report_json(const struct cross_report *report, struct error *error)
{
    const struct measurement *any = report->session->measurements;
    cJSON *document = cJSON_CreateObject();
    cJSON_AddItemToObject(document, "machine", machine_describe());
    cJSON_AddItemToObject(document, "build", machine_build());
    json_set_text(document, "first", report->first);
    json_set_text(document, "second", report->second);
    json_set_number(document, "width", (double)any->width);
    json_set_number(document, "batch", (double)any->batch);
    json_set_number(document, "threads", tensor_threads());
    cJSON_AddItemToObject(document, "settings", cJSON_Parse(any->settings));
    cJSON *answers = cJSON_AddArrayToObject(document, "crossings");
    for (size_t i = 0; i < report->count; i++)
        cJSON_AddItemToArray(answers, answer_document(report, &report->answers[i]));
    return print_json(document, error);
}
