#include "cli/task_report.h"
#include "base/fields.h"
#include "bench/machine.h"
#include "cli/output.h"
#include "cli/table.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_SHOWN = 4 };

static const struct training_point *last_point(const struct training *training)
{
    return training->point_count ? &training->points[training->point_count - 1] : NULL;
}

static bool same_setting(const struct training *a, const struct training *b)
{
    return strcmp(a->variant, b->variant) == 0 && a->task == b->task && a->test == b->test &&
           a->width == b->width;
}

/* Of trainings that differ in the learning rate alone the most accurate one is shown, of equal ones the one
 * with the least loss. */
static bool is_best(const struct task_results *results, const struct training *training)
{
    const struct training_point *own = last_point(training);
    for (size_t i = 0; i < results->count; i++) {
        const struct training *other = &results->trainings[i];
        const struct training_point *point = last_point(other);
        if (other == training || !same_setting(training, other))
            continue;
        if (point && (!own || point->accuracy > own->accuracy ||
                      (point->accuracy == own->accuracy && point->loss < own->loss)))
            return false;
        if (other < training &&
            (!own || (point && point->accuracy == own->accuracy && point->loss == own->loss)))
            return false;
    }
    return true;
}

/* ---- Table ---- */

enum column { VARIANT, PART, WIDTH, LENGTH, PARAMETERS, RATE, FIRST_STEP };

static void accuracy_cell(struct table_row *row, size_t column, double accuracy)
{
    table_cell_format(row, column, accuracy >= 0.95 ? STYLE_GOOD : STYLE_PLAIN, "%.1f %%", 100 * accuracy);
}

static void add_row(struct table *table, const struct training *training, int64_t first_test,
                    size_t steps_shown)
{
    struct table_row *row = table_row(table, NULL);
    const struct training_point *last = last_point(training);
    int64_t length = task_length(training->task), test_length = task_length(training->test);
    size_t loss = FIRST_STEP + steps_shown;
    table_cell(row, VARIANT, STYLE_KEY, training->variant);
    table_cell(row, PART, STYLE_PLAIN, training->part);
    table_cell_format(row, WIDTH, STYLE_PLAIN, "%lld", (long long)training->width);
    if (length == test_length)
        table_cell_format(row, LENGTH, STYLE_PLAIN, "%lld", (long long)length);
    else
        table_cell_format(row, LENGTH, STYLE_PLAIN, "%lld > %lld", (long long)length, (long long)test_length);
    table_cell_format(row, PARAMETERS, STYLE_PLAIN, "%.1fk", (double)training->parameters / 1000);
    table_cell_format(row, RATE, STYLE_PLAIN, "%g", training->learning_rate);
    for (size_t i = 0; i < steps_shown; i++) {
        size_t point = (size_t)first_test + i;
        if (point < training->point_count)
            accuracy_cell(row, FIRST_STEP + i, training->points[point].accuracy);
        else
            table_cell(row, FIRST_STEP + i, STYLE_DIM, "-");
    }
    if (last) {
        table_cell_format(row, loss, STYLE_PLAIN, "%.4f", last->loss);
        table_cell_format(row, loss + 1, STYLE_DIM, "%.1f s", last->seconds);
    }
}

static void print_notes(const struct task_results *results)
{
    const struct training *first = &results->trainings[0];
    printf("\naccuracy on %lld sequences that no training had; %d blocks, %lld sequences a step, seed %llu\n",
           (long long)first->test_sequences, first->layers, (long long)first->batch,
           (unsigned long long)first->seed);
    for (size_t i = 0; i < results->count; i++) {
        const struct training *training = &results->trainings[i];
        if (training->stopped[0])
            printf("%s, width %lld, rate %g: %s\n", training->variant, (long long)training->width,
                   training->learning_rate, training->stopped);
        bool known = false;
        for (size_t j = 0; j < i; j++)
            known |= strcmp(results->trainings[j].variant, training->variant) == 0;
        if (!training->causal && !known)
            printf("%s is not causal: it may see answers among the tokens to come\n", training->variant);
    }
}

