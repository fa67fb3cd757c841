/* task.h: tasks with known answers, as batches of sequences. A task is the settings of a kernel of the slot
 * `task`.
 *
 * Each sequence has a number and depends on the seed and that number alone, so that any part of them can be
 * made anywhere. Those that a model is tested on have numbers from TASK_TEST on: no training comes so far. */
#ifndef CLADE_BLOCK_TASK_H
#define CLADE_BLOCK_TASK_H

#include "block/settings.h"

#define TASK_TEST ((uint64_t)1 << 62)

/* STATUS_USAGE with "task 'x': ..." if the kernel is none of a task or its options do not go together. */
enum status task_validate(const struct settings *task, struct error *error);
int64_t task_length(const struct settings *task);
struct task_sizes task_sizes(const struct settings *task);

/* Sequences `first` .. `first` + count - 1: ids [count, length] and, where something is asked, the answers in
 * targets [count, length], else -1. The task must be valid. */
void task_fill(const struct settings *task, uint64_t seed, uint64_t first, int64_t count, real *ids,
               real *targets);

#endif
