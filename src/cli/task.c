/* task.c: `clade task`: small stacks of variants trained on tasks with known answers. */
#include "base/fields.h"
#include "bench/clock.h"
#include "bench/recorder.h"
#include "cli/output.h"
#include "cli/task_plan.h"
#include <stdio.h>
#include <stdlib.h>

/* Shows how far it is, ten times a second from the first second on; ends a training whose share of the budget
 * is spent. */
static bool show_progress(void *argument, const struct training *training, int64_t done, double loss)
{
    struct task_plan *plan = argument;
    double now = clock_seconds();
    if (now > plan->started + 1 && now > plan->shown + 0.1) {
        enum { CELLS = 20 };
        int full = (int)(CELLS * done / training->steps);
        plan->shown = now;
        progress_show("[%.*s%*s] %s, width %lld (%zu of %zu), loss %.3f", full, "####################",
                      CELLS - full, "", training->variant, (long long)training->width, plan->running + 1,
                      plan->results.count, loss);
    }
    return !plan->budget_s || now < plan->turn_ends;
}

/* Trains one after the other. A variant that does not take the sizes is left out with a line, unless no other
 * is there. */
static enum status run_trainings(struct command_line *line, struct task_plan *plan, struct error *error)
{
    size_t kept = 0, all = plan->results.count;
    struct training *trainings = plan->results.trainings;
    plan->started = clock_seconds();
    for (size_t i = 0; i < all; i++) {
        struct training training = trainings[i];
        struct error refusal = ERROR_INIT;
        double now = clock_seconds(), left = plan->started + plan->budget_s - now;
        plan->running = i;
        plan->turn_ends = now + left / (double)(all - i);
        training.progress = show_progress;
        training.argument = plan;
        size_t key = i / plan->rate_count % plan->subjects.count;
        enum status status = training_run(&training, &plan->subjects.compositions[key], &refusal);
        progress_end();
        training.settings = task_plan_settings(line, plan, &training);
        if (!status) {
            trainings[kept++] = training;
            continue;
        }
        training_release(&training);
        if (plan->subjects.count == 1) {
            plan->results.count = kept;
            *error = refusal;
            return error_prefix(error, "'%s' of width %lld", training.variant, (long long)training.width);
        }
        fprintf(stderr, "clade: '%s' of width %lld is not trained: %s\n", training.variant,
                (long long)training.width, refusal.message);
    }
    plan->results.count = kept;
    return kept ? STATUS_OK : error_set(error, STATUS_USAGE, "no variant takes this setting");
}

static void store(struct command_line *line, const struct task_plan *plan, time_t started)
{
    struct record record;
    cJSON *options = cJSON_CreateObject();
    json_set_number(options, "test_sequences", TEST_SEQUENCES);
    json_set_number(options, "budget_s", plan->budget_s);
    record_trainings(plan->results.trainings, plan->results.count, started, options, &line->arena, &record);
    timed_store_record(line, &record);
}

static enum status train(struct command_line *line, struct task_plan *plan, struct error *error)
{
    time_t started = time(NULL);
    enum status status = task_plan_trainings(line, plan, error);
    if (status)
        return status;
    plan->budget_s = command_real(line, "budget", 0);
    tensor_set_threads((int)command_integer(line, "threads", 0));
    status = run_trainings(line, plan, error);
    if (!status && line->json)
        status = task_report_json(&plan->results, error);
    else if (!status)
        task_report_table(&plan->results);
    if (!status && !command_given(line, "no-store"))
        store(line, plan, started);
    return status;
}

static enum status read_subjects(struct command_line *line, struct task_plan *plan, struct error *error)
{
    const char **keys;
    size_t count;
    enum status status = timed_keys(line, 1, &keys, &count, error);
    return status ? status : timed_compose(line, keys, count, &plan->subjects, error);
}

static enum status run(struct command_line *line, struct error *error)
{
    struct task_plan plan = {.budget_s = 0};
    if (command_given(line, "list"))
        return task_list(line, error);
    if (line->operand_count == 0)
        return error_set(error, STATUS_USAGE, "name a task: 'clade task --list' names them");
    bool trains = line->operand_count > 1 || command_given(line, "suite");
    enum status status = trains ? read_subjects(line, &plan, error) : STATUS_OK;
    if (!status)
        status = task_plan_read(line, &plan, error);
    if (!status && trains)
        status = train(line, &plan, error);
    else if (!status && line->json)
        status = error_set(error, STATUS_USAGE, "'--json' goes with '--list' or with variants to train");
    else if (!status)
        task_explain(&plan.tasks[0], (uint64_t)command_integer(line, "seed", 1));
    task_plan_release(&plan);
    return status;
}

