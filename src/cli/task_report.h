/* task_report.h: tasks explained, and what trainings on them came to. */
#ifndef CLADE_CLI_TASK_REPORT_H
#define CLADE_CLI_TASK_REPORT_H

#include "bench/training.h"
#include "cli/cli.h"

/* All trainings of one call, those that compare one after the other. */
struct task_results {
    const char *task;
    struct training *trainings;
    size_t count;
};

void task_report_table(const struct task_results *results);
enum status task_report_json(const struct task_results *results, struct error *error);

/* Every task of the program and of the catalogue. */
enum status task_list(struct command_line *line, struct error *error);
/* One task with its options, and a sequence of it. */
void task_explain(const struct composition *task, uint64_t seed);

#endif
