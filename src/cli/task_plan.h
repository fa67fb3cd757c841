/* task_plan.h: what `clade task` is asked to train, and on which task. */
#ifndef CLADE_CLI_TASK_PLAN_H
#define CLADE_CLI_TASK_PLAN_H

#include "cli/quantity.h"
#include "cli/task_report.h"
#include "cli/timed.h"

enum { RATES_MAXIMUM = 16, TEST_SEQUENCES = 256 };

struct task_plan {
    struct composition task; /* its layers' tasks are the parts */
    struct timed subjects;
    struct quantities lengths, widths; /* no lengths: the task's own, of which there is one */
    double rates[RATES_MAXIMUM];
    size_t rate_count;
    struct composition *tasks, *tests; /* one a length */
    size_t task_count;
    struct task_results results;
    /* Of the whole call. */
    double budget_s, started, shown, turn_ends; /* seconds; no budget: 0 */
    size_t running;
};

/* The task that the first operand names, at every length that is asked for: valid ones. */
enum status task_plan_read(struct command_line *line, struct task_plan *plan, struct error *error);
/* One training for every part, length, width, variant and learning rate. */
enum status task_plan_trainings(struct command_line *line, struct task_plan *plan, struct error *error);
/* All that a training's results follow from, as it is stored; lives as long as the line. */
const char *task_plan_settings(struct command_line *line, const struct task_plan *plan,
                               const struct training *training);
void task_plan_release(struct task_plan *plan);

#endif
