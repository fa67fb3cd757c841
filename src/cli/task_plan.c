#include "cli/task_plan.h"
#include "base/fields.h"
#include "base/suggest.h"
#include "bench/record.h"
#include "block/registry.h"
#include "cli/compose.h"
#include <stdio.h>
#include <stdlib.h>

static bool is_task(const struct composition *composition)
{
    for (int i = 0; i < composition->count; i++)
        if (!composition->layers[i].slots[SLOT_TASK].kernel)
            return false;
    return true;
}

static enum status unknown_task(struct command_line *line, const char *name, struct error *error)
{
    struct catalog *catalog;
    struct variant_row *rows;
    size_t row_count, count = 0;
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = catalog_list(catalog, &(struct catalog_filter){.kind = "task"}, &line->arena, &rows,
                              &row_count, error);
    if (status)
        return status;
    const char **names = arena_allocate(&line->arena, (registry_count + row_count) * sizeof *names);
    for (size_t i = 0; i < registry_count; i++)
        if (registry_kernels[i]->slot == SLOT_TASK)
            names[count++] = registry_kernels[i]->name;
    for (size_t i = 0; i < row_count; i++)
        if (rows[i].runnable)
            names[count++] = rows[i].key;
    return suggest_error(error, "task", name, names, count);
}

/* A kernel, or an entry of the catalogue with the options of its paper. */
static enum status find_task(struct command_line *line, const char *name, struct composition *task,
                             struct error *error)
{
    const struct kernel *kernel = registry_find(name);
    struct catalog *catalog;
    enum status status = command_catalog(line, &catalog, error);
    if (status)
        return status;
    if (kernel && kernel->slot == SLOT_TASK) {
        cJSON *document = cJSON_CreateObject();
        cJSON_AddStringToObject(cJSON_AddObjectToObject(document, "task"), "kernel", name);
        struct json_at root = json_root(document, name);
        status = composition_parse(&root, task, error);
        cJSON_Delete(document);
        return status;
    }
    struct error unknown = ERROR_INIT;
    if (catalog_require(catalog, name, &unknown))
        return unknown_task(line, name, error);
    status = command_composition(line, name, task, error);
    if (!status && !is_task(task))
        status = error_set(error, STATUS_USAGE, "'%s' is no task: 'clade task --list' names them", name);
    return status;
}

static enum status set_number(struct composition *task, const char *name, int64_t value, struct error *error)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return composition_set(task, name, text, error);
}

static enum status read_task(struct command_line *line, struct task_plan *plan, struct error *error)
{
    size_t setting_count;
    command_texts(line, "set", &setting_count);
    int *unused = plan->subjects.unused;
    if (!unused)
        plan->subjects.unused = unused = arena_allocate(&line->arena, (setting_count + 1) * sizeof *unused);
    enum status status = find_task(line, line->operands[0], &plan->task, error);
    if (status)
        return status;
    if (command_given(line, "vocabulary")) {
        if (!composition_has(&plan->task, "vocabulary"))
            return error_set(
                error, STATUS_USAGE,
                "task '%s' does not take '--vocabulary': its tokens follow from its other options",
                line->operands[0]);
        status = set_number(&plan->task, "vocabulary", command_integer(line, "vocabulary", 0), error);
    }
    if (!status)
        status = command_settings(line, &plan->task, unused, error);
    return status ? status : timed_refuse_unused(line, &plan->subjects, 1, error);
}

static enum status validate(const struct composition *task, struct error *error)
{
    enum status status = STATUS_OK;
    for (int i = 0; i < task->count && !status; i++)
        status = task_validate(&task->layers[i].slots[SLOT_TASK], error);
    return status;
}

/* The task at every length, and what is tested. */
static enum status read_lengths(struct command_line *line, struct task_plan *plan, struct error *error)
{
    bool given = command_given(line, "length");
    enum status status = STATUS_OK;
    if (given)
        status = command_quantities(line, "length", "", LONGEST_INPUT, &plan->lengths, error);
    size_t count = given ? plan->lengths.count : 1;
    plan->task_count = 0;
    plan->tasks = arena_allocate(&line->arena, count * sizeof *plan->tasks);
    plan->tests = arena_allocate(&line->arena, count * sizeof *plan->tests);
    for (size_t i = 0; i < count && !status; i++) {
        struct composition *task = &plan->tasks[i], *test = &plan->tests[i];
        composition_copy(task, &plan->task);
        composition_copy(test, &plan->task);
        plan->task_count++;
        if (given && !(status = set_number(task, "length", plan->lengths.values[i], error)))
            status = set_number(test, "length", plan->lengths.values[i], error);
        if (!status && command_given(line, "test-length"))
            status = set_number(test, "length", command_integer(line, "test-length", 0), error);
        if (!status && !(status = validate(task, error)))
            status = validate(test, error);
    }
    return status;
}