const struct command command_task = {
    .name = "task",
    .operands = "[NAME [KEY...]]",
    .maximum = UNLIMITED,
    .completion = COMPLETE_TASK,
    .summary = "train small stacks of variants on tasks with known answers",
    .about =
        "Trains a small stack of each variant's blocks on a task whose answers follow from a rule, and "
        "prints "
        "how many of them it gets right, after so many steps and in the end: what a block can recall, copy, "
        "count or compress shows here in seconds, long before it does in text.\n\n"
        "A token embedding, the blocks, a final norm and a head learn by AdamW (clipped gradients, decoupled "
        "weight decay 0.01, a learning rate that rises over the first tenth of the steps and then falls as a "
        "cosine) from the cross-entropy of the answers alone. Every step has new sequences; accuracy is "
        "measured on 256 others. All of it follows from the seed and is the same for any number of threads. "
        "Where several learning rates are given, the table has the best of each variant and width.\n\n"
        "NAME is one of 'clade task --list', or an entry of the catalogue whose kind is task. Without "
        "variants "
        "the task is explained, with a sequence of it. Results are kept in the database (table task_result).",
    .json =
        "{machine, build, results: [{task, part, variant, width, layers, length, test_length, vocabulary, "
        "batch, steps, learning_rate, seed, parameters, causal, accuracy, loss, seconds, best, stopped, "
        "points: [{step, accuracy, loss, seconds}], settings}]}: accuracy and loss are those of the last "
        "point; seconds are without tests; best marks the learning rate that the table shows; stopped "
        "says why a training ended early, or is null. With --list [{name, summary, origin, options: "
        "[{name, default, help}]}]",
    .options = OPTION_TABLE(
        {.name = "list", .help = "name the tasks"},
        {.name = "steps",
         .type = VALUE_INTEGER,
         .value = "N",
         .minimum = 1,
         .maximum = 1e9,
         .help = "of training; 500"},
        {.name = "length",
         .type = VALUE_TEXT,
         .value = "LIST",
         .help = "tokens of a sequence, as 64,256; the task's own if not given"},
        {.name = "test-length",
         .type = VALUE_INTEGER,
         .value = "T",
         .minimum = 1,
         .maximum = 1 << 20,
         .help = "tokens of those it is tested on, if they shall differ"},
        {.name = "vocabulary",
         .type = VALUE_INTEGER,
         .value = "V",
         .minimum = 2,
         .maximum = 1 << 20,
         .help = "tokens there are; the task's own if not given"},
        {.name = "layers",
         .type = VALUE_INTEGER,
         .value = "L",
         .minimum = 1,
         .maximum = 256,
         .help = "blocks; 2"},
        {.name = "width", .type = VALUE_TEXT, .value = "LIST", .help = "channels, as 32,64,128; 64"},
        {.name = "batch",
         .type = VALUE_INTEGER,
         .value = "B",
         .minimum = 1,
         .maximum = 65536,
         .help = "sequences of a step; 32"},
        {.name = "learning-rate",
         .type = VALUE_TEXT,
         .value = "LIST",
         .help = "the largest of a training, as 0.001,0.003; 0.003"},
        {.name = "set",
         .type = VALUE_TEXT,
         .value = "NAME=VALUE",
         .repeated = true,
         .help = "an option of the task or the blocks, as pairs=16 or heads=8"},
        {.name = "suite",
         .type = VALUE_TEXT,
         .value = "NAME",
         .help = "the variants of a suite, or those a study compares"},
        {.name = "tests",
         .type = VALUE_INTEGER,
         .value = "N",
         .minimum = 1,
         .maximum = 10000,
         .help = "times that accuracy is measured, evenly over the steps; 4"},
        {.name = "seed",
         .type = VALUE_INTEGER,
         .value = "N",
         .minimum = 0,
         .maximum = 1e15,
         .help = "of weights and sequences; 1"},
        {.name = "budget",
         .type = VALUE_REAL,
         .value = "SECONDS",
         .minimum = 0,
         .maximum = 1e7,
         .help = "for all trainings, which stop short of their steps to keep it; 0: none"},
        {.name = "threads",
         .type = VALUE_INTEGER,
         .value = "N",
         .minimum = 1,
         .maximum = 1024,
         .help = "all cores if not given"},
        {.name = "no-store", .help = "do not keep the results in the database"}),
    .examples = EXAMPLES(
        {"clade task --list", "what there is"},
        {"clade task associative-recall", "a sequence of it, and its options"},
        {"clade task associative-recall gpt gla mamba linear-transformer --set pairs=8", "who recalls?"},
        {"clade task associative-recall based --width 16,32,64 --learning-rate 0.001,0.003,0.01",
         "accuracy against size, the best of three learning rates for each"},
        {"clade task state-tracking elman-rnn gpt mamba --set group=permutations --test-length 64",
         "trained on 32 moves, tested on 64"},
        {"clade task length-generalization gpt --length 16 --test-length 32",
         "a paper's tasks with its options"}),
    .run = run,
};