void task_report_table(const struct task_results *results)
{
    const struct training *first = &results->trainings[0];
    size_t shown = first->tests < STEPS_SHOWN ? (size_t)first->tests : STEPS_SHOWN;
    int64_t first_test = first->tests - (int64_t)shown;
    struct arena arena = ARENA_INIT;
    struct table_column columns[FIRST_STEP + STEPS_SHOWN + 2] = {
        [VARIANT] = {"VARIANT", 0},
        [PART] = {first->part ? "PART" : "", 0},
        [WIDTH] = {"WIDTH", COLUMN_RIGHT},
        [LENGTH] = {"LENGTH", COLUMN_RIGHT},
        [PARAMETERS] = {"PARAMS", COLUMN_RIGHT | COLUMN_SPARE},
        [RATE] = {"RATE", COLUMN_RIGHT | COLUMN_SPARE},
    };
    columns[FIRST_STEP + shown] = (struct table_column){"LOSS", COLUMN_RIGHT};
    columns[FIRST_STEP + shown + 1] = (struct table_column){"TIME", COLUMN_RIGHT};
    for (size_t i = 0; i < shown; i++) {
        int64_t test = first_test + (int64_t)i + 1,
                step = (test * first->steps + first->tests - 1) / first->tests;
        columns[FIRST_STEP + i] =
            (struct table_column){arena_format(&arena, "STEP %lld", (long long)step), COLUMN_RIGHT};
    }
    struct table *table = table_create(columns, FIRST_STEP + shown + 2);
    for (size_t i = 0; i < results->count; i++)
        if (is_best(results, &results->trainings[i]))
            add_row(table, &results->trainings[i], first_test, shown);
    table_print(table);
    print_notes(results);
    arena_release(&arena);
}

/* ---- JSON ---- */

static cJSON *training_document(const struct task_results *results, const struct training *training)
{
    cJSON *document = cJSON_CreateObject(), *points = cJSON_CreateArray();
    const struct training_point *last = last_point(training);
    json_set_text(document, "task", results->task);
    json_set_text(document, "part", training->part);
    json_set_text(document, "variant", training->variant);
    json_set_number(document, "width", (double)training->width);
    json_set_number(document, "layers", training->layers);
    json_set_number(document, "length", (double)task_length(training->task));
    json_set_number(document, "test_length", (double)task_length(training->test));
    json_set_number(document, "vocabulary", (double)task_sizes(training->task).vocabulary);
    json_set_number(document, "batch", (double)training->batch);
    json_set_number(document, "steps", (double)training->steps);
    json_set_number(document, "learning_rate", training->learning_rate);
    json_set_number(document, "seed", (double)training->seed);
    json_set_number(document, "parameters", (double)training->parameters);
    json_set_flag(document, "causal", training->causal);
    json_set_number(document, "accuracy", last ? last->accuracy : NAN);
    json_set_number(document, "loss", last ? last->loss : NAN);
    json_set_number(document, "seconds", last ? last->seconds : NAN);
    json_set_flag(document, "best", is_best(results, training));
    json_set_text(document, "stopped", training->stopped[0] ? training->stopped : NULL);
    for (size_t i = 0; i < training->point_count; i++) {
        cJSON *point = cJSON_CreateObject();
        json_set_number(point, "step", (double)training->points[i].step);
        json_set_number(point, "accuracy", training->points[i].accuracy);
        json_set_number(point, "loss", training->points[i].loss);
        json_set_number(point, "seconds", training->points[i].seconds);
        cJSON_AddItemToArray(points, point);
    }
    cJSON_AddItemToObject(document, "points", points);
    cJSON_AddItemToObject(document, "settings", cJSON_Parse(training->settings));
    return document;
}

enum status task_report_json(const struct task_results *results, struct error *error)
{
    cJSON *document = cJSON_CreateObject(), *array = cJSON_CreateArray();
    cJSON_AddItemToObject(document, "machine", machine_describe());
    cJSON_AddItemToObject(document, "build", machine_build());
    for (size_t i = 0; i < results->count; i++)
        cJSON_AddItemToArray(array, training_document(results, &results->trainings[i]));
    cJSON_AddItemToObject(document, "results", array);
    return print_json(document, error);
}