enum status task_plan_read(struct command_line *line, struct task_plan *plan, struct error *error)
{
    enum status status = read_task(line, plan, error);
    return status ? status : read_lengths(line, plan, error);
}

/* ---- Trainings ---- */

static enum status read_rates(struct command_line *line, struct task_plan *plan, struct error *error)
{
    const char *rest = command_text(line, "learning-rate"), *part;
    rest = rest ? rest : "0.003";
    while ((part = next_part(line, &rest)) != NULL) {
        char *end;
        double rate = strtod(part, &end);
        if (end == part || *end || !(rate > 0 && rate <= 10))
            return error_set(error, STATUS_USAGE, "a learning rate is a number over 0, up to 10, not '%.64s'",
                             part);
        if (plan->rate_count == RATES_MAXIMUM)
            return error_set(error, STATUS_USAGE, "at most %d learning rates at once", RATES_MAXIMUM);
        plan->rates[plan->rate_count++] = rate;
    }
    return plan->rate_count ? STATUS_OK
                            : error_set(error, STATUS_USAGE, "option '--learning-rate' needs a number");
}

const char *task_plan_settings(struct command_line *line, const struct task_plan *plan,
                               const struct training *training)
{
    cJSON *document = cJSON_CreateObject(), *task = cJSON_CreateObject();
    char value[512];
    for (const struct option *option = training->task->kernel->options; option->name; option++)
        json_set_text(task, option->name, settings_text(training->task, option->name, value, sizeof value));
    json_set_text(document, "part", training->part);
    cJSON_AddItemToObject(document, "task", task);
    json_set_number(document, "test_length", (double)task_length(training->test));
    json_set_number(document, "width", (double)training->width);
    json_set_number(document, "layers", training->layers);
    json_set_number(document, "batch", (double)training->batch);
    json_set_number(document, "steps", (double)training->steps);
    json_set_number(document, "learning_rate", training->learning_rate);
    cJSON_AddItemToObject(document, "set", cJSON_Parse(plan->subjects.settings));
    const char *text = record_object(document, &line->arena);
    cJSON_Delete(document);
    return text;
}

static void list_trainings(struct command_line *line, struct task_plan *plan)
{
    size_t parts = (size_t)plan->task.count;
    size_t count = parts * plan->task_count * plan->widths.count * plan->subjects.count * plan->rate_count;
    int64_t steps = command_integer(line, "steps", 500), tests = command_integer(line, "tests", 4);
    plan->results.task = line->operands[0];
    plan->results.trainings = arena_allocate(&line->arena, count * sizeof *plan->results.trainings);
    for (size_t i = 0, left; i < count; i++) {
        size_t rate = i % plan->rate_count, key = (left = i / plan->rate_count) % plan->subjects.count;
        size_t width = (left /= plan->subjects.count) % plan->widths.count;
        size_t length = (left /= plan->widths.count) % plan->task_count, part = left / plan->task_count;
        plan->results.trainings[plan->results.count++] = (struct training){
            .variant = plan->subjects.keys[key],
            .name = plan->results.task,
            .part = plan->task.layers[part].name,
            .task = &plan->tasks[length].layers[part].slots[SLOT_TASK],
            .test = &plan->tests[length].layers[part].slots[SLOT_TASK],
            .width = plan->widths.values[width],
            .batch = command_integer(line, "batch", 32),
            .steps = steps,
            .layers = (int)command_integer(line, "layers", 2),
            .test_sequences = TEST_SEQUENCES,
            .tests = tests < steps ? tests : steps,
            .learning_rate = plan->rates[rate],
            .seed = (uint64_t)command_integer(line, "seed", 1),
        };
    }
}

enum status task_plan_trainings(struct command_line *line, struct task_plan *plan, struct error *error)
{
    enum status status = command_quantities(line, "width", "64", WIDEST_INPUT, &plan->widths, error);
    if (!status)
        status = read_rates(line, plan, error);
    if (!status)
        list_trainings(line, plan);
    return status;
}

void task_plan_release(struct task_plan *plan)
{
    for (size_t i = 0; i < plan->task_count; i++) {
        composition_release(&plan->tasks[i]);
        composition_release(&plan->tests[i]);
    }
    for (size_t i = 0; i < plan->results.count; i++)
        training_release(&plan->results.trainings[i]);
    composition_release(&plan->task);
    timed_release(&plan->subjects);
}
